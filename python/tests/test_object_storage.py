"""State in a bucket, by `SlateDBOptions(store_url=…)`, on a server that speaks S3."""

import os
import subprocess

import pytest
from conftest import ROOT, _require
from quixstreams.state.exceptions import StateError

from weirstreams.quix import SlateDBOptions, SlateDBStore, StateStoreManager
from weirstreams.quix.options import StoreOptions


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """The URL of an empty bucket; the environment has what leads to its server."""
    _require("slatedb")
    folder = str(tmp_path_factory.mktemp("s3"))
    script = str(ROOT / "scripts" / "moto")
    clean = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONPATH")}
    started = subprocess.run(
        [script, "start", "--dir", folder], stdout=subprocess.PIPE, text=True, env=clean
    )
    if started.returncode == 77:
        pytest.skip("moto can't be installed from PyPI")
    told = dict(line.split("=", 1) for line in started.stdout.split())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT", told["endpoint"])
        environment.setenv("AWS_ALLOW_HTTP", "true")
        environment.setenv("AWS_REGION", "us-east-1")
        environment.setenv("AWS_ACCESS_KEY_ID", "weir")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "weir")
        yield "s3://weir"
    subprocess.run([script, "stop", "--dir", folder], check=True, env=clean)


def open_stores(url, folder):
    """As an application of the group "group" on one machine, whose disk is `folder`."""
    options = SlateDBOptions(store_url=url, open_max_retries=1, open_timeout=20)
    manager = StateStoreManager("group", folder, state_backend="slatedb", slatedb_options=options)
    manager.init()
    manager.register_store("topic", "default")
    manager.register_windowed_store("topic", "windows")
    manager.register_timestamped_store("topic", "times", grace_ms=100, keep_duplicates=False)
    return manager, manager.on_partition_assign("topic", 0, committed_offsets={})


def test_another_machine_finds_the_state(bucket, tmp_path):
    url = f"{bucket}/state"
    manager, partitions = open_stores(url, tmp_path / "first")
    assert partitions["default"].path == f"{url}/group/default/topic/0"
    with partitions["default"].begin() as transaction:
        transaction.as_state(prefix=b"key").set("count", 5)
    with partitions["windows"].begin() as transaction:
        transaction.as_state(prefix=b"key").update_window(0, 10, value=1, timestamp_ms=1)
    with partitions["times"].begin() as transaction:
        transaction.set_for_timestamp(5, "a", prefix=b"key")
    manager.close()
    # The disk has nothing of it.
    assert not [path for path in (tmp_path / "first").rglob("*") if path.is_file()]

    manager, partitions = open_stores(url, tmp_path / "second")
    assert partitions["default"].begin().as_state(prefix=b"key").get("count") == 5
    assert partitions["windows"].begin().as_state(prefix=b"key").get_window(0, 10) == 1
    assert partitions["times"].begin().get_latest(9, prefix=b"key") == "a"
    # Nor is it removed with the folder: how to do that is told.
    manager.on_partition_revoke("topic", 0)
    with pytest.raises(StateError, match=f"delete {url}/group/"):
        manager.clear_stores()
    manager.close()


def test_the_last_to_open_is_the_writer(bucket, tmp_path):
    url = f"{bucket}/fenced"
    first, of_first = open_stores(url, tmp_path / "first")
    second, of_second = open_stores(url, tmp_path / "second")
    with of_second["default"].begin() as transaction:
        transaction.as_state(prefix=b"key").set("count", 2)
    transaction = of_first["default"].begin()
    transaction.as_state(prefix=b"key").set("count", 1)
    transaction.prepare()
    with pytest.raises(StateError) as raised:
        transaction.flush()
    assert raised.value.status == "FENCED"
    assert of_second["default"].begin().as_state(prefix=b"key").get("count") == 2
    second.close()
    first.close()


@pytest.mark.parametrize(
    "url, text", [("s3://no-such-bucket/state", "no-such-bucket"), ("x://y", "x://")]
)
def test_a_place_that_is_not_there_is_named(bucket, url, text):
    options = StoreOptions.from_slatedb(
        SlateDBOptions(store_url=url, max_retries=0, open_timeout=20)
    )
    store = SlateDBStore("default", "topic", "state/group", options=options)
    with pytest.raises(StateError, match=text):
        store.assign_partition(0)
