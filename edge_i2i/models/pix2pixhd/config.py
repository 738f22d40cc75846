"""pix2pixHD's architecture: its options, and how they are read off official checkpoints."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.config import NearMissError, blaming_the_checkpoint, check_ranges, overridden
from edge_i2i.models.cyclegan.config import check_way_up, resembles_resnet
from edge_i2i.models.weights import StateDict

# Both ends included. Label maps are uint8, pictures are RGB; the other upper ends only keep typing errors out.
_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "label_nc": (0, 256),
        "feat_num": (0, 256),
        "output_nc": (3, 3),
        "ngf": (1, 4096),
        "n_downsample_global": (0, 10),
        "n_blocks_global": (0, 100),
        "n_local_enhancers": (0, 5),
        "n_blocks_local": (0, 100),
        "nef": (1, 4096),
        "n_downsample_E": (0, 10),
    }
)


_CYCLEGAN_DOWNSAMPLINGS = 2


@dataclass(frozen=True)
class Pix2PixHDConfig:
    """Architecture, in the official option names; defaults are the command line's of the official release.

    ``label_nc`` 0 means RGB mode. ``instance_edges`` is the inverse of ``--no_instance``. ``feat_num`` 0 means that
    no feature encoder is used. ``n_local_enhancers`` 0 is G1 (``--netG global``), 1 and more is G2 (``--netG local``,
    where ``ngf`` is 32 in the release).
    """

    label_nc: int = 35
    instance_edges: bool = True
    feat_num: int = 0
    output_nc: int = 3
    ngf: int = 64
    n_downsample_global: int = 4
    n_blocks_global: int = 9
    n_local_enhancers: int = 0
    n_blocks_local: int = 3
    nef: int = 16
    n_downsample_E: int = 4

    def __post_init__(self) -> None:
        """Refuse what no network can be built from, before torch says so in its own words.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)

    @property
    def rgb(self) -> bool:
        """Whether the network reads camera pictures rather than label maps."""
        return self.label_nc == 0

    @property
    def input_nc(self) -> int:
        """Channels of the generator's input: one-hot labels or RGB, edges, features, in that order."""
        return (self.label_nc or 3) + int(self.instance_edges) + self.feat_num


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> Pix2PixHDConfig:
    """Read the architecture off the keys and shapes of ``generator`` [and ``encoder``]; ``overrides`` win.

    What the generator's input channels are, the file does not say. 3 are taken for RGB, 36 for the release's 35 classes
    and edges (39: and its features); other numbers have to be told.

    Raises:
        CheckpointError: the state dicts do not hold a pix2pixHD generator or feature encoder, or one whose number of
            channels no input makes.
        UsageError: an override is out of range or does not fit the generator's input channels, or nobody says what
            these are.
    """
    generator = states["generator"]
    with blaming_the_checkpoint():
        seen = _infer_generator(generator)
        if "encoder" in states:
            seen = replace(seen, **_infer_encoder(states["encoder"]))
    channels = int(generator["model.1.weight"].shape[1])
    config = overridden(_split_input(seen, channels, overrides), overrides)
    if config.input_nc != channels:
        raise (UsageError if overrides else CheckpointError)(
            f"The checkpoint's first convolution takes {channels} channels, but label_nc={config.label_nc}, "
            f"instance_edges={config.instance_edges}, feat_num={config.feat_num} make {config.input_nc}.",
            remedy="Override label_nc, instance_edges and feat_num so that they add up.",
        )
    return config


def _infer_generator(state: StateDict) -> Pix2PixHDConfig:
    blocks = [int(m[1]) for key in state if (m := re.fullmatch(r"model\.(\d+)\.conv_block\.1\.weight", key))]
    enhancers = {int(m[1]) for key in state if (m := re.match(r"model(\d+)_1\.1\.weight", key))}
    local = {int(m[1]) for key in state if (m := re.fullmatch(r"model1_2\.(\d+)\.conv_block\.1\.weight", key))}
    if not _is_convolution(state, "model.1") or not blocks or min(blocks) < 4 or (min(blocks) - 4) % 3:
        raise _not_a_generator(state)
    n_down = (min(blocks) - 4) // 3  # before the blocks: pad, convolution, norm, ReLU; then three layers a halving
    if tuple(state["model.1.weight"].shape[2:]) != (7, 7):
        raise NearMissError(
            f"The checkpoint's first convolution has the shape {list(state['model.1.weight'].shape)}, not one of 7x7.",
            remedy="Give the file that the official training wrote as <epoch>_net_G.pth.",
        )
    _refuse_norms_with_weights(state)
    head = f"model{len(enhancers)}_2.{len(local) + 4}" if enhancers else f"model.{5 + 6 * n_down + len(blocks)}"
    if not enhancers:
        check_way_up(state, 4 + 3 * n_down + len(blocks), n_down)
    return Pix2PixHDConfig(
        output_nc=int(state[f"{head}.weight"].shape[0]) if _is_convolution(state, head) else 3,
        ngf=state["model.1.weight"].shape[0] // 2 ** len(enhancers),
        n_downsample_global=n_down,
        n_blocks_global=len(blocks),
        n_local_enhancers=len(enhancers),
        n_blocks_local=len(local) if enhancers else Pix2PixHDConfig.n_blocks_local,
    )


def _not_a_generator(state: StateDict) -> CheckpointError:
    what = (
        "This is not a pix2pixHD generator: no first convolution 'model.1.weight' followed by residual blocks "
        f"'model.N.conv_block.1.weight' (its first keys: {', '.join(list(state)[:4])})."
    )
    remedy = "Give the file that the official training wrote as <epoch>_net_G.pth."
    if any(re.match(r"(scale\d+_)?layer\d+\.\d+\.weight$", key) for key in state):
        return NearMissError(
            "This is not a pix2pixHD generator; it looks like its discriminator, which only training needs (its first "
            f"keys: {', '.join(list(state)[:4])}).",
            remedy=remedy,
        )
    if _looks_like_encoder(state):
        return NearMissError(
            "This is not a pix2pixHD generator; it looks like its feature encoder, which is read beside a generator.",
            remedy="Give the generator's <epoch>_net_G.pth; the encoder's <epoch>_net_E.pth is found beside it.",
        )
    return CheckpointError(what, remedy=remedy)


def _refuse_norms_with_weights(state: StateDict) -> None:
    if "model.2.weight" in state and state["model.2.weight"].dim() == 1:
        raise NearMissError(
            "The checkpoint's pix2pixHD generator has norm layers with weights (model.2.weight, …), as --norm batch "
            "makes them; the release's instance norm has none.",
            remedy="Use a generator that was trained with --norm instance.",
        )


def near_miss_is_ours(state: StateDict) -> bool:
    """Whether a state dict that is not read would be a pix2pixHD: with two downsamplings it is CycleGAN's."""
    return not resembles_resnet(state) or any(key.startswith("model1_1.") for key in state)


def recognise(state: StateDict) -> str | None:
    """Which pix2pixHD generator a state dict holds, in a few words.

    A generator with two downsamplings and no enhancer has the keys of CycleGAN's ResNet generator, and none was
    released: it is not claimed here.
    """
    try:
        seen = _infer_generator(state)
    except (CheckpointError, UsageError):
        return None
    if seen.n_local_enhancers == 0 and seen.n_downsample_global == _CYCLEGAN_DOWNSAMPLINGS:
        return None
    kind = f"local (G2, {seen.n_local_enhancers} enhancers)" if seen.n_local_enhancers else "global (G1)"
    return f"a {kind} generator, ngf {seen.ngf}, {seen.n_blocks_global} blocks"


def _is_convolution(state: StateDict, name: str) -> bool:
    weight = state.get(f"{name}.weight")
    return weight is not None and weight.dim() == 4 and weight.numel() > 0


def _looks_like_encoder(state: StateDict) -> bool:
    """Whether it goes down and up again between two 7x7 convolutions, without a residual block."""
    try:
        downs = int(_infer_encoder(state)["n_downsample_E"])
    except CheckpointError:
        return False
    layers = [1, *(4 + 3 * index for index in range(2 * downs)), 5 + 6 * downs]
    kernels = {1: (7, 7), layers[-1]: (7, 7)}
    return {key for key in state if key.endswith(".weight")} == {f"model.{index}.weight" for index in layers} and all(
        tuple(state[f"model.{index}.weight"].shape[2:]) == kernels.get(index, (3, 3)) for index in layers
    )


def _infer_encoder(state: StateDict) -> dict[str, Any]:
    convolutions = sorted(int(m[1]) for key in state if (m := re.fullmatch(r"model\.(\d+)\.weight", key)))
    named = [f"model.{i}" for i in convolutions]
    if convolutions[:1] != [1] or len(convolutions) % 2 or not all(_is_convolution(state, name) for name in named):
        raise CheckpointError(
            "The companion file is not a pix2pixHD feature encoder.",
            remedy="Give the official <epoch>_net_E.pth, or move the file away to load the generator alone.",
        )
    return {
        "nef": int(state[f"{named[0]}.weight"].shape[0]),
        "feat_num": int(state[f"{named[-1]}.weight"].shape[0]),
        "n_downsample_E": len(convolutions) // 2 - 1,
    }


_RGB = 3
_RELEASED_CLASSES, _RELEASED_FEATURES = 35, 3
_LARGEST_LABEL_MAP = _LEGAL["label_nc"][1]


def _split_input(config: Pix2PixHDConfig, channels: int, overrides: Mapping[str, object]) -> Pix2PixHDConfig:
    """Decide how the input channels divide into classes or RGB, edges, and features.

    Raises:
        UsageError: neither the overrides nor the releases tell.
    """
    features = _features(config, channels, overrides)
    source = channels - features
    if "label_nc" in overrides:
        classes = int(str(overrides["label_nc"]))
        return replace(config, label_nc=classes, instance_edges=(classes or _RGB) + 1 == source, feat_num=features)
    edges = bool(overrides.get("instance_edges", source == _RELEASED_CLASSES + 1))
    classes = source - int(edges)
    if source < 1 or (classes == _RGB and not edges):
        return replace(config, label_nc=0, instance_edges=False, feat_num=features)
    if source == _RELEASED_CLASSES + 1 or ("instance_edges" in overrides and classes != _RGB):
        return replace(config, label_nc=max(classes, 0), instance_edges=edges, feat_num=features)
    if source > _LARGEST_LABEL_MAP + 1:
        raise NearMissError(
            f"The checkpoint's first convolution takes {channels} channels, more than a label map of "
            f"{_LARGEST_LABEL_MAP} classes makes.",
            remedy="Use a network that was trained with --label_nc 256 or less.",
        )
    raise UsageError(
        f"The checkpoint's first convolution takes {channels} channels"
        f"{f', {features} of them features' if features else ''}, and no file says what they are.",
        remedy=f"Say it: {_choices(source)}.",
    )


def _features(config: Pix2PixHDConfig, channels: int, overrides: Mapping[str, object]) -> int:
    """The encoder's, or as told; without an encoder, 39 channels are the release's 35 classes, edges and features."""
    released = channels == _RELEASED_CLASSES + 1 + _RELEASED_FEATURES
    whole = released and overrides.get("label_nc", _RELEASED_CLASSES) == _RELEASED_CLASSES
    return int(str(overrides.get("feat_num", config.feat_num or (_RELEASED_FEATURES if whole else 0))))


def _choices(source: int) -> str:
    """What that many channels may be, as options."""
    rgb = {_RGB: "RGB pictures", _RGB + 1: "RGB pictures and the edges of instances"}
    classes = {
        source - 1: f"{_counted(source - 1)} and the edges of instances",
        source: f"{_counted(source)} alone, trained with --no_instance",
    }
    options = [(0, rgb[source])] if source in rgb else []
    options += [(label_nc, meaning) for label_nc, meaning in classes.items() if 0 < label_nc <= _LARGEST_LABEL_MAP]
    return ", or ".join(f"--set label_nc={label_nc} ({meaning})" for label_nc, meaning in options)


def _counted(classes: int) -> str:
    return "1 class" if classes == 1 else f"{classes} classes"


def assumed(config: Pix2PixHDConfig, told: Collection[str]) -> tuple[str, ...]:
    """What the input channels were taken for, where nobody said it."""
    if "label_nc" in told:
        return ()
    taken = f"{config.label_nc} classes" if config.label_nc else "RGB pictures"
    taken += " and the edges of instances" * config.instance_edges + " and features" * bool(config.feat_num)
    choices = _choices(config.input_nc - config.feat_num)
    return (f"Its {config.input_nc} input channels are taken for {taken}, which no file says: {choices}.",)
