#!/usr/bin/env python3
"""
Totals for each aircraft, in Python on Quix Streams: what flights.c does.

    python flights.py --broker HOST:PORT --state DIR

Reads departures from the topic "flights" (key: tail number, value: JSON), keeps for each aircraft
its flights, miles, minutes of delay and last destination, and sends every change to the topic
"aircraft-totals". The options, the names of group, topics and changelog, and every byte of the
results are those of flights.c: either program goes on where the other one stopped, from the
changelog alone. What the same flights say about the airports is in departures.py.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import logging
import re

from departures import add_departures
from quixstreams.models import TopicConfig

from weirstreams.quix import Application


def add_flight(flight, state):
    """One flight: reads the aircraft's totals, adds to them, stores them and hands them on."""
    totals = {
        "flights": state.get("flights", 0) + 1,
        "miles": state.get("miles", 0) + flight["distance"],
        "delay_minutes": state.get("delay_minutes", 0) + flight["dep_delay"],
        "last_destination": flight["dest"],
    }
    for name, value in totals.items():
        state.set(name, value)
    return totals


class PrintRecovery(logging.Handler):
    """Tells on stdout which partitions' state came back from a changelog, as flights.c does."""

    def emit(self, record):
        found = re.match(r"Recovery successful for .*--(.+)\[(\d+)\]", record.getMessage())
        if found:
            print("recovered %s partition %s" % found.groups(), flush=True)


def parse_property(text):
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: it must be KEY=VALUE")
    return key, value


def parse_options():
    parser = argparse.ArgumentParser(description="totals for each aircraft")
    add = parser.add_argument
    add("--broker", required=True, metavar="HOST:PORT", help="Kafka broker")
    add("--backend", metavar="NAME", help="where the state lives: rocksdb (default), memory, …")
    add("--state", default="state", metavar="DIR", help="folder of the state (default: state)")
    add("--workers", type=int, choices=[1], default=1, help="1: more threads are more processes")
    add(
        "--commit-interval",
        type=int,
        default=5000,
        metavar="MS",
        help="time between checkpoints (default: 5000)",
    )
    add("--prefix", default="", metavar="TEXT", help="put before the names of topics and group")
    for name, who in (("--kafka", "consumer and producer"), ("--consumer", "the consumer only")):
        add(
            name,
            type=parse_property,
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"a librdkafka property of {who}, may be repeated",
        )
    return parser.parse_args()


def main():
    options = parse_options()
    logging.getLogger("quixstreams.state.recovery").addHandler(PrintRecovery())
    app = Application(
        broker_address=options.broker,
        consumer_group=f"{options.prefix}aircraft",
        state_backend=options.backend,
        state_dir=options.state,
        commit_interval=options.commit_interval / 1000,
        auto_offset_reset="earliest",
        consumer_extra_config=dict(options.kafka + options.consumer),
        producer_extra_config={"compression.type": "lz4", **dict(options.kafka)},
    )
    config = TopicConfig(num_partitions=4, replication_factor=1)
    # Keys stay bytes, which is the default: so they are the same bytes in the changelog.
    flights = app.topic(f"{options.prefix}flights", config=config)
    totals = app.topic(f"{options.prefix}aircraft-totals", config=config)
    app.dataframe(flights).apply(add_flight, stateful=True).to_topic(totals)
    add_departures(app, options.prefix, config)
    app.run()


if __name__ == "__main__":
    main()
