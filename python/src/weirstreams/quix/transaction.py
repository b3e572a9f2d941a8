"""Transactions and states: Quix Streams' interfaces, with everything done in C."""

import logging
from typing import TYPE_CHECKING, Any, Optional, Tuple

from quixstreams.state.base import PartitionTransaction, State
from quixstreams.utils.json import dumps as json_dumps

from .. import _native

if TYPE_CHECKING:
    from .partition import WeirStorePartition

__all__ = ("WeirState", "WeirTransaction")

logger = logging.getLogger("quixstreams.state.base.transaction")


class WeirState(_native.State, State):
    """The state of one record key."""

    __slots__ = ()


class WeirTransaction(_native.Transaction, PartitionTransaction):
    """All changes of one checkpoint of one store partition."""

    state_class = WeirState

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
                'Flushing state changes to the changelog topic topic_name="%s" '
                "partition=%s",
                self._changelog_producer.changelog_name,
                self._changelog_producer.partition,
            )
        self.prepare_changes(processed_offsets, json_dumps(processed_offsets))

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_val is None and not self.failed:
            self.prepare()
            self.flush()
