"""Networks without trained weights, drawn so that what flows through them is as hard to quantize as in a trained one.

Official initialisations are meant to be trained: their pictures are grey or saturated, and no channel is louder than
another. ``realistic`` starts from them and walks every graph once on photographs, layer by layer:

1. A convolution's filters are mixed with centred patches of its own input (data-dependent initialisation, Krähenbühl
   et al. 2016, arXiv 1511.06856): filters that answer to what is there give heavy tails, and loud and quiet channels,
   behind weights that look as Gaussian as trained ones. Input and output channels get a log-normal spread.
2. Its output is scaled to unit variance and its bias centres it (layer-sequential unit variance, Mishkin and Matas
   2016, arXiv 1511.06422). Norms get a spread, and stored statistics where they keep any; vectors that modulate a norm
   become shifts of 0 ± 0.5 and scales of 1 ± 0.5; codes read off an exemplar have zero mean and unit variance over the
   photographs, so that looks differ.
3. The last convolution gives the picture a photograph's statistics: deviation 0.45, colours correlated as they are.

What it is held to is the shipped demo network, the one trained network at hand (pix2pixHD, 256x256, median over three
photographs; mean of the trunk's layers and, behind the bar, of the three last; excess is not taken off the kurtosis):

                                             trained        official draw  ours
    weights: spread of output channels       0.06 | 0.09    0.03 | 0.03    0.06 | 0.07
    weights: spread of input channels        0.10 | 0.15    0.03 | 0.05    0.10 | 0.15
    weights: kurtosis inside a filter        3.3 | 3.7      3.0 | 3.0      3.1 | 5.0
    convolution inputs: peak over deviation  10.2 | 13.2    10.4 | 11.3    10.7 | 11.3
    convolution inputs: kurtosis             8.2 | 17.3     7.2 | 8.6      7.2 | 7.6
    convolution inputs: spread of channels   0.24 | 0.32    0.10 | 0.08    0.16 | 0.13
    convolution outputs: spread of channels  0.38 | 0.24    0.11 | 0.10    0.27 | 0.14

The spreads are deviations of log(standard deviation) over channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_i2i.graphs.picture import to_network_form
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.learn.data import load_photograph
from edge_i2i.measure.seeded_layers import SMALLEST_SHARE, Walk, filters_of, hooks
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.models.contract import GraphDeclaration, GraphKind, Size, TensorSpec, in_order
from edge_i2i.models.family import ModelFamily, TranslationModel
from edge_i2i.models.loading import LoadedModel, WeightsOrigin
from edge_i2i.models.registry import get_family

WEIGHTS_NOTE = "seeded, not trained: scaled layer by layer so that activations are as a trained network's"
"""What a report or a bundle says of these weights, beside the origin ``random``."""

PHOTOGRAPHS = ("coffee.png", "chelsea.png", "astronaut.png")

_DEVIATION, _SATURATED, _MOST_SATURATED = 0.45, 0.99, 0.015
# Correlation of R, G and B over the three photographs (mean of the three matrices).
_COLOURS = ((1.0, 0.88, 0.74), (0.88, 1.0, 0.95), (0.74, 0.95, 1.0))
_LOOK_SHARE = 0.2  # of what differs between looks in the means of the last convolution's input
_ALIKE = 0.5  # codes that vary less than that, as a share of their size, are spread
_LEAST = 1e-8

Values = Mapping[str, Tensor]


def load_realistic(name: str, config: Any = None, seed: int = 0, size: Size | None = None) -> LoadedModel:
    """What ``models.loading.load_random`` gives, with the weights of ``realistic``.

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
    """A network of that architecture with seeded weights whose activations and pictures are like a trained one's.

    Only what its graphs use is changed; keys and shapes are those of ``family.random``. It takes about five runs of
    every graph at ``size``.

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
        calls = walk.run(graph.module, inputs[0])
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

    ``known`` holds what condition graphs have computed, by name. A frame and its exemplar are different photographs.
    """
    sampled = sample_inputs(declaration, index)
    computed = known or {}

    def value(spec: TensorSpec) -> Tensor:
        if spec.name in computed:
            return computed[spec.name]
        array = _photograph(spec, index) if spec.is_picture else sampled[spec.name]
        return to_network_form(torch.from_numpy(array), spec)

    return [value(spec) for spec in declaration.inputs]


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
    """Give codes that are read off pictures zero mean and unit variance over the photographs.

    What is read off pooled features is nearly the same for all photographs otherwise, and so is every look. Layers
    behind such a one get codes that differ, and are left as they are.
    """
    waiting = list(layers)
    while waiting:
        seen = [_outputs_of(waiting, module, arguments) for arguments in inputs]
        codes = [torch.cat([values[place].flatten(1) for values in seen]) for place in range(len(waiting))]
        first = next((place for place, values in enumerate(codes) if _alike(values)), None)
        if first is None:
            return
        mean = codes[first].mean(0)
        deviation = (codes[first] - mean).square().mean().sqrt()
        waiting[first].weight.div_(deviation)
        waiting[first].bias.sub_(mean).div_(deviation)
        waiting = waiting[first + 1 :]


def _alike(codes: Tensor) -> bool:
    """Whether [codes, values] differ little from each other; what no photograph enters does not differ at all."""
    deviation = (codes - codes.mean(0)).square().mean().sqrt()
    return SMALLEST_SHARE < float(deviation / codes.square().mean().sqrt().clamp(min=_LEAST)) < _ALIKE


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
