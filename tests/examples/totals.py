#!/usr/bin/env python3
"""Totals of each aircraft straight from the CSV data on stdin, as the demo's aircraft.csv.

    zstd -dc flights.csv.zst | totals.py > expected.csv

SPDX-License-Identifier: Apache-2.0
"""

import collections
import csv
import sys

totals = collections.defaultdict(lambda: [0, 0, 0])
for row in csv.DictReader(sys.stdin):
    if row["dep_delay"] and row["tailnum"]:
        total = totals[row["tailnum"]]
        total[0] += 1
        total[1] += int(row["distance"])
        total[2] += int(row["dep_delay"])
print("tailnum,flights,miles,delay_minutes")
for tailnum in sorted(totals):
    print(tailnum, *totals[tailnum], sep=",")
