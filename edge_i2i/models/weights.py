"""Weights of networks: official state dicts put into them, and random ones drawn by a rule of the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_i2i.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor, nn

    StateDict = Mapping[str, Tensor]
else:
    StateDict = Mapping


class Initialisation(StrEnum):
    """How official code draws its first weights; biases start at 0."""

    NORMAL = "N(0, 0.02)"
    KAIMING = "Kaiming, fan in"


# Instance norm without running statistics writes none of these; files of torch before 0.4 carry them all the same,
# and the official loader drops them silently.
_COUNTER = "num_batches_tracked"  # nothing at test time depends on it, and old files lack it
_HARMLESS = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")

_OTHER_SHAPES = "Check that the file belongs to this network, or override the architecture (--set key=value)."
_OTHER_VALUES = "Give a checkpoint whose weights are real numbers: from before it was quantized, or before it diverged."


def load_state(module: nn.Module, state: StateDict, what: str) -> None:
    """Assign a state dict to a network; running statistics where the network has none are dropped by rule.

    Args:
        module: the network, on the meta device as a rule; whether its weights need gradients stays as it is.
        state: tensors by key, floats of any width (they become float32).
        what: the network's name in the error, as in "the pix2pixHD generator".

    Raises:
        CheckpointError: names every key that is missing, unexpected, of another shape, of whole numbers or not all
            finite (the first few of each).
    """
    import torch

    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    counters = {key: value for key, value in module.state_dict().items() if key.endswith(_COUNTER)}
    learned = expected.keys() - counters.keys()
    given = {key: torch.zeros_like(value, device="cpu") for key, value in counters.items()}
    for key, tensor in state.items():
        if key in learned:
            given[key] = tensor.float()
        elif not _HARMLESS.search(key):
            given[key] = tensor
    shapes = [
        _some("missing", sorted(expected.keys() - given.keys())),
        _some("unexpected", sorted(given.keys() - expected.keys())),
        _some(
            "of another shape",
            [
                f"{key} {list(given[key].shape)} instead of {list(expected[key])}"
                for key in sorted(expected.keys() & given.keys())
                if tuple(given[key].shape) != expected[key]
            ],
        ),
    ]
    values = [
        _some(
            "of whole numbers", sorted(key for key in state if key in learned and not state[key].is_floating_point())
        ),
        _some("holding NaN or infinite values", [key for key in sorted(given) if not given[key].isfinite().all()]),
    ]
    if any((*shapes, *values)):
        raise CheckpointError(
            f"The state dict does not fit {what}: {'; '.join(filter(None, (*shapes, *values)))}.",
            remedy=_OTHER_SHAPES if any(shapes) else _OTHER_VALUES,
        )
    module.load_state_dict(given, assign=True)


def _some(kind: str, keys: list[str], most: int = 6) -> str:
    if not keys:
        return ""
    rest = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{kind}: {', '.join(keys[:most])}{rest}"


def materialise(module: nn.Module, seed: int, scheme: Initialisation = Initialisation.NORMAL) -> None:
    """Give a network on the meta device real weights; norms start at N(1, 0.02) with unit running statistics.

    Args:
        module: the network; afterwards it lies on the CPU.
        seed: decides every weight.
        scheme: how weights with two or more axes are drawn; biases are 0.
    """
    import torch

    # not to_empty, which cannot be used under FakeTensorMode, where costs are counted
    empty = {key: torch.empty_like(value, device="cpu") for key, value in module.state_dict().items()}
    module.load_state_dict(empty, assign=True)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("bias", "beta")):
                parameter.zero_()
            elif parameter.dim() == 1:
                parameter.normal_(1.0, 0.02, generator=generator)
            elif scheme is Initialisation.KAIMING:
                torch.nn.init.kaiming_normal_(parameter, generator=generator)
            else:
                parameter.normal_(0.0, 0.02, generator=generator)
        for name, buffer in module.named_buffers():
            buffer.fill_(1.0 if name.endswith("running_var") else 0.0)
