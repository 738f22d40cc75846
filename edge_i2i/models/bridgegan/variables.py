"""The TensorFlow variables of a BridgeGAN checkpoint, and the keys that they have here.

The authors name scopes and blocks only; layers are numbered by TensorFlow in the order in which the code calls them
(``Conv``, ``Conv_1``, …), anew in each scope. In a residual block that order is: first norm, first convolution, second
norm, second convolution, shortcut. The names are derived by reading ``models_712.py``, and agree with the variables
that its functions make when they run with a stand-in for ``tf.contrib.slim``; no checkpoint was released to confirm
them. Our own keys (``gen.down0.conv1.weight``) follow no official file: there is no PyTorch release.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_i2i.models.checkpoints.tensorflow_layout import conv_kernel, dense_kernel
from edge_i2i.models.weights import StateDict

if TYPE_CHECKING:
    from torch import Tensor

_SCOPES = ("Ggenerator/", "Gencoder/", "Gmappingnet/")
_OPTIMIZER_SLOT = re.compile(r"/Adam(_1)?$")


@dataclass(frozen=True)
class Depths:
    """How many residual blocks each part has: all that the numbering depends on."""

    n_downblks_gen: int
    n_intermedblks_gen: int
    n_layers_map: int
    n_intermedblks_enc: int


def first_spade_block(n_intermedblks_gen: int) -> int:
    """Index of the first intermediate block with SPADE; those before it have instance norm."""
    return n_intermedblks_gen // 2


def our_keys(state: StateDict) -> StateDict:
    """The networks' tensors under our keys and in PyTorch's layout; a state dict of another kind stays as it is.

    Optimizer slots, the discriminator and what else the training keeps (``G_R``, counters) are left out. A variable in
    one of the networks' scopes that has no place here keeps its name, so that loading refuses it.
    """
    if not any(name.startswith(_SCOPES) for name in state):
        return state
    wanted = {name: tensor for name, tensor in state.items() if name.startswith(_SCOPES)}
    return convert(wanted, variable_names(infer_depths(wanted)))


def convert(state: StateDict, names: Mapping[str, str]) -> dict[str, Tensor]:
    """TensorFlow variables under our keys, kernels in PyTorch's layout; ``names``: our key → the variable's name.

    Optimizer slots are left out; variables without a key here keep their names.
    """
    keys = {name: key for key, name in names.items()}
    kept = {name: tensor for name, tensor in state.items() if not _OPTIMIZER_SLOT.search(name)}
    return {keys.get(name, name): _in_torch_layout(tensor) for name, tensor in kept.items()}


def _in_torch_layout(tensor: Tensor) -> Tensor:
    if tensor.dim() == 4:
        return conv_kernel(tensor)
    return dense_kernel(tensor) if tensor.dim() == 2 else tensor


def infer_depths(names: Iterable[str]) -> Depths:
    """Count the residual blocks by the names of their variables (two norms a block)."""
    listed = list(names)
    middle = [int(m[1]) for name in listed if (m := re.fullmatch(r"Ggenerator/targ(\d+)_inter_1/Conv/weights", name))]
    n_middle = min(max(middle, default=-1) + 1, 2 * len(middle))  # half of them, rounded up, have SPADE
    norms = {
        scope: sum(bool(re.match(rf"{scope}InstanceNorm\w*/gamma$", name)) for name in listed) for scope in _SCOPES
    }
    in_generator, in_encoder, in_mapping = (norms[scope] for scope in _SCOPES)
    return Depths(
        n_downblks_gen=max(in_generator // 2 - first_spade_block(n_middle), 0),
        n_intermedblks_gen=n_middle,
        n_layers_map=in_mapping // 2,
        n_intermedblks_enc=max(in_encoder // 2 - 1, 0),
    )


def variable_names(depths: Depths) -> dict[str, str]:
    """Our key → the variable's name, for the generator, the encoder and the mapping network."""
    return {
        **_generator_names(depths.n_downblks_gen, depths.n_intermedblks_gen),
        **_encoder_names(depths.n_intermedblks_enc),
        **_mapping_names(depths.n_layers_map),
    }


def _generator_names(n_down: int, n_middle: int) -> dict[str, str]:
    calls = _Calls("Ggenerator", "gen")
    calls.conv("stem")
    for i in range(n_down):
        calls.block(f"down{i}", shortcut=True)
    for i in range(n_middle):
        if i < first_spade_block(n_middle):
            calls.block(f"mid{i}", shortcut=False)
        else:
            calls.spade_block(f"mid{i}", f"targ{i}_inter", shortcut=False)
    for i in range(n_down):
        calls.spade_block(f"up{i}", f"targ{i}_up", shortcut=True)
    calls.conv("out")
    return calls.names


def _encoder_names(n_middle: int) -> dict[str, str]:
    calls = _Calls("Gencoder", "enc")
    calls.conv("stem")
    calls.block("down0", shortcut=True)
    for i in range(n_middle):
        calls.block(f"mid{i}", shortcut=False)
    calls.conv("out")
    calls.norm("norm")
    return calls.names


def _mapping_names(n_up: int) -> dict[str, str]:
    calls = _Calls("Gmappingnet", "map")
    calls.dense("fc")
    for i in range(n_up):
        calls.block(f"up{i}", shortcut=True)
    calls.conv("out")
    calls.norm("norm")
    return calls.names


def discriminator_names(n_resblks: int) -> dict[str, str]:
    """Our key → the variable's name, for the discriminator (training only)."""
    calls = _Calls("Discriminator", "dis")
    calls.conv("stem")
    for i in range(n_resblks):
        calls.block(f"down{i}", shortcut=True, norms=False)
    for head in ("gan", "att"):
        calls.conv(f"{head}_conv")
        calls.dense(f"{head}_fc")
    return calls.names


class _Calls:
    """The layers that the authors' code calls inside one variable scope, numbered as TensorFlow does."""

    def __init__(self, scope: str, network: str) -> None:
        self.names: dict[str, str] = {}
        self._scope, self._network = scope, network
        self._called: Counter[str] = Counter()

    def conv(self, key: str) -> None:
        """Name the weight and the bias of a ``slim.conv2d``."""
        self._add(key, self._number("Conv"), "weights", "biases")

    def norm(self, key: str) -> None:
        """Name the scale and the shift of a ``slim.instance_norm``."""
        self._add(key, self._number("InstanceNorm"), "gamma", "beta")

    def dense(self, key: str) -> None:
        """Name the weight and the bias of a ``tl.flatten_fully_connected``."""
        self._add(key, f"{self._number('flatten_fully_connected')}/fully_connected", "weights", "biases")

    def block(self, key: str, *, shortcut: bool, norms: bool = True) -> None:
        """Name the layers of a ``ResBlk``; its shortcut is a convolution where width or size change."""
        for i in (1, 2):
            if norms:
                self.norm(f"{key}.norm{i}")
            self.conv(f"{key}.conv{i}")
        if shortcut:
            self.conv(f"{key}.sc")

    def spade_block(self, key: str, scope: str, *, shortcut: bool) -> None:
        """Name the layers of a ``ResBlk`` whose norms are SPADE, each with a scope and a numbering of its own."""
        for i in (1, 2):
            spade = _Calls(f"{self._scope}/{scope}_{i}", f"{self._network}.{key}.norm{i}")
            for layer in ("shared", "gamma", "beta"):
                spade.conv(layer)
            self.names |= spade.names
            self.conv(f"{key}.conv{i}")
        if shortcut:
            self.conv(f"{key}.sc")

    def _number(self, layer: str) -> str:
        number = self._called[layer]
        self._called[layer] += 1
        return f"{self._scope}/{layer}_{number}" if number else f"{self._scope}/{layer}"

    def _add(self, key: str, variable: str, weight: str, bias: str) -> None:
        self.names[f"{self._network}.{key}.weight"] = f"{variable}/{weight}"
        self.names[f"{self._network}.{key}.bias"] = f"{variable}/{bias}"
