"""Quix Streams' RecoveryManager, reading changelogs many messages at a time."""

import logging
from itertools import groupby
from typing import Any, List

from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.state.recovery import RecoveryManager as QuixRecoveryManager
from quixstreams.state.recovery import RecoveryPartition
from quixstreams.utils.json import loads as json_loads

from .partition import WeirStorePartition

__all__ = ("RecoveryManager",)

logger = logging.getLogger("quixstreams.state.recovery")

_BATCH_MESSAGES = 10_000
# The client waits for a full batch; so long, when the changelog has no more.
_BATCH_TIMEOUT = 0.2


def _recover(partition: RecoveryPartition, messages: List[Any]) -> None:
    """Applies messages of one changelog, in order."""
    store_partition = partition._store_partition  # noqa: SLF001
    if not isinstance(store_partition, WeirStorePartition):
        for message in messages:
            partition.recover_from_changelog_message(changelog_message=message)
        return
    committed = partition._committed_offsets  # noqa: SLF001

    def decide(header: bytes) -> bool:
        """A topic that is read no more sets no bound."""
        processed = json_loads(header) or {}
        return all(
            offset < committed[topic] for topic, offset in processed.items() if topic in committed
        )

    while messages:
        taken = store_partition.native.push_messages(messages, decide)
        messages = messages[taken:]
        if messages:
            # One that is not as it should be: the original says why.
            partition.recover_from_changelog_message(changelog_message=messages.pop(0))


class RecoveryManager(QuixRecoveryManager):
    def _recovery_loop(self) -> None:
        consumer = self._consumer
        while self.recovering:
            self._log_recovery_progress()
            messages = consumer.consume(_BATCH_MESSAGES, _BATCH_TIMEOUT)
            for message in messages:
                raise_for_msg_error(message)
            for (topic, number), group in groupby(
                messages, key=lambda message: (message.topic(), message.partition())
            ):
                self._recover_from(topic, number, list(group))
            if messages:
                consumer._broker_available()  # noqa: SLF001
            if len(messages) < _BATCH_MESSAGES:
                self._update_recovery_status()
            if self._broker_availability_timeout:
                consumer.raise_if_broker_unavailable(self._broker_availability_timeout)

    def _recover_from(self, topic: str, number: int, messages: List[Any]) -> None:
        partition = self._recovery_partitions.get(number, {}).get(topic)
        if partition is not None:
            _recover(partition, messages)
        elif topic in self._topic_manager.non_changelog_topics:
            for message in messages:
                self._rewind_data_partition(message)
        else:
            logger.debug(
                'Skipping %s messages for "%s[%s]": not under recovery',
                len(messages),
                topic,
                number,
            )
