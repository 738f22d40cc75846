"""A checkpoint that TensorFlow itself writes from BridgeGAN's graph, read and run here.

The graph is built from TensorFlow's own operators under the authors' scope names; TensorFlow numbers the layers. Both
sides compute in float64: in float32, two right answers of so small a network differ by more than 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_i2i.contract import Size
from edge_i2i.errors import CheckpointError
from edge_i2i.models.bridgegan.config import BridgeGANConfig
from edge_i2i.models.bridgegan.model import FAMILY, BridgeGANNetworks
from edge_i2i.models.checkpoints.tensorflow import read_tensorflow_checkpoint

tensorflow = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: it writes the checkpoints that are read here"
)
v1 = tensorflow.compat.v1

CONFIG = BridgeGANConfig(
    atts="Smiling,Bangs",
    n_downblks_gen=2,
    ch_gen=4,
    n_layers_map=2,
    dim_noise=3,
    n_intermedblks_enc=1,
    ch_enc=2,
    ch_spade=6,
)
SIDE = CONFIG.drawn_side
TOLERANCE = 1e-9
Array = NDArray[np.float64]


def variable(name: str, shape: list[int]) -> Any:
    """A float32 variable that no other has the values of; computed with in float64."""
    return v1.cast(v1.get_variable(name, shape, initializer=v1.random_normal_initializer(stddev=0.2)), v1.float64)


def convolve(x: Any, out: int, kernel: int) -> Any:
    """Stride 1, SAME, with a bias, named as slim names it."""
    with v1.variable_scope(None, "Conv"):
        weights = variable("weights", [kernel, kernel, int(x.shape[-1]), out])
        return v1.nn.conv2d(x, weights, strides=1, padding="SAME") + variable("biases", [out])


def normalise(x: Any, affine: bool = True) -> Any:
    """Over height and width, epsilon 1e-6, named as slim names it."""
    with v1.variable_scope(None, "InstanceNorm"):
        beta, gamma = (variable(name, [int(x.shape[-1])]) if affine else None for name in ("beta", "gamma"))
        mean, variance = v1.nn.moments(x, [1, 2], keepdims=True)
        return v1.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-6)


def nearest(x: Any, side: int) -> Any:
    return v1.image.resize_nearest_neighbor(x, [side, side])


def spade(style: Any, scope: str) -> Callable[[Any, int], Any]:
    """The norm number 1 or 2 of a block."""

    def norm(x: Any, number: int) -> Any:
        with v1.variable_scope(f"{scope}_{number}", reuse=v1.AUTO_REUSE):
            plain = normalise(x, affine=False)
            hidden = v1.nn.relu(convolve(nearest(style, int(x.shape[1])), CONFIG.ch_spade, 3))
            scale = convolve(hidden, int(x.shape[-1]), 3)
            return plain * (1 + scale) + convolve(hidden, int(x.shape[-1]), 3)

    return norm


def residual(x: Any, out: int, resample: str = "", norm: Callable[[Any, int], Any] | None = None) -> Any:
    def up(z: Any) -> Any:
        return nearest(z, 2 * int(z.shape[1])) if resample == "up" else z

    def down(z: Any) -> Any:
        return v1.nn.avg_pool2d(z, 2, 2, "SAME") if resample == "down" else z

    apply = norm or (lambda z, number: normalise(z))
    refined = convolve(up(v1.nn.relu(apply(x, 1))), out, 3)
    refined = down(convolve(v1.nn.relu(apply(refined, 2)), out, 3))
    return refined + (down(convolve(up(x), out, 1)) if resample else x)


@contextmanager
def scope(name: str) -> Iterator[None]:
    with v1.variable_scope(name, reuse=v1.AUTO_REUSE):
        yield


def encoder(picture: Any, difference: Any) -> Any:
    with scope("Gencoder"):
        tiled = v1.tile(difference[:, None, None, :], [1, SIDE, SIDE, 1])
        x = convolve(v1.concat([picture, tiled], 3), CONFIG.ch_enc, 1)
        x = residual(residual(x, 2 * CONFIG.ch_enc, "down"), 2 * CONFIG.ch_enc)
        return v1.nn.relu(normalise(convolve(v1.nn.relu(x), 2 * CONFIG.ch_enc, 1)))


def mapping(noise: Any, difference: Any) -> Any:
    with scope("Gmappingnet"):
        x = v1.concat([noise, difference], 1)
        with v1.variable_scope(None, "flatten_fully_connected"), v1.variable_scope(None, "fully_connected"):
            width = 4 * 4 * 4 * CONFIG.ch_enc
            x = v1.matmul(x, variable("weights", [int(x.shape[1]), width])) + variable("biases", [width])
        x = v1.reshape(x, [1, 4, 4, 4 * CONFIG.ch_enc])
        for _ in range(CONFIG.n_layers_map):
            x = residual(x, 2 * CONFIG.ch_enc, "up")
        return v1.nn.relu(normalise(convolve(v1.nn.relu(x), 2 * CONFIG.ch_enc, 1)))


def generator(picture: Any, style: Any) -> Any:
    ch = CONFIG.ch_gen
    with scope("Ggenerator"):
        x = residual(residual(convolve(picture, ch, 1), 2 * ch, "down"), 4 * ch, "down")
        x = residual(residual(x, 4 * ch), 4 * ch, norm=spade(style, "targ1_inter"))
        for i, out in enumerate((2 * ch, ch)):
            x = residual(x, out, "up", spade(style, f"targ{i}_up"))
        return v1.tanh(convolve(v1.nn.relu(x), 3, 1))


@dataclass(frozen=True)
class Written:
    """A checkpoint's path, what went in and what TensorFlow computed, pictures as NCHW."""

    checkpoint: Path
    tensors: dict[str, Tensor]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Train a step, so that the checkpoint holds Adam's slots and the training's own variables too, and save."""
    path = tmp_path_factory.mktemp("bridgegan") / "Epoch_(4)_(10of10).ckpt"
    rng = np.random.RandomState(8)
    with v1.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(8)
        frame, exemplar = (rng.uniform(-1, 1, (1, SIDE, SIDE, 3)) for _ in range(2))
        noise, difference = rng.normal(0, 1, (1, 3)), np.array([[1.5, -1.5]])
        drawn, given = mapping(v1.constant(noise), v1.constant(difference)), encoder(exemplar, v1.constant(difference))
        source = encoder(frame, v1.constant(-difference))
        label, reference = generator(frame, drawn + source), generator(frame, given + source)
        v1.get_variable("G_R", [20, 3], trainable=False)
        v1.get_variable("counter/counter", [], v1.int64, v1.zeros_initializer(), trainable=False)
        loss, last = v1.reduce_mean(label), v1.trainable_variables()[-1]
        step = v1.train.AdamOptimizer(1e-3).minimize(loss, var_list=[last])
        session.run(v1.global_variables_initializer())
        session.run(step)
        outputs = {"drawn": drawn, "given": given, "label": label, "reference": reference}
        arrays = {"frame": frame, "exemplar": exemplar, "noise": noise, **session.run(outputs)}
        v1.train.Saver().save(session, str(path))
    return Written(path, {name: torch.from_numpy(_as_nchw(array)) for name, array in arrays.items()})


def _as_nchw(array: Array) -> Array:
    return array if array.ndim == 2 else np.ascontiguousarray(array.transpose(0, 3, 1, 2))


def test_it_is_recognised_and_its_architecture_read(written: Written) -> None:
    state = read_tensorflow_checkpoint(written.checkpoint)
    assert FAMILY.recognise(state) == "a generator, encoder and mapping network for 2 attributes, ch_gen 4"
    assert FAMILY.infer_config({"networks": state}, {"atts": CONFIG.atts}) == CONFIG


@pytest.mark.parametrize(("graph", "origin", "style"), [(1, "exemplar", "given"), (2, "noise", "drawn")])
@torch.no_grad()
def test_it_computes_what_tensorflow_computes(written: Written, graph: int, origin: str, style: str) -> None:
    model = FAMILY.load({"networks": read_tensorflow_checkpoint(written.checkpoint)}, CONFIG)
    model.networks.double()
    graphs = model.graphs(Size(SIDE, SIDE))
    target, source = torch.eye(2, dtype=torch.float64).chunk(2)
    got = graphs[graph].module(written.tensors[origin], target, source)
    picture = graphs[0].module(written.tensors["frame"], target, source, got)
    assert float((got - written.tensors[style]).abs().max()) <= TOLERANCE
    wanted = written.tensors["reference" if style == "given" else "label"]
    assert float((picture - wanted).abs().max()) <= TOLERANCE


def test_the_portable_form_holds_the_networks_alone(written: Written) -> None:
    states = FAMILY.portable({"networks": read_tensorflow_checkpoint(written.checkpoint)})
    with torch.device("meta"):
        assert states["networks"].keys() == BridgeGANNetworks(CONFIG).state_dict().keys()
    assert FAMILY.infer_config(states, {"atts": CONFIG.atts}) == CONFIG
    FAMILY.load(states, CONFIG)


def test_a_variable_without_a_place_is_refused_by_its_name(written: Written) -> None:
    state = {**read_tensorflow_checkpoint(written.checkpoint), "Ggenerator/Conv_99/weights": torch.zeros(3, 3, 1, 1)}
    with pytest.raises(CheckpointError, match="unexpected: Ggenerator/Conv_99/weights"):
        FAMILY.load({"networks": state}, CONFIG)
