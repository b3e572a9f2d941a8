"""
What the topic "departures" says about each airport, in Python: what departures.c does. Its records
have the airport as key and are one of

    {"visibility":"2.5"}  the weather as of the record's timestamp, in miles
    {"dep_delay":-4}      a flight, scheduled at the record's timestamp, minutes late
    {"end":true}          nothing comes any more: hours before this time are over

A flight gets the latest weather at or before its scheduled departure, and counts in its hour and
in the visibility that it had. The three stores and their changelogs have the names, keys and values
that departures.c has, so they are registered by hand; where names do not matter, `join_asof()` and
`tumbling_window()` of Quix Streams make stores of their own.

SPDX-License-Identifier: Apache-2.0
"""

import json

from quixstreams import message_context
from quixstreams.models import TopicManager

HOUR_MS = 3_600_000
# Records come in the order in which flights left; none left a day after its time.
GRACE_MS = 24 * HOUR_MS
# A flight that is a day late still finds its weather, also where observations are missing.
WEATHER_KEPT_MS = 4 * 24 * HOUR_MS


class Departures:
    """The operators, on the stores of one topic."""

    def __init__(self, frame):
        self._frame = frame
        manager, stream_id = frame.processing_context.state_manager, frame.stream_id
        changelog = {"changelog_config": TopicManager.derive_topic_config(frame.topics)}
        manager.register_timestamped_store(
            stream_id, "weather", grace_ms=WEATHER_KEPT_MS, keep_duplicates=False, **changelog
        )
        manager.register_windowed_store(stream_id, "hours", **changelog)
        manager.register_store(stream_id, "visibility", **changelog)

    def _transaction(self, store):
        """Of the record that is at work."""
        return self._frame.processing_context.checkpoint.get_store_transaction(
            self._frame.stream_id, message_context().partition, store
        )

    def join_weather(self, value, key, timestamp, headers):
        """Keeps the weather, and hands on the flights with theirs."""
        weather = self._transaction("weather")
        if "visibility" in value:
            # As departures.c keeps it: the number as the text says it.
            weather.set_for_timestamp(timestamp, json.loads(value["visibility"]), prefix=key)
            return {}
        if "dep_delay" in value:
            visibility = weather.get_latest(timestamp, prefix=key)
            if visibility is not None:
                return {**value, "visibility": json.dumps(visibility)}
        return value

    def count_hours(self, value, key, timestamp, headers):
        """Adds a flight to its hour, and hands on the hours that are over."""
        state = self._transaction("hours").as_state(prefix=key)
        if "dep_delay" in value:
            start = timestamp - timestamp % HOUR_MS
            flights, minutes = state.get_window(start, start + HOUR_MS, default=(0, 0))
            total = [flights + 1, minutes + value["dep_delay"]]
            state.update_window(start, start + HOUR_MS, total, timestamp_ms=timestamp)
        latest = max(timestamp, state.get_latest_timestamp() or 0)
        for (start, _), (flights, minutes), *_ in state.expire_windows(latest - GRACE_MS - HOUR_MS):
            yield '{"start_ms":%d,"flights":%d,"mean_delay":%.3f}' % (
                start,
                flights,
                minutes / flights,
            )

    def count_visibilities(self, value, key, timestamp, headers):
        """Adds a flight to those that left with this visibility."""
        visibility = value.get("visibility")
        if visibility is None:
            return  # the end, weather, or a flight before the first observation
        state = self._transaction("visibility").as_state(prefix=key)
        flights = state.get(f"flights at {visibility}", default=0) + 1
        minutes = state.get(f"minutes at {visibility}", default=0) + value["dep_delay"]
        state.set(f"flights at {visibility}", flights)
        state.set(f"minutes at {visibility}", minutes)
        yield '{"visibility":"%s","flights":%d,"mean_delay":%.3f}' % (
            visibility,
            flights,
            minutes / flights,
        )


def add_departures(app, prefix, config):
    """Adds them to an application, as departures_add() does in C."""
    names = (f"{prefix}departures-by-hour", f"{prefix}departures-by-visibility")
    by_hour, by_visibility = (app.topic(n, value_serializer="str", config=config) for n in names)
    frame = app.dataframe(app.topic(f"{prefix}departures", config=config))
    operators = Departures(frame)
    flights = frame.apply(operators.join_weather, metadata=True)
    flights.apply(operators.count_hours, expand=True, metadata=True).to_topic(by_hour)
    flights.apply(operators.count_visibilities, expand=True, metadata=True).to_topic(by_visibility)
