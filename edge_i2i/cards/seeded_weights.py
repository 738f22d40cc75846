"""Networks without trained weights, drawn so that INT8 costs them what it costs a trained one.

Official initialisations are meant to be trained: their pictures are grey or saturated, no channel is louder than
another, and rounding errors grow from layer to layer, because filters that know nothing of their input pass errors on
as loudly as features. ``realistic`` starts from them and walks every graph once on photographs, layer by layer:

1. A convolution's filters are mixed with centred patches of its own input (data-dependent initialisation, Krähenbühl
   et al. 2016, arXiv 1511.06856), in which what looks change is as loud as what the picture shows. Filters so aligned
   answer to features more than to errors. Input and output channels get a log-normal spread.
2. Its output is scaled to unit variance and its bias centres it (layer-sequential unit variance, Mishkin and Matas
   2016, arXiv 1511.06422). Norms get a spread, and stored statistics where they keep any; vectors that modulate a norm
   become shifts of 0 ± 0.5 and scales of 1 ± 0.5; codes read off an exemplar have zero mean and unit variance over the
   photographs, in every direction in which those differ, so that looks differ.
3. The last convolution gives the picture a photograph's statistics: deviation 0.45, colours correlated as they are.

How large a part of a filter is aligned is *chosen*, once for all architectures, so that INT8 costs a seeded network of
the shipped demo's architecture what it costs the trained demo, the one trained network at hand. So a figure measured on
seeded weights says what a network loses that is as sensitive as that one. It is no independent evidence of how
sensitive trained networks are, least of all those of other architectures, where nothing trained was there to compare.

INT8 of every convolution, in dB to FP32 before rounding (256x256, uint8 activations, ranges of 12 views of nine
photographs, judged on four others; means of seeds 0 to 3, in brackets the lowest and the highest):

                                             trained  official draw  share 0.07         ours, share 0.3
    all layers                               39.6     32.4           29.3 (28.0, 30.7)  38.9 (36.8, 42.2)
    all layers, channels equalised           43.7     33.3           30.3 (29.0, 32.0)  40.6 (38.0, 43.0)
    model.4 alone                            63.9     37.0           36.3 (33.5, 40.1)  59.5 (55.3, 67.3)
    model.10.conv_block.5 alone              64.0     45.7           42.8 (41.3, 45.2)  65.3 (60.2, 70.6)
    model.16 alone                           41.4     44.7           37.8 (37.0, 39.5)  41.9 (38.3, 45.5)

Agreement is to some 3 dB, and depends on the photographs: with ranges of two or three pictures like those judged on,
the trained network gave 50 to 52 dB and seeded ones 40 to 46; at 128x128 single seeds lie 3 dB below it to 9 above.
Equalising channels is worth more to the trained network.

What that choice costs elsewhere (256x256, median over three photographs; mean of the trunk's layers and, behind the
bar, of the three last; excess is not taken off the kurtosis; ours: mean of seeds 0 to 3):

                                             trained        official draw  ours
    weights: spread of output channels       0.06 | 0.09    0.03 | 0.03    0.06 | 0.13
    weights: spread of input channels        0.10 | 0.15    0.03 | 0.05    0.11 | 0.16
    weights: kurtosis inside a filter        3.2 | 3.7      3.0 | 3.0      3.1 | 5.1
    convolution inputs: peak over deviation  10.2 | 13.2    10.1 | 11.3    6.8 | 7.4
    convolution inputs: kurtosis             8.6 | 17.3     6.8 | 8.6      6.9 | 8.2
    convolution inputs: spread of channels   0.25 | 0.32    0.09 | 0.08    0.37 | 0.42
    convolution outputs: spread of channels  0.38 | 0.24    0.09 | 0.10    0.55 | 0.43

The spreads are deviations of log(standard deviation) over channels. Peaks are lower than the trained network's, and
channels more uneven.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_i2i.cards.seeded_layers import SMALLEST_SHARE, Walk, filters_of, hooks
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, TensorSpec, in_order
from edge_i2i.graphs.picture import to_network_form
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.media.photographs import load_photograph
from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin
from edge_i2i.models.family import ModelFamily, TranslationModel
from edge_i2i.models.registry import get_family
from edge_i2i.translate.conditions import PER_FRAME

WEIGHTS_NOTE = "seeded, not trained: drawn so that INT8 costs about what it costs the trained demo network"
"""What a report or a bundle says of these weights, beside the origin ``random``."""

PHOTOGRAPHS = ("coffee.png", "chelsea.png", "astronaut.png")

_DEVIATION, _SATURATED, _MOST_SATURATED = 0.45, 0.99, 0.015
# Correlation of R, G and B over the three photographs (mean of the three matrices).
_COLOURS = ((1.0, 0.88, 0.74), (0.88, 1.0, 0.95), (0.74, 0.95, 1.0))
_LOOK_SHARE = 0.2  # of what differs between looks in the means of the last convolution's input
_ALIKE = 0.5  # codes that vary less than that, as a share of their size, are spread
_FAINTEST = 0.1  # differences between codes are not enlarged farther than that, as a share of the largest
_LEAST = 1e-8

Values = Mapping[str, Tensor]


def load_realistic(name: str, config: Any = None, seed: int = 0, size: Size | None = None) -> LoadedModel:
    """What ``models.checkpoints.loading.load_random`` gives, with the weights of ``realistic``.

    Args:
        name: the model.
        config: its architecture; None: the paper's full-size network.
        seed: of the weights.
        size: of the photographs that the layers are scaled on; None: the model's full size.

    Raises:
        UsageError: an unknown model, or a size that it cannot take.
        MissingRequirementError: the photographs' packages are not installed.
    """
    family = get_family(name)
    config = family.full_config() if config is None else config
    model = realistic(family, config, seed, size or family.full_size)
    return LoadedModel(family, model, WeightsOrigin.RANDOM, None, None)


def realistic(family: ModelFamily[Any], config: Any, seed: int, size: Size) -> TranslationModel[Any]:
    """A network of that architecture with seeded weights: as sensitive to INT8 as the demo, pictures like photographs.

    Only what its graphs use is changed; keys and shapes are those of ``family.random``. It takes about five runs of
    every graph at ``size``; networks with looks run once on three at a time.

    Args:
        family: the published model.
        config: its architecture.
        seed: decides every weight.
        size: of the photographs that the layers are scaled on, a size that the network can take.

    Raises:
        UsageError: the network cannot take that size.
        MissingRequirementError: the photographs' packages are not installed.
    """
    model = family.random(config, seed)
    graphs = {graph.declaration.name: graph for graph in model.graphs(size, rewrites=())}
    walk = Walk(torch.Generator().manual_seed(seed))
    looks: list[dict[str, Tensor]] = [{} for _ in PHOTOGRAPHS]
    for declaration in in_order([graph.declaration for graph in graphs.values()]):
        graph = graphs[declaration.name]
        inputs = [photograph_inputs(declaration, index, look) for index, look in enumerate(looks)]
        calls = walk.run(graph.module, _looks_at_once(declaration, inputs))
        _fit_codes(graph.module, walk.codes, inputs)
        if declaration.kind is GraphKind.FRAME:
            _fit_picture(graph.module, calls[-1], inputs)
        else:
            for look, arguments in zip(looks, inputs, strict=True):
                names = [spec.name for spec in declaration.outputs]
                look.update(zip(names, _run(graph.module, arguments), strict=True))
    return model


def photograph_inputs(declaration: GraphDeclaration, index: int, known: Values | None = None) -> list[Tensor]:
    """Inputs of a graph in network form: photographs where it takes pictures, else seeded samples.

    Args:
        declaration: the graph's inputs, in call order.
        index: decides which photograph each picture is, and is the seed of the samples.
        known: what condition graphs have computed, by name, used as it is; None: nothing.
    """
    sampled = sample_inputs(declaration, index)
    computed = known or {}

    def value(spec: TensorSpec) -> Tensor:
        if spec.name in computed:
            return computed[spec.name]
        array = _photograph(spec, index) if spec.is_picture else sampled[spec.name]
        return to_network_form(torch.from_numpy(array), spec)

    return [value(spec) for spec in declaration.inputs]


def _looks_at_once(declaration: GraphDeclaration, inputs: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The first photograph's frame in the looks of all, as a batch; just the first look where there is no other.

    Filters are mixed with patches of what this gives: what looks change has to be in them, or the answer to it drowns
    among the filters' answers to what a picture shows. Graphs that mix looks or take boxes are for batches of one.
    """
    looks = [spec.role not in PER_FRAME for spec in declaration.inputs]
    single = {Role.MIX, Role.BOXES} & {spec.role for spec in declaration.inputs}
    if declaration.kind is not GraphKind.FRAME or single or not any(looks):
        return list(inputs[0])
    return [
        torch.cat(values if is_look else values[:1] * len(values))
        for is_look, values in zip(looks, zip(*inputs, strict=True), strict=True)
    ]


def _photograph(spec: TensorSpec, index: int) -> np.ndarray[Any, Any]:
    source = load_photograph(PHOTOGRAPHS[(index + len(spec.name)) % len(PHOTOGRAPHS)])
    target = np.empty(spec.shape, np.uint8)
    place_into(source, place(Size(*source.shape[:2]), Size(*spec.shape[:2]), Fit.CROP), target)
    return target


def _run(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        result = module(*inputs)
    return (result,) if isinstance(result, Tensor) else tuple(result)


# What comes out ---------------------------------------------------------------------------------------------------


def _fit_codes(module: nn.Module, layers: Sequence[Any], inputs: Sequence[Sequence[Tensor]]) -> None:
    """Give codes that are read off pictures zero mean and unit variance over the photographs, in every direction.

    What is read off pooled features is nearly the same for all photographs otherwise, or differs by contrast alone, and
    so does every look. Layers behind such a one get codes that differ, and are left as they are.
    """
    waiting = list(layers)
    while waiting:
        seen = [_outputs_of(waiting, module, arguments) for arguments in inputs]
        codes = [torch.stack([values[place].flatten(1) for values in seen], 1) for place in range(len(waiting))]
        first = next((place for place, values in enumerate(codes) if _alike(values)), None)
        if first is None:
            return
        mean, spreading = codes[first].mean((0, 1)), _spreading(codes[first])
        filters, bias = filters_of(waiting[first]), waiting[first].bias
        filters.copy_(torch.einsum("oc,c...->o...", spreading, filters))
        bias.copy_(spreading @ (bias - mean))
        waiting = waiting[first + 1 :]


def _alike(codes: Tensor) -> bool:
    """Whether [calls, photographs, values] differ little; what no photograph enters does not differ at all.

    Calls are told apart: a layer that reads two pictures of one frame gives two codes, but not two looks.
    """
    closest = min(_rms(codes[:, a] - codes[:, b]) for a, b in combinations(range(codes.shape[1]), 2))
    size, farthest = max(_rms(codes), _LEAST), _rms(codes - codes.mean(1, keepdim=True))
    return farthest > SMALLEST_SHARE * size and closest / math.sqrt(2) < _ALIKE * size


def _spreading(codes: Tensor) -> Tensor:
    """The matrix [values, values] after which the codes of photographs differ as far in every direction."""
    differences = (codes - codes.mean(1, keepdim=True)).flatten(0, 1)
    _, sizes, directions = torch.linalg.svd(differences, full_matrices=False)
    known = sizes > SMALLEST_SHARE * sizes[0]
    sizes, directions = sizes[known].clamp(min=_FAINTEST * float(sizes[0])), directions[known]
    wanted = math.sqrt(differences.numel() / len(sizes))  # unit variance in all
    rest = torch.eye(codes.shape[2]) - directions.T @ directions
    spreading: Tensor = rest * (wanted / float(sizes[0])) + (directions.T * (wanted / sizes)) @ directions
    return spreading


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _outputs_of(layers: Sequence[nn.Module], module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """What layers give when the graph runs; one that is called several times, one after the other."""
    seen: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}
    with hooks() as handles:
        for layer in layers:
            handles.append(layer.register_forward_hook(lambda called, _, y: seen[called].append(y.clone())))
        _run(module, inputs)
    return [torch.cat(seen[layer]) for layer in layers]


def _fit_picture(module: nn.Module, last: Any, inputs: Sequence[Sequence[Tensor]]) -> None:
    """Give the last convolution the scale, the bias and the mixture of its channels that make pictures of a
    photograph's statistics, behind the tanh with which every network ends.
    """
    _calm(module, last, inputs)
    raw = torch.stack([_outputs_of([last], module, arguments)[0][0].flatten(1) for arguments in inputs], 1)
    mean = raw.mean((1, 2))
    inside = (raw - raw.mean(2, keepdim=True)).flatten(1)  # contrast is that of a picture, not that between looks
    mixture = _colour_mixture(inside)
    scale, shift = _contrast(torch.einsum("oc,cpn->opn", mixture, raw - mean[:, None, None]))
    filters = filters_of(last)
    filters.copy_(torch.einsum("oc,c...->o...", scale * mixture, filters))
    if last.bias is not None:
        last.bias.copy_(scale * mixture @ (last.bias - mean) - shift)


def _calm(module: nn.Module, last: Any, inputs: Sequence[Sequence[Tensor]]) -> None:
    """Make the last convolution answer less to how its input's means differ between looks.

    Without it some networks give every look another brightness, and pictures no contrast.
    """
    means: list[Tensor] = []
    with hooks() as handles:
        handles.append(last.register_forward_pre_hook(lambda _, args: means.append(args[0].mean((0, 2, 3)))))
        for arguments in inputs:
            _run(module, arguments)
    differences = torch.stack(means)
    _, sizes, directions = torch.linalg.svd(differences - differences.mean(0), full_matrices=False)
    directions = directions[sizes > SMALLEST_SHARE * sizes[0]]
    filters = filters_of(last)
    along = filters.mean((2, 3)) @ directions.T @ directions
    filters.sub_((1 - _LOOK_SHARE) * along[:, :, None, None])


def _colour_mixture(centred: Tensor) -> Tensor:
    """[channels, n] → the matrix that gives them unit variance and, of three, a photograph's colour correlation."""
    count = len(centred)
    wanted = torch.tensor(_COLOURS) if count == 3 else torch.eye(count)
    values, vectors = torch.linalg.eigh(centred @ centred.T / centred.shape[1])
    whitening = (vectors / values.clamp(min=float(values.max()) * SMALLEST_SHARE).sqrt()) @ vectors.T
    mixture: Tensor = torch.linalg.cholesky(wanted) @ whitening
    return mixture


def _contrast(mixed: Tensor) -> tuple[float, Tensor]:
    """[channels, pictures, n] → the factor and shifts for the wanted deviation, or the most that hardly saturates."""
    low, high, shift = 0.0, 8.0, torch.zeros(len(mixed))
    for _ in range(16):
        middle = (low + high) / 2
        centre = torch.tanh(middle * mixed).mean((1, 2))  # tails are longer on one side
        pictures = torch.tanh(middle * mixed - centre[:, None, None])
        saturated = float((pictures.abs() > _SATURATED).float().mean())
        if float(pictures.std(2).mean()) < _DEVIATION and saturated < _MOST_SATURATED:
            low, shift = middle, centre
        else:
            high = middle
    return low, shift
