#!/usr/bin/env python3
"""Writes quix_time.txt: what Quix Streams makes of the operations in scenario_time.txt.

    pip install 'quixstreams==3.28.*'
    python3 generate_time.py

test_format_time.c runs the same operations through Weir and compares every byte. All fields are
separated by tabs; bytes are hexadecimal, "-" stands for none. The lines of a checkpoint are sorted.

    changelog  <store>  <checkpoint>  <column family>  <key>  <value or ->  <1: with __ttl_stamped__>
    state      <store>  <column family>  <key>  <value>

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import importlib.metadata
import pathlib
import tempfile

from quixstreams.state.rocksdb import RocksDBStore
from quixstreams.state.rocksdb.timestamped import TimestampedStore

from generate import CF_HEADER, Collector

HERE = pathlib.Path(__file__).parent
STAMPED_HEADER = "__ttl_stamped__"


def as_hex(value):
    return "-" if value is None else "=" + value.hex()


class Run:
    def __init__(self, folder, name, grace, duplicates):
        self.name = name
        self.collector = Collector()
        self.is_plain = grace == "-"
        if self.is_plain:
            self.store = RocksDBStore(name, "flights", folder, self.collector)
        else:
            self.store = TimestampedStore(
                name, "flights", folder, int(grace), duplicates == "1", self.collector
            )
        self.partition = self.store.assign_partition(0)
        self.transaction = self.partition.begin()
        self.checkpoints = 0
        self.written = 0

    def set(self, key, timestamp, value, ttl):
        if not self.is_plain:
            self.transaction.set_for_timestamp(int(timestamp), int(value), key.encode())
            return
        state = self.transaction.as_state(key.encode(), int(timestamp))
        lives = None if ttl == "-" else datetime.timedelta(milliseconds=int(ttl))
        state.set("v", int(value), ttl=lives)

    def checkpoint(self):
        self.transaction.prepare(None)
        lines = []
        for key, value, headers in self.collector.messages[self.written :]:
            stamped = "1" if headers.get(STAMPED_HEADER) else "0"
            lines.append(
                "\t".join(
                    ["changelog", self.name, str(self.checkpoints), headers[CF_HEADER], key.hex()]
                    + [as_hex(value), stamped]
                )
            )
        self.written = len(self.collector.messages)
        self.transaction.flush(changelog_offset=self.written - 1)
        self.transaction = self.partition.begin()
        self.checkpoints += 1
        return sorted(lines)

    def end(self):
        lines = []
        for cf in self.partition.list_column_families():
            for key, value in self.partition.get_or_create_column_family(cf).items():
                lines.append("\t".join(["state", self.name, cf, key.hex(), as_hex(value)]))
        self.store.close()
        return sorted(lines)


def main():
    lines = ["# quixstreams %s" % importlib.metadata.version("quixstreams")]
    run = None
    with tempfile.TemporaryDirectory() as folder:
        for line in (HERE / "scenario_time.txt").read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            op, *fields = line.split("\t")
            if op == "store":
                lines += run.end() if run else []
                run = Run(folder, *fields)
            elif op == "set":
                run.set(*fields)
            else:
                lines += run.checkpoint()
        lines += run.end()
    (HERE / "quix_time.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
