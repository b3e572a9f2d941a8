"""A store partition of any backend, opened and recovered as Quix Streams does it."""

import dataclasses
import logging
import time
from pathlib import Path
from threading import Event
from typing import Any, Callable, Iterator, Literal, Optional, Tuple, Type, Union

from quixstreams.state.base import PartitionTransactionCache, StorePartition
from quixstreams.state.metadata import Marker
from quixstreams.state.recovery import ChangelogProducer
from quixstreams.state.rocksdb import OpenDeadline

from .. import _native
from . import runtime  # noqa: F401  (configures the extension)
from .errors import StateLockedError, StateOpenAborted
from .options import StoreOptions
from .transaction import (
    TimestampedWeirTransaction,
    WeirTransaction,
    WindowedWeirTransaction,
)

__all__ = (
    "Location",
    "TimestampedWeirStorePartition",
    "WeirStorePartition",
    "WindowedWeirStorePartition",
)

# Events about opening have the logger that they have in Quix Streams.
logger = logging.getLogger("quixstreams.state.rocksdb.partition")


@dataclasses.dataclass(frozen=True)
class Location:
    """Where a partition's database is: a folder, or a place in an object store."""

    state_dir: str
    group: str
    store: str
    stream_id: Optional[str]
    partition: int

    @property
    def path(self) -> str:
        parts = [self.state_dir, self.group, self.store, self.stream_id, str(self.partition)]
        return "/".join(part for part in parts if part)

    @classmethod
    def below(
        cls, base_dir: Union[str, Path], store: str, stream_id: Optional[str], partition: int
    ) -> "Location":
        """:param base_dir: the folder of the consumer group"""
        folder = Path(base_dir).absolute()
        return cls(str(folder.parent), folder.name, store, stream_id, partition)


class WeirStorePartition(StorePartition):
    """
    One database of a backend.

    :param location: where it is
    :param backend: name of the backend, or path of its plugin
    :param options: options of the store
    :param changelog_producer: where changes are produced to; None: no changelog
    :param stop_event: when set, waiting for a lock ends
    :param open_deadline: the time that is left to open stores
    """

    kind = _native.PLAIN
    transaction_class: Type[WeirTransaction] = WeirTransaction

    def __init__(
        self,
        location: Location,
        backend: str,
        options: Optional[StoreOptions] = None,
        changelog_producer: Optional[ChangelogProducer] = None,
        stop_event: Optional[Event] = None,
        open_deadline: Optional[OpenDeadline] = None,
        grace_ms: int = -1,
        keep_duplicates: bool = False,
    ) -> None:
        options = options or StoreOptions()
        super().__init__(options.dumps, options.loads, changelog_producer)
        self._location = location
        self._backend = backend
        self._options = options
        self._stop_event = stop_event
        self._open_deadline = open_deadline
        self._grace_ms = grace_ms
        self._keep_duplicates = keep_duplicates
        self.native = self._open()

    @property
    def path(self) -> str:
        return self._location.path

    @property
    def dumps(self) -> Any:
        return self._dumps

    @property
    def loads(self) -> Any:
        return self._loads

    @property
    def changelog_producer(self) -> Optional[ChangelogProducer]:
        return self._changelog_producer

    # --- Opening and closing ---

    def _open_once(self) -> _native.Partition:
        producer = self._changelog_producer
        where = self._location
        return _native.Partition(
            where.state_dir,
            where.group,
            where.store,
            where.stream_id,
            where.partition,
            self._backend,
            self._options.as_native(),
            None if producer is None else f"{producer.changelog_name}[{producer.partition}]",
            self.kind,
            self._grace_ms,
            self._keep_duplicates,
            self._options.cache_bytes,
        )

    def _open(self) -> _native.Partition:
        attempt = 1
        while True:
            logger.debug('Opening partition on "%s" attempt=%s', self.path, attempt)
            try:
                partition = self._open_once()
            except StateLockedError as exc:
                self._wait_for_lock(attempt, exc)
                attempt += 1
            else:
                logger.debug('Successfully opened partition on "%s"', self.path)
                return partition

    def _wait_for_lock(self, attempt: int, exc: StateLockedError) -> None:
        """Returns when the next attempt is due; raises when there is none."""
        retries, backoff = self._options.open_max_retries, self._options.open_retry_backoff
        deadline = self._open_deadline
        if deadline is not None and deadline.expired():
            logger.warning(
                'Open budget exhausted for partition on "%s"; giving up acquiring the lock '
                "after %s attempt(s).",
                self.path,
                attempt,
            )
            raise exc
        if attempt >= max(retries, 1):
            raise exc
        remaining = None if deadline is None else deadline.remaining()
        if remaining is not None and remaining <= backoff:
            logger.warning(
                'Open budget for partition on "%s" would be exceeded by the next retry; '
                "giving up acquiring the lock.",
                self.path,
            )
            raise exc
        logger.warning(
            'Failed to open partition on "%s", cannot acquire a lock (attempt %s/%s). '
            "Retrying in %ssec.",
            self.path,
            attempt,
            retries,
            backoff,
        )
        if self._stop_event is None:
            time.sleep(backoff)
        elif self._stop_event.wait(backoff):
            raise StateOpenAborted(
                f'Aborted opening partition on "{self.path}": the application is stopping'
            ) from exc

    def close(self) -> None:
        logger.debug('Closing partition on "%s"', self.path)
        self.native.close()
        logger.debug('Closed partition on "%s"', self.path)

    # --- What is committed ---

    def get(self, key: bytes, cf_name: str = "default") -> Union[bytes, Literal[Marker.UNDEFINED]]:
        value = self.native.get(key, cf_name)
        return Marker.UNDEFINED if value is None else value

    def exists(self, key: bytes, cf_name: str = "default") -> bool:
        return self.native.get(key, cf_name) is not None

    def iter_items(
        self,
        lower_bound: bytes = b"",
        upper_bound: Optional[bytes] = None,
        backwards: bool = False,
        cf_name: str = "default",
    ) -> Iterator[Tuple[bytes, bytes]]:
        return self.native.items(lower_bound or None, upper_bound, backwards, cf_name)

    def begin(self) -> WeirTransaction:
        return self.transaction_class(self)

    def write(self, cache: PartitionTransactionCache, changelog_offset: Optional[int]) -> None:
        with_changes = self.begin()
        for cf_name in sorted(cache.get_column_families()):
            for prefix_updates in cache.get_updates(cf_name=cf_name).values():
                for key, value in prefix_updates.items():
                    with_changes.set_bytes(key, value, b"", cf_name)
            for key in cache.get_deletes(cf_name=cf_name):
                with_changes.delete(key, b"", cf_name)
        with_changes.flush(changelog_offset)

    # --- Changelog ---

    def get_changelog_offset(self) -> Optional[int]:
        return self.native.changelog_offset()

    def write_changelog_offset(self, offset: int) -> None:
        self.native.push_offset(offset)

    @property
    def recover_from_changelog_message(self) -> Callable[..., None]:
        # The method itself, without a frame of Python around it for each message.
        return self.native.push

    def complete_recovery(self) -> None:
        self.native.apply()


class WindowedWeirStorePartition(WeirStorePartition):
    kind = _native.WINDOWED
    transaction_class = WindowedWeirTransaction

    def iter_keys(self, cf_name: str = "default") -> Iterator[bytes]:
        for key, _ in self.iter_items(cf_name=cf_name):
            yield key


class TimestampedWeirStorePartition(WeirStorePartition):
    kind = _native.TIMESTAMPED
    transaction_class = TimestampedWeirTransaction
