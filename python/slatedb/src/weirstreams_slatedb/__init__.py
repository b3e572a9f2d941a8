"""The SlateDB backend of weirstreams: a library that Weir loads."""

from pathlib import Path

__all__ = ("LIBRARY",)

LIBRARY = str(Path(__file__).parent / "libweir_slatedb.so")
