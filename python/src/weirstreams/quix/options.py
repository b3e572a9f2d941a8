"""Options of stores, as an application gives them, and as Weir takes them."""

import dataclasses
import logging
from typing import Any, Dict, Mapping, Optional, Tuple

from quixstreams.state.rocksdb import RocksDBOptions, RocksDBOptionsType
from quixstreams.state.serialization import DumpsFunc, LoadsFunc
from quixstreams.utils.json import dumps, loads

__all__ = ("RocksDBOptions", "SlateDBOptions", "StoreOptions")

logger = logging.getLogger(__name__)

# Fields of RocksDBOptions that are Weir's options of the same name.
_ROCKSDB_FIELDS = (
    "write_buffer_size",
    "target_file_size_base",
    "max_write_buffer_number",
    "block_cache_size",
    "bloom_filter_bits_per_key",
    "enable_pipelined_write",
    "compression_type",
    "wal_dir",
    "max_total_wal_size",
    "db_log_dir",
    "use_fsync",
)
# Fields that change what Quix Streams' own TTL does, and that Weir has no use for.
_ROCKSDB_IGNORED = (
    "max_evictions_per_flush",
    "legacy_records_ttl",
    "legacy_backfill_chunk_size",
    "ttl_changelog_tombstones",
    "ttl_rollback",
    "ttl_force_flip",
)


@dataclasses.dataclass(frozen=True)
class SlateDBOptions:
    """
    Options of the SlateDB backend (beta). Those without a default here have Weir's own;
    docs/slatedb.md explains each.

    :param dumps: function to dump data to JSON
    :param loads: function to load data from JSON
    :param open_max_retries: number of times to retry opening while the state is locked
    :param open_retry_backoff: seconds between two attempts
    :param on_corrupted_recreate: destroy corrupted state that has a changelog, and rebuild it
    :param store_url: where state is kept, instead of the application's `state_dir`: the URL of an
        object store, as ``s3://bucket/path``. Credentials come from the environment.
    """

    dumps: DumpsFunc = dumps
    loads: LoadsFunc = loads
    open_max_retries: int = 10
    open_retry_backoff: float = 3.0
    on_corrupted_recreate: bool = True
    store_url: Optional[str] = None
    durability: Optional[str] = None
    flush_interval: Optional[float] = None
    memtable_size: Optional[int] = None
    max_unflushed: Optional[int] = None
    block_cache_size: Optional[int] = None
    disk_cache_dir: Optional[str] = None
    disk_cache_size: Optional[int] = None
    compression: Optional[str] = None
    max_log_files: Optional[int] = None
    min_filter_keys: Optional[int] = None
    manifest_poll_interval: Optional[float] = None
    max_retries: Optional[int] = None
    retry_timeout: Optional[float] = None
    open_timeout: Optional[float] = None
    use_fsync: Optional[bool] = None
    garbage_age: Optional[float] = None


_SLATEDB_FIELDS = tuple(
    field.name
    for field in dataclasses.fields(SlateDBOptions)
    if field.default is None and field.name != "store_url"
)


def check_classes(
    rocksdb_options: Any = None, slatedb_options: Any = None, state_options: Any = None
) -> None:
    """
    :raises TypeError: options of one backend were given as those of another
    """
    found = None
    if isinstance(rocksdb_options, (SlateDBOptions, Mapping)):
        found = "rocksdb_options", "RocksDBOptions", rocksdb_options
    elif not isinstance(slatedb_options, (SlateDBOptions, type(None))):
        found = "slatedb_options", "SlateDBOptions", slatedb_options
    elif not isinstance(state_options, (Mapping, type(None))):
        found = "state_options", "a mapping of names to values", state_options
    if found is not None:
        name, wanted, given = found
        raise TypeError(f"{name} takes {wanted}, not {type(given).__name__}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclasses.dataclass(frozen=True)
class StoreOptions:
    """What a store of any backend is opened with."""

    dumps: DumpsFunc = dumps
    loads: LoadsFunc = loads
    open_max_retries: int = 10
    open_retry_backoff: float = 3.0
    on_corrupted_recreate: bool = True
    store_url: Optional[str] = None
    cache_bytes: int = -1
    backend: Tuple[Tuple[str, str], ...] = ()

    def as_native(self) -> Dict[str, str]:
        """For one attempt to open: waiting for a lock is done by the partition."""
        return {
            **dict(self.backend),
            "open_max_retries": "0",
            "open_retry_backoff": "0",
            "on_corrupted_recreate": _text(self.on_corrupted_recreate),
        }

    @classmethod
    def from_rocksdb(cls, options: Optional[RocksDBOptionsType]) -> "StoreOptions":
        options = options or RocksDBOptions()
        defaults = RocksDBOptions()
        for name in _ROCKSDB_IGNORED:
            if getattr(options, name, None) != getattr(defaults, name, None):
                logger.warning(
                    'RocksDBOptions "%s" has no effect with weirstreams; see docs/quix.md',
                    name,
                )
        given = ((name, getattr(options, name, None)) for name in _ROCKSDB_FIELDS)
        return cls._of(options, tuple((n, _text(v)) for n, v in given if v is not None))

    @classmethod
    def from_slatedb(cls, options: Optional[SlateDBOptions]) -> "StoreOptions":
        options = options or SlateDBOptions()
        given = ((name, getattr(options, name)) for name in _SLATEDB_FIELDS)
        made = cls._of(options, tuple((n, _text(v)) for n, v in given if v is not None))
        return dataclasses.replace(made, store_url=options.store_url)

    @classmethod
    def from_mapping(cls, given: Optional[Mapping[str, Any]]) -> "StoreOptions":
        """
        `state_options` of an application: fields of this class by name, and options of the
        backend, which Weir checks when a store is opened.
        """
        rest = dict(given or {})
        names = [field.name for field in dataclasses.fields(cls) if field.name != "backend"]
        own = {name: rest.pop(name) for name in names if name in rest}
        return cls(**own, backend=tuple((name, _text(v)) for name, v in rest.items()))

    @classmethod
    def _of(cls, options: Any, backend: Tuple[Tuple[str, str], ...]) -> "StoreOptions":
        return cls(
            dumps=options.dumps,
            loads=options.loads,
            open_max_retries=options.open_max_retries,
            open_retry_backoff=options.open_retry_backoff,
            on_corrupted_recreate=options.on_corrupted_recreate,
            backend=backend,
        )
