"""BridgeGAN's architecture: its options, and how they are read off the authors' checkpoints or our own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.bridgegan.variables import our_keys
from edge_i2i.models.config import NearMissError, check_ranges, overridden
from edge_i2i.models.weights import StateDict

CELEBA_ATTRIBUTES = (
    *("Young", "Mouth_Slightly_Open", "Smiling", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    *("Receding_Hairline", "Bangs", "Male", "No_Beard", "Mustache", "Goatee", "Sideburns"),
)
"""The attributes that ``train_arch9.py`` trains with by default, in its order."""

SMALLEST_MAP = 4
"""Height and width of the mapping network's first feature map, fixed in ``models_712.py``."""

# Both ends included; the upper ends only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "n_downblks_gen": (1, 8),
        "n_intermedblks_gen": (0, 100),
        "ch_gen": (1, 4096),
        "n_layers_map": (1, 10),
        "dim_noise": (1, 4096),
        "n_intermedblks_enc": (0, 100),
        "ch_enc": (1, 4096),
        "ch_spade": (1, 4096),
    }
)
_LARGEST_STRENGTH = 10.0


@dataclass(frozen=True)
class BridgeGANConfig:
    """Architecture, in the option names of ``train_arch9.py``, with its defaults.

    ``atts``: names of the attributes, joined by commas, in the order of training (``setting.txt`` of a run has them).
    ``ch_spade`` is 128 in ``models_712.py``, where no option sets it. Three of its options have no field, because no
    other value gives a network that works: ``n_upblks_gen`` equals ``n_downblks_gen``, else the picture changes its
    size; ``n_downblks_enc`` is 1, else the encoder's and the mapping network's styles have different widths; ``ch`` of
    the mapping network is 2 · ``ch_enc``.

    How it is run: the attribute difference is ``strength`` · (target - source), 1.5 in ``test_arch9.py``.
    ``blend`` adds a second style and a mix to the frame graph. ``second_with_source`` says whether the source's part,
    E(frame, -difference), is added to the second style as it is to the first: the networks were trained so, and each
    end of the mix is then the picture of its style. ``test_arch9.py`` leaves it out (``False``).
    """

    atts: str = ",".join(CELEBA_ATTRIBUTES)
    n_downblks_gen: int = 3
    n_intermedblks_gen: int = 2
    ch_gen: int = 32
    n_layers_map: int = 4
    dim_noise: int = 16
    n_intermedblks_enc: int = 3
    ch_enc: int = 16
    ch_spade: int = 128
    strength: float = 1.5
    blend: bool = False
    second_with_source: bool = True

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            UsageError: a value is out of its legal range, or the attributes' names are empty or twice the same.
        """
        check_ranges(self, _LEGAL)
        if not (math.isfinite(self.strength) and 0 < self.strength <= _LARGEST_STRENGTH):
            raise UsageError(
                f"strength={self.strength} is out of range.",
                remedy=f"Legal values: above 0, at most {_LARGEST_STRENGTH:g}; the authors test with 1.5.",
            )
        if not all(self.attributes) or len(set(self.attributes)) < len(self.attributes):
            raise UsageError(
                f"atts={self.atts}: every attribute needs a name of its own.",
                remedy="Join the names by commas, in the order of training: atts=Young,Smiling,Bangs.",
            )

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes' names, in the order of training."""
        return tuple(name.strip() for name in self.atts.split(","))

    @property
    def style_channels(self) -> int:
        """Channels of a style map; it is half as high and wide as the frame."""
        return 2 * self.ch_enc

    @property
    def drawn_side(self) -> int:
        """The one height and width for which the mapping network can draw a style (128 for the release)."""
        return 2 * SMALLEST_MAP * int(2**self.n_layers_map)


_COUNTS: Mapping[str, str] = MappingProxyType(
    {
        "n_downblks_gen": r"gen\.down(\d+)\.conv1\.weight",
        "n_intermedblks_gen": r"gen\.mid(\d+)\.conv1\.weight",
        "n_layers_map": r"map\.up(\d+)\.conv1\.weight",
        "n_intermedblks_enc": r"enc\.mid(\d+)\.conv1\.weight",
    }
)


def infer_config(state: StateDict, overrides: Mapping[str, object]) -> BridgeGANConfig:
    """Read the architecture off TensorFlow variables or our own keys; ``overrides`` win.

    The attributes' names are in no checkpoint: 14 attributes are taken for the release's.

    Raises:
        CheckpointError: the state dict does not hold BridgeGAN's networks, or another number of attributes is named.
        UsageError: an override is out of range.
    """
    seen, n_attributes = _infer_sizes(our_keys(state))
    config = overridden(seen, overrides)
    if len(config.attributes) != n_attributes:
        raise NearMissError(
            f"The checkpoint was trained with {n_attributes} attributes, but {len(config.attributes)} are named.",
            remedy="Name them in the order of training, as in 'atts' of the run's setting.txt: "
            "--set atts=Young,Smiling,Bangs.",
        )
    return config


def recognise(state: StateDict) -> str | None:
    """What a state dict of BridgeGAN's networks holds, in a few words; None if it is another's."""
    try:
        seen, n_attributes = _infer_sizes(our_keys(state))
    except (CheckpointError, UsageError):
        return None
    return f"a generator, encoder and mapping network for {n_attributes} attributes, ch_gen {seen.ch_gen}"


def _infer_sizes(state: StateDict) -> tuple[BridgeGANConfig, int]:
    """The sizes of networks under our keys, and how many attributes they read."""
    counts: dict[str, Any] = {name: _count(pattern, state) for name, pattern in _COUNTS.items()}
    ch_enc, channels = _shape(state, "enc.stem.weight", 4)[:2]
    n_attributes = channels - 3
    if n_attributes < 1:
        raise _foreign(state)
    config = BridgeGANConfig(
        **counts,
        ch_gen=_shape(state, "gen.stem.weight", 4)[0],
        ch_enc=ch_enc,
        ch_spade=_shape(state, "gen.up0.norm1.shared.weight", 4)[0],
        dim_noise=_shape(state, "map.fc.weight", 2)[1] - n_attributes,
    )
    return config, n_attributes


def _count(pattern: str, keys: Iterable[str]) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in keys)


def _shape(state: StateDict, key: str, dimensions: int) -> tuple[int, ...]:
    weight = state.get(key)
    if weight is None or weight.dim() != dimensions:
        raise _foreign(state)
    return tuple(weight.shape)


def _foreign(state: StateDict) -> CheckpointError:
    scopes = ("Ggenerator/", "Gencoder/", "Gmappingnet/", "gen.stem.", "enc.stem.", "map.fc.")
    ours = any(key.startswith(scopes) for key in state)
    return (NearMissError if ours else CheckpointError)(
        "This is not a BridgeGAN checkpoint: it lacks the variables of Ggenerator, Gencoder or Gmappingnet (its first "
        f"keys: {', '.join(list(state)[:4])}).",
        remedy="Give the TensorFlow checkpoint that train_arch9.py wrote, Epoch_(e)_(iofn).ckpt.",
    )
