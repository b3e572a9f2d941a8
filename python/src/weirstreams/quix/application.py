"""Quix Streams' Application with a choice of state backends."""

import os
from typing import Any, Literal, Mapping, Optional, Union

from quixstreams import Application as QuixApplication
from quixstreams.state.rocksdb import RocksDBOptionsType

from ..backends import backend_spec
from .manager import StateStoreManager
from .options import SlateDBOptions, check_classes
from .recovery import RecoveryManager

__all__ = ("Application", "StateBackend")

StateBackend = Union[Literal["rocksdb", "slatedb", "memory"], str]


def _check_options(backend: str, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        belongs_to = name.split("_", 1)[0]
        if value is not None and belongs_to != backend:
            raise ValueError(
                f'{name} was given, but state_backend is "{backend}": '
                f'give state_backend="{belongs_to}", or leave {name} out'
            )


class Application(QuixApplication):
    """
    Quix Streams' Application; its state is kept by a backend of Weir.

    :param state_backend: "rocksdb" (default), "slatedb" (beta), "memory", the name of a plugin, or
        its path. Without it, the environment variable WEIR_STATE_BACKEND.
    :param state_options: options of the backend, whichever it is; see `StoreOptions`
    :param slatedb_options: options of SlateDB
    :param rocksdb_options: options of RocksDB, as in Quix Streams

    All other parameters are those of `quixstreams.Application`.
    """

    def __init__(
        self,
        *args: Any,
        state_backend: Optional[StateBackend] = None,
        state_options: Optional[Mapping[str, Any]] = None,
        rocksdb_options: Optional[RocksDBOptionsType] = None,
        slatedb_options: Optional[SlateDBOptions] = None,
        **kwargs: Any,
    ) -> None:
        backend = state_backend or os.environ.get("WEIR_STATE_BACKEND") or "rocksdb"
        _check_options(
            backend, {"rocksdb_options": rocksdb_options, "slatedb_options": slatedb_options}
        )
        if state_options is not None and (rocksdb_options or slatedb_options):
            raise ValueError("give state_options, or the options of the backend, not both")
        check_classes(rocksdb_options, slatedb_options, state_options)
        backend_spec(backend)
        super().__init__(*args, rocksdb_options=rocksdb_options, **kwargs)
        self._use_state_manager(backend, state_options, slatedb_options)

    def _use_state_manager(
        self,
        backend: str,
        state_options: Optional[Mapping[str, Any]],
        slatedb_options: Optional[SlateDBOptions],
    ) -> None:
        """Puts Weir's state manager in the place of the one that the parent made."""
        replaced = self._state_manager
        recovery = None
        if replaced.using_changelogs:
            recovery = RecoveryManager(
                consumer=self._consumer,
                topic_manager=self._topic_manager,
                broker_availability_timeout=self._broker_availability_timeout,
                auto_offset_reset=self._config.auto_offset_reset,
            )
        self._state_manager = StateStoreManager(
            group_id=self._config.consumer_group,
            state_dir=self._config.state_dir,
            rocksdb_options=self._config.rocksdb_options,
            slatedb_options=slatedb_options,
            state_backend=backend,
            state_options=state_options,
            producer=self._producer if recovery else None,
            recovery_manager=recovery,
            stop_event=self._stop_event,
            open_deadline=self._open_deadline,
        )
        self._processing_context.state_manager = self._state_manager
