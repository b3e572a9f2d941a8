"""Transactions and states: Quix Streams' interfaces, with everything done in C."""

import logging
from typing import TYPE_CHECKING, Any, Iterator, Optional, Set, Tuple, Type

from quixstreams.state.base import PartitionTransaction, State
from quixstreams.state.serialization import deserialize
from quixstreams.utils.json import dumps as json_dumps

from .. import _native

if TYPE_CHECKING:
    from .partition import WeirStorePartition

__all__ = (
    "TimestampedWeirTransaction",
    "WeirState",
    "WeirTransaction",
    "WindowedWeirState",
    "WindowedWeirTransaction",
)

# What a window's key has after the prefix: two integers of 8 bytes, with a separator before and
# between; no separator before, if the prefix is empty.
_WINDOW_SUFFIX = 17

logger = logging.getLogger("quixstreams.state.base.transaction")

# "misc": the signatures of _native hold those of Quix Streams, which has them as overloads.

# The states of one record key. What an application gets for each record is an object of C itself.
WeirState = _native.State
WindowedWeirState = _native.WindowedState
State.register(_native.State)


class WeirTransaction(_native.Transaction, PartitionTransaction):  # type: ignore[misc]
    """All changes of one checkpoint of one store partition."""

    state_class: Type[_native.State] = WeirState
    _partition: "WeirStorePartition"

    def __init__(self, partition: "WeirStorePartition") -> None:
        # The base class would make caches in Python that nothing uses.
        super().__init__(
            partition.native,
            partition.dumps,
            partition.loads,
            partition.changelog_producer,
            self.state_class,
        )
        self._partition = partition
        self._changelog_producer = partition.changelog_producer

    @property
    def changelog_topic_partition(self) -> Optional[Tuple[str, int]]:
        producer = self._changelog_producer
        return None if producer is None else (producer.changelog_name, producer.partition)

    def prepare(self, processed_offsets: Optional[dict] = None) -> None:
        if self._changelog_producer is not None:
            logger.debug(
                'Flushing state changes to the changelog topic topic_name="%s" partition=%s',
                self._changelog_producer.changelog_name,
                self._changelog_producer.partition,
            )
        self.prepare_changes(processed_offsets, json_dumps(processed_offsets))

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_val is None and not self.failed:
            self.prepare()
            self.flush()


class WindowedWeirTransaction(_native.WindowedTransaction, WeirTransaction):  # type: ignore[misc]
    """A transaction of a windowed store."""

    state_class = WindowedWeirState

    def key_from_prefix(self, prefix: bytes, message_key: Any) -> Any:
        """
        The record key that `as_state()` made a prefix of.

        :param message_key: any record key of the topic: it tells whether keys are bytes
        """
        if isinstance(message_key, bytes):
            return prefix
        return deserialize(prefix, loads=self._partition.loads)

    def keys(self, cf_name: str = "default") -> Iterator[bytes]:
        for key, _ in self.items(cf_name=cf_name):
            yield key

    def iter_prefixes(self, cf_name: str = "default") -> Iterator[bytes]:
        """Each prefix that has windows, once, in the order of the keys."""
        seen: Set[bytes] = set()
        for key, _ in self.items(cf_name=cf_name):
            prefix = key[: -_WINDOW_SUFFIX - 1]
            if len(key) >= _WINDOW_SUFFIX and prefix not in seen:
                seen.add(prefix)
                yield prefix


class TimestampedWeirTransaction(_native.TimestampedTransaction, WeirTransaction):  # type: ignore[misc]
    """A transaction of a timestamped store."""
