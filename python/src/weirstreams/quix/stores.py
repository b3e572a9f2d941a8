"""Stores of each backend and kind, derived from Quix Streams' Store."""

import shutil
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, Dict, Optional, Tuple, Type, Union

from quixstreams.state.base import Store
from quixstreams.state.recovery import ChangelogProducerFactory
from quixstreams.state.rocksdb import OpenDeadline

from ..backends import backend_spec
from .options import StoreOptions
from .partition import (
    Location,
    TimestampedWeirStorePartition,
    WeirStorePartition,
    WindowedWeirStorePartition,
)

__all__ = (
    "MemoryStore",
    "RocksDBStore",
    "SlateDBStore",
    "TimestampedMemoryStore",
    "TimestampedRocksDBStore",
    "TimestampedSlateDBStore",
    "TimestampedWeirStore",
    "WeirStore",
    "WindowedMemoryStore",
    "WindowedRocksDBStore",
    "WindowedSlateDBStore",
    "WindowedWeirStore",
    "store_class",
)


class WeirStore(Store):
    """
    A plain store on any backend.

    :param name: a unique store name
    :param stream_id: a topic name for this store
    :param base_dir: folder of the consumer group's state
    :param changelog_producer_factory: a ChangelogProducerFactory, with changelogs
    :param options: options of the store; the backend's own if None
    :param backend: name or path; None: that of the class
    :param stop_event: when set, waiting for a lock ends
    :param open_deadline: the time that is left to open stores
    """

    backend: ClassVar[str] = "rocksdb"
    partition_class: ClassVar[Type[WeirStorePartition]] = WeirStorePartition

    def __init__(
        self,
        name: str,
        stream_id: Optional[str],
        base_dir: Union[str, Path] = "state/default",
        changelog_producer_factory: Optional[ChangelogProducerFactory] = None,
        options: Optional[StoreOptions] = None,
        backend: Optional[str] = None,
        stop_event: Optional[Event] = None,
        open_deadline: Optional[OpenDeadline] = None,
    ) -> None:
        super().__init__(name, stream_id)
        self._base_dir = base_dir
        self._changelog_producer_factory = changelog_producer_factory
        self._options = options or StoreOptions()
        self._spec = backend_spec(backend or self.backend)
        self._stop_event = stop_event
        self._open_deadline = open_deadline

    @property
    def backend_spec(self) -> str:
        return self._spec

    @property
    def store_url(self) -> Optional[str]:
        """Where state is, unless it is below the folder of the group."""
        return self._options.store_url

    def use_changelog(self, factory: Optional[ChangelogProducerFactory]) -> None:
        """Before any partition is assigned."""
        self._changelog_producer_factory = factory

    def _location(self, partition: int) -> Location:
        url = self._options.store_url
        if url is not None:
            group = Path(self._base_dir).name
            return Location(url.rstrip("/"), group, self._name, self._stream_id, partition)
        return Location.below(self._base_dir, self._name, self._stream_id, partition)

    def _partition_arguments(self) -> Dict[str, Any]:
        return {}

    def create_new_partition(self, partition: int) -> WeirStorePartition:
        factory = self._changelog_producer_factory
        return self.partition_class(
            location=self._location(partition),
            backend=self._spec,
            options=self._options,
            changelog_producer=factory.get_partition_producer(partition) if factory else None,
            stop_event=self._stop_event,
            open_deadline=self._open_deadline,
            **self._partition_arguments(),
        )

    def destroy_partition(self, partition: int) -> bool:
        path = Path(self._location(partition).path)
        if self._options.store_url is not None or not path.exists():
            return False
        shutil.rmtree(path)
        return True


class RocksDBStore(WeirStore):
    backend = "rocksdb"


class SlateDBStore(WeirStore):
    backend = "slatedb"


class MemoryStore(WeirStore):
    backend = "memory"


class WindowedWeirStore(WeirStore):
    """Values of windows in time."""

    partition_class = WindowedWeirStorePartition


class WindowedRocksDBStore(WindowedWeirStore):
    backend = "rocksdb"


class WindowedSlateDBStore(WindowedWeirStore):
    backend = "slatedb"


class WindowedMemoryStore(WindowedWeirStore):
    backend = "memory"


class TimestampedWeirStore(WeirStore):
    """
    Values by event time, for as-of lookups.

    :param grace_ms: how far behind the latest timestamp of its key a value may be
    :param keep_duplicates: keep all values of one key and timestamp
    """

    partition_class = TimestampedWeirStorePartition

    def __init__(self, *args: Any, grace_ms: int, keep_duplicates: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._grace_ms = grace_ms
        self._keep_duplicates = keep_duplicates

    def _partition_arguments(self) -> Dict[str, Any]:
        return {"grace_ms": self._grace_ms, "keep_duplicates": self._keep_duplicates}


class TimestampedRocksDBStore(TimestampedWeirStore):
    backend = "rocksdb"


class TimestampedSlateDBStore(TimestampedWeirStore):
    backend = "slatedb"


class TimestampedMemoryStore(TimestampedWeirStore):
    backend = "memory"


_CLASSES: Dict[Tuple[Type[WeirStore], str], Type[WeirStore]] = {
    (WeirStore, "rocksdb"): RocksDBStore,
    (WeirStore, "slatedb"): SlateDBStore,
    (WeirStore, "memory"): MemoryStore,
    (WindowedWeirStore, "rocksdb"): WindowedRocksDBStore,
    (WindowedWeirStore, "slatedb"): WindowedSlateDBStore,
    (WindowedWeirStore, "memory"): WindowedMemoryStore,
    (TimestampedWeirStore, "rocksdb"): TimestampedRocksDBStore,
    (TimestampedWeirStore, "slatedb"): TimestampedSlateDBStore,
    (TimestampedWeirStore, "memory"): TimestampedMemoryStore,
}


def store_class(kind: Type[WeirStore], backend: str) -> Type[WeirStore]:
    """The class of a kind of store on a backend: one of the above, or the kind itself."""
    return _CLASSES.get((kind, backend), kind)
