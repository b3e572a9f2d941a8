"""Quix Streams on Weir's state backends.

A running application changes one import, and says which backend it wants::

    from weirstreams.quix import Application

    app = Application(broker_address=..., consumer_group=..., state_backend="slatedb")
"""

from .version import check_version

check_version()

from .application import Application  # noqa: E402
from .errors import StateClosedError, StateError, StateLockedError  # noqa: E402
from .manager import StateStoreManager  # noqa: E402
from .options import RocksDBOptions, SlateDBOptions  # noqa: E402
from .stores import (  # noqa: E402
    MemoryStore,
    RocksDBStore,
    SlateDBStore,
    TimestampedMemoryStore,
    TimestampedRocksDBStore,
    TimestampedSlateDBStore,
    WeirStore,
    WindowedMemoryStore,
    WindowedRocksDBStore,
    WindowedSlateDBStore,
)

__all__ = (
    "Application",
    "MemoryStore",
    "RocksDBOptions",
    "RocksDBStore",
    "SlateDBOptions",
    "SlateDBStore",
    "StateClosedError",
    "StateError",
    "StateLockedError",
    "StateStoreManager",
    "TimestampedMemoryStore",
    "TimestampedRocksDBStore",
    "TimestampedSlateDBStore",
    "WeirStore",
    "WindowedMemoryStore",
    "WindowedRocksDBStore",
    "WindowedSlateDBStore",
)
