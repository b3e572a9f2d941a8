"""Weir's status codes as the exceptions that Quix Streams raises for the same."""

from typing import Dict, Type

from quixstreams.state import exceptions as quix
from quixstreams.state.rocksdb.exceptions import (
    RocksDBCorruptedError,
    RocksDBOpenAborted,
)

from .._native import WeirError

__all__ = ("ERRORS", "StateClosedError", "StateError", "StateLockedError")


class StateError(WeirError, quix.StateError):
    """An operation on state failed; ``status`` is Weir's code."""


class StateLockedError(StateError):
    """Another process has the state open."""


class StateClosedError(StateError):
    """The store partition, or what was opened from it, was closed before."""


class StateSerializationError(StateError, quix.StateSerializationError): ...


class StateTransactionError(StateError, quix.StateTransactionError): ...


class InvalidChangelogOffset(StateError, quix.InvalidChangelogOffset): ...


class StateCorruptedError(StateError, RocksDBCorruptedError): ...


class StateOpenAborted(StateError, RocksDBOpenAborted): ...


class IncompatibleStateStoreError(StateError, quix.IncompatibleStateStoreError): ...


class InvalidArgumentError(StateError, ValueError): ...


ERRORS: Dict[str, Type[WeirError]] = {
    "ABORTED": StateOpenAborted,
    "CLOSED": StateClosedError,
    "CORRUPTED": StateCorruptedError,
    "INVALID": InvalidArgumentError,
    "LOCKED": StateLockedError,
    "OFFSET": InvalidChangelogOffset,
    "SERIALIZATION": StateSerializationError,
    "TXN_FAILED": StateTransactionError,
    "VERSION": IncompatibleStateStoreError,
    "WRONG_BACKEND": IncompatibleStateStoreError,
}
# Every other code is the plain one.
for _name in (
    "BUSY CALLBACK FENCED IO KAFKA NO_SPACE PERMISSION TIMEOUT TOO_LARGE TOPIC UNSUPPORTED"
).split():
    ERRORS[_name] = StateError
