"""
Quix Streams' RecoveryManager, with changelogs read and applied in C.

A partition's changelog is read by a Kafka client of Weir's own, which has the connection settings
of the application's consumer, and goes into the database without the interpreter lock. Meanwhile
the consumer serves rebalances, and the changelog stays paused in it. Where that can't be (settings
that are Python callbacks, a message that is not as it should be, a client that fails), the
application's consumer reads the changelog, many messages at a time.
"""

import logging
from itertools import groupby
from typing import Any, Dict, List, Optional, cast

from confluent_kafka import TopicPartition
from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.state.base import StorePartition
from quixstreams.state.recovery import RecoveryManager as QuixRecoveryManager
from quixstreams.state.recovery import RecoveryPartition as QuixRecoveryPartition
from quixstreams.utils.dicts import dict_values
from quixstreams.utils.json import loads as json_loads

from .. import _native
from .partition import WeirStorePartition

__all__ = ("RecoveryManager",)

logger = logging.getLogger("quixstreams.state.recovery")

_BATCH_MESSAGES = 10_000
# The client waits for a full batch; so long, when the changelog has no more.
_BATCH_TIMEOUT = 0.05
# How long changelogs are read in C before the consumer's turn comes.
_TURN_MS = 100

# Settings of the consumer that have no meaning for a reader: callbacks that serve the consumer,
# what the group is about, and what Weir sets for itself.
_OWN_SETTINGS = frozenset(
    (
        "allow.auto.create.topics",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "error_cb",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.id",
        "group.instance.id",
        "isolation.level",
        "logger",
        "metadata.broker.list",
        "on_commit",
        "partition.assignment.strategy",
        "statistics.interval.ms",
        "stats_cb",
        "throttle_cb",
    )
)
# What the application's consumer may still be able to read, or explains better.
_UNREAD = frozenset(("CORRUPTED", "KAFKA", "PERMISSION", "SERIALIZATION", "TIMEOUT", "TOPIC"))


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _make_reader(config: Optional[Dict[str, Any]]) -> Optional[_native.ChangelogReader]:
    """:param config: that of the consumer. Returns None: a reader can't have the same"""
    if not config or config.get("isolation.level", "read_committed") != "read_committed":
        return None
    properties = {name: value for name, value in config.items() if name not in _OWN_SETTINGS}
    if not all(isinstance(value, (str, int, float)) for value in properties.values()):
        return None
    broker = config.get("bootstrap.servers") or config.get("metadata.broker.list")
    try:
        return _native.ChangelogReader(
            broker or "",
            config.get("group.id") or "",
            {name: _as_text(value) for name, value in properties.items()},
        )
    except _native.WeirError as exc:
        logger.info("Changelogs are read by the consumer: %s", exc)
        return None


class RecoveryPartition(QuixRecoveryPartition):
    """Knows topics that are read no more, and those without a committed offset."""

    # Where a reader is; None: none reads this changelog.
    read_position: Optional[int] = None
    _skipped = 0
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

    def _applies(self, processed_offsets: Dict[str, int]) -> bool:
        committed = self._committed_offsets
        # A topic that is read no more sets no bound.
        return not any(
            topic in committed and offset >= committed[topic]
            for topic, offset in processed_offsets.items()
        )

    def _should_apply_changelog(self, processed_offsets: Dict[str, int]) -> bool:
        applies = self._applies(processed_offsets)
        self._skipped += not applies
        return applies

    def tell_missing(self) -> None:
        """Warns if a topic had no committed offset, so that only part of the changes counts."""
        if self._starts and self.had_recovery_changes:
            logger.warning(
                "%s: the consumer group has no committed offset for %s. The state has the "
                "changes of all records before that, and is without %d change(s) of records that "
                "are read again.",
                self,
                ", ".join(
                    f'"{topic}[{self.partition_num}]", which is read from {start}'
                    for topic, start in sorted(self._starts.items())
                ),
                self._skipped,
            )

    # --- With a reader ---

    @property
    def _state(self) -> _native.Partition:
        return cast(WeirStorePartition, self._store_partition).native

    @property
    def is_read(self) -> bool:
        return self.read_position is not None

    def begin_reading(self, reader: _native.ChangelogReader) -> bool:
        """False: the consumer has to read this changelog."""
        self.end_reading()
        store_partition = self._store_partition
        offset = self.offset
        # Records that are gone: where to go on is what the consumer's auto.offset.reset says.
        if not isinstance(store_partition, WeirStorePartition) or (
            0 <= offset < self._changelog_lowwater - 1
        ):
            return False
        is_needed = store_partition.native.recover_begin(
            reader,
            self.changelog_name,
            self.partition_num,
            self._changelog_lowwater,
            self.changelog_highwater,
            self._committed_offsets,
        )
        self.read_position = 0 if is_needed else self.changelog_highwater
        return True

    def read(self, budget_ms: int) -> bool:
        """Tells whether it got on."""
        before = self.read_position
        if before == self.changelog_highwater:
            return False
        self.read_position, self._skipped, _ = self._state.recover_step(budget_ms)
        return self.read_position != before

    def end_reading(self) -> None:
        if self.is_read:
            self.read_position = None
            self._state.recover_end()

    # --- With the consumer ---

    def take(self, messages: List[Any]) -> None:
        """Applies messages of the changelog, in order."""
        store_partition = self._store_partition
        if not isinstance(store_partition, WeirStorePartition):
            for message in messages:
                self.recover_from_changelog_message(changelog_message=message)
            return

        def decide(header: bytes) -> bool:
            return self._applies(json_loads(header) or {})

        while messages:
            taken, skipped = store_partition.native.push_messages(messages, decide)
            self._skipped += skipped
            messages = messages[taken:]
            if messages:
                # One that is not as it should be: the original says why.
                self.recover_from_changelog_message(changelog_message=messages.pop(0))


class RecoveryManager(QuixRecoveryManager):
    """
    :param auto_offset_reset: of the application: where a topic without a committed offset is read
        from, and so which changes of its changelogs come again
    """

    _reader: Optional[_native.ChangelogReader] = None

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
            partition.end_reading()
            partition.tell_missing()
        super()._revoke_recovery_partitions(recovery_partitions)

    def do_recovery(self) -> None:
        if self.has_assignments:
            self._reader = _make_reader(getattr(self._consumer, "_consumer_config", None))
        try:
            super().do_recovery()
        finally:
            self._reader = None

    def _prime_changelog_partition(self, partition: Any) -> None:
        # Left paused in the consumer while the reader has it.
        if self._reader is None or not partition.begin_reading(self._reader):
            super()._prime_changelog_partition(partition)

    def _recovery_loop(self) -> None:
        consumer = self._consumer
        while self.recovering:
            self._log_recovery_progress()
            is_reading = any(
                partition.is_read for partition in dict_values(self._recovery_partitions)
            )
            messages = consumer.consume(_BATCH_MESSAGES, 0 if is_reading else _BATCH_TIMEOUT)
            for message in messages:
                raise_for_msg_error(message)
            for (topic, number), group in groupby(
                messages, key=lambda message: (message.topic(), message.partition())
            ):
                self._recover_from(topic, number, list(group))
            if self._read() or messages:
                consumer._broker_available()  # noqa: SLF001
                # The position of before would be believed for a second.
                self._position_cache.clear()
            self._update_recovery_status()
            if self._broker_availability_timeout:
                consumer.raise_if_broker_unavailable(self._broker_availability_timeout)

    def _read(self) -> bool:
        """Gives a turn to each changelog that the reader has."""
        reading = [part for part in dict_values(self._recovery_partitions) if part.is_read]
        got_on = False
        for partition in reading:
            try:
                got_on = partition.read(max(_TURN_MS // len(reading), 1)) or got_on
            except _native.WeirError as exc:
                if exc.status not in _UNREAD:
                    raise
                logger.info("%s is read by the consumer from here on: %s", partition, exc)
                partition.end_reading()
                super()._prime_changelog_partition(partition)
        return got_on

    def _get_position_with_cache(self, rp: Any) -> TopicPartition:
        if rp.is_read:
            return TopicPartition(rp.changelog_name, rp.partition_num, rp.read_position)
        return super()._get_position_with_cache(rp)

    def _recover_from(self, topic: str, number: int, messages: List[Any]) -> None:
        partition = cast(
            Optional[RecoveryPartition], self._recovery_partitions.get(number, {}).get(topic)
        )
        if partition is not None:
            if partition.is_read:
                # An assignment in the middle of the recovery has resumed all partitions.
                self._consumer.pause([TopicPartition(topic, number)])
            else:
                partition.take(messages)
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
