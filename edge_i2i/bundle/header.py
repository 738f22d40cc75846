"""``bundle.json`` and ``bundle.sha256``: a manifest to bytes and back, with every doubt turned into a BundleError."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

from pydantic import ValidationError

from edge_i2i.bundle.manifest import SCHEMA_VERSION, Manifest
from edge_i2i.bundle.paths import DIGEST_NAME, HEADER_NAME
from edge_i2i.errors import BundleError

LARGEST_HEADER = 1 << 20  # bytes; a manifest with a hundred measurements takes about 60 KiB
DEEPEST_JSON = 64  # brackets inside brackets; a real manifest has 8
LARGEST_DIGEST = 256  # bytes; the one line takes 78

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]')  # strings are passed over

UPGRADE = "pip install -U edge-i2i"
GET_AGAIN = "Copy or download the bundle again, or export it again."


def encode_header(manifest: Manifest) -> bytes:
    """The bytes of ``bundle.json``: UTF-8, sorted keys; equal manifests give equal bytes.

    Raises:
        BundleError: the manifest is larger than any reader accepts (1 MiB).
    """
    text = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    data = (text + "\n").encode()
    if len(data) > LARGEST_HEADER:
        raise BundleError(
            f"The manifest of '{manifest.name}' takes {len(data):,} bytes; {HEADER_NAME} may have {LARGEST_HEADER:,}.",
            remedy="Keep fewer measurements in the bundle, or put large configuration values into a file of their own.",
        )
    return data


def encode_digest(header: bytes) -> bytes:
    """The bytes of ``bundle.sha256``, as ``sha256sum bundle.json`` prints them."""
    return f"{hashlib.sha256(header).hexdigest()}  {HEADER_NAME}\n".encode()


def decode_header(header: bytes, digest: bytes, bundle: Path) -> Manifest:
    """Read ``bundle.json``, after holding it against ``bundle.sha256``.

    Args:
        header: the bytes of ``bundle.json``, at most ``LARGEST_HEADER``.
        digest: the bytes of ``bundle.sha256``: the one line that ``encode_digest`` makes of ``header``.
        bundle: where the bundle lies, for messages.

    Raises:
        BundleError: the header is damaged, is not a manifest, or is newer than this software.
    """
    if digest != encode_digest(header):
        raise BundleError(
            f"'{bundle}' is damaged: its {HEADER_NAME} does not match its {DIGEST_NAME}.",
            remedy=f"{GET_AGAIN} If you edited {HEADER_NAME} yourself, run there: "
            f"sha256sum {HEADER_NAME} > {DIGEST_NAME}",
        )
    _check_version(_parse(header, bundle), bundle)
    try:
        return Manifest.model_validate_json(header, strict=True)
    except ValidationError as error:
        raise BundleError(
            f"The {HEADER_NAME} of '{bundle}' is not a valid manifest: {explain(error)}.",
            remedy=f"Export the bundle again; if it comes from a newer edge-i2i: {UPGRADE}",
        ) from error


def explain(error: ValidationError) -> str:
    """The first three faults that pydantic found, each with its place in the manifest."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: {fault['msg']}" for fault in faults[:3]]
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return "; ".join(told) + more


def _parse(header: bytes, bundle: Path) -> object:
    try:
        text = header.decode("utf-8")
        _refuse_depth(text)
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"The {HEADER_NAME} of '{bundle}' cannot be read as JSON: {error}.", remedy=GET_AGAIN
        ) from error


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Parsers disagree on which of two equal keys counts, so what was checked might not be what is used."""
    found = dict(pairs)
    if len(found) != len(pairs):
        ((key, count),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {key!r} is there {count} times")
    return found


def _refuse_depth(text: str) -> None:
    """Parsers go into brackets by calling themselves, and each ends at a depth of its own, some by crashing."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST_JSON:
        raise ValueError(f"it is {deepest} levels deep; at most {DEEPEST_JSON} are read")


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def _check_version(parsed: object, bundle: Path) -> None:
    version = parsed.get("schema_version") if isinstance(parsed, dict) else None
    if type(version) is not int or version < 1:
        raise BundleError(
            f"'{bundle}' is not an edge-i2i bundle: its {HEADER_NAME} has no schema_version.",
            remedy="Give the path of a bundle that 'edge-i2i export' wrote.",
        )
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"'{bundle}' has schema version {version}; this edge-i2i reads up to version {SCHEMA_VERSION}.",
            remedy=UPGRADE,
        )
