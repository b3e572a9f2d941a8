#!/usr/bin/env python3
"""What the demo's departures.csv and weather.csv must hold, straight from the CSV data.

    departures.py flights.csv weather.csv DIR

SPDX-License-Identifier: Apache-2.0
"""

import bisect
import collections
import csv
import datetime
import pathlib
import sys

HOUR_MS = 3_600_000


def hour_ms(text):
    time = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return int(time.replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000


flights_path, weather_path, folder = sys.argv[1:]

observations = collections.defaultdict(dict)  # origin: {time: visibility}
with open(weather_path) as file:
    for row in csv.DictReader(file):
        observations[row["origin"]][hour_ms(row["time_hour"])] = row["visib"]
times = {origin: sorted(found) for origin, found in observations.items()}

hours = collections.defaultdict(list)  # (origin, start): delays
visibilities = collections.defaultdict(list)  # (origin, visibility): delays
with open(flights_path) as file:
    for row in csv.DictReader(file):
        if not row["dep_delay"] or not row["tailnum"]:
            continue
        origin, delay = row["origin"], int(row["dep_delay"])
        scheduled = hour_ms(row["time_hour"]) + int(row["minute"]) * 60_000
        hours[origin, scheduled // HOUR_MS * HOUR_MS].append(delay)
        latest = bisect.bisect_right(times[origin], scheduled) - 1
        if latest >= 0:
            visibilities[origin, observations[origin][times[origin][latest]]].append(delay)


def write(name, columns, groups, order):
    with open(pathlib.Path(folder) / name, "w") as out:
        print("origin", *columns, "flights", "mean_delay", sep=",", file=out)
        for key in sorted(groups, key=order):
            delays = groups[key]
            print(*key, len(delays), "%.3f" % (sum(delays) / len(delays)), sep=",", file=out)


write("departures.csv", ["start_ms"], hours, lambda key: key)
write("weather.csv", ["visibility"], visibilities, lambda key: (key[0], float(key[1])))
