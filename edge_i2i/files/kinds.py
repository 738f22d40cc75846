"""What kind of file somebody gave, told from its first bytes: for a sentence that is true where it is the wrong one.

Nothing is unpacked, imported or executed, and a few kilobytes are read at most (of a zip, its list of names). Neither
torch nor numpy is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edge_i2i.files.zip_directory import ZIP_FAULTS, opened_zip

_HEAD = 4096  # bytes
_TAR_MARK = slice(257, 262)
_PICKLE_PROTOCOLS = frozenset(range(2, 6))
_LARGEST_SAFETENSORS_HEADER = 100_000_000  # bytes; the library's own limit
_BUNDLE_HEADER = "bundle.json"
_CHECKPOINT_SUFFIXES = (".pth", ".pt", ".pkl", ".ckpt", ".bin", ".safetensors", ".index")
_LISTED = 3

ARE_READ = "Checkpoints are .pth and .pt files of torch, .safetensors files, and TensorFlow's by their .index file."
_IN_ITS_CODE = "Load it in the code that it belongs to, and save net.state_dict() to a file with torch.save."
_UNPACK = "Unpack it, and give the checkpoint that is in it."


@dataclass(frozen=True)
class FileKind:
    """``what`` a file is, to be put behind "is", and what to do where a checkpoint is needed; or a bundle.

    ``maybe_bundle``: it is one, or has been, or looks like one so far. ``translatable``: a picture or a film.
    """

    what: str
    remedy: str = ARE_READ
    remedy_for_bundle: str = "Give the path of a .i2i bundle that 'edge-i2i export' wrote."
    maybe_bundle: bool = False
    translatable: bool = False


_MAKE_A_BUNDLE = (
    "'edge-i2i import FILE' says what it holds; 'edge-i2i export onnx --checkpoint FILE' makes a bundle of it."
)
TORCH = FileKind("a torch file", remedy_for_bundle=_MAKE_A_BUNDLE)
SAFETENSORS = FileKind("a safetensors file", remedy_for_bundle=_MAKE_A_BUNDLE)
CUT_ZIP = FileKind(
    "the beginning of a zip, cut off or damaged",
    "Download or copy it again and compare its size.",
    maybe_bundle=True,
)
BUNDLE = FileKind(
    "a finished bundle, not a checkpoint",
    "'edge-i2i inspect' shows what it is, 'translate' uses it.",
    maybe_bundle=True,
)
TORCHSCRIPT = FileKind(
    "a TorchScript archive: a compiled network, not its weights",
    "Load it with torch.jit.load in the code that wrote it and save net.state_dict() to a file.",
    "Load it with torch.jit.load, save net.state_dict(), and export that: edge-i2i export onnx --checkpoint FILE",
)


def _media(what: str) -> FileKind:
    return FileKind(
        what,
        "Give the network's file; pictures and films are translated with 'edge-i2i translate BUNDLE INPUT'.",
        "The bundle comes first: edge-i2i translate BUNDLE INPUT",
        translatable=True,
    )


_ONNX = FileKind(
    "an ONNX graph",
    "Give the checkpoint that it was exported from. " + ARE_READ,
    "Bundles are made of checkpoints: edge-i2i export onnx --checkpoint FILE",
)
_ENGINE = FileKind(
    "a TensorRT engine",
    "Give the checkpoint that it was built from. " + ARE_READ,
    "Give the bundle that it was built from; the engine beside it is found by itself.",
)
_BY_FORM: Mapping[bytes, FileKind] = MappingProxyType(
    {b"WEBP": _media("a picture (WebP)"), b"AVI ": _media("a film (AVI)"), b"WAVE": FileKind("a sound file")}
)
_EMPTY = FileKind("an empty file", "Download or copy it again.", "Download or copy it again.")
_PIPE = FileKind("a pipe or a device, not a file", "Copy it into a file first.", "Copy it into a file first.")
_KERAS = FileKind("a Keras file (HDF5)", "Networks of Keras are not read. " + ARE_READ)

_ONE_FILE = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
_CORE_ML = FileKind("a Core ML network", "Give the checkpoint that it was converted from. " + ARE_READ)
_OPENVINO = FileKind(
    "an OpenVINO network (.xml, with its .bin)",
    "Give the checkpoint that it was converted from. " + ARE_READ,
    "Bundles are made of checkpoints, and OpenVINO runs them: edge-i2i export onnx --checkpoint CHECKPOINT",
)
_SHARDS = FileKind(
    "the index of a checkpoint in several files", "Networks in several files are not read: save the generator in one."
)

_MAGIC: Sequence[tuple[bytes, FileKind]] = (
    (b"\x1f\x8b", FileKind("a file compressed with gzip", _UNPACK)),
    (b"BZh", FileKind("a file compressed with bzip2", _UNPACK)),
    (b"\xfd7zXZ\x00", FileKind("a file compressed with xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileKind("a file compressed with Zstandard", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7-Zip archive", _UNPACK)),
    (b"Rar!", FileKind("a RAR archive", _UNPACK)),
    (b"\x89HDF\r\n\x1a\n", _KERAS),
    (b"\x93NUMPY", FileKind("a NumPy array, not a state dict", _IN_ITS_CODE)),
    (b"\x89PNG", _media("a picture (PNG)")),
    (b"\xff\xd8\xff", _media("a picture (JPEG)")),
    (b"GIF8", _media("a picture (GIF)")),
    (b"II*\0", _media("a picture (TIFF)")),
    (b"MM\0*", _media("a picture (TIFF)")),
    (b"\x1aE\xdf\xa3", _media("a film (Matroska or WebM)")),
    (b"%PDF", FileKind("a PDF document")),
    (b"GGUF", FileKind("a GGUF file, of language models")),
    (b"ptrt", _ENGINE),
    (b"ftrt", _ENGINE),
    (
        b"version https://git-lfs.github.com/spec/",
        FileKind("a Git LFS pointer: it names the file that it stands for", "Fetch the file itself with: git lfs pull"),
    ),
)


def file_kind(path: Path) -> FileKind | None:
    """What ``path`` is, a file or a folder; None where there is nothing, or nothing that is known here.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        return _folder_kind(path)
    if not path.exists():
        return None
    if not path.is_file():
        return _PIPE
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return _kind_by_head(path, head) if head else _EMPTY


def looks_like_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do: the length of a JSON object, then that object.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _begins_as_safetensors(file.read(9), path.stat().st_size)


def looks_like_torch(path: Path) -> bool:
    """Whether the file begins as torch's do: as a zip, or as a pickle of a protocol that has a mark.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(2)
    return head == b"PK" or (head[:1] == b"\x80" and head[1:] != b"" and head[1] in _PICKLE_PROTOCOLS)


def _begins_as_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= min(_LARGEST_SAFETENSORS_HEADER, size - 8)


def _folder_kind(path: Path) -> FileKind:
    if (path / _BUNDLE_HEADER).is_file():
        return BUNDLE
    index = path / "variables" / "variables.index"
    if (path / "saved_model.pb").is_file():
        remedy = f"Give {index} instead." if index.is_file() else "Its variables are missing: give the whole folder's."
        return FileKind("a SavedModel folder of TensorFlow", remedy)
    if (path / "Manifest.json").is_file() and path.suffix == ".mlpackage":
        return _CORE_ML
    if any(path.glob("data.pkl")) or any(path.glob("*/data.pkl")):
        return FileKind("a torch file that was unpacked", "Give the file itself, as it was before it was unpacked.")
    if (path / ".metadata").is_file() and any(path.glob("*.distcp")):
        return FileKind(
            "a distributed checkpoint of torch",
            f"If you trust its origin, make one file of it: {_ONE_FILE} {path} G.pth",
        )
    return _plain_folder(path)


def _plain_folder(path: Path) -> FileKind:
    found = sorted(file.name for file in path.iterdir() if file.suffix in _CHECKPOINT_SUFFIXES)
    if not found:
        return FileKind("a folder without a checkpoint in it" if any(path.iterdir()) else "an empty folder")
    remedy = f"It holds {_some(found)}: make a bundle with edge-i2i export onnx --checkpoint {path / found[0]}"
    return FileKind("a folder", f"Give one file of it. It holds {_some(found)}.", remedy)


def _kind_by_head(path: Path, head: bytes) -> FileKind | None:
    if head[:2] == b"PK":
        return _zip_kind(path)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if _begins_as_safetensors(head, path.stat().st_size):
        return SAFETENSORS
    if looks_like_torch(path):
        return TORCH
    if head[_TAR_MARK] == b"ustar":
        return _tar_kind(head)
    return _media_kind(head) or _network_kind(path, head) or _text_kind(head)


def _media_kind(head: bytes) -> FileKind | None:
    if head[:4] == b"RIFF":
        return _BY_FORM.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _media("a film or a picture (of the MP4 family)")
    return _media("a picture (BMP)") if head[:2] == b"BM" and head[6:10] == bytes(4) else None


def _network_kind(path: Path, head: bytes) -> FileKind | None:
    if path.suffix == ".mlmodel":
        return _CORE_ML
    if head[4:8] == b"TFL3":
        return FileKind("a TensorFlow Lite network", "Give the checkpoint that it was converted from. " + ARE_READ)
    if path.suffix == ".onnx" or _begins_as_onnx(head):
        return _ONNX
    return None


def _zip_kind(path: Path) -> FileKind:
    try:
        with opened_zip(path) as archive:
            names = archive.namelist()
    except ZIP_FAULTS:
        return CUT_ZIP
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        return TORCHSCRIPT
    if "data.pkl" in inner:
        return TORCH
    if _BUNDLE_HEADER in names:
        return BUNDLE
    if "model.weights.h5" in names:
        return FileKind("a Keras file", _KERAS.remedy)
    if names and all(name.endswith(".npy") for name in names):
        return FileKind("a file of NumPy arrays (.npz), not a state dict", _IN_ITS_CODE)
    if inner & {"archive_format", ".ARCHIVE_FORMAT", "archive_version"} or "archive_format" in names:
        return FileKind("a network that torch.export saved, not its weights", _IN_ITS_CODE)
    return _plain_zip(names)


def _plain_zip(names: Sequence[str]) -> FileKind:
    """Some other zip, which a bundle may be that has lost its header."""
    what = "a zip archive, not a file that torch.save wrote"
    real = [name for name in names if not name.startswith("__MACOSX/")]
    found = [name for name in real if name.endswith(_CHECKPOINT_SUFFIXES)]
    if found:
        then = " Then make a bundle: edge-i2i export onnx --checkpoint CHECKPOINT"
        return FileKind(what, f"{_UNPACK} It holds {_some(found)}.", f"{_UNPACK} It holds {_some(found)}.{then}")
    listed = f"It holds no checkpoint, but {_some(real)}. " if real else "There is nothing in it. "
    return FileKind(what, listed + ARE_READ, maybe_bundle=True)


def _tar_kind(head: bytes) -> FileKind:
    if head.startswith((b"sys_info\0", b"pickle\0", b"storages\0", b"tensors\0")):
        return FileKind(
            "a torch file in the tar format of torch 0.1, which cannot be read without executing it",
            "If you trust its origin, load it with torch.load(weights_only=False) and save it again.",
        )
    return FileKind("a tar archive", _UNPACK)


def _begins_as_onnx(head: bytes) -> bool:
    """A protobuf whose first fields are a small ``ir_version`` and a short ``producer_name`` (or the version alone)."""
    return re.match(rb"\x08[\x03-\x20](\x12[\x01-\x20][ -~]+|:)", head) is not None


def _text_kind(head: bytes) -> FileKind | None:
    if head and not head.strip(b"\0"):
        return FileKind(
            "all zero bytes at its beginning, as an interrupted copy leaves it", "Download or copy it again."
        )
    try:
        text = head[:512].decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if not text or any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text):
        return None
    if re.match(r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<net[\s>]", text, re.DOTALL):
        return _OPENVINO
    if text.startswith("{") and b'"weight_map"' in head:
        return _SHARDS
    if re.match(r"(<\?xml[^>]*>\s*)<(?!!doctype html|html)", text, re.IGNORECASE):
        return FileKind(
            f"an XML text, which begins with {text.splitlines()[0][:40]!r}",
            "If it was downloaded, it may say why the file was not sent: read it. " + ARE_READ,
        )
    if re.match(r"<(!doctype html|html|head|\?xml|!--)", text, re.IGNORECASE):
        return FileKind(
            "a web page, not the file that it speaks of",
            "Download the file itself: the page may ask for a login, or say why the file was not sent.",
        )
    return FileKind(f"a text file, which begins with {text.splitlines()[0][:40]!r}")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown
