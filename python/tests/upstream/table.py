"""
Prints the table of docs/quix.md from a run::

    pytest tests/upstream --junitxml=FILE; python tests/upstream/table.py FILE
"""

import re
import sys
from collections import Counter
from xml.etree import ElementTree

from harness import BACKENDS

GROUPS = {
    "plain": "values, keys, statuses, changelog messages",
    "partition": "partitions, ranges, locks",
    "window": "windows, expiry, collections",
    "time": "timestamped stores, values that expire",
    "manager": "the manager of stores",
    "recovery": "recovery",
    "checkpoint": "checkpoints",
    "moving": "moving in and back",
}


def outcome(case):
    skipped = case.find("skipped")
    if skipped is not None:
        return "differ" if skipped.get("type") == "pytest.xfail" else "skip"
    return "pass" if case.find("failure") is None and case.find("error") is None else "FAIL"


def main(path):
    counts = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        group = re.search(r"test_(\w+)_cases", case.get("classname")).group(1)
        named = [b for b in BACKENDS if re.search(rf"\b{b}\b", case.get("name"))]
        # Cases without a backend are about folders of RocksDB.
        backend = named[0] if named else "rocksdb"
        counts[group, backend, outcome(case)] += 1
    print("| cases |", " | ".join(BACKENDS), "|")
    print("|---|" + "---|" * len(BACKENDS))
    for group, title in GROUPS.items():
        cells = []
        for backend in BACKENDS:
            kinds = [(counts[group, backend, kind], kind) for kind in ("differ", "skip", "FAIL")]
            more = [f"{count} {kind}" for count, kind in kinds if count]
            cells.append(", ".join([str(counts[group, backend, "pass"]), *more]))
        print(f"| {title} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main(sys.argv[1])
