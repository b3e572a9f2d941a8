"""Quix Streams' RecoveryManager, reading changelogs many messages at a time."""

import logging
from itertools import groupby
from typing import Any, Dict, List, Optional

from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.state.recovery import RecoveryManager as QuixRecoveryManager
from quixstreams.state.recovery import RecoveryPartition as QuixRecoveryPartition
from quixstreams.utils.json import loads as json_loads

from .partition import WeirStorePartition

__all__ = ("RecoveryManager",)

logger = logging.getLogger("quixstreams.state.recovery")

_BATCH_MESSAGES = 10_000
# The client waits for a full batch; so long, when the changelog has no more.
_BATCH_TIMEOUT = 0.05


class RecoveryPartition(QuixRecoveryPartition):
    """Never leaves state empty in silence, and knows topics that are read no more."""

    _skipped = 0
    _last_skipped: Optional[Dict[str, int]] = None

    @classmethod
    def of(cls, made: QuixRecoveryPartition) -> "RecoveryPartition":
        return cls(
            changelog_name=made.changelog_name,
            partition_num=made.partition_num,
            store_partition=made._store_partition,  # noqa: SLF001
            committed_offsets=made._committed_offsets,  # noqa: SLF001
            lowwater=made._changelog_lowwater,  # noqa: SLF001
            highwater=made.changelog_highwater,
        )

    def _should_apply_changelog(self, processed_offsets: Dict[str, int]) -> bool:
        committed = self._committed_offsets
        # A topic that is read no more sets no bound.
        for topic, offset in processed_offsets.items():
            if topic in committed and offset >= committed[topic]:
                # Messages of one checkpoint have the same offsets.
                if processed_offsets != self._last_skipped:
                    self._skipped += 1
                    self._last_skipped = processed_offsets
                return False
        return True

    def tell_skipped(self) -> None:
        """Warns if changes were skipped because a topic has no committed offset."""
        missing = [topic for topic, offset in self._committed_offsets.items() if offset < 0]
        if self._skipped and missing:
            logger.warning(
                "%s: skipped all changes of %d checkpoint(s), because the consumer group has no "
                "committed offset for %s. The state is without them, and records are read again from where "
                '"auto_offset_reset" says.',
                self,
                self._skipped,
                ", ".join(f'"{topic}[{self.partition_num}]"' for topic in sorted(missing)),
            )


def _recover(partition: RecoveryPartition, messages: List[Any]) -> None:
    """Applies messages of one changelog, in order."""
    store_partition = partition._store_partition  # noqa: SLF001
    if not isinstance(store_partition, WeirStorePartition):
        for message in messages:
            partition.recover_from_changelog_message(changelog_message=message)
        return

    def decide(header: bytes) -> bool:
        return partition._should_apply_changelog(json_loads(header) or {})  # noqa: SLF001

    while messages:
        taken = store_partition.native.push_messages(messages, decide)
        messages = messages[taken:]
        if messages:
            # One that is not as it should be: the original says why.
            partition.recover_from_changelog_message(changelog_message=messages.pop(0))


class RecoveryManager(QuixRecoveryManager):
    def _generate_recovery_partitions(
        self, *args: Any, **kwargs: Any
    ) -> List[QuixRecoveryPartition]:
        made = super()._generate_recovery_partitions(*args, **kwargs)
        return [RecoveryPartition.of(partition) for partition in made]

    def _revoke_recovery_partitions(self, partitions: Any, *args: Any, **kwargs: Any) -> None:
        for partition in partitions:
            partition.tell_skipped()
        super()._revoke_recovery_partitions(partitions, *args, **kwargs)

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
            if messages:
                # The position of before would be believed for a second.
                self._position_cache.clear()
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
