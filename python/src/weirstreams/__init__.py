"""Weir's state backends for Python.

``weirstreams.quix`` holds the adapter for Quix Streams. This package alone has the C extension
(``weirstreams._native``), its errors, and where backends are found.
"""

from ._native import WEIR_VERSION, WeirError
from .backends import backend_spec

__all__ = ("WEIR_VERSION", "WeirError", "__version__", "backend_spec")

__version__ = "0.1.0"
