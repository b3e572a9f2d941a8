"""The one table of what is not expected to pass, and why."""

from importlib import metadata
from typing import NamedTuple, Tuple

import pytest

WEIR = ("rocksdb", "memory", "slatedb", "lmdb")


class Expectation(NamedTuple):
    case: str  # of a test, or, with its parameters, of one run of it
    backends: Tuple[str, ...]
    reason: str
    applies: bool = True

    def mark(self):
        if not self.applies:
            return pytest.mark.skip(reason=self.reason)
        return pytest.mark.xfail(reason=self.reason, strict=True)


def wrong(case: str, reason: str, *backends: str) -> Expectation:
    """The case shows a defect there; once it passes, this line has to go."""
    return Expectation(case, backends, reason)


def without(case: str, reason: str, *backends: str) -> Expectation:
    """The case has no meaning there."""
    return Expectation(case, backends, reason, applies=False)


# The reference may be a version that has not yet what a case asks for.
VERSION = tuple(int(part) for part in metadata.version("quixstreams").split(".")[:2])


def since(version: Tuple[int, int], *cases: str) -> Tuple[Expectation, ...]:
    """The reference has it from this version on."""
    if VERSION >= version:
        return ()
    reason = "this version of Quix Streams has no such method"
    return tuple(without(case, reason, "quix") for case in cases)


EXPECTATIONS: Tuple[Expectation, ...] = (
    *since(
        (3, 27),
        "test_a_record_key_is_known_from_its_prefix",
        "test_an_interval_has_its_start_and_not_its_end",
        "test_an_interval_is_deleted",
        "test_keys_and_prefixes_are_told",
        "test_many_windows_of_store_and_cache_are_merged",
        "test_the_mark_of_an_expiry_is_kept",
        "test_the_timestamp_of_the_partition_advances",
    ),
    *(
        [
            wrong(
                "test_a_backward_range_may_be_open_above",
                "Quix Streams: a backward range without an upper bound raises TypeError",
                "quix",
            )
        ]
        if VERSION >= (3, 27)
        else []
    ),
    wrong(
        "test_rows_of_a_longer_key_are_not_windows_of_a_shorter",
        "Quix Streams, weak spot 10: ranges of a key have rows of other keys",
        "quix",
    ),
    wrong(
        "test_expiry_whose_results_are_not_all_read_is_complete",
        "Quix Streams, weak spot 5: results that are not read are lost, and their rows stay",
        "quix",
    ),
    wrong(
        "test_windows_that_hop_expire_at_their_own_end",
        "Quix Streams, weak spot 2: windows that hop are not found by their end",
        "quix",
    ),
    wrong(
        "test_collected_values_go_with_the_last_window_that_has_them",
        "Quix Streams, weak spot 16: collected values of the last window stay for good",
        "quix",
    ),
    wrong(
        "test_a_record_key_without_windows_is_not_told",
        "Quix Streams: prefixes are told of windows that the transaction has deleted",
        "quix",
    ),
    wrong(
        "test_of_one_time_the_last_value_counts[quix-True-True]",
        "Quix Streams: the counter of duplicates starts anew in each transaction",
        "quix",
    ),
    wrong(
        "test_what_is_older_than_the_grace_is_gone[quix-True]",
        "Quix Streams, weak spot 1: the grace is forgotten with each transaction",
        "quix",
    ),
    wrong(
        "test_the_grace_is_not_forgotten_with_the_transaction",
        "Quix Streams, weak spot 1: the grace is forgotten with each transaction",
        "quix",
    ),
    wrong(
        "test_values_of_a_longer_key_are_not_those_of_a_shorter",
        "Quix Streams, weak spot 10: ranges of a key have rows of other keys",
        "quix",
    ),
    wrong(
        "test_a_value_that_looks_stamped_is_no_stamped_one",
        "Quix Streams, weak spot 7: values that begin like a time lose 8 bytes",
        "quix",
    ),
    wrong(
        "test_without_any_committed_offset_no_change_is_lost",
        "Quix Streams, weak spot 4: a group without committed offsets starts empty in silence",
        "quix",
    ),
    wrong(
        "test_a_topic_that_is_read_no_more_sets_no_bound",
        "Quix Streams, weak spot 15: a topic without a committed offset ends recovery",
        "quix",
    ),
)
