#!/usr/bin/env python3
"""Writes quix_windows.txt: what Quix Streams makes of the operations in windows.txt.

    pip install 'quixstreams==3.28.*'
    python3 generate_windows.py

test_window_format.c runs the same operations through Weir and compares: first what the
reads and expiries give, one line each, then the state, one line for each key:

    <column family> <key, hexadecimal> <value, hexadecimal>

SPDX-License-Identifier: Apache-2.0
"""

import importlib.metadata
import pathlib
import tempfile

from quixstreams.state.rocksdb.windowed.store import WindowedRocksDBStore

HERE = pathlib.Path(__file__).parent
FAMILIES = (
    "default",
    "__latest-timestamps__",
    "__expiration-index__",
    "__deletion-index__",
    "__value-deletion-index__",
    "__values__",
    "__global-counter__",
)


def text(windows, with_key=False):
    items = []
    for item in windows:
        (start, end), value = item[0], item[1]
        key = item[-1].decode() + ":" if with_key else ""
        items.append((end, start, key) if with_key else (start, end, key))
        items[-1] += (f"{key}{start}-{end}={value}",)
    return " ".join(item[-1] for item in sorted(items))


def run(tx, op, args):
    numbers = [int(a) if a.lstrip("-").isdigit() else a for a in args]
    if op == "expire_all":
        return text(tx.expire_all_windows(*numbers), True)
    state = tx.as_state(prefix=args[0].encode())
    if op == "update":
        state.update_window(*numbers[1:])
    elif op == "delete":
        state.delete_window(*numbers[1:])
    elif op == "range":
        return text(state.get_windows(*numbers[1:]))
    elif op == "expire":
        return text(list(state.expire_windows(numbers[1], delete=not numbers[2])))
    elif op == "until":
        state.delete_windows(numbers[1], delete_values=bool(numbers[2]))
    elif op == "collect":
        state.add_to_collection(value=numbers[2], id=numbers[1])
    elif op == "collected":
        return ",".join(str(v) for v in state.get_from_collection(*numbers[1:]))
    elif op == "uncollect":
        state.delete_from_collection(end=numbers[1])
    else:
        raise ValueError(op)
    return None


def main():
    lines = [f"# quixstreams {importlib.metadata.version('quixstreams')}"]
    with tempfile.TemporaryDirectory() as folder:
        store = WindowedRocksDBStore(name="w", stream_id="flights", base_dir=folder)
        partition = store.assign_partition(0)
        tx = partition.begin()
        for line in (HERE / "windows.txt").read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            op, *args = line.split(" ")
            if op == "checkpoint":
                tx.prepare()
                tx.flush()
                tx = partition.begin()
                continue
            result = run(tx, op, args)
            if result is not None:
                lines.append(f"{op} {result}".rstrip())
        for family in FAMILIES:
            cf = partition.get_or_create_column_family(family)
            lines += [f"{family} {key.hex()} {value.hex()}" for key, value in cf.items()]
    (HERE / "quix_windows.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
