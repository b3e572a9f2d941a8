"""Quix Streams' StateStoreManager with stores on any backend."""

import logging
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Type

from quixstreams.models.topics import TopicConfig
from quixstreams.state import StateStoreManager as QuixStateStoreManager
from quixstreams.state.exceptions import (
    StateError,
    StoreAlreadyRegisteredError,
)
from quixstreams.state.manager import DEFAULT_STATE_STORE_NAME
from quixstreams.state.memory import MemoryStore as QuixMemoryStore
from quixstreams.state.rocksdb import RocksDBOptionsType
from quixstreams.state.rocksdb import RocksDBStore as QuixRocksDBStore

from .options import SlateDBOptions, StoreOptions, check_classes
from .stores import (
    MemoryStore,
    RocksDBStore,
    TimestampedWeirStore,
    WeirStore,
    WindowedWeirStore,
    store_class,
)

__all__ = ("StateStoreManager",)

logger = logging.getLogger("quixstreams.state.manager")

# An application may name Quix Streams' own classes: their data is what Weir's stores hold.
_OWN: Dict[type, Type[WeirStore]] = {
    QuixRocksDBStore: RocksDBStore,
    QuixMemoryStore: MemoryStore,
}


class StateStoreManager(QuixStateStoreManager):
    """
    :param state_backend: backend of stores that do not say otherwise: "rocksdb", "slatedb",
        "memory", the name of a plugin, or its path
    :param state_options: options of `state_backend`, whichever it is
    :param slatedb_options: options of stores on SlateDB
    :param default_store_type: a store class, which names its backend, instead of `state_backend`

    All others are those of Quix Streams.
    """

    def __init__(
        self,
        *args: Any,
        state_backend: Optional[str] = None,
        state_options: Optional[Mapping[str, Any]] = None,
        rocksdb_options: Optional[RocksDBOptionsType] = None,
        slatedb_options: Optional[SlateDBOptions] = None,
        default_store_type: Optional[type] = None,
        **kwargs: Any,
    ) -> None:
        check_classes(rocksdb_options, slatedb_options, state_options)
        if state_backend is not None and default_store_type is not None:
            raise ValueError("give state_backend or default_store_type, not both")
        default = self._known(default_store_type or RocksDBStore)
        self._backend = state_backend or default.backend
        if default_store_type is None:
            default = store_class(WeirStore, self._backend)
        self._state_options = state_options
        self._slatedb_options = slatedb_options
        kwargs.update(rocksdb_options=rocksdb_options, default_store_type=default)
        super().__init__(*args, **kwargs)

    @staticmethod
    def _known(store_type: type) -> Type[WeirStore]:
        found = _OWN.get(store_type, store_type)
        if not (isinstance(found, type) and issubclass(found, WeirStore)):
            raise ValueError(f"invalid store type: {store_type}")
        return found

    def _options_for(self, backend: str) -> StoreOptions:
        if backend == self._backend and self._state_options is not None:
            return StoreOptions.from_mapping(self._state_options)
        if backend == "rocksdb":
            return StoreOptions.from_rocksdb(self._rocksdb_options)
        if backend == "slatedb":
            return StoreOptions.from_slatedb(self._slatedb_options)
        return StoreOptions.from_mapping(None)

    def _add(
        self,
        class_: Type[WeirStore],
        backend: str,
        stream_id: Optional[str],
        store_name: str,
        changelog_config: Optional[TopicConfig],
        **arguments: Any,
    ) -> None:
        # The class comes first: a backend that is missing must not leave a changelog topic.
        store = class_(
            name=store_name,
            stream_id=stream_id,
            base_dir=self._state_dir or Path("state") / "default",
            options=self._options_for(backend),
            backend=backend,
            stop_event=self._stop_event,
            open_deadline=self._open_deadline,
            **arguments,
        )
        store.use_changelog(
            self._setup_changelogs(stream_id, store_name, topic_config=changelog_config)
        )
        self._stores.setdefault(stream_id, {})[store_name] = store

    def register_store(
        self,
        stream_id: Optional[str],
        store_name: str = DEFAULT_STATE_STORE_NAME,
        store_type: Optional[type] = None,
        changelog_config: Optional[TopicConfig] = None,
    ) -> None:
        if self._stores.get(stream_id, {}).get(store_name) is not None:
            return
        class_ = self._known(store_type or self.default_store_type)
        backend = class_.backend if store_type else self._backend
        self._add(class_, backend, stream_id, store_name, changelog_config)

    def register_windowed_store(
        self,
        stream_id: str,
        store_name: str,
        changelog_config: Optional[TopicConfig] = None,
    ) -> None:
        if self._stores.get(stream_id, {}).get(store_name):
            raise StoreAlreadyRegisteredError(
                "This window range and type combination already exists; "
                "to use this window, provide a unique name via the `name` parameter."
            )
        class_ = store_class(WindowedWeirStore, self._backend)
        self._add(class_, self._backend, stream_id, store_name, changelog_config)

    def register_timestamped_store(
        self,
        stream_id: str,
        store_name: str,
        grace_ms: int,
        keep_duplicates: bool,
        changelog_config: Optional[TopicConfig] = None,
    ) -> None:
        if self._stores.get(stream_id, {}).get(store_name):
            raise StoreAlreadyRegisteredError(
                f'Store "{store_name}" for stream_id "{stream_id}" is already registered; '
                f"provide a different name"
            )
        self._add(
            store_class(TimestampedWeirStore, self._backend),
            self._backend,
            stream_id,
            store_name,
            changelog_config,
            grace_ms=grace_ms,
            keep_duplicates=keep_duplicates,
        )

    def clear_stores(self) -> None:
        super().clear_stores()
        elsewhere = {
            f"{store.store_url.rstrip('/')}/{Path(self._state_dir).name}/"
            for stores in self._stores.values()
            for store in stores.values()
            if isinstance(store, WeirStore) and store.store_url and self._state_dir
        }
        if elsewhere:
            raise StateError(
                "State on object storage is not removed by clear_stores(): "
                f"delete {', '.join(sorted(elsewhere))} there"
            )
