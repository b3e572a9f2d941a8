"""
Stores of each backend, and of the unmodified Quix Streams as the reference, behind one fixture.

A test that takes `stores` runs once for each of them. What Weir does on purpose otherwise than the
reference is tested apart, with `weir_stores`.
"""

import logging
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, List, NamedTuple, Optional

import pytest
from quixstreams.models.topics import admin as topic_admin
from quixstreams.state.base import Store
from quixstreams.state.recovery import ChangelogProducerFactory
from quixstreams.state.rocksdb import RocksDBOptions as QuixRocksDBOptions
from quixstreams.state.rocksdb import RocksDBStore as QuixRocksDBStore
from quixstreams.state.rocksdb.timestamped import (
    TimestampedStore as QuixTimestampedStore,
)
from quixstreams.state.rocksdb.windowed.store import (
    WindowedRocksDBStore as QuixWindowedStore,
)

from weirstreams import WeirError, backend_spec
from weirstreams.quix import (
    MemoryStore,
    RocksDBStore,
    SlateDBStore,
    TimestampedMemoryStore,
    TimestampedRocksDBStore,
    TimestampedSlateDBStore,
    WindowedMemoryStore,
    WindowedRocksDBStore,
    WindowedSlateDBStore,
)
from weirstreams.quix.options import StoreOptions

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = "changelog__group--topic--default"


class Message(NamedTuple):
    key: bytes
    value: Optional[bytes]
    headers: dict
    topic: str
    partition: int


class FakeProducer:
    """In the place of Quix Streams' InternalProducer: keeps what is produced."""

    def __init__(self) -> None:
        self.messages: List[Message] = []
        self.error: Optional[Exception] = None

    def produce(self, topic, key, value, headers, partition, on_delivery=None, **_):
        if self.error is not None:
            raise self.error
        self.messages.append(Message(key, value, dict(headers), topic, partition))

    def flush(self, timeout=None):
        return 0


class Stores:
    """Makes stores of one backend in a folder of the test."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend = backend
        self.folder = folder / "state" / "group"
        self.producer = FakeProducer()
        self._open: List[Store] = []

    @property
    def is_reference(self) -> bool:
        return self.backend == "quix"

    @property
    def is_durable(self) -> bool:
        return self.backend != "memory"

    def plain(
        self,
        name: str = "default",
        stream_id: Optional[str] = "topic",
        changelog: bool = False,
        **options,
    ) -> Store:
        factory = ChangelogProducerFactory(CHANGELOG, self.producer) if changelog else None
        options = {"open_max_retries": 0, "open_retry_backoff": 0.05, **options}
        classes = {
            "rocksdb": RocksDBStore,
            "slatedb": SlateDBStore,
            "memory": MemoryStore,
            "quix": QuixRocksDBStore,
        }
        given = (QuixRocksDBOptions if self.is_reference else StoreOptions)(**options)
        store = classes[self.backend](
            name=name,
            stream_id=stream_id,
            base_dir=str(self.folder),
            changelog_producer_factory=factory,
            options=given,
        )
        self._open.append(store)
        return store

    def _open_kind(self, classes: dict, name: str, changelog: bool, **arguments) -> Store:
        factory = ChangelogProducerFactory(CHANGELOG, self.producer) if changelog else None
        store = classes[self.backend](
            name=name,
            stream_id="topic",
            base_dir=str(self.folder),
            changelog_producer_factory=factory,
            **arguments,
        )
        self._open.append(store)
        return store

    def windowed(self, name: str = "windowed", changelog: bool = False) -> Store:
        classes = {
            "rocksdb": WindowedRocksDBStore,
            "slatedb": WindowedSlateDBStore,
            "memory": WindowedMemoryStore,
            "quix": QuixWindowedStore,
        }
        return self._open_kind(classes, name, changelog)

    def timestamped(
        self,
        name: str = "timestamped",
        changelog: bool = False,
        grace_ms: int = 1000,
        keep_duplicates: bool = False,
    ) -> Store:
        classes = {
            "rocksdb": TimestampedRocksDBStore,
            "slatedb": TimestampedSlateDBStore,
            "memory": TimestampedMemoryStore,
            "quix": QuixTimestampedStore,
        }
        return self._open_kind(
            classes, name, changelog, grace_ms=grace_ms, keep_duplicates=keep_duplicates
        )

    def close(self) -> None:
        for store in self._open:
            store.close()


def _require(backend: str) -> None:
    if backend == "slatedb":
        try:
            backend_spec(backend)
        except (ImportError, WeirError):
            pytest.skip("the SlateDB plugin was not built")


def _make(request, tmp_path):
    _require(request.param)
    made = Stores(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["rocksdb", "slatedb", "memory", "quix"])
def stores(request, tmp_path):
    yield from _make(request, tmp_path)


@pytest.fixture(params=["rocksdb", "slatedb", "memory"])
def weir_stores(request, tmp_path):
    yield from _make(request, tmp_path)


@pytest.fixture(params=["rocksdb", "slatedb", "quix"])
def durable_stores(request, tmp_path):
    yield from _make(request, tmp_path)


@pytest.fixture()
def partition(stores):
    return stores.plain().assign_partition(0)


@pytest.fixture()
def weir_partition(weir_stores):
    return weir_stores.plain().assign_partition(0)


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """The address of a real broker, the same for all tests."""
    if os.environ.get("WEIR_SKIP_KAFKA") == "1" or not shutil.which("java"):
        pytest.skip("no Java for a broker, or WEIR_SKIP_KAFKA=1")
    folder = tmp_path_factory.mktemp("kafka")
    script = str(ROOT / "scripts" / "kafka")
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONPATH")}
    started = subprocess.run(
        [script, "start", "--dir", str(folder), "--watch", str(os.getpid())]
        + ["--set", "group.initial.rebalance.delay.ms=0"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    with pytest.MonkeyPatch.context() as patch:
        # Quix Streams looks once a second whether the topics that it makes are there.
        prompt = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(0.02))
        patch.setattr(topic_admin, "time", prompt)
        yield dict(line.split("=", 1) for line in started.stdout.split())["bootstrap"]
    subprocess.run([script, "stop", "--dir", str(folder)], check=True, env=environment)


@pytest.fixture(autouse=True)
def quiet_logs():
    logging.getLogger("quixstreams").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("quixstreams").setLevel(logging.NOTSET)


@pytest.fixture()
def no_backend_environment(monkeypatch) -> Callable[[], None]:
    for name in [name for name in os.environ if name.startswith("WEIR_")]:
        monkeypatch.delenv(name)
