"""The names of a bundle's own files, and which paths may stand inside a bundle."""

from __future__ import annotations

SUFFIX = ".i2i"
HEADER_NAME = "bundle.json"
DIGEST_NAME = "bundle.sha256"
GOLDEN_NAME = "golden.npz"
RESERVED_NAMES = frozenset({HEADER_NAME, DIGEST_NAME})

LONGEST_PATH = 200  # characters; leaves room under Windows' 260 for the folder that the bundle is unpacked in


def graph_path(graph: str, variant: str) -> str:
    """Where a variant of a graph is stored inside a bundle."""
    return f"graphs/{graph}.{variant}.onnx"


def unsafe_because(path: str) -> str | None:
    """Why ``path`` may not be used inside a bundle, or None where it may.

    A path is relative, in POSIX form, already normalised, and means the same file on every operating system.

    >>> unsafe_because("graphs/frame.fp32.onnx") is None
    True
    >>> unsafe_because("../secret")
    'points outside the bundle'
    """
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return "points outside the bundle"
    if not path.isprintable() or any(character in path for character in "\\:"):
        return "holds a backslash, a colon or a control character, which can point outside the bundle"
    if any(not part or part.endswith((".", " ")) for part in parts):
        return "is not written in its plain form (an empty part, or one that ends with a dot or a space)"
    if len(path) > LONGEST_PATH:
        return f"is longer than {LONGEST_PATH} characters"
    return None
