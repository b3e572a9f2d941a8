from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple, Type

WEIR_VERSION: str

class WeirError(RuntimeError):
    status: str

def configure(
    *,
    errors: Dict[str, Type[WeirError]] = ...,
    statuses: Tuple[Any, Any, Any, Any] = ...,
    dumps: Optional[Callable[[Any], bytes]] = ...,
    loads: Optional[Callable[[bytes], Any]] = ...,
    orjson_dumps: Optional[Callable[..., bytes]] = ...,
    orjson_loads: Optional[Callable[[bytes], Any]] = ...,
    orjson_option: Optional[int] = ...,
    log: Optional[Callable[[int, str, str], None]] = ...,
) -> None: ...
def set_log_level(level: int) -> None: ...
def find_backend(name: str) -> None: ...

class Items(Iterator[Tuple[bytes, bytes]]):
    def __next__(self) -> Tuple[bytes, bytes]: ...

class Partition:
    def __init__(
        self,
        state_dir: str,
        group: str,
        store: str,
        stream_id: Optional[str],
        partition: int,
        backend: Optional[str],
        options: Dict[str, str] = ...,
        changelog: Optional[str] = None,
        kind: int = 0,
        grace_ms: int = -1,
        keep_duplicates: bool = False,
        cache_bytes: int = -1,
    ) -> None: ...
    def close(self) -> None: ...
    def push(
        self,
        key: bytes,
        value: Optional[bytes],
        cf_name: str,
        offset: int,
        ttl_stamped: bool = False,
    ) -> int: ...
    def push_offset(self, offset: int) -> None: ...
    def apply(self) -> None: ...
    def changelog_offset(self) -> Optional[int]: ...
    def get(self, key: bytes, cf_name: str = "default") -> Optional[bytes]: ...
    def items(
        self,
        lower_bound: Optional[bytes] = None,
        upper_bound: Optional[bytes] = None,
        backwards: bool = False,
        cf_name: str = "default",
    ) -> Items: ...
    def stats(self) -> Mapping[str, int]: ...
    @property
    def path(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def closed(self) -> bool: ...

class Transaction:
    def __init__(
        self,
        partition: Partition,
        dumps: Callable[[Any], bytes],
        loads: Callable[[bytes], Any],
        producer: Any = None,
        state_class: Type["State"] = ...,
    ) -> None: ...
    def get(
        self,
        key: Any,
        prefix: bytes,
        default: Any = None,
        cf_name: str = "default",
        timestamp: Optional[int] = None,
    ) -> Any: ...
    def get_bytes(
        self,
        key: Any,
        prefix: bytes,
        default: Optional[bytes] = None,
        cf_name: str = "default",
        timestamp: Optional[int] = None,
    ) -> Optional[bytes]: ...
    def set(
        self,
        key: Any,
        value: Any,
        prefix: bytes,
        cf_name: str = "default",
        timestamp: Optional[int] = None,
        ttl: Any = None,
    ) -> None: ...
    def set_bytes(
        self,
        key: Any,
        value: bytes,
        prefix: bytes,
        cf_name: str = "default",
        timestamp: Optional[int] = None,
        ttl: Any = None,
    ) -> None: ...
    def delete(self, key: Any, prefix: bytes, cf_name: str = "default") -> None: ...
    def exists(
        self,
        key: Any,
        prefix: bytes,
        cf_name: str = "default",
        timestamp: Optional[int] = None,
    ) -> bool: ...
    def items(
        self,
        lower_bound: Optional[bytes] = None,
        upper_bound: Optional[bytes] = None,
        backwards: bool = False,
        cf_name: str = "default",
    ) -> Items: ...
    def as_state(self, prefix: Any = b"", timestamp: Optional[int] = None) -> "State": ...
    def prepare_changes(
        self, processed_offsets: Optional[Mapping[str, int]], processed_header: bytes
    ) -> None: ...
    def flush(self, changelog_offset: Optional[int] = None) -> None: ...
    def fail(self) -> None: ...
    @property
    def status(self) -> Any: ...
    @property
    def failed(self) -> bool: ...
    @property
    def completed(self) -> bool: ...
    @property
    def prepared(self) -> bool: ...
    @property
    def changed(self) -> bool: ...

class State:
    def __init__(
        self, transaction: Transaction, prefix: Any = b"", timestamp: Optional[int] = None
    ) -> None: ...
    def get(self, key: Any, default: Any = None) -> Any: ...
    def get_bytes(self, key: Any, default: Optional[bytes] = None) -> Optional[bytes]: ...
    def set(self, key: Any, value: Any, ttl: Any = None) -> None: ...
    def set_bytes(self, key: Any, value: bytes, ttl: Any = None) -> None: ...
    def delete(self, key: Any) -> None: ...
    def exists(self, key: Any) -> bool: ...
    @property
    def _transaction(self) -> Transaction: ...
    @property
    def _prefix(self) -> bytes: ...
    @property
    def _timestamp(self) -> Optional[int]: ...
