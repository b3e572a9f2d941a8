"""Quix Streams with its known mistakes corrected, each by the name of its script in weak_spots/.

The random operations keep away from what Quix Streams does wrongly. With a correction they need not:
then every answer of Weir is compared with that of Quix Streams as it ought to be.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib

from quix import Recovery
from quixstreams.state.metadata import SEPARATOR
from quixstreams.state.rocksdb import partition
from quixstreams.state.rocksdb.partition import RocksDBStorePartition
from quixstreams.state.rocksdb.timestamped import (
    MIN_ELIGIBLE_TIMESTAMPS_CF_NAME,
    ZERO,
    TimestampedPartitionTransaction,
    TimestampedStorePartition,
)
from quixstreams.state.rocksdb.transaction import RocksDBPartitionTransaction
from quixstreams.state.rocksdb.windowed.serialization import parse_window_key
from quixstreams.state.rocksdb.windowed.transaction import WindowedRocksDBPartitionTransaction
from quixstreams.state.serialization import encode_integer_pair

LAST = 2**63 - 1
PAIR_SIZE = len(encode_integer_pair(0, 0))


def grace_is_read_where_it_is_written(patch):
    """01 and 24: what is too old is there for nobody."""
    txn_class = TimestampedPartitionTransaction
    set_value = txn_class.set_for_timestamp
    get_values, delete_values = txn_class.get_interval, txn_class.delete_interval

    def minimum(txn, prefix):
        values = txn._min_eligible_timestamps.values
        if prefix not in values:
            values[prefix] = txn.get_bytes(
                key=txn._min_eligible_timestamps.key,
                prefix=prefix,
                default=ZERO,
                cf_name=MIN_ELIGIBLE_TIMESTAMPS_CF_NAME,
            )
        return values[prefix]

    def oldest(txn, prefix):
        return int.from_bytes(minimum(txn, prefix), "big")

    def set_for_timestamp(txn, timestamp, value, prefix):
        if timestamp >= oldest(txn, prefix):
            set_value(txn, timestamp, value, prefix)
        elif txn._keep_duplicates:
            txn._increment_counter()

    def get_interval(txn, start, end, prefix, limit=None):
        return get_values(txn, max(start, oldest(txn, prefix)), end, prefix, limit)

    def delete_interval(txn, start, end, prefix):
        return delete_values(txn, max(start, oldest(txn, prefix)), end, prefix)

    patch(txn_class, "_get_min_eligible_timestamp", minimum)
    patch(txn_class, "set_for_timestamp", set_for_timestamp)
    patch(txn_class, "get_interval", get_interval)
    patch(txn_class, "delete_interval", delete_interval)


def values_go_with_the_last_window_that_can_have_them(patch):
    """05 and 16: expiry is one step, and with a collection deletes what no window can get any more."""
    txn_class = WindowedRocksDBPartitionTransaction
    lazy = txn_class.expire_windows
    add = txn_class.add_to_collection

    def expire_windows(
        txn, max_start_time, prefix, delete=True, collect=False, end_inclusive=False
    ):
        expired = list(lazy(txn, max_start_time, prefix, delete, collect, end_inclusive))
        if expired and delete and collect:
            (start, end), *_ = expired[-1]
            left = txn.get_windows(start, LAST, prefix)
            txn.delete_from_collection(left[0][0][0] if left else end + end_inclusive, prefix)
        return iter(expired)

    def add_to_collection(txn, id, value, prefix):
        counter = add(txn, id, value, prefix)
        marks = txn._last_deleted_value_timestamps
        mark = txn._get_timestamp(cache=marks, prefix=prefix)
        used = counter if id is None else id
        if mark is not None and used < mark:
            txn._set_timestamp(cache=marks, prefix=prefix, timestamp_ms=used)
        return counter

    patch(txn_class, "expire_windows", expire_windows)
    patch(txn_class, "add_to_collection", add_to_collection)


def windows_of_all_keys_expire_by_their_end(patch):
    """02, 05 and 16: the mark moves on the grid of the steps, and to each end that is beyond."""

    def expire_all_windows(txn, max_end_time, step_ms, delete=True, collect=False):
        before = txn.get_latest_expired(prefix=b"")
        unset = txn.get_expiry_checkpoint() is None
        mark = before
        if max_end_time >= before:
            mark += (max_end_time - before) // step_ms * step_ms
        found = sorted(
            (end, start, prefix)
            for prefix, start, end in map(parse_window_key, txn.keys())
            if (before or -1) < end <= max_end_time
        )
        results = []
        for end, start, prefix in found:
            mark = max(mark, end)
            value = txn.get(encode_integer_pair(start, end), prefix=prefix)
            values = txn.get_from_collection(start, end, prefix) if collect else []
            results.append(((start, end), value, values, prefix))
        if found or mark != before or unset:
            txn.set_expiry_checkpoint(mark)
        for end, start, prefix in found if delete else ():
            txn.delete_window(start, end, prefix)
        for end, start, prefix in found if delete and collect else ():
            left = [window for window, _, _ in txn.get_windows(-1, LAST, prefix)]
            starts = [first for first, last in left if last > mark]
            txn.delete_from_collection(min(starts) if starts else end, prefix)
        return iter(results)

    patch(WindowedRocksDBPartitionTransaction, "expire_all_windows", expire_all_windows)


def ranges_hold_rows_of_their_key_alone(patch):
    """10 and 12: the length of a key tells whose it is; one encoding of the empty key."""

    def base(txn, prefix):
        empty = not prefix and isinstance(txn, WindowedRocksDBPartitionTransaction)
        return b"" if empty else prefix + SEPARATOR

    def get_items(
        txn, start, end, prefix, backwards=False, cf_name="default", limit=None
    ):
        start = max(start, 0)
        if start > end:
            return []
        begin = base(txn, prefix)
        lower, upper = begin + start.to_bytes(8, "big"), begin + end.to_bytes(8, "big")
        cache = txn._update_cache
        items = dict(
            txn._partition.iter_items(lower_bound=lower, upper_bound=upper, cf_name=cf_name)
        )
        items.update(cache.get_updates(cf_name=cf_name).get(prefix, {}))
        deleted = cache.get_deletes(cf_name=cf_name)
        found = sorted(
            (
                (key, value)
                for key, value in items.items()
                if lower <= key < upper
                and key not in deleted
                and len(key) == len(begin) + PAIR_SIZE
            ),
            reverse=backwards,
        )
        return found if limit is None else found[: max(limit, 0)]

    def iter_windows(txn, prefix, start_from_ms=0, start_to_ms=None, backwards=False):
        last = LAST if start_to_ms is None else start_to_ms
        return iter(txn.get_windows(start_from_ms - 1, last, prefix, backwards))

    patch(RocksDBPartitionTransaction, "_get_items", get_items)
    patch(WindowedRocksDBPartitionTransaction, "iter_windows", iter_windows)
    iterate = TimestampedStorePartition.iter_items

    def iter_items(partition, lower_bound, upper_bound=None, backwards=False, cf_name="default"):
        """Both bounds of a timestamped store begin with the prefix and its separator."""
        for key, value in iterate(partition, lower_bound, upper_bound, backwards, cf_name):
            size = len(upper_bound) - 8 + PAIR_SIZE if upper_bound else len(key)
            if cf_name != "default" or len(key) == size:
                yield key, value

    patch(TimestampedStorePartition, "iter_items", iter_items)


def what_failed_does_not_move_the_clock(patch):
    """08"""
    begin = RocksDBStorePartition.begin

    def begin_with_the_clock_of_the_last_flush(store):
        last, clock = store.__dict__.get("_last_txn", (None, None))
        if last is not None and not last.completed:
            store._high_water_ms = clock
        txn = begin(store)
        store._last_txn = txn, store._high_water_ms
        return txn

    patch(RocksDBStorePartition, "begin", begin_with_the_clock_of_the_last_flush)


def a_value_is_not_a_stamp(patch):
    """23"""
    patch(RocksDBPartitionTransaction, "_decode_double_wrap", lambda txn, payload, prefix: None)
    patch(partition, "_unwrap_double_stamp", lambda value, now_ms: None)


def recovery_begins_with_what_is_new(patch):
    """No mistake, but then a message that is known is dropped if it has expired, without a tombstone."""
    patch(Recovery, "first", 1)


ALL = (
    grace_is_read_where_it_is_written,
    values_go_with_the_last_window_that_can_have_them,
    windows_of_all_keys_expire_by_their_end,
    ranges_hold_rows_of_their_key_alone,
    what_failed_does_not_move_the_clock,
    a_value_is_not_a_stamp,
    recovery_begins_with_what_is_new,
)


@contextlib.contextmanager
def applied(corrections):
    """Quix Streams is corrected within the context, and as it was after it."""
    undo = []

    def patch(owner, name, right):
        undo.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, right)

    for correction in corrections:
        correction(patch)
    try:
        yield
    finally:
        for owner, name, before in reversed(undo):
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
