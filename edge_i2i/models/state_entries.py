"""The entries of a checkpoint: dicts of state dicts as one, what is no tensor by name, and what wrappers added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge_i2i.errors import CheckpointError
from edge_i2i.models.file_kind import looks_like_safetensors
from edge_i2i.models.torch_contents import ObjectRecord, TensorRecord, TorchContents, torch_contents

if TYPE_CHECKING:
    from edge_i2i.models.family import StateDict

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
_KINDS: Mapping[str, str] = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without values, of the meta device",
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
}
_DENSE = (
    "Save them as plain tensors in the code that wrote the file: tensor.to_dense() or tensor.dequantize(), on the CPU."
)

Leaf = TypeVar("Leaf")


def flat_entries(value: Mapping[Any, Any], path: Path) -> list[tuple[str, Any]]:
    """Dicts of state dicts as one: ``{"a": {"w": …}}`` → ``a.w``, …; what has no name, and optimizers, with None.

    Raises:
        CheckpointError: they are nested deeper, or are more, than any network's: dicts that hold each other, say.
    """
    found: list[tuple[str, Any]] = []
    for entry in _walk(value, "", 0, path):
        found.append(entry)
        if len(found) > _MOST_ENTRIES:
            raise _refused(path, f"it has more than {_MOST_ENTRIES:,} entries, far more than any network")
    return found


def _walk(value: Mapping[Any, Any], prefix: str, depth: int, path: Path) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        raise _refused(path, f"its dicts are nested more than {_DEEPEST} deep")
    for name, inner in value.items():
        key = f"{prefix}{name}"
        if len(key) > _LONGEST_KEY:
            raise _refused(path, f"a name in it is longer than {_LONGEST_KEY} letters")
        if not isinstance(name, str) or (isinstance(inner, dict) and inner.keys() == _OPTIMIZER):
            yield key, None
        elif isinstance(inner, dict) and inner:
            yield from _walk(inner, f"{key}.", depth + 1, path)
        else:
            yield key, inner


def check_contents(contents: TorchContents, path: Path) -> None:
    """Accept what a torch file says of itself: tensors by name that lie in the file, and cost what they hold.

    Raises:
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
    odd = [(key, inner) for key, inner in entries if not isinstance(inner, TensorRecord)]
    if odd:
        raise _not_plain(path, value, odd)
    _check_sizes(contents, dict(entries), path)


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


def _not_plain(path: Path, value: Mapping[Any, Any], odd: list[tuple[str, Any]]) -> CheckpointError:
    kinds = {
        key[:80]: _KINDS[inner.name] for key, inner in odd if isinstance(inner, ObjectRecord) and inner.name in _KINDS
    }
    if kinds and len(kinds) == len(odd):
        key, kind = next(iter(kinds.items()))
        return CheckpointError(f"{path} is not read: {key} is {kind}.", remedy=_DENSE)
    named = ", ".join(key[:80] for key, _ in odd[:_NAMED])
    more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    parts = list(_plain_parts(value, "", 0))[:_NAMED]
    remedy = "Save the generator's state_dict() alone to a file."
    if parts:
        remedy = (
            f"Of its parts, {', '.join(parts)} hold tensors by name alone. Save the generator's: "
            f"torch.save(torch.load({path.name!r}, map_location='cpu'){parts[0]}, 'G.pth')"
        )
    return CheckpointError(
        f"{path} is not a plain state dict: these entries are not tensors by name: {named}{more}.", remedy=remedy
    )


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
    """A line of Python that saves one of a checkpoint's networks alone; ``part``: what stands before its keys."""
    if looks_like_safetensors(path):
        source, names = f"safetensors.torch.load_file({path.name!r})", part.split(".")
    else:
        source, names = f"torch.load({path.name!r}, map_location='cpu')", part.split(".")
        value: Any = torch_contents(path).value
        while names and isinstance(value, dict) and isinstance(value.get(names[0]), dict):
            source, value, names = f"{source}[{names[0]!r}]", value[names[0]], names[1:]
    if names:
        prefix = f"{'.'.join(names)}."
        source = f"{{k.removeprefix({prefix!r}): v for k, v in {source}.items() if k.startswith({prefix!r})}}"
    return f"torch.save({source}, {output!r})"


def _kind(value: object) -> str:
    if isinstance(value, TensorRecord):
        return "one tensor"
    if isinstance(value, ObjectRecord):
        return _KINDS.get(value.name, f"an object ({value.name})")
    return f"a {type(value).__name__}"


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} was refused: {reason}.", remedy=GET_FROM_ELSEWHERE)


def without_wrappers(state: StateDict, path: Path) -> StateDict:
    """The state dict without what DataParallel, torch.compile and the like put into its keys, in any order.

    ``module._orig_mod.model.1.weight`` → ``model.1.weight``. A wrapped part has them in the middle.

    Raises:
        CheckpointError: two keys are the same without.
    """
    bare = {_bare(key): tensor for key, tensor in state.items()}
    if len(bare) < len(state):
        twice = next(key for key in state if _bare(key) != key and _bare(key) in state)
        raise CheckpointError(
            f"{path} holds {twice} beside {_bare(twice)}: the same layer as it was wrapped and as it was not.",
            remedy="Save net.state_dict() of one network alone.",
        )
    if bare.keys() != state.keys() and _AVERAGED in bare:
        del bare[_AVERAGED]
    return bare


def _bare(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)
