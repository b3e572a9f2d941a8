"""Runs each case on each backend, with what `expectations.py` says about those that differ."""

import pytest
from expectations import EXPECTATIONS
from harness import BACKENDS, DURABLE, Backend, why_missing


def pytest_collection_modifyitems(items):
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        name = params.get("backend") or params.get("durable")
        for expected in EXPECTATIONS:
            if expected.case in (item.originalname, item.name) and name in expected.backends:
                item.add_marker(expected.mark())


def _make(request, tmp_path):
    reason = why_missing(request.param)
    if reason is not None:
        pytest.skip(reason)
    made = Backend(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=BACKENDS)
def backend(request, tmp_path):
    yield from _make(request, tmp_path)


@pytest.fixture(params=DURABLE)
def durable(request, tmp_path):
    """Backends whose data outlives their partition."""
    yield from _make(request, tmp_path)


@pytest.fixture()
def partition(backend):
    return backend.partition()


@pytest.fixture()
def windowed(backend):
    return backend.partition("windowed")


@pytest.fixture()
def with_changelog(backend):
    return backend.partition(changelog=True)
