"""State of a running application is taken over, and given back: by changelogs, and in place."""

import os
import subprocess
from pathlib import Path

import pytest
from harness import Backend
from older import fill, verify
from quixstreams.state.exceptions import IncompatibleStateStoreError

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"plain": {}, "windowed": {}, "timestamped": {"grace_ms": 30}}


def partitions_of(backend, **arguments):
    return [backend.partition(kind, name=kind, **own, **arguments) for kind, own in KINDS.items()]


def changelogs_of(backend):
    """Fills stores; the messages of each."""
    made = {}
    for number, (kind, own) in enumerate(KINDS.items()):
        backend.kafka.log.clear()
        partition = backend.partition(kind, name=kind, changelog=True, **own)
        # `fill` takes all kinds: the others are written elsewhere.
        others = partitions_of(Backend(backend.name, backend.folder / f"others-of-{kind}"))
        others[number] = partition
        fill(*others)
        made[kind] = backend.kafka.messages
    return made


def rebuild(backend, changelogs):
    made = []
    for kind, own in KINDS.items():
        partition = backend.partition(kind, name=f"{kind}-rebuilt", changelog=True, **own)
        for message in changelogs[kind]:
            cf_name = dict(message.headers())["__column_family__"].decode()
            partition.recover_from_changelog_message(
                key=message.key(), value=message.value(), cf_name=cf_name, offset=message.offset()
            )
        partition.complete_recovery()
        made.append(partition)
    return made


@pytest.fixture()
def original(tmp_path):
    made = Backend("quix", tmp_path / "original")
    yield made
    made.close()


def test_state_is_taken_over_from_changelogs(backend, original):
    verify(*rebuild(backend, changelogs_of(original)))


def test_state_is_given_back_by_changelogs(backend, original):
    verify(*rebuild(original, changelogs_of(backend)))


def test_changelogs_have_the_same_messages(backend, original):
    def content(changelogs):
        return {
            kind: sorted((m.key(), m.value() or b"", sorted(m.headers())) for m in messages)
            for kind, messages in changelogs.items()
        }

    assert content(changelogs_of(backend)) == content(changelogs_of(original))


# --- Folders of RocksDB ---


def older(version, folder, action):
    """Runs another Quix Streams, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONPATH")}
    command = [str(ROOT / "scripts" / "python-env"), "--quix", version, "python"]
    program = str(Path(__file__).with_name("older.py"))
    ended = subprocess.run(
        [*command, program, str(folder), action], env=environment, capture_output=True, text=True
    )
    if ended.returncode == 77:
        pytest.skip(ended.stderr)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("version", ["3.25.0", "3.28.1"])
def test_folders_are_opened_in_place_or_refused_unharmed(tmp_path, version):
    """
    Which of both depends on the RocksDB that Weir was built with; WEIR_OPENS_IN_PLACE says that
    it has to open them.
    """
    backend = Backend("rocksdb", tmp_path)
    older(version, backend.folder, "write")
    try:
        partitions = partitions_of(backend, changelog=True)
    except IncompatibleStateStoreError as refused:
        assert "WEIR_OPENS_IN_PLACE" not in os.environ
        assert "written by a newer RocksDB" in str(refused)
        assert "empty state folder" in str(refused)
    else:
        verify(*partitions)
        with partitions[0].begin() as transaction:
            transaction.set("new", "of Weir", prefix=b"another")
    backend.close()
    older(version, backend.folder, "verify")


def test_folders_of_weir_are_opened_in_place(tmp_path):
    backend = Backend("rocksdb", tmp_path)
    fill(*partitions_of(backend))
    backend.close()
    older("3.25.0", backend.folder, "verify")
    older("3.28.1", backend.folder, "verify")
