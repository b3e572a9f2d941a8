"""The case `windows` of weir-bench on Quix Streams' own stores.

    windows_quix.py KIND RECORDS CHECKPOINT STATE_DIR SECONDS

Prints the rate, the sum of what was read, and for how many records: it ends after SECONDS.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import struct
import sys
import time
import warnings

with warnings.catch_warnings():
    warnings.showwarning = lambda *_, **__: None
    from quixstreams.state.rocksdb import RocksDBStore
    from quixstreams.state.rocksdb.timestamped import TimestampedStore
    from quixstreams.state.rocksdb.windowed.store import WindowedRocksDBStore

SIZE_MS = 600_000
GRACE_MS = 300_000
KEEP_MS = 604_800_000
TTL = datetime.timedelta(milliseconds=600_000)

kind, path, checkpoint, folder, seconds = sys.argv[1:]
checkpoint = int(checkpoint)
with open(path, "rb") as file:
    records = list(struct.iter_unpack("=IIq", file.read()))
keys = max(record[0] for record in records) + 1
total = 0


def tumbling(txn, key, _, timestamp, number):
    global total
    state = txn.as_state(b"user-%07d" % key)
    start = timestamp - timestamp % SIZE_MS
    count = state.get_window(start, start + SIZE_MS, 0) + 1
    total += count
    state.update_window(start, start + SIZE_MS, count, timestamp)
    latest = state.get_latest_timestamp()
    for _ in state.expire_windows(latest - GRACE_MS - SIZE_MS):
        total += 1000


def as_of(txn, key, back, timestamp, number):
    global total
    prefix = b"user-%07d" % key
    txn.set_for_timestamp(timestamp, number, prefix)
    total += txn.get_latest(timestamp - back, prefix) or 0


def ttl(txn, key, back, timestamp, number):
    global total
    txn.as_state(b"user-%07d" % key, timestamp).set("value", number, ttl=TTL)
    other = txn.as_state(b"user-%07d" % ((key + back) % keys), timestamp)
    total += other.get("value", 0)


if kind == "tumbling":
    store, step = WindowedRocksDBStore("default", "records", folder), tumbling
elif kind == "as-of":
    store, step = TimestampedStore("default", "records", folder, KEEP_MS, False), as_of
else:
    store, step = RocksDBStore("default", "records", folder), ttl
store.assign_partition(0)

begun = time.perf_counter()
end = begun + float(seconds)
txn = store.start_partition_transaction(0)
for number, (key, back, timestamp) in enumerate(records):
    step(txn, key, back, timestamp, number)
    if (number + 1) % checkpoint == 0 or number + 1 == len(records):
        txn.prepare({"records": number})
        txn.flush()
        txn = store.start_partition_transaction(0)
    if number % 64 == 0 and time.perf_counter() > end:
        break
print((number + 1) / (time.perf_counter() - begun), total, number + 1)
