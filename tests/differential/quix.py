"""Runs operations on Quix Streams: its own manager, stores, partitions and transactions, and its own
rule of recovery, over a changelog in memory.

    quix.py STATE_DIR CHANGELOG < operations > answers

CHANGELOG is read if it is there, and written at the end.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import itertools
import json
import os
import pathlib
import shutil
import signal
import struct
import sys
import warnings

from operations import Topic, decode, encode

with warnings.catch_warnings():
    warnings.showwarning = lambda *_, **__: None
    import rocksdict
    from quixstreams.models import TopicConfig
    from quixstreams.state.exceptions import (
        InvalidChangelogOffset,
        InvalidStoreChangelogOffset,
        StateSerializationError,
        StateTransactionError,
    )
    from quixstreams.state.manager import StateStoreManager
    from quixstreams.state.recovery import RecoveryPartition
    from quixstreams.state.rocksdb import RocksDBOptions
    from quixstreams.state.rocksdb.exceptions import RocksDBCorruptedError

GROUP = "differential"
STREAM = "flights"
STORE = "store"
PARTITION = 3
FAMILY_HEADER = "__column_family__"
PROCESSED_HEADER = "__processed_tp_offsets__"

MISSING = object()
# Operations that need no open partition.
LIFE = frozenset(("store", "alone", "open", "wipe", "compact", "control"))

# What an error of Quix Streams is called in an answer. All else is a crash, by its name.
CODES = (
    (StateSerializationError, "serialization"),
    (StateTransactionError, "txn_failed"),
    ((InvalidChangelogOffset, InvalidStoreChangelogOffset), "offset"),
    (RocksDBCorruptedError, "corrupted"),
    (ValueError, "invalid"),
)


class Options(RocksDBOptions):
    """With files that RocksDB before 8.6 can read too, if asked for."""

    FORMAT_VERSION = None

    def to_options(self):
        options = super().to_options()
        if self.FORMAT_VERSION is not None:
            table = rocksdict.BlockBasedOptions()
            table.set_bloom_filter(self.bloom_filter_bits_per_key, block_based=True)
            table.set_format_version(self.FORMAT_VERSION)
            options.set_block_based_table_factory(table)
        return options


class Message:
    """A record as the consumer would hand it out."""

    def __init__(self, record):
        self._record = record

    def headers(self):
        headers = [(FAMILY_HEADER, self._record.family.encode())]
        if self._record.processed is not None:
            headers.append((PROCESSED_HEADER, self._record.processed))
        return headers + [(flag, b"\x01") for flag in self._record.flags]

    def key(self):
        return self._record.key

    def value(self):
        return self._record.value

    def offset(self):
        return self._record.offset


class Producer:
    """Stands where Quix Streams has its producer: writes into the changelog in memory."""

    instantiated = False

    def __init__(self, topic):
        self._topic = topic

    def produce(self, key, value, headers, partition, topic, on_delivery=None):
        assert (partition, topic) == (PARTITION, Recovery.name)
        headers = dict(headers)
        family = headers.pop(FAMILY_HEADER)
        processed = headers.pop(PROCESSED_HEADER)
        assert all(value == b"\x01" for value in headers.values())
        self._topic.append(family, key, value, processed, sorted(headers))
        if on_delivery is not None:
            on_delivery(None, None)

    def flush(self, timeout=None):
        return 0


class Recovery:
    """Stands where Quix Streams has its recovery manager, and follows its rules."""

    name = "changelog__%s--%s--%s" % (GROUP, STREAM, STORE)
    # It reads the message of the stored offset once more.
    first = 0

    def __init__(self, topic):
        self._topic = topic

    def register_changelog(self, stream_id, store_name, topic_config):
        return self

    def assign_partition(self, topic, partition, committed_offsets, store_partitions):
        (store_partition,) = store_partitions.values()
        log = self._topic
        recovering = RecoveryPartition(
            self.name, partition, store_partition, committed_offsets, log.low, log.high
        )
        if recovering.has_invalid_offset:
            raise InvalidStoreChangelogOffset
        if recovering.needs_recovery_check:
            for record in log.since(recovering.offset + self.first):
                recovering.recover_from_changelog_message(Message(record))
            recovering.complete_recovery()

    def revoke_partition(self, partition_num):
        pass


def interval(item):
    (start, end), value, *collected = item[:3]
    text = "%d:%d=%s" % (start, end, encode(dumps(value)))
    return text + ";" + encode(dumps(collected[0])) if collected and collected[0] != [] else text


def dumps(value):
    return RocksDBOptions().dumps(value)


class Engine:
    """One store partition. run() answers one operation."""

    def __init__(self, state_dir, topic, format_version=None):
        self.topic = topic
        self._state_dir = pathlib.Path(state_dir)
        self._format_version = format_version
        self._register = None
        self._number = PARTITION
        self._wal_dir = None
        self._manager = None
        self._partition = None
        self._txn = None
        self._produced = False

    # --- The partition's life ---

    def do_store(self, kind, *fields):
        if kind == "plain":
            self._register = lambda manager, **common: manager.register_store(**common)
        elif kind == "windowed":
            self._register = lambda manager, **common: manager.register_windowed_store(**common)
        else:
            self._register = lambda manager, **common: manager.register_timestamped_store(
                grace_ms=int(fields[0]), keep_duplicates=fields[1] == "all", **common
            )

    def do_alone(self, partition, wal_dir):
        self.close()
        self._number = int(partition)
        self._wal_dir = str(self._state_dir / wal_dir)

    def do_open(self, start):
        self.close()
        Options.FORMAT_VERSION = self._format_version
        alone = self._wal_dir is not None
        self._manager = StateStoreManager(
            group_id=GROUP,
            state_dir=str(self._state_dir),
            rocksdb_options=Options(wal_dir=self._wal_dir),
            producer=Producer(self.topic),
            recovery_manager=None if alone else Recovery(self.topic),
        )
        self._manager.init()
        self._register(
            self._manager,
            stream_id=STREAM,
            store_name=STORE,
            changelog_config=TopicConfig(num_partitions=1, replication_factor=1),
        )
        try:
            opened = self._manager.on_partition_assign(STREAM, self._number, json.loads(start))
        except Exception:
            self.close()
            raise
        self._partition = opened[STORE]

    def close(self):
        self._txn = self._partition = None
        if self._manager is not None:
            self._manager.on_partition_revoke(STREAM, self._number)
            self._manager = None

    def do_wipe(self):
        self.close()
        shutil.rmtree(self._state_dir / GROUP, ignore_errors=True)

    @property
    def txn(self):
        if self._txn is None:
            self._txn = self._partition.begin()
        return self._txn

    def do_abort(self):
        self._txn = None

    def do_prepare(self, processed):
        before = self.topic.high
        self.txn.prepare(json.loads(processed))
        self._produced = self.topic.high > before
        return sorted(
            "/".join(record.fields().split()) for record in self.topic.since(before)
        )

    def do_flush(self, offset=None):
        if offset is None and self._produced:
            offset = self.topic.high - 1
        self.txn.flush(None if offset is None else int(offset))
        self._txn = None
        self._produced = False

    def do_compact(self):
        self.topic.compact()

    def do_control(self):
        self.topic.control()

    def do_dump(self, family):
        items = self._partition.get_or_create_column_family(family).items()
        return ["%s=%s" % (encode(key), encode(value)) for key, value in items]

    def do_offset(self):
        offset = self._partition.get_changelog_offset()
        return None if offset is None else [str(offset)]

    # --- Plain ---

    def _state(self, prefix, time=None):
        return self.txn.as_state(decode(prefix), None if time in (None, "-") else int(time))

    @staticmethod
    def _ttl(ttl):
        return None if ttl is None else datetime.timedelta(milliseconds=int(ttl))

    def do_set(self, prefix, key, value, time=None, ttl=None):
        self._state(prefix, time).set_bytes(decode(key), decode(value), ttl=self._ttl(ttl))

    def do_setjson(self, prefix, key, value, time=None, ttl=None):
        value = json.loads(decode(value))
        self._state(prefix, time).set(decode(key).decode(), value, ttl=self._ttl(ttl))

    def do_setbad(self, prefix, key):
        self._state(prefix).set(decode(key).decode(), object())

    def do_get(self, prefix, key, time=None):
        value = self._state(prefix, time).get_bytes(decode(key))
        return None if value is None else [encode(value)]

    def do_exists(self, prefix, key, time=None):
        return ["yes" if self._state(prefix, time).exists(decode(key)) else "no"]

    def do_delete(self, prefix, key):
        self._state(prefix).delete(decode(key))

    # --- Windows ---

    def _windowed(self, prefix):
        return self.txn.as_state(decode(prefix))

    def do_update(self, prefix, start, end, value, time):
        self._windowed(prefix).update_window(
            int(start), int(end), json.loads(decode(value)), int(time)
        )

    def do_window(self, prefix, start, end):
        value = self._windowed(prefix).get_window(int(start), int(end), MISSING)
        return None if value is MISSING else [encode(dumps(value))]

    def do_remove(self, prefix, start, end):
        self._windowed(prefix).delete_window(int(start), int(end))

    def do_windows(self, prefix, first, last, direction):
        found = self._windowed(prefix).get_windows(
            int(first), int(last), direction == "backward"
        )
        return [interval((window, value)) for window, value, _ in found]

    def do_walk(self, prefix, first, last, direction):
        found = self._windowed(prefix).iter_windows(
            int(first), None if last == "-" else int(last), direction == "backward"
        )
        return [interval((window, value)) for window, value, _ in found]

    def do_time(self, prefix):
        return [str(self._windowed(prefix).get_latest_timestamp())]

    def do_expired(self, prefix):
        return [str(self.txn.get_latest_expired(decode(prefix)))]

    def do_expire(self, prefix, last, delete, collect, take=None):
        found = self._windowed(prefix).expire_windows(
            int(last), delete == "delete", collect != "plain", collect == "inclusive"
        )
        return [interval(item) for item in itertools.islice(found, *self._take(take))]

    def do_expireall(self, last, step, delete, collect, take=None):
        found = self.txn.expire_all_windows(
            int(last), int(step), delete == "delete", collect != "plain"
        )
        items = itertools.islice(found, *self._take(take))
        return sorted("%s/%s" % (encode(item[3]), interval(item)) for item in items)

    @staticmethod
    def _take(take):
        return (None,) if take is None else (int(take),)

    def do_removeall(self, prefix, last, values):
        self._windowed(prefix).delete_windows(int(last), values == "values")

    def do_add(self, prefix, number, value):
        number = None if number == "-" else int(number)
        return [str(self._windowed(prefix).add_to_collection(json.loads(decode(value)), number))]

    def do_collected(self, prefix, start, end):
        return [
            encode(dumps(value))
            for value in self._windowed(prefix).get_from_collection(int(start), int(end))
        ]

    def do_uncollect(self, prefix, end, start=None):
        start = None if start is None else int(start)
        self._windowed(prefix).delete_from_collection(int(end), start=start)

    def do_checkpoint(self, prefix, time=None):
        if time is not None:
            self.txn.set_expiry_checkpoint(int(time), decode(prefix))
            return []
        time = self.txn.get_expiry_checkpoint(decode(prefix))
        return None if time is None else [str(time)]

    def do_advance(self, time):
        return [str(self.txn.advance_partition_timestamp(int(time)))]

    # --- Timestamps ---

    def do_put(self, prefix, time, value):
        self.txn.set_for_timestamp(int(time), json.loads(decode(value)), decode(prefix))

    def do_latest(self, prefix, time):
        value = self.txn.get_latest(int(time), decode(prefix))
        return None if value is None else [encode(dumps(value))]

    def do_interval(self, prefix, start, end, limit=None):
        limit = None if limit is None else int(limit)
        found = self.txn.get_interval(int(start), int(end), decode(prefix), limit)
        return [encode(dumps(value)) for value in found]

    def do_cut(self, prefix, start, end):
        return [str(self.txn.delete_interval(int(start), int(end), decode(prefix)))]

    # --- Answers ---

    def run(self, line):
        name, *fields = line.split(" ")
        if self._partition is None and name not in LIFE:
            return "error closed"
        try:
            items = getattr(self, "do_" + name)(*fields)
        except Exception as failure:
            return "error %s # %s: %s" % (code_of(failure), type(failure).__name__, failure)
        if items is None and name in ("get", "window", "latest", "checkpoint", "offset"):
            return "none"
        return " ".join(["ok", *(items or [])])


def code_of(failure):
    for kinds, code in CODES:
        if isinstance(failure, kinds):
            return code
    if isinstance(failure, struct.error):
        return "crash:struct.error"
    return "crash:" + type(failure).__name__


def main():
    state_dir, changelog = sys.argv[1:]
    topic = Topic.load(changelog) if os.path.exists(changelog) else Topic()
    engine = Engine(state_dir, topic)
    for line in sys.stdin:
        if line == "kill\n":
            topic.save(changelog)
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        print(engine.run(line.rstrip("\n")))
    engine.close()
    topic.save(changelog)


if __name__ == "__main__":
    main()
