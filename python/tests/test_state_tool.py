"""`weir state` on folders that Python programs wrote: this package, and Quix Streams itself."""

import os
import re
import subprocess

import pytest

ROWS = {"default": 3, "windowed": 3, "timestamped": 2}


@pytest.fixture(scope="module")
def tool():
    path = os.environ.get("WEIR_TOOL", "")
    if not os.access(path, os.X_OK):
        pytest.skip(f"WEIR_TOOL={path}: it must be the program weir")
    return path


@pytest.fixture()
def folder(durable_stores):
    """State of all kinds; the folder of their group."""
    stores = durable_stores
    with stores.plain(changelog=True).assign_partition(0).begin() as transaction:
        state = transaction.as_state(prefix=b"key")
        state.set("count", 5)
        state.set("text", "é")
        state.set_bytes("raw", b"\x00\xff")
    with stores.windowed(changelog=True).assign_partition(0).begin() as transaction:
        state = transaction.as_state(prefix=b"key")
        state.update_window(0, 10, value=1, timestamp_ms=1)
        state.update_window(10, 20, value={"a": 2}, timestamp_ms=11)
        state.add_to_collection(id=3, value="collected")
    with stores.timestamped(changelog=True).assign_partition(0).begin() as transaction:
        transaction.set_for_timestamp(5, "a", prefix=b"key")
        transaction.set_for_timestamp(7, "b", prefix=b"key")
    stores.close()
    return stores.folder


@pytest.fixture()
def weir_state(tool, folder, durable_stores):
    """Runs the tool on a folder, below that of the group. What it printed."""

    def run(command, below, *arguments):
        return subprocess.run(
            [tool, "state", command, str(folder / below), *arguments],
            capture_output=True,
            text=True,
        )

    if durable_stores.is_reference and run("info", "default").returncode != 0:
        # This one was built with an older RocksDB. It has to say so, and to leave all as it is.
        for command in ("info", "count", "scan", "verify"):
            refused = run(command, "default")
            assert refused.returncode == 1
            assert "written by a newer RocksDB" in refused.stderr
        partition = durable_stores.plain().assign_partition(0)
        assert partition.begin().get("count", prefix=b"key") == 5
        pytest.skip("refused as it has to be: this weir has a RocksDB older than Quix Streams'")

    def checked(*arguments):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return checked


def test_info_tells_kind_and_engine(weir_state, durable_stores):
    engine = {"quix": "rocksdb"}.get(durable_stores.backend, durable_stores.backend)
    for store, kind in (("default", "plain"), ("windowed", "windowed"), ("timestamped",) * 2):
        told = weir_state("info", store)
        assert re.search(rf"^kind +{kind}$", told, re.M), told
        assert re.search(rf"^engine +{engine} [0-9.]+", told, re.M), told


def test_rows_are_counted_and_whole(weir_state):
    counted = weir_state("count", "")
    verified = weir_state("verify", "")
    for store, rows in ROWS.items():
        found = re.findall(rf"{store}/topic/0\t(?:default|__values__)\t(\d+) rows", counted)
        assert sum(map(int, found)) == rows, counted
        assert re.search(rf"{store}/topic/0\tfine\t", verified), verified


def test_rows_are_printed_with_their_meaning(weir_state):
    assert weir_state("scan", "default").splitlines() == [
        'key|"count"\t5',
        'key|"raw"\t\\x00\\xff',
        'key|"text"\t"é"',
    ]
    assert weir_state("scan", "windowed").splitlines() == [
        "key\t[1970-01-01T00:00:00.000Z, 1970-01-01T00:00:00.010Z)\t1",
        'key\t[1970-01-01T00:00:00.010Z, 1970-01-01T00:00:00.020Z)\t{"a":2}',
    ]
    assert weir_state("scan", "windowed", "--cf", "__values__") == 'key\tid 3 #0\t"collected"\n'
    assert weir_state("scan", "timestamped").splitlines() == [
        'key\t1970-01-01T00:00:00.005Z\t"a"',
        'key\t1970-01-01T00:00:00.007Z\t"b"',
    ]
    assert weir_state("get", "default", 'key|"count"') == "5\n"


def test_a_dump_is_loaded_elsewhere_with_the_same_rows(weir_state, tool, tmp_path, folder):
    dump, copy = tmp_path / "dump", tmp_path / "copy" / "group"
    weir_state("dump", "", str(dump))
    subprocess.run([tool, "state", "load", dump, f"rocksdb:{copy}"], check=True)
    subprocess.run([tool, "state", "diff", folder, copy], check=True)


def test_state_that_is_in_use_is_told_with_its_owner(tool, weir_stores):
    if not weir_stores.is_durable:
        pytest.skip("memory has no folder")
    partition = weir_stores.plain().assign_partition(0)
    scan = subprocess.run([tool, "state", "scan", partition.path], capture_output=True, text=True)
    if weir_stores.backend == "slatedb":
        assert scan.returncode == 0  # it can be read beside its writer
    else:
        assert scan.returncode == 1
        assert str(os.getpid()) in scan.stderr
