"""The entries of a checkpoint: dicts of state dicts as one, what is no tensor by name, and what wrappers added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge_i2i.errors import CheckpointError
from edge_i2i.files.kinds import looks_like_safetensors
from edge_i2i.models.checkpoints.torch_contents import ObjectRecord, TensorRecord, TorchContents, torch_contents

if TYPE_CHECKING:
    from edge_i2i.models.weights import StateDict

_MOST_ENTRIES = 100_000  # a training checkpoint of the largest of our networks has some thousands
_DEEPEST = 16
_LONGEST_KEY = 1000
_NAMED = 5
_MOST_SHARING = 2  # a layer may stand under two names; more would cost more than the file holds
_SMALL_TENSOR = 1 << 20  # bytes; one that is said to be there and is not may be a cut, or a trick: a large one is

_OPTIMIZER = frozenset({"state", "param_groups"})
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_AVERAGED = "n_averaged"  # what torch's AveragedModel keeps beside ``module.``
GET_FROM_ELSEWHERE = "Do not use this file, unless it is only damaged; get it again from a source that you trust."
_DENSE = "Save them as plain tensors in the code that wrote the file, for example with tensor.to_dense()."
_KINDS: Mapping[str, tuple[str, str]] = {
    "torch._utils._rebuild_sparse_tensor": ("a sparse tensor", _DENSE),
    "torch._utils._rebuild_sparse_csr_tensor": ("a sparse tensor", _DENSE),
    "torch._utils._rebuild_meta_tensor_no_storage": (
        "a tensor without values, of the meta device",
        "Nothing can be made of it: save net.state_dict() of a network whose weights were loaded.",
    ),
    "torch._utils._rebuild_qtensor": (
        "a quantized tensor",
        "Save the network from before it was quantized; or tensor.dequantize() in the code that wrote the file.",
    ),
    "torch._utils._rebuild_nested_tensor": ("a nested tensor", _DENSE),
}

Leaf = TypeVar("Leaf")


class MixedEntriesError(CheckpointError):
    """A checkpoint has other entries beside ``tensors`` by name: the state of a training run, say.

    ``odd_names``: the outermost names under which they stand.

    Args:
        path: the checkpoint.
        value: its outermost dict, as the file has it.
        tensors: its tensors, by their whole names.
        odd: whole names of the entries that are not tensors by name.
    """

    def __init__(
        self, path: Path, value: Mapping[Any, Any], tensors: Mapping[str, TensorRecord], odd: list[str]
    ) -> None:
        named = ", ".join(key[:80] for key in odd[:_NAMED])
        more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
        super().__init__(
            f"{path} is not a plain state dict: these entries are not tensors by name: {named}{more}."
            + ("" if tensors else " It holds no others, and so no network."),
            remedy=_save_a_part(path, list(_plain_parts(value, "", 0))[:_NAMED], tensors),
        )
        self.checkpoint, self.tensors = path, tensors
        self.odd_names = tuple(
            name for name in value if any(key == f"{name}" or key.startswith(f"{name}.") for key in odd)
        )


def _save_a_part(path: Path, parts: list[str], tensors: Mapping[str, TensorRecord]) -> str:
    if not tensors:
        return "Give the file of the generator itself: training often writes it beside this one."
    if not parts:
        return "Save the generator's state_dict() alone to a file."
    return (
        f"Of its parts, {', '.join(parts)} hold tensors by name alone. Save the generator's; if that is {parts[0]}: "
        f"torch.save(torch.load({str(path)!r}, map_location='cpu'){parts[0]}, 'G.pth')"
    )


def flat_entries(value: Mapping[Any, Any], path: Path) -> list[tuple[str, Any]]:
    """Dicts of state dicts as one: ``{"a": {"w": …}}`` → ``a.w``, …; what has no name, and optimizers, with None.

    Raises:
        CheckpointError: they are nested deeper, or are more, than any network's: dicts that hold each other, say.
    """
    found: list[tuple[str, Any]] = []
    for entry in _walk(value, "", 0, path):
        found.append(entry)
        check_count(len(found), path)
    return found


def _walk(value: Mapping[Any, Any], prefix: str, depth: int, path: Path) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise _refused(path, f"its dicts are nested more than {_DEEPEST} deep")
    for name, inner in value.items():
        key = f"{prefix}{name}"
        check_key(key, path)
        if not isinstance(name, str) or (isinstance(inner, dict) and inner.keys() == _OPTIMIZER):
            yield key, None
        elif isinstance(inner, dict) and inner:
            yield from _walk(inner, f"{key}.", depth + 1, path)
        else:
            yield key, inner


def check_key(key: str, path: Path) -> None:
    """Accept a name that can stand in a sentence.

    Raises:
        CheckpointError: it is longer than any network's, or would forge a line or move the cursor.
    """
    if len(key) > _LONGEST_KEY:
        raise _refused(path, f"a name in it is longer than {_LONGEST_KEY} letters")
    if not key.isprintable():
        raise _refused(path, f"a name in it has characters that cannot be shown: {key[:80]!a}")


def check_count(count: int, path: Path) -> None:
    """Accept as many entries as a network may have.

    Raises:
        CheckpointError: there are more entries than any network has.
    """
    if count > _MOST_ENTRIES:
        raise _refused(path, f"it has more than {_MOST_ENTRIES:,} entries, far more than any network")


def check_contents(contents: TorchContents, path: Path) -> None:
    """Accept what a torch file says of itself: tensors by name that lie in the file, and cost what they hold.

    Raises:
        MixedEntriesError: among its entries are others than tensors by name.
        CheckpointError: it holds something else.
    """
    value = contents.value
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path} holds {_kind(value)}, not a state dict.", remedy="Save net.state_dict() to a file."
        )
    if not value:
        raise CheckpointError(
            f"{path} holds no tensors: it is an empty dict.", remedy="Save net.state_dict() to a file."
        )
    if value.keys() == _OPTIMIZER:
        raise CheckpointError(
            f"{path} holds the state of an optimizer, which only training needs.",
            remedy="Give the file of the generator itself.",
        )
    entries = flat_entries(value, path)
    tensors = {key: inner for key, inner in entries if isinstance(inner, TensorRecord)}
    odd = [(key, inner) for key, inner in entries if not isinstance(inner, TensorRecord)]
    _refuse_unreadable(path, odd)
    _check_sizes(contents, tensors, path)
    if odd:
        raise MixedEntriesError(path, value, tensors, [key for key, _ in odd])


def _check_sizes(contents: TorchContents, tensors: Mapping[str, TensorRecord], path: Path) -> None:
    outside = [key for key, tensor in tensors.items() if not tensor.fits]
    if outside:
        raise _refused(path, f"the tensor {outside[0][:80]} is said to have more values than are stored for it")
    short = contents.missing_storage()
    if short is not None:
        raise CheckpointError(
            f"{path} is cut off or damaged: it is said to hold {short.bytes:,} bytes that are not in it.",
            remedy="Download or copy it again and compare its size.",
        )
    if sum(tensor.bytes for tensor in tensors.values()) > _MOST_SHARING * contents.total_room + _SMALL_TENSOR:
        raise _refused(path, "its tensors share so many of their values that they would take far more than the file")


def _refuse_unreadable(path: Path, odd: list[tuple[str, Any]]) -> None:
    """Tensors by name, but of a kind that has no plain numbers in the file."""
    kinds = {
        key[:80]: _KINDS[inner.name] for key, inner in odd if isinstance(inner, ObjectRecord) and inner.name in _KINDS
    }
    if kinds and len(kinds) == len(odd):
        key, (kind, remedy) = next(iter(kinds.items()))
        raise CheckpointError(f"{path} is not read: {key} is {kind}.", remedy=remedy)


def _plain_parts(value: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[str]:
    """The dicts in a training checkpoint that are state dicts, as they are written in Python: ``['model']['G']``."""
    for name, inner in value.items():
        if not isinstance(inner, dict) or not isinstance(name, str) or depth > 3 or inner.keys() == _OPTIMIZER:
            continue
        if inner and all(isinstance(item, TensorRecord) and isinstance(key, str) for key, item in inner.items()):
            yield f"{prefix}[{name[:80]!r}]"
        else:
            yield from _plain_parts(inner, f"{prefix}[{name[:80]!r}]", depth + 1)


def save_part_command(path: Path, part: str, output: str) -> str:
    """A line of Python that saves one of a checkpoint's networks alone.

    Args:
        path: the checkpoint, a torch or a safetensors file.
        part: the network's name among the keys, without what wrappers put there: ``netG``.
        output: the name of the file that the line would write.
    """
    value: Any
    if looks_like_safetensors(path):
        source, value = f"safetensors.torch.load_file({str(path)!r})", dict.fromkeys(_safetensors_keys(path))
    else:
        source, value = f"torch.load({str(path)!r}, map_location='cpu')", torch_contents(path).value
    names = _written_name([key for key, _ in flat_entries(value, path)], part).split(".")
    while (step := _step_into(value, names)) is not None:
        source, value, names = f"{source}[{step!r}]", value[step], names[step.count(".") + 1 :]
    if names:
        prefix = f"{'.'.join(names)}."
        source = f"{{k.removeprefix({prefix!r}): v for k, v in {source}.items() if k.startswith({prefix!r})}}"
    return f"torch.save({source}, {output!r})"


def save_plain_command(error: MixedEntriesError, output: str) -> str:
    """A line of Python that saves a checkpoint without the entries that are not tensors by name."""
    source = f"torch.load({str(error.checkpoint)!r}, map_location='cpu')"
    return f"torch.save({{k: v for k, v in {source}.items() if k not in {error.odd_names!r}}}, {output!r})"


def _safetensors_keys(path: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return list(file.keys())


def _written_name(keys: list[str], part: str) -> str:
    """A part's name as the file has it: ``netG`` may stand there as ``module.netG``."""
    whole = next(key for key in keys if bare_key(key).startswith(f"{part}."))
    names = whole.split(".")
    return next(name for count in range(1, len(names)) if bare_key(name := ".".join(names[:count])) == part)


def _step_into(value: Any, names: list[str]) -> str | None:
    """The longest way into nested dicts by one key, which may have dots in it."""
    if not isinstance(value, dict):
        return None
    keys = [".".join(names[:count]) for count in range(len(names), 0, -1)]
    return next((key for key in keys if isinstance(value.get(key), dict)), None)


def _kind(value: object) -> str:
    if isinstance(value, TensorRecord):
        return "one tensor"
    if isinstance(value, ObjectRecord):
        return _KINDS[value.name][0] if value.name in _KINDS else f"an object ({value.name})"
    return {type(None): "None", int: "an int"}.get(type(value), f"a {type(value).__name__}")


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} was refused: {reason}.", remedy=GET_FROM_ELSEWHERE)


def without_wrappers(state: StateDict, path: Path) -> StateDict:
    """The state dict without what DataParallel, torch.compile and the like put into its keys, in any order.

    ``module._orig_mod.model.1.weight`` → ``model.1.weight``. A wrapped part has them in the middle.

    Raises:
        CheckpointError: two keys become the same.
    """
    bare = {bare_key(key): tensor for key, tensor in state.items()}
    if len(bare) < len(state):
        twice = next(key for key in state if bare_key(key) != key and bare_key(key) in state)
        raise CheckpointError(
            f"{path} holds {twice} beside {bare_key(twice)}: the same layer as it was wrapped and as it was not.",
            remedy="Save net.state_dict() of one network alone.",
        )
    if bare.keys() != state.keys() and _AVERAGED in bare:
        del bare[_AVERAGED]
    return bare


def bare_key(key: str) -> str:
    """A key without what wrappers put into it."""
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)
