"""The versions of Quix Streams whose seams this adapter was tested with."""

from importlib import metadata

__all__ = ("SUPPORTED", "check_version")

SUPPORTED = ("3.26", "3.27", "3.28")


def check_version() -> None:
    """
    :raises ImportError: quixstreams is missing, or of a version that is not supported
    """
    newest = int(SUPPORTED[-1].split(".")[1])
    wanted = (
        f"install one of {', '.join(SUPPORTED)}: "
        f'pip install "quixstreams>={SUPPORTED[0]},<3.{newest + 1}"'
    )
    try:
        found = metadata.version("quixstreams")
    except metadata.PackageNotFoundError:
        raise ImportError(f"weirstreams.quix needs quixstreams; {wanted}") from None
    if ".".join(found.split(".")[:2]) not in SUPPORTED:
        raise ImportError(f"weirstreams.quix does not support quixstreams {found}; {wanted}")
