"""EGSC-IT against the same network built of TensorFlow's operators, through checkpoints that its Saver wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_i2i.contract import Size
from edge_i2i.errors import CheckpointError
from edge_i2i.models.checkpoints.tensorflow import read_tensorflow_checkpoint
from edge_i2i.models.egscit.model import FAMILY, EgscitConfig
from edge_i2i.models.family import Direction
from edge_i2i.models.weights import StateDict

tf: Any = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: it writes the checkpoints that are read here"
)
v1 = tf.compat.v1

TOLERANCE = 1e-5
SIZE = Size(16, 24)
MODEL1, MODEL0 = "MODEL1_celeba_bs8_lr1e-4_5e3Style_1e1Content", "MODEL0_celeba_bs8_lr1e-4"


def _variable(name: str, shape: list[int]) -> Any:
    return v1.get_variable(name, shape, initializer=v1.random_normal_initializer(0.0, 0.12), use_resource=False)


def _conv(x: Any, out: int, kernel: int, stride: int, scope: str) -> Any:
    reach = kernel // 2
    padded = tf.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "REFLECT")
    with v1.variable_scope(f"{scope}/conv2d"):
        weights = _variable("kernel", [kernel, kernel, x.shape[-1], out])
        return tf.nn.conv2d(padded, weights, stride, "VALID") + _variable("bias", [out])


def _deconv(x: Any, out: int, kernel: int, stride: int, scope: str) -> Any:
    n, height, width, channels = x.shape.as_list()
    shape = [n, height * stride, width * stride, out]
    with v1.variable_scope(f"{scope}/conv2d_transpose"):
        weights = _variable("kernel", [kernel, kernel, out, channels])
        return tf.nn.conv2d_transpose(x, weights, shape, stride, "SAME") + _variable("bias", [out])


def _resblock(x: Any, scope: str) -> Any:
    channels = x.shape[-1]
    inner = tf.nn.relu(_conv(x, channels, 3, 1, f"{scope}/res1"))
    return x + _conv(inner, channels, 3, 1, f"{scope}/res2")


def _encoder(x: Any, config: EgscitConfig, scope: str) -> Any:
    x = tf.nn.leaky_relu(_conv(x, config.ngf, 7, 1, f"{scope}/conv_0"), 0.2)
    for i in range(1, config.n_encoder):
        x = tf.nn.leaky_relu(_conv(x, config.ngf * 2**i, 3, 2, f"{scope}/conv_{i}"), 0.2)
    for i in range(config.n_enc_resblock):
        x = _resblock(x, f"{scope}/resblock_{i}")
    return x


def _generator(x: Any, config: EgscitConfig, mask: Any, style: tuple[Any, Any], scope: str) -> Any:
    x = x * (tf.sigmoid(mask) / 2.0 + 1.0 / 2.0)
    mean, variance = tf.nn.moments(x, [1, 2], keepdims=True)
    x = style[0] * ((x - mean) / variance) + style[1]
    for i in range(config.n_gen_resblock):
        x = _resblock(x, f"{scope}/resblock_{i}")
    for i in range(config.n_encoder - 1):
        x = tf.nn.leaky_relu(_deconv(x, config.channels // 2 ** (i + 1), 3, 2, f"{scope}/deconv_{i}"), 0.2)
    return tf.tanh(_deconv(x, 3, 1, 1, f"{scope}/deconv_tanh"))


def _network(pictures: Mapping[str, Any], config: EgscitConfig) -> dict[str, Any]:
    """Both directions, the noise left out."""
    features = {d: _encoder(x, config, f"VAEGAN_recon_{d}/part1") for d, x in pictures.items()}
    styles = {d: tf.nn.moments(x, [1, 2], keepdims=True) for d, x in features.items()}
    both = tf.concat([_encoder(x, config, f"UNIT/encoder_{d}") for d, x in pictures.items()], 0)
    for part in ("share_encoder", "share_generator"):
        both = _resblock(both, f"UNIT/{part}/resblock_0")
    shared = dict(zip(pictures, tf.split(both, 2, 0), strict=True))
    return {
        "a2b": _generator(shared["A"], config, features["A"], styles["B"], "UNIT/generator_B"),
        "b2a": _generator(shared["B"], config, features["B"], styles["A"], "UNIT/generator_A"),
    }


@dataclass(frozen=True)
class Trained:
    """Two checkpoints in the authors' layout, a picture of each domain (NHWC), and what TensorFlow makes of them."""

    model1: Path
    pictures: dict[str, NDArray[np.float32]]
    outputs: dict[str, NDArray[np.float32]]


def _train(folder: Path, config: EgscitConfig) -> Trained:
    rng = np.random.RandomState(5)
    shape = (1, SIZE.height, SIZE.width, 3)
    pictures = {d: rng.uniform(-1, 1, shape).astype(np.float32) for d in "AB"}
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(7)
        outputs = _network({d: tf.constant(x) for d, x in pictures.items()}, config)
        networks = v1.global_variables()
        slots = [_variable(f"{v.op.name}/Adam", v.shape.as_list()) for v in networks if "conv_0" in v.op.name]
        extras = [_variable("UNIT/discriminator_A/conv_0/weights", [4, 4, 3, 4]), v1.train.get_or_create_global_step()]
        session.run(v1.global_variables_initializer())
        for name, scope in ((MODEL1, "UNIT/"), (MODEL0, "VAEGAN")):
            (folder / name).mkdir()
            saved = [v for v in (*networks, *slots, *extras) if v.op.name.startswith(scope)]
            v1.train.Saver([*saved, extras[-1]]).save(session, str(folder / name / "UNIT.model"), global_step=0)
        results = session.run(outputs)
    return Trained(folder / MODEL1 / "UNIT.model-0.index", pictures, results)


CONFIGS = {
    "n_encoder 3": EgscitConfig(ngf=4),
    "n_encoder 1": EgscitConfig(ngf=4, n_encoder=1, n_enc_resblock=1, n_gen_resblock=1),
}


@pytest.fixture(scope="module", params=CONFIGS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[EgscitConfig, Trained]:
    config = CONFIGS[request.param]
    return config, _train(tmp_path_factory.mktemp("logs"), config)


def _states(checkpoint: Path) -> dict[str, StateDict]:
    files = FAMILY.companion_files(checkpoint)
    return {network: read_tensorflow_checkpoint(path) for network, path in files.items()}


def _nchw(picture: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize("direction", list(Direction))
@torch.no_grad()
def test_checkpoints_become_the_same_network(trained: tuple[EgscitConfig, Trained], direction: Direction) -> None:
    config, reference = trained
    states = _states(reference.model1)
    assert set(states) == {"translator", "features"}
    inferred = FAMILY.infer_config(states, {"direction": direction})
    assert inferred == replace(config, direction=direction)
    frame, encode = FAMILY.load(states, inferred).graphs(SIZE)
    source, target = direction.value.upper().split("2")
    got = frame.module(_nchw(reference.pictures[source]), encode.module(_nchw(reference.pictures[target])))
    wanted = _nchw(reference.outputs[direction.value])
    assert 0.05 < float(wanted.std()) < 0.9
    assert float((got - wanted).abs().max()) <= TOLERANCE


def test_each_checkpoint_is_recognised_by_its_variables(trained: tuple[EgscitConfig, Trained]) -> None:
    states = _states(trained[1].model1)
    assert "translators" in str(FAMILY.recognise(states["translator"]))
    assert "feature encoders" in str(FAMILY.recognise(states["features"]))


def test_a_checkpoint_alone_says_what_it_lacks(trained: tuple[EgscitConfig, Trained]) -> None:
    translator = read_tensorflow_checkpoint(trained[1].model1)
    with pytest.raises(CheckpointError, match="MODEL0"):
        FAMILY.infer_config({"translator": translator}, {})
