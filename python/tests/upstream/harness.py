"""Stores, managers and Kafka's part in them, on one backend or on the unmodified Quix Streams."""

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple
from unittest.mock import MagicMock

from confluent_kafka import TopicPartition
from quixstreams.internal_consumer import InternalConsumer
from quixstreams.models import TopicConfig, TopicManager
from quixstreams.state import StateStoreManager as QuixStateStoreManager
from quixstreams.state.base import Store
from quixstreams.state.recovery import ChangelogProducerFactory
from quixstreams.state.rocksdb import RocksDBOptions as QuixRocksDBOptions
from quixstreams.state.rocksdb import RocksDBStore as QuixRocksDBStore
from quixstreams.state.rocksdb.timestamped import TimestampedStore as QuixTimestampedStore
from quixstreams.state.rocksdb.windowed.store import (
    WindowedRocksDBStore as QuixWindowedStore,
)

from weirstreams import WeirError, backend_spec
from weirstreams.quix import StateStoreManager
from weirstreams.quix.options import StoreOptions
from weirstreams.quix.stores import (
    TimestampedWeirStore,
    WeirStore,
    WindowedWeirStore,
    store_class,
)

# "quix" is the reference: Quix Streams' own stores on RocksDB.
BACKENDS = ("quix", "rocksdb", "memory", "slatedb", "lmdb")
DURABLE = tuple(name for name in BACKENDS if name != "memory")
CHANGELOG = "changelog__group--topic--store"

_QUIX = {
    "plain": QuixRocksDBStore,
    "windowed": QuixWindowedStore,
    "timestamped": QuixTimestampedStore,
}
_WEIR = {
    "plain": WeirStore,
    "windowed": WindowedWeirStore,
    "timestamped": TimestampedWeirStore,
}


def why_missing(backend: str) -> Optional[str]:
    """Why a backend can't be tested here; None if it can."""
    if backend == "quix":
        return None
    try:
        backend_spec(backend)
    except (ImportError, WeirError):
        return f"the backend {backend} was not built"
    return None


@dataclasses.dataclass(frozen=True)
class Message:
    """A message of Kafka, with the methods that confluent_kafka's have."""

    key_: Any
    value_: Any
    headers_: List[Tuple[str, bytes]]
    topic_: str = CHANGELOG
    partition_: int = 0
    offset_: int = 0

    def key(self) -> Any:
        return self.key_

    def value(self) -> Any:
        return self.value_

    def headers(self) -> List[Tuple[str, bytes]]:
        return self.headers_

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def error(self) -> None:
        return None


class FakeKafka:
    """
    In the place of a producer and a broker: logs by topic and partition, whose messages count
    as delivered once the producer is flushed.
    """

    def __init__(self) -> None:
        self.log: Dict[Tuple[str, int], List[Message]] = {}
        self.offsets: Dict[Tuple[str, int], int] = {}
        self.error: Optional[Exception] = None
        self.undelivered = 0
        self.calls: List[str] = []

    def produce(self, topic, key, value, headers=None, partition=0, on_delivery=None, **_):
        if self.error is not None:
            raise self.error
        log = self.log.setdefault((topic, partition), [])
        pairs = [(k, v.encode() if isinstance(v, str) else v) for k, v in dict(headers).items()]
        log.append(Message(key, value, pairs, topic, partition, len(log)))

    def flush(self, timeout=None):
        self.calls.append("flush")
        if not self.undelivered:
            self.offsets = {tp: len(log) - 1 for tp, log in self.log.items()}
        return self.undelivered

    def begin_transaction(self):
        self.calls.append("begin")

    def commit_transaction(self, offsets, metadata, timeout=None):
        self.calls.append("commit")

    def abort_transaction(self, timeout=None):
        self.calls.append("abort")

    @property
    def messages(self) -> List[Message]:
        return [message for log in self.log.values() for message in log]


def fake_consumer(kafka: FakeKafka, *assigned: Tuple[str, int]) -> MagicMock:
    """A consumer of `kafka` that is assigned some partitions, and reads what it is sought to."""
    consumer = MagicMock(spec_set=InternalConsumer)
    positions: Dict[Tuple[str, int], int] = {}
    paused = set()

    def pending() -> List[Message]:
        found = []
        for tp, position in positions.items():
            if tp not in paused:
                found += kafka.log.get(tp, [])[max(position, 0) :]
        return found

    def consume(count=1, timeout=None):
        messages = pending()[:count]
        for message in messages:
            positions[message.topic(), message.partition()] = message.offset() + 1
        return messages

    def seek(tp):
        positions[tp.topic, tp.partition] = tp.offset

    def position(tps):
        return [
            TopicPartition(tp.topic, tp.partition, max(positions[tp.topic, tp.partition], 0))
            for tp in tps
        ]

    consumer.assignment.return_value = [TopicPartition(*tp) for tp in assigned]
    consumer.get_watermark_offsets.side_effect = lambda tp, **_: (
        0,
        len(kafka.log.get((tp.topic, tp.partition), [])),
    )
    consumer.consume.side_effect = consume
    consumer.poll.side_effect = lambda timeout=None: next(iter(consume()), None)
    consumer.seek.side_effect = seek
    consumer.position.side_effect = position
    consumer.pause.side_effect = lambda tps: paused.update((t.topic, t.partition) for t in tps)
    consumer.resume.side_effect = lambda tps: paused.difference_update(
        (t.topic, t.partition) for t in tps
    )
    consumer.commit.return_value = []
    return consumer


def fake_topics() -> TopicManager:
    """Of a broker that has every topic, with one partition."""
    admin = MagicMock()
    admin.inspect_topics.side_effect = lambda names, **_: {
        name: TopicConfig(num_partitions=1, replication_factor=1) for name in names
    }
    return TopicManager(topic_admin=admin, consumer_group="group")


class Backend:
    """Makes stores of one backend below one folder, and closes them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / "state" / "group"
        self.kafka = FakeKafka()
        self._closers: List[Callable[[], None]] = []

    @property
    def is_reference(self) -> bool:
        return self.name == "quix"

    def store(
        self,
        kind: str = "plain",
        name: str = "store",
        stream_id: Optional[str] = "topic",
        changelog: bool = False,
        options: Optional[dict] = None,
        **arguments: Any,
    ) -> Store:
        factory = ChangelogProducerFactory(CHANGELOG, self.kafka) if changelog else None
        given = {"open_max_retries": 0, "open_retry_backoff": 0.05, **(options or {})}
        if self.is_reference:
            class_ = _QUIX[kind]
            arguments["options"] = QuixRocksDBOptions(**given)
        else:
            class_ = store_class(_WEIR[kind], self.name)
            arguments["options"] = StoreOptions(**given)
            arguments["backend"] = self.name
        if kind == "timestamped":
            arguments = {"grace_ms": 7 * 86_400_000, "keep_duplicates": False, **arguments}
        store = class_(
            name=name,
            stream_id=stream_id,
            base_dir=str(self.folder),
            changelog_producer_factory=factory,
            **arguments,
        )
        self._closers.append(store.close)
        return store

    def partition(self, kind: str = "plain", **arguments: Any):
        return self.store(kind, **arguments).assign_partition(0)

    def manager(self, **arguments: Any) -> QuixStateStoreManager:
        arguments = {
            "group_id": "group",
            "state_dir": str(self.folder.parent),
            "producer": self.kafka,
            **arguments,
        }
        if self.is_reference:
            manager = QuixStateStoreManager(**arguments)
        else:
            manager = StateStoreManager(state_backend=self.name, **arguments)
        manager.init()
        self._closers.append(manager.close)
        return manager

    def close(self) -> None:
        for close in reversed(self._closers):
            close()
