"""Which stored engines are ours: a description carries a seal that only this user's key makes.

An engine is program code for the GPU, and for the processor, too, where it is version-compatible. It lies beside its
bundle, so whoever sends a folder could send one along; checksums would fit, and TensorRT would run it. The key is made
once and lies in the user's own data folder.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from edge_i2i.errors import EdgeI2IError
from edge_i2i.files.whole import replacing

_KEY_BYTES = 32


def seal_of(message: bytes) -> str:
    """This user's seal of a message, in hexadecimal; the first one makes the key.

    Raises:
        EdgeI2IError: the key cannot be written, or is no key.
    """
    return hmac.new(_key(), message, hashlib.sha256).hexdigest()


def is_ours(message: bytes, seal: str) -> bool:
    """Whether this user sealed the message; nothing is ours where there is no key yet."""
    return key_file().exists() and hmac.compare_digest(seal_of(message), seal)


def key_file() -> Path:
    """Where the key lies: ``$XDG_DATA_HOME/edge-i2i/engines.key``, or the system's place for such data."""
    from platformdirs import user_data_path

    return user_data_path("edge-i2i", appauthor=False) / "engines.key"


def _key() -> bytes:
    path = key_file()
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise EdgeI2IError(
            f"The key that marks engines as yours cannot be kept in {path}: {error.strerror or error}.",
            remedy="Make its folder writable, or set XDG_DATA_HOME to one that is.",
        ) from error
    if len(key) != _KEY_BYTES:
        raise EdgeI2IError(f"{path} holds no key.", remedy="Remove it; engines are then built again.")
    return key


def _make(path: Path) -> None:
    """Another process may make one at the same time, and the first stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, private=True, first_stays=True) as unfinished:
        unfinished.write_bytes(secrets.token_bytes(_KEY_BYTES))
