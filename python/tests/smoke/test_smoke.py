"""
The quick look, for one who has just installed the package; not collected by default:

    pytest -q tests/smoke -k slatedb
"""

import pytest

from weirstreams.quix import StateStoreManager


@pytest.mark.parametrize("backend", ["rocksdb", "slatedb", "memory"])
def test_state_is_kept(backend, tmp_path):
    for expected in (0, 5):
        with StateStoreManager("group", tmp_path, state_backend=backend) as manager:
            manager.register_store("topic", "default")
            manager.register_windowed_store("topic", "windows")
            stores = manager.on_partition_assign("topic", 0, committed_offsets={})
            with stores["default"].begin() as transaction:
                state = transaction.as_state(prefix=b"key")
                if backend != "memory":
                    assert state.get("total", default=0) == expected
                state.set("total", 5)
                assert state.get("total") == 5
            with stores["windows"].begin() as transaction:
                state = transaction.as_state(prefix=b"key")
                state.update_window(0, 1000, value=1, timestamp_ms=1)
                state.update_window(1000, 2000, value=2, timestamp_ms=1001)
                expired = [window for window, *_ in state.expire_windows(0)]
                assert expired == ([(0, 1000)] if expected == 0 or backend == "memory" else [])
