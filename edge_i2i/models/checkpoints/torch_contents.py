"""What a torch file says that it holds, read off its pickle before a byte of its tensors is: names, sizes, storages.

A pickle is a little program. This runs the few of its operations that state dicts are written with, on plain values:
nothing is imported, rebuilt or executed, and a tensor is a record of what is said of it. So what a file would cost is
known before torch reads it, and a file of a few hundred bytes that asks for gigabytes is refused.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_i2i.files.zip_directory import opened_zip
from edge_i2i.models.checkpoints.pickle_survey import (
    DATA_PICKLE,
    LEGACY_PICKLES,
    READING_ERRORS,
    BoundedStream,
    one_pickle,
)

_MARK = object()
_KEYS = (str, int, float, type(None))
_MOST_AXES = 64  # torch's own limit
_LARGEST = 2**63
_ITEM_BYTES: Mapping[str, int] = MappingProxyType(
    {
        **{"Untyped": 1, "Byte": 1, "Char": 1, "Bool": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4},
        **{"QInt8": 1, "QUInt8": 1, "QInt32": 4, "QUInt4x2": 1, "QUInt2x4": 1},
        **{"Long": 8, "Double": 8, "ComplexFloat": 8, "ComplexDouble": 16},
    }
)
_STORAGE = re.compile(r"torch\.(?:cuda\.|storage\.)?(\w+?)Storage")
_DICTS = frozenset({"collections.OrderedDict", "builtins.dict", "__builtin__.dict"})
_TENSORS = frozenset({"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"})
_TENSOR_V3 = "torch._utils._rebuild_tensor_v3"
_PARAMETERS = frozenset(
    {
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch.nn.parameter.Parameter",
        "torch.Tensor",
    }
)
_TYPED_TENSOR = "torch._tensor._rebuild_from_type_v2"


class UnreadableContentsError(ValueError):
    """The file is damaged."""


class StrangeContentsError(UnreadableContentsError):
    """The file, or its pickle, does what torch.save does for no state dict: says what, after "it was refused"."""


@dataclass(frozen=True)
class StorageRecord:
    """Numbers in a row somewhere in the file: ``count`` of ``kind`` (Float, Half, …), ``item_bytes`` each."""

    key: str
    kind: str
    count: int
    item_bytes: int

    @property
    def bytes(self) -> int:
        """How many bytes they take."""
        return self.count * self.item_bytes


@dataclass(frozen=True)
class TensorRecord:
    """What is said of a tensor: where in a storage it begins, its shape, and its strides in numbers."""

    storage: StorageRecord
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    item_bytes: int

    @property
    def count(self) -> int:
        """How many numbers it has."""
        product = 1
        for side in self.shape:
            product *= side
        return product

    @property
    def bytes(self) -> int:
        """How many bytes they take."""
        return self.count * self.item_bytes

    @property
    def fits(self) -> bool:
        """Whether each of its numbers has a place of its own in the storage (a view may leave some out)."""
        if self.offset < 0 or any(step < 0 for step in self.stride) or len(self.stride) != len(self.shape):
            return False
        reach = sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        end = self.offset + (reach + 1 if self.count else 0)
        room = self.storage.bytes // self.item_bytes
        return end <= room and self.count <= room


@dataclass(frozen=True)
class ObjectRecord:
    """Anything else that the pickle would make by a call: ``name`` is what is called."""

    name: str


@dataclass(frozen=True)
class _Name:
    """A class or a function that the pickle names."""

    name: str


@dataclass(frozen=True)
class TorchContents:
    """``value``: dicts, lists and plain values with records of tensors in them.

    ``names``: the classes and functions that it names. ``room``: how many bytes there are for tensors: of each storage
    by its key, or of all together.
    """

    value: object
    names: tuple[str, ...]
    storages: Mapping[str, StorageRecord]
    room: Mapping[str, int] | int

    @property
    def total_room(self) -> int:
        """Bytes that the file has for tensors in all."""
        return self.room if isinstance(self.room, int) else sum(self.room.values())

    def missing_storage(self) -> StorageRecord | None:
        """The first storage that is said to be larger than what the file has for it."""
        if isinstance(self.room, int):
            total = 0
            for storage in self.storages.values():
                total += storage.bytes
                if total > self.room:
                    return storage
            return None
        room = self.room
        return next((item for item in self.storages.values() if item.bytes > room.get(item.key, -1)), None)


def torch_contents(path: Path) -> TorchContents:
    """Read what a torch file of either format says of itself.

    Raises:
        StrangeContentsError: torch.save writes nothing like it for a state dict.
        UnreadableContentsError: it is damaged.
        OSError: it cannot be read.
    """
    try:
        return _of_zip(path) if _begins_as_zip(path) else _of_legacy_file(path)
    except READING_ERRORS as error:
        if isinstance(error, OSError | UnreadableContentsError):
            raise
        raise UnreadableContentsError(str(error)) from error


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _of_zip(path: Path) -> TorchContents:
    with opened_zip(path) as archive:
        members = archive.infolist()
        _check_members(members, archive.comment, path.stat().st_size)
        folder = members[0].filename.partition("/")[0]
        machine = _Machine()
        with archive.open(f"{folder}/{DATA_PICKLE}") as stream:
            value = machine.run(BoundedStream(stream))
    prefix = f"{folder}/data/"
    room = {item.filename.removeprefix(prefix): item.file_size for item in members if item.filename.startswith(prefix)}
    return TorchContents(value, tuple(machine.names), machine.storages, room)


def _check_members(members: Sequence[zipfile.ZipInfo], comment: bytes, size: int) -> None:
    """torch stores its records as they are, one after the other in one folder, and never two under one name."""
    names = [item.filename.lower() for item in members]
    if len(set(names)) < len(names) or len({name.partition("/")[0] for name in names}) != 1:
        raise StrangeContentsError("its records are not those of one torch file")
    if any(item.compress_type != zipfile.ZIP_STORED or item.compress_size != item.file_size for item in members):
        raise StrangeContentsError("its records are compressed, which torch.save never does")
    if comment or sum(item.file_size for item in members) > size:
        raise StrangeContentsError("its records are larger than the file")


def _of_legacy_file(path: Path) -> TorchContents:
    """Read a file in the format of torch before 1.6, or a bare pickle.

    Such a file holds pickles one after the other: a number that marks the format, the protocol, the system, the value,
    the storages' keys; then the storages' bytes.
    """
    machine, values = _Machine(), list[object]()
    with path.open("rb") as file:
        stream = BoundedStream(file)
        for _ in range(LEGACY_PICKLES):
            values.append(machine.run(stream))
            if len(values) == 1 and not isinstance(values[0], int):
                break  # a bare pickle, without torch's preface
        room = path.stat().st_size - file.tell()
    value = values[0] if len(values) == 1 else values[3]
    return TorchContents(value, tuple(machine.names), machine.storages, room)


@dataclass
class _Machine:
    """Runs the pickles of one file, one after the other; storages are remembered by their keys."""

    storages: dict[str, StorageRecord] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, stream: BoundedStream) -> object:
        """The value that is left when a pickle stops."""
        self.stack, self.memo = [], {}
        for operation, argument in one_pickle(stream):
            if operation == "STOP":
                break
            self._step(operation, argument)
        if len(self.stack) != 1:
            raise UnreadableContentsError("the pickle does not end with one value")
        return self.stack[0]

    def _step(self, operation: str, argument: Any) -> None:
        if operation in _PUSHED:
            self.stack.append(argument)
        elif operation in _CONSTANTS:
            self.stack.append(_CONSTANTS[operation])
        elif operation in _FRESH:
            self.stack.append(_FRESH[operation]())
        elif operation in _PUTS:
            self.memo[int(argument)] = self.stack[-1]
        elif operation in _GETS:
            self.stack.append(self.memo[int(argument)])
        elif operation in _STEPS:
            _STEPS[operation](self, argument)
        elif operation != "PROTO":
            raise StrangeContentsError(f"the operation {operation} has no place in a state dict")

    def _pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise UnreadableContentsError("the pickle is damaged")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise UnreadableContentsError("the pickle is damaged")
        return value

    def name(self, argument: Any) -> None:
        """Push the class or function that is named (GLOBAL)."""
        self.names.append(str(argument).replace(" ", "."))
        self.stack.append(_Name(self.names[-1]))

    def tuple_of(self, count: int | None) -> None:
        """Make a tuple of the last ``count`` values; None: of those behind the mark (TUPLE, TUPLE1 …)."""
        items = self._pop_to_mark() if count is None else [self._pop() for _ in range(count)][::-1]
        self.stack.append(tuple(items))

    def append(self, items: list[Any]) -> None:
        """Append the items to the list below them (APPEND, APPENDS)."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)

    def set_items(self, flat: list[Any]) -> None:
        """Put the keys and values, which take turns, into the dict below them (SETITEM, SETITEMS)."""
        target = self.stack[-1]
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise StrangeContentsError("a key of a dict is neither a text nor a number")
            if isinstance(target, dict):
                target[key] = value

    def call(self) -> None:
        """Push what a call would make, told from its name and arguments alone (REDUCE, NEWOBJ)."""
        arguments, called = self._pop(), self._pop()
        self.stack.append(_called(called, arguments))

    def stored(self) -> None:
        """Push the storage that is referred to (BINPERSID)."""
        saved = self._pop()
        if not isinstance(saved, tuple) or len(saved) < 5 or saved[0] != "storage":
            raise StrangeContentsError("it refers to something that is no storage")
        record = _storage(saved)
        if self.storages.setdefault(record.key, record) != record:
            raise StrangeContentsError("one storage is said to have two sizes")
        self.stack.append(record if len(saved) == 5 or saved[5] is None else _view(record, saved[5]))

    def two(self) -> list[Any]:
        """Take the last two values off the stack, the lower one first."""
        last = self._pop()
        return [self._pop(), last]


_PUSHED = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"})
_CONSTANTS: Mapping[str, object] = MappingProxyType(
    {"NONE": None, "NEWFALSE": False, "NEWTRUE": True, "EMPTY_TUPLE": (), "MARK": _MARK}
)
_FRESH: Mapping[str, Callable[[], object]] = MappingProxyType(
    {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": lambda: ObjectRecord("builtins.set")}
)
_PUTS, _GETS = frozenset({"BINPUT", "LONG_BINPUT"}), frozenset({"BINGET", "LONG_BINGET"})
_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = MappingProxyType(
    {
        "GLOBAL": _Machine.name,
        "TUPLE": lambda machine, _: machine.tuple_of(None),
        "TUPLE1": lambda machine, _: machine.tuple_of(1),
        "TUPLE2": lambda machine, _: machine.tuple_of(2),
        "TUPLE3": lambda machine, _: machine.tuple_of(3),
        "APPEND": lambda machine, _: machine.append([machine._pop()]),
        "APPENDS": lambda machine, _: machine.append(machine._pop_to_mark()),
        "SETITEM": lambda machine, _: machine.set_items(machine.two()),
        "SETITEMS": lambda machine, _: machine.set_items(machine._pop_to_mark()),
        "REDUCE": lambda machine, _: machine.call(),
        "NEWOBJ": lambda machine, _: machine.call(),
        "BINPERSID": lambda machine, _: machine.stored(),
        "BUILD": lambda machine, _: machine._pop(),  # attributes, as a state dict's _metadata
    }
)


def _storage(saved: tuple[Any, ...]) -> StorageRecord:
    _, kind, key, _, count = saved[:5]
    found = _STORAGE.fullmatch(kind.name) if isinstance(kind, _Name) else None
    if found is None or found[1] not in _ITEM_BYTES or not isinstance(key, str):
        raise StrangeContentsError("a storage is of a kind that is not known here")
    if type(count) is not int or count < 0:
        raise StrangeContentsError("a storage has no size")
    return StorageRecord(key, found[1], count, _ITEM_BYTES[found[1]])


def _view(record: StorageRecord, view: Any) -> StorageRecord:
    """A part of a storage, as torch before 0.4 wrote them: its own key, where it begins, how long it is."""
    whole = isinstance(view, tuple) and len(view) == 3 and all(type(number) is int for number in view[1:])
    if not whole or min(view[1:]) < 0 or view[1] + view[2] > record.count:
        raise StrangeContentsError("a part of a storage lies outside it")
    return replace(record, count=view[2])


def _called(called: Any, arguments: Any) -> object:
    name = called.name if isinstance(called, _Name | ObjectRecord) else type(called).__name__
    given = arguments if isinstance(arguments, tuple) else ()
    if name in _DICTS:
        return _ordered_dict(given)
    if name == "torch.Size" and len(given) == 1:
        return given[0]
    if name in _TENSORS and len(given) >= 4:
        return _tensor(given, item_bytes=None)
    if name == _TENSOR_V3 and len(given) >= 7:
        return _tensor(given, _bytes_of_dtype(given[6]))
    if name in _PARAMETERS and given and isinstance(given[0], TensorRecord | ObjectRecord):
        return given[0]
    if name == _TYPED_TENSOR and len(given) >= 3 and isinstance(given[0], _Name) and given[0].name != _TYPED_TENSOR:
        return _called(given[0], given[2])
    return ObjectRecord(name)


def _ordered_dict(given: tuple[Any, ...]) -> object:
    """A dict to be filled later; or, as Python 2 wrote it, one made of a list of pairs."""
    if not given:
        return {}
    pairs = given[0] if len(given) == 1 and isinstance(given[0], list) else None
    if pairs is None or any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise StrangeContentsError("a dict is not made of pairs")
    if any(not isinstance(key, _KEYS) for key, _ in pairs):
        raise StrangeContentsError("a key of a dict is neither a text nor a number")
    return {key: value for key, value in pairs}


def _tensor(given: tuple[Any, ...], item_bytes: int | None) -> TensorRecord:
    storage, offset, shape, stride = given[:4]
    whole = isinstance(shape, tuple) and isinstance(stride, tuple) and isinstance(storage, StorageRecord)
    if not whole or any(type(number) is not int for number in (offset, *shape, *stride)):
        raise StrangeContentsError("a tensor has no shape")
    if len(shape) > _MOST_AXES or any(not 0 <= side < _LARGEST for side in shape):
        raise StrangeContentsError("a tensor has no shape")
    return TensorRecord(storage, offset, shape, stride, item_bytes or storage.item_bytes)


def _bytes_of_dtype(dtype: Any) -> int:
    """The newer types have no storages of their own: they lie in plain bytes."""
    import torch

    found = getattr(torch, dtype.name.removeprefix("torch."), None) if isinstance(dtype, _Name) else None
    if not isinstance(found, torch.dtype):
        raise StrangeContentsError("a tensor is of a type that is not known here")
    return found.itemsize
