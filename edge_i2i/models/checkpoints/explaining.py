"""Why no model reads a checkpoint: what it resembles, which part is a network, and the line that saves that part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_i2i.errors import CheckpointError
from edge_i2i.models.checkpoints.recognise import Recognition, near_misses, parts_of, recognise, recognised_parts
from edge_i2i.models.checkpoints.state_entries import MixedEntriesError, bare_key, save_part_command, save_plain_command
from edge_i2i.models.registry import family_names
from edge_i2i.models.weights import StateDict

if TYPE_CHECKING:
    from torch import Tensor

_LISTED = 4
_FEWEST_KEYS = 4  # of a part that is said to resemble a network
# A weight that a layer computes from others, and what those are called.
_COMPUTED = re.compile(r"(?P<layer>.+?\.)(parametrizations\.)?(?P<weight>weight)(_orig|_g|\.original[01]?)")
_HELPERS = (".weight_u", ".weight_v", ".weight.0._u", ".weight.0._v")
_SAVE_COMPUTED = (
    "Take that out of each layer in the code that wrote the file (torch.nn.utils.remove_spectral_norm, "
    "remove_weight_norm, or torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')), and save "
    "net.state_dict() again."
)


def nobodys(checkpoint: Path, state: StateDict) -> CheckpointError:
    """Why no family claims a file: it resembles a network, a part of it is one, or nothing is known of it."""
    if (computed := _computed_weights(checkpoint, state)) is not None:
        return computed
    misses = near_misses(state)
    if len(misses) == 1:
        return CheckpointError(f"{checkpoint}: {misses[0].what}", remedy=misses[0].remedy)
    if misses:
        return CheckpointError(
            f"{checkpoint} is not read, for one of these reasons: {' Or: '.join(item.what for item in misses)}",
            remedy=" Or: ".join(item.remedy for item in misses),
        )
    return hidden_network(checkpoint, state) or CheckpointError(
        f"{checkpoint} holds no network that is known here (its first keys: {', '.join(list(state)[:_LISTED])}).",
        remedy=f"Known models: {', '.join(family_names())}. If it is one of these, say so with --model.",
    )


def hidden_network(checkpoint: Path, state: StateDict) -> CheckpointError | None:
    """The network that a file holds in another form, or under a name of its own; None: none is known of."""
    if (computed := _computed_weights(checkpoint, state)) is not None:
        return computed
    if parts := recognised_parts(state):
        return CheckpointError(
            f"{checkpoint} holds more than one network, or one under a name of its own: {_listed(parts)}.",
            remedy=_save_first(checkpoint, parts),
        )
    if misses := _missing_parts(state):
        told = "; ".join(f"its part '{name}': {error.what}" for name, error in misses.items())
        return CheckpointError(f"{checkpoint} is not read; {told}", remedy=next(iter(misses.values())).remedy)
    return None


def mixed(error: MixedEntriesError) -> CheckpointError:
    """Add to the error which networks stand among the other entries of a training run's state.

    They are told from names and sizes; no weight is read.
    """
    import torch

    state: dict[str, Tensor] = {
        bare_key(key): torch.empty(record.shape, device="meta") for key, record in error.tensors.items()
    }
    found = recognise(state)
    if len(found) == 1:
        return CheckpointError(
            f"{error.what} The others are {found[0]}.",
            remedy=f"Save those alone: {save_plain_command(error, f'{found[0].family}.pth')}",
        )
    if parts := recognised_parts(state):
        return CheckpointError(
            f"{error.what} Of its parts, {_listed(parts)}.", remedy=_save_first(error.checkpoint, parts)
        )
    return error


def _listed(parts: Mapping[str, Recognition]) -> str:
    return "; ".join(f"'{part}' is {item}" for part, item in list(parts.items())[:_LISTED])


def _save_first(checkpoint: Path, parts: Mapping[str, Recognition]) -> str:
    """What to type; of two copies of a network, the averaged one is what authors test with."""
    name = next((part for part in parts if "ema" in part.lower()), next(iter(parts)))
    return f"Save that one alone, for example: {save_part_command(checkpoint, name, f'{parts[name].family}.pth')}"


def _missing_parts(state: StateDict) -> dict[str, CheckpointError]:
    """Parts that resemble a network and are not read, with the reason; a part of one that is named is not."""
    found = dict[str, CheckpointError]()
    for name, part in parts_of(state).items():
        inside = any(name.startswith(f"{other}.") for other in found)
        if len(part) >= _FEWEST_KEYS and not inside and (misses := near_misses(part)):
            found[name] = misses[0]
    return dict(list(found.items())[:_LISTED])


def _computed_weights(checkpoint: Path, state: StateDict) -> CheckpointError | None:
    """Spectral and weight norm keep a weight in parts; what they are of is told from the weight's name."""
    computed = [key for key in state if _COMPUTED.fullmatch(key)]
    if not computed:
        return None
    found = recognise(_joined(state))
    if not found:
        return None
    return CheckpointError(
        f"{checkpoint} looks like {found[0]}, but keeps weights in parts ({', '.join(computed[:_LISTED])}), as "
        "spectral norm and weight norm do while training.",
        remedy=_SAVE_COMPUTED,
    )


def _joined(state: StateDict) -> StateDict:
    """The keys and shapes of the same network without such norms."""
    joined = dict[str, Any]()
    for key, tensor in state.items():
        whole = _COMPUTED.fullmatch(key)
        name = f"{whole['layer']}{whole['weight']}" if whole else key
        if whole or not key.endswith(_HELPERS):
            joined[name] = max(joined.get(name, tensor), tensor, key=_size)
    for key, tensor in state.items():  # weight norm keeps the shape in weight_v
        name = key.removesuffix("_v")
        if name != key and name in joined:
            joined[name] = max(joined[name], tensor, key=_size)
    return joined


def _size(tensor: Tensor) -> int:
    return tensor.numel()
