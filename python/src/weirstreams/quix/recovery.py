"""Quix Streams' RecoveryManager, reading changelogs many messages at a time."""

import logging
from itertools import groupby
from typing import Any, Dict, List, Optional

from confluent_kafka import TopicPartition
from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.state.base import StorePartition
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
    """Knows topics that are read no more, and those without a committed offset."""

    _skipped = 0
    _last_skipped: Optional[Dict[str, int]] = None
    _starts: Dict[str, int] = {}

    @classmethod
    def of(
        cls, made: QuixRecoveryPartition, starts: Optional[Dict[str, int]] = None
    ) -> "RecoveryPartition":
        """:param starts: topics that have no committed offset, and where they are read from"""
        recovery = cls(
            changelog_name=made.changelog_name,
            partition_num=made.partition_num,
            store_partition=made._store_partition,  # noqa: SLF001
            committed_offsets=made._committed_offsets,  # noqa: SLF001
            lowwater=made._changelog_lowwater,  # noqa: SLF001
            highwater=made.changelog_highwater,
        )
        recovery._starts = starts or {}
        return recovery

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

    def tell_missing(self) -> None:
        """Warns if a topic had no committed offset, so that only part of the changes counts."""
        if self._starts and self.had_recovery_changes:
            logger.warning(
                "%s: the consumer group has no committed offset for %s. The state has the "
                "changes of all records before that, and is without those of %d checkpoint(s), "
                "whose records are read again.",
                self,
                ", ".join(
                    f'"{topic}[{self.partition_num}]", which is read from {start}'
                    for topic, start in sorted(self._starts.items())
                ),
                self._skipped,
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
    """
    :param auto_offset_reset: of the application: where a topic without a committed offset is read
        from, and so which changes of its changelogs come again
    """

    def __init__(self, *args: Any, auto_offset_reset: str = "latest", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._from_the_end = auto_offset_reset in ("latest", "largest", "end")

    def _generate_recovery_partitions(
        self,
        topic_name: Optional[str],
        partition_num: int,
        store_partitions: Dict[str, StorePartition],
        committed_offsets: Dict[str, int],
    ) -> List[QuixRecoveryPartition]:
        starts = {}
        for topic, offset in committed_offsets.items():
            if offset < 0:
                watermarks = self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition_num), timeout=10
                )
                starts[topic] = watermarks[self._from_the_end]
        made = super()._generate_recovery_partitions(
            topic_name=topic_name,
            partition_num=partition_num,
            store_partitions=store_partitions,
            committed_offsets={**committed_offsets, **starts},
        )
        return [RecoveryPartition.of(partition, starts) for partition in made]

    def _revoke_recovery_partitions(self, recovery_partitions: List[Any]) -> None:
        for partition in recovery_partitions:
            partition.tell_missing()
        super()._revoke_recovery_partitions(recovery_partitions)

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
        partition: Any = self._recovery_partitions.get(number, {}).get(topic)
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
