"""
One folder of state, written and read with whichever Quix Streams this is run with::

    older.py FOLDER write
    older.py FOLDER verify
"""

import sys

from quixstreams.state.rocksdb import RocksDBStore
from quixstreams.state.rocksdb.timestamped import TimestampedStore
from quixstreams.state.rocksdb.windowed.store import WindowedRocksDBStore

KEY = b"__record__"
COUNT = 50


def fill(plain, windowed, timestamped):
    """Values of each kind, with what the kind keeps beside them."""
    with plain.begin() as transaction:
        for number in range(COUNT):
            transaction.set(f"k{number}", {"n": number}, prefix=KEY)
            transaction.set_bytes("raw", bytes([number]), prefix=b"%d" % number)
    with windowed.begin() as transaction:
        for start in range(0, COUNT, 10):
            transaction.update_window(start, start + 10, start, timestamp_ms=start, prefix=KEY)
            transaction.add_to_collection(id=start, value=start, prefix=KEY)
        list(transaction.expire_windows(max_start_time=10, prefix=KEY))
    with timestamped.begin() as transaction:
        for timestamp in range(0, COUNT, 10):
            transaction.set_for_timestamp(timestamp, timestamp, prefix=KEY)


def verify(plain, windowed, timestamped):
    transaction = plain.begin()
    for number in range(COUNT):
        assert transaction.get(f"k{number}", prefix=KEY) == {"n": number}
        assert transaction.get_bytes("raw", prefix=b"%d" % number) == bytes([number])
    transaction = windowed.begin()
    found = transaction.get_windows(-1, COUNT, prefix=KEY)
    assert [window[:2] for window in found] == [((n, n + 10), n) for n in (20, 30, 40)]
    assert transaction.get_from_collection(0, COUNT, prefix=KEY) == [0, 10, 20, 30, 40]
    assert transaction.get_latest_timestamp(prefix=KEY) == 40
    assert list(transaction.expire_windows(max_start_time=10, prefix=KEY)) == []
    transaction = timestamped.begin()
    assert [transaction.get_latest(at, prefix=KEY) for at in (5, 10, 19, 40)] == [None, 10, 10, 40]


def main(folder, action):
    arguments = {"stream_id": "topic", "base_dir": folder}
    stores = (
        RocksDBStore(name="plain", **arguments),
        WindowedRocksDBStore(name="windowed", **arguments),
        TimestampedStore(name="timestamped", grace_ms=30, keep_duplicates=False, **arguments),
    )
    {"write": fill, "verify": verify}[action](*[store.assign_partition(0) for store in stores])
    for store in stores:
        store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
