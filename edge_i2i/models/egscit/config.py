"""EGSC-IT's architecture, its checkpoints' layout on disk, and their TensorFlow variables under PyTorch keys.

The authors published no PyTorch keys; ours are ``enc_a.conv0.weight``, ``gen_b.res0.conv1.bias``, ``feat_a.…``
[guess: names of this project]. Variable names are those of the authors' graph code (charliememory/EGSC-IT,
``trainer_EGSCIT.py`` and ``ops_EGSCIT.py``), read and rebuilt, not seen in one of the released files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.checkpoints.tensorflow_layout import (
    conv_kernel,
    pointwise_transposed_conv_kernel,
    transposed_conv_kernel,
)
from edge_i2i.models.config import NearMissError, check_ranges, overridden
from edge_i2i.models.family import Direction
from edge_i2i.models.weights import StateDict

if TYPE_CHECKING:
    from torch import Tensor

_LEGAL: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "ngf": (1, 4096),
        "n_encoder": (1, 10),
        "n_enc_resblock": (1, 100),
        "n_enc_share": (1, 100),
        "n_gen_share": (1, 100),
        "n_gen_resblock": (1, 100),
    }
)

TRANSLATOR, FEATURES = "translator", "features"
"""The two checkpoints of one network: MODEL1 (scope ``UNIT``) and MODEL0 (scopes ``VAEGAN_recon_A`` and ``_B``)."""

_SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "UNIT/encoder_A": "enc_a",
        "UNIT/encoder_B": "enc_b",
        "UNIT/share_encoder": "share_enc",
        "UNIT/share_generator": "share_gen",
        "UNIT/generator_A": "gen_a",
        "UNIT/generator_B": "gen_b",
        "VAEGAN_recon_A/part1": "feat_a",
        "VAEGAN_recon_B/part1": "feat_b",
    }
)
_VARIABLE = re.compile(r"^(UNIT/[a-z]+(?:_[a-z]+)?(?:_[AB])?|VAEGAN_recon_[AB]/part1)/(.+)/(kernel|bias)$")
_SLOT = re.compile(r"/Adam(_\d+)?$")

_LAYERS: tuple[tuple[re.Pattern[str], str, Callable[[Tensor], Tensor]], ...] = (
    (re.compile(r"conv_(\d+)/conv2d"), r"conv\1", conv_kernel),
    (re.compile(r"resblock_(\d+)/res([12])/conv2d"), r"res\1.conv\2", conv_kernel),
    (re.compile(r"deconv_(\d+)/conv2d_transpose"), r"up\1", transposed_conv_kernel),
    (re.compile(r"deconv_tanh/conv2d_transpose"), "out", pointwise_transposed_conv_kernel),
)


@dataclass(frozen=True)
class EgscitConfig:
    """Architecture, in the official option names; defaults are those of GTA to BDD, CelebA and MNIST multi.

    ``n_encoder`` counts convolutions in front of the residual blocks: 3 halves the picture twice, 1 (28x28 MNIST)
    never. The official scripts give ``n_gen_decoder`` the same value, so that the picture keeps its size. With
    ``direction`` ``a2b``, frames are of domain A and exemplars of domain B.
    """

    ngf: int = 64
    n_encoder: int = 3
    n_enc_resblock: int = 3
    n_enc_share: int = 1
    n_gen_share: int = 1
    n_gen_resblock: int = 3
    direction: Direction = Direction.A2B

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            UsageError: a value is out of its legal range.
        """
        check_ranges(self, _LEGAL)

    @property
    def channels(self) -> int:
        """Channels of the shared features, and of the style: 256 in the releases with ``n_encoder`` 3."""
        return self.ngf * int(2 ** (self.n_encoder - 1))


def torch_state(states: Mapping[str, StateDict]) -> dict[str, Tensor]:
    """The weights of every network under PyTorch keys, from one or two checkpoints of either form.

    ``states``: ``translator`` and ``features``. The feature encoders come from ``features`` where it is given, as the
    authors' test script loads them, else from ``translator``: the official training writes them into both. Optimizer
    slots, discriminators and the decoders of the pre-trained autoencoders are dropped by rule.

    Raises:
        CheckpointError: a variable of the networks has a name or a shape that this architecture does not have.
    """
    merged = _converted(states.get(TRANSLATOR, {}))
    features = _converted(states.get(FEATURES, {}))
    return {**merged, **{key: value for key, value in features.items() if key.startswith("feat_")}}


def _converted(state: StateDict) -> dict[str, Tensor]:
    if not any(_VARIABLE.match(name) for name in state):
        return dict(state)
    named = {name: tensor for name, tensor in state.items() if _scope_of(name) and not _SLOT.search(name)}
    return dict(_convert_variable(name, tensor) for name, tensor in named.items())


def _scope_of(name: str) -> str | None:
    return next((scope for scope in _SCOPES if name.startswith(f"{scope}/")), None)


def _convert_variable(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    parts = _VARIABLE.match(name)
    for pattern, key, to_torch in _LAYERS:
        if parts is None or not (layer := pattern.fullmatch(parts[2])):
            continue
        full_key = f"{_SCOPES[parts[1]]}.{layer.expand(key)}"
        if parts[3] == "bias":
            return f"{full_key}.bias", tensor
        if tensor.dim() != 4 or (key == "out" and tuple(tensor.shape[:2]) != (1, 1)):
            raise _not_ours(f"the variable {name} has the shape {list(tensor.shape)}")
        return f"{full_key}.weight", to_torch(tensor)
    raise _not_ours(f"it has a variable {name}, which the published networks have not")


def _not_ours(reason: str) -> CheckpointError:
    return NearMissError(
        f"This is not one of the published EGSC-IT networks: {reason}.",
        remedy="The authors' scripts train with --norm=None and n_gen_decoder equal to n_encoder; others are not read.",
    )


def recognise(state: StateDict) -> str | None:
    """What a state dict holds of EGSC-IT, in a few words: by TensorFlow variable names, or by our PyTorch keys."""
    try:
        weights = _converted(state)
    except CheckpointError:
        return None
    translator, features = _holds_translator(weights), _holds_features(weights)
    if not translator and not features:
        return None
    try:
        seen = _infer(weights, "enc_a" if translator else "feat_a")
    except (CheckpointError, UsageError):
        return None
    parts = ["translators of both directions"] * translator + ["feature encoders of both domains"] * features
    return f"{' and '.join(parts)}, ngf {seen.ngf}, n_encoder {seen.n_encoder}"


def _holds_translator(weights: StateDict) -> bool:
    ends = ("enc_a.conv0", "enc_b.conv0", "share_enc.res0.conv1", "share_gen.res0.conv1", "gen_a.out", "gen_b.out")
    return all(f"{name}.weight" in weights for name in ends)


def _holds_features(weights: StateDict) -> bool:
    return all(f"feat_{domain}.{name}.weight" in weights for domain in "ab" for name in ("conv0", "res0.conv1"))


def infer_config(states: Mapping[str, StateDict], overrides: Mapping[str, object]) -> EgscitConfig:
    """Read the architecture off ``translator`` [and ``features``]; ``overrides`` win.

    Raises:
        CheckpointError: one of the two checkpoints is missing, or does not hold EGSC-IT's networks.
        UsageError: an override is out of range.
    """
    weights = torch_state(states)
    if not _holds_translator(weights):
        raise _no_translator(states, weights)
    if not _holds_features(weights):
        raise NearMissError(
            "The checkpoint holds EGSC-IT's translator (UNIT/…), but not its feature encoders (VAEGAN_recon_A/part1/… "
            "and VAEGAN_recon_B/part1/…), which are in the checkpoint of MODEL0.",
            remedy=f"Put the MODEL0 folder beside the MODEL1 folder, with the same file name in both: {_EXAMPLE}.",
        )
    try:
        seen = _infer(weights, "enc_a")
    except UsageError as error:
        raise _not_ours(error.what.rstrip(".")) from error
    return overridden(seen, overrides)


def _no_translator(states: Mapping[str, StateDict], weights: StateDict) -> CheckpointError:
    if _holds_features(weights):
        return NearMissError(
            "The checkpoint holds EGSC-IT's feature encoders (VAEGAN_recon_A/part1/…), but not its translator "
            "(UNIT/…), which is in the checkpoint of MODEL1.",
            remedy=f"Give the checkpoint of MODEL1; its folder lies beside that of MODEL0: {_EXAMPLE}.",
        )
    first = [key for state in states.values() for key in state][:4]
    return CheckpointError(
        "This is not an EGSC-IT checkpoint: it has no variables UNIT/encoder_A/conv_0/conv2d/kernel, … "
        f"(its first keys: {', '.join(first)}).",
        remedy="Give the .index file of the official MODEL1_…/UNIT.model-0 checkpoint.",
    )


def _infer(weights: StateDict, encoder: str) -> EgscitConfig:
    first = weights[f"{encoder}.conv0.weight"]
    if tuple(first.shape[1:]) != (3, 7, 7):
        raise _not_ours(f"its first convolution has the shape {list(first.shape)}")
    seen = EgscitConfig(
        ngf=int(first.shape[0]),
        n_encoder=_count(weights, f"{encoder}.conv", ".weight"),
        n_enc_resblock=_count(weights, f"{encoder}.res", ".conv1.weight"),
    )
    if encoder.startswith("feat"):
        return seen
    decoders = _count(weights, "gen_a.up", ".weight") + 1
    if decoders != seen.n_encoder:
        raise _not_ours(f"n_gen_decoder is {decoders} and n_encoder {seen.n_encoder}: pictures would change their size")
    return replace(
        seen,
        n_enc_share=_count(weights, "share_enc.res", ".conv1.weight"),
        n_gen_share=_count(weights, "share_gen.res", ".conv1.weight"),
        n_gen_resblock=_count(weights, "gen_a.res", ".conv1.weight"),
    )


def _count(weights: StateDict, before: str, after: str) -> int:
    return sum(bool(re.fullmatch(rf"{re.escape(before)}\d+{re.escape(after)}", key)) for key in weights)


_EXAMPLE = "MODEL0_gta25kbdd_bs3_lr1e-4 and MODEL1_gta25kbdd_bs3_lr1e-4_1e4Style_1e2Content"
_TRANSLATOR_FOLDER = re.compile(r"^MODEL1(?P<run>_.+?)(?:_[^_]+Style_[^_]+Content)?$")
_FEATURES_FOLDER = re.compile(r"^MODEL0(?P<run>_.+)$")


def companion_files(checkpoint: Path) -> dict[str, Path]:
    """The two checkpoints by the official layout (``run_test_EGSCIT.sh``), whichever of them is given.

    ``MODEL1_{data}_bs3_lr1e-4_1e4Style_1e2Content/UNIT.model-0.index`` belongs to
    ``MODEL0_{data}_bs3_lr1e-4/UNIT.model-0.index``: the same file name in the folder beside it. Where the runs' names
    differ, as between the authors' own training scripts, two folders alone belong together. A companion that cannot be
    found is left out: MODEL1 files written by the official training hold both networks.
    """
    if checkpoint.is_dir():
        checkpoint = checkpoint / "checkpoint"  # the Saver's text file, which names the newest
    if _FEATURES_FOLDER.match(checkpoint.parent.name):
        partner = _partner(checkpoint, _FEATURES_FOLDER, _TRANSLATOR_FOLDER)
        return {FEATURES: checkpoint} if partner is None else {TRANSLATOR: partner, FEATURES: checkpoint}
    partner = _partner(checkpoint, _TRANSLATOR_FOLDER, _FEATURES_FOLDER)
    return {TRANSLATOR: checkpoint} if partner is None else {TRANSLATOR: checkpoint, FEATURES: partner}


def _partner(checkpoint: Path, own: re.Pattern[str], other: re.Pattern[str]) -> Path | None:
    run = own.match(checkpoint.parent.name)
    if run is None:
        return None
    folders = [folder for folder in checkpoint.parent.parent.iterdir() if folder.is_dir()]
    runs = {folder: match["run"] for folder in folders if (match := other.match(folder.name))}
    fitting = [folder for folder, name in runs.items() if name == run["run"]]
    if not fitting and sum(bool(own.match(folder.name)) for folder in folders) == 1:
        fitting = list(runs)
    found = [folder / checkpoint.name for folder in fitting if _exists(folder / checkpoint.name)]
    return found[0] if len(found) == 1 else None


def _exists(checkpoint: Path) -> bool:
    """Whether it is a file, or the prefix of a TensorFlow checkpoint."""
    return checkpoint.is_file() or checkpoint.with_name(f"{checkpoint.name}.index").is_file()
