"""What the C extension is told once: exceptions, statuses, the default JSON, where to log."""

import logging

import orjson
from quixstreams.state.base.transaction import PartitionTransactionStatus
from quixstreams.utils import json

from .. import _native
from .errors import ERRORS

__all__ = ("WeirLog",)

# Below Quix Streams' own logger, so that its handler and level hold.
logger = logging.getLogger("quixstreams.state.weir")

_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG)

# A recovery that Quix Streams drives is one of Weir's for each batch; the progress that counts
# is told by the recovery manager.
_QUIET = frozenset(("recovery.start", "recovery.progress", "recovery.done"))


class WeirLog:
    """Hands Weir's log events to Python's logging."""

    def __call__(self, level: int, event: str, message: str) -> None:
        python_level = logging.DEBUG if event in _QUIET else _LEVELS[level]
        if logger.isEnabledFor(python_level):
            logger.log(python_level, "%s: %s", event, message, extra={"event": event})


_native.configure(
    errors=ERRORS,
    statuses=(
        PartitionTransactionStatus.STARTED,
        PartitionTransactionStatus.PREPARED,
        PartitionTransactionStatus.COMPLETE,
        PartitionTransactionStatus.FAILED,
    ),
    dumps=json.dumps,
    loads=json.loads,
    orjson_dumps=orjson.dumps,
    orjson_loads=orjson.loads,
    orjson_option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS,
    log=WeirLog(),
)
