"""Names of backends, as an application gives them, and what Weir opens them by."""

import importlib
import re
from typing import Dict

from . import _native

__all__ = ("backend_spec",)

# Backends that come as a package of their own, which knows the path of its shared library.
_PLUGIN_PACKAGES: Dict[str, str] = {"slatedb": "weirstreams_slatedb"}

_DECORATORS = re.compile(r"((?:[a-z0-9_]+:)*)(.*)", re.DOTALL)


def backend_spec(name: str) -> str:
    """
    What Weir opens the backend by: its name, or the path of its plugin.

    Decorators stay in front: ``trace:slatedb``.

    :raises ModuleNotFoundError: the backend is a plugin that is not installed
    :raises weirstreams.WeirError: there is no backend of this name, or its library is refused
    """
    decorators, plain = _DECORATORS.match(name).groups()  # type: ignore[union-attr]
    package = _PLUGIN_PACKAGES.get(plain)
    if package is None:
        _native.find_backend(plain)
        return name
    try:
        path: str = importlib.import_module(package).LIBRARY
    except ModuleNotFoundError:
        # Where Weir itself is installed, its plugin folder may have it.
        try:
            _native.find_backend(plain)
        except _native.WeirError as exc:
            if exc.status != "NOT_FOUND":
                raise
            raise ModuleNotFoundError(
                f'The state backend "{plain}" is not installed: pip install "weirstreams[{plain}]"',
                name=package,
            ) from None
        return name
    _native.find_backend(path)
    return decorators + path
