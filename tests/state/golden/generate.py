#!/usr/bin/env python3
"""Writes quix.txt: what Quix Streams makes of the operations in scenario.txt.

    pip install 'quixstreams==3.28.*'
    python3 generate.py

test_format.c runs the same operations through Weir and compares every byte. The
output depends on scenario.txt and on the package alone; the version is in its first
line. All fields are separated by tabs; bytes are hexadecimal, "-" stands for none.

    changelog  <checkpoint>  <column family>  <key>  <value or ->  <processed offsets>
    state      <column family>  <key>  <value>

SPDX-License-Identifier: Apache-2.0
"""

import importlib.metadata
import json
import pathlib
import tempfile

from quixstreams.state.rocksdb import RocksDBStore

HERE = pathlib.Path(__file__).parent
CF_HEADER = "__column_family__"
PROCESSED_HEADER = "__processed_tp_offsets__"


class Collector:
    """Stands where Quix Streams expects the producer of a changelog partition."""

    changelog_name = "changelog__golden--flights--default"
    partition = 0

    def __init__(self):
        self.messages = []

    def get_partition_producer(self, partition):
        return self

    def produce(self, key, value=None, headers=None, **_):
        self.messages.append((key, value, dict(headers or {})))

    def flush(self, *_, **__):
        return 0


def operations():
    for line in (HERE / "scenario.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def unhex(field):
    return b"" if field == "-" else bytes.fromhex(field)


def apply(state, op, key, value):
    if op in ("int", "double", "string", "json"):
        state.set(json.loads(key), json.loads(value))
    elif op == "bytes":
        state.set_bytes(json.loads(key), unhex(value))
    elif op == "raw":
        state.set_bytes(unhex(key), unhex(value))
    elif op == "delete":
        state.delete(json.loads(key))
    elif op == "delete_raw":
        state.delete(unhex(key))
    else:
        raise ValueError(op)


def changelog_lines(messages, number):
    for key, value, headers in messages:
        yield "\t".join(
            [
                "changelog",
                str(number),
                headers[CF_HEADER],
                key.hex(),
                "-" if value is None else "=" + value.hex(),
                headers[PROCESSED_HEADER].decode(),
            ]
        )


def main():
    collector = Collector()
    version = importlib.metadata.version
    lines = ["# quixstreams %s, orjson %s" % (version("quixstreams"), version("orjson"))]
    with tempfile.TemporaryDirectory() as folder:
        store = RocksDBStore("default", "flights", folder, collector)
        partition = store.assign_partition(0)
        transaction = partition.begin()
        checkpoint = 0
        written = 0
        for op, *fields in operations():
            if op == "checkpoint":
                transaction.prepare(json.loads(fields[0]))
                lines += changelog_lines(collector.messages[written:], checkpoint)
                written = len(collector.messages)
                transaction.flush(changelog_offset=written - 1)
                transaction = partition.begin()
                checkpoint += 1
            else:
                prefix, key, value = fields + ["-"] * (3 - len(fields))
                apply(transaction.as_state(unhex(prefix)), op, key, value)
        for cf in ("default", "__metadata__"):
            for key, value in partition.get_or_create_column_family(cf).items():
                lines.append("\t".join(["state", cf, key.hex(), "=" + value.hex()]))
        store.close()
    (HERE / "quix.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
