"""Comparing pictures: the worst case counts, NaN never passes, and the error names the stage."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_i2i.errors import ParityError
from edge_i2i.graphs.running import run_onnxruntime, run_torch_network
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.metrics.parity import (
    EXACT,
    FP16_TOLERANCE,
    NETWORK_OUTPUT,
    REDUCED_PRECISION,
    Parity,
    Tolerance,
    compare,
    psnr,
)
from samples.graphs.tiny import Array, parse, picture_graph, random, small_network

PICTURE = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
FLOAT = (PICTURE.transpose(2, 0, 1) / np.float32(127.5) - 1).astype(np.float32)


def _result(picture: Array = PICTURE, network: Array | None = FLOAT) -> Mapping[str, Array]:
    return {"image": picture} | ({} if network is None else {NETWORK_OUTPUT: network})


def _compare(*results: Mapping[str, Array]) -> Parity:
    return compare("some stage", "somebody", [_result()] * len(results), list(results))


def test_equal_results_are_equal() -> None:
    parity = _compare(_result(), _result())
    assert (parity.float_error, parity.grey_levels, parity.equal_share, parity.psnr_db) == (0.0, 0, 1.0, math.inf)
    assert parity.inputs == 2
    parity.check(EXACT, "frame")
    assert parity.figures() == {
        "float_error": 0,
        "grey_levels": 0,
        "equal_share": 1,
        "psnr_db": 999,
        "picture_error": 0,
        "inputs": 2,
    }


def _changed(by: int) -> Array:
    picture = PICTURE.copy()
    picture[1, 2, 0] += by
    return picture


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_input_counts(order: int) -> None:
    bad = _result(_changed(1), FLOAT + np.float32(0.5))
    parity = _compare(*[_result(), bad][::order])
    assert parity.float_error == pytest.approx(0.5)
    assert parity.grey_levels == 1
    assert parity.equal_share == 1 - 1 / PICTURE.size
    assert parity.psnr_db == pytest.approx(10 * math.log10(4 / 0.25), abs=1e-3)


def test_levels_do_not_wrap_around() -> None:
    white, black = np.full_like(PICTURE, 255), np.zeros_like(PICTURE)
    assert compare("s", "e", [_result(white)], [_result(black)]).grey_levels == 255


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("tolerance", [EXACT, FP16_TOLERANCE, REDUCED_PRECISION])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_never_pass(value: float, tolerance: Tolerance, order: int) -> None:
    broken = FLOAT.copy()
    broken[0, 0, 0] = value
    parity = _compare(*[_result(), _result(network=broken), _result()][::order])
    with pytest.raises(ParityError) as caught:
        parity.check(tolerance, "frame")
    assert caught.value.exit_code == 5


def test_a_reference_of_nan_does_not_pass_either() -> None:
    broken = FLOAT * np.float32(math.nan)
    parity = compare("s", "e", [_result(network=broken)], [_result(network=broken)])
    for tolerance in (EXACT, FP16_TOLERANCE):
        with pytest.raises(ParityError):
            parity.check(tolerance, "frame")


def test_without_the_float_output_the_picture_is_measured() -> None:
    parity = _compare(_result(_changed(1), None))
    assert parity.float_error is None
    assert parity.psnr_db == pytest.approx(psnr(PICTURE, _changed(1)))
    assert "float_error" not in parity.figures()


def test_a_float_output_is_compared_as_such() -> None:
    features = np.clip(FLOAT, -1, 1)
    parity = compare("s", "e", [{"features": features}], [{"features": features + np.float32(0.25)}])
    assert parity.float_error == pytest.approx(0.25)
    assert (parity.grey_levels, parity.equal_share) == (None, None)


def test_a_large_style_is_held_in_its_own_unit_and_every_tensor_counts() -> None:
    good = {"style": np.array([0.0, 1000.0], np.float32), "mask": np.array([0.5], np.float32)}
    close = {**good, "style": good["style"] + np.float32(0.05)}
    assert compare("s", "e", [good], [close]).float_error == pytest.approx(5e-5, rel=1e-2)
    assert compare("s", "e", [good], [{**good, "mask": np.array([0.25], np.float32)}]).float_error == 0.25
    with pytest.raises(ParityError, match="gives no 'mask'"):
        compare("s", "e", [good], [{"style": good["style"]}])


@pytest.mark.parametrize("bad", [PICTURE[None], PICTURE[:1], PICTURE[..., :1], PICTURE.astype(np.float32)])
def test_another_shape_or_type_is_no_match(bad: Array) -> None:
    """numpy would stretch most of these to the other shape and find them equal."""
    with pytest.raises(ParityError, match=r"The stage 'some stage' .*image") as caught:
        _compare(_result(bad))
    assert caught.value.exit_code == 5


def test_nothing_compared_is_not_parity() -> None:
    with pytest.raises(ParityError, match="no input"):
        compare("s", "e", [], []).check(EXACT, "frame")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"float_error": 2e-4}, "largest float error 0.0002 is more than 0.0001"),
        ({"grey_levels": 2}, "largest grey-level difference 2 is more than 1"),
        ({"picture_error": 2e-4}, "float error that the picture tells of 0.0002 is more than 0.0001"),
        ({"psnr_db": 66.0}, "PSNR in dB 66 is less than 67"),
        ({"float_error": math.nan}, "largest float error nan is more than 0.0001"),
    ],
)
def test_the_error_names_stage_graph_figures_and_engine(change: dict[str, Any], complaint: str) -> None:
    good: dict[str, Any] = {"float_error": 1e-4, "grey_levels": 1, "equal_share": 0.9, "psnr_db": 80.0}
    Parity("fold", "ONNX Runtime", 2, **good).check(EXACT, "frame")
    with pytest.raises(ParityError, match=re.escape(f"The stage 'fold' broke the graph 'frame': {complaint}")) as e:
        Parity("fold", "ONNX Runtime", 2, **(good | change)).check(EXACT, "frame")
    assert "against torch on 2 fresh inputs, evaluated by ONNX Runtime" in e.value.what
    assert "--passes" in e.value.remedy
    assert e.value.exit_code == 5


def test_every_broken_figure_is_listed() -> None:
    with pytest.raises(ParityError, match=r"float error .* grey-level .* picture tells .* PSNR"):
        Parity("fold", "E", 2, 1.0, 9, 0.5, 10.0, 1.0).check(EXACT, "frame")


@pytest.mark.parametrize(("tolerance", "least"), [(FP16_TOLERANCE, 60.0), (REDUCED_PRECISION, 48.0)])
def test_reduced_precision_is_held_to_its_psnr(tolerance: Tolerance, least: float) -> None:
    Parity("fp16", "E", 2, 1.0, 9, 0.5, least).check(tolerance, "frame")
    with pytest.raises(ParityError, match=f"PSNR in dB {least - 0.01:.5g} is less than {least:g}"):
        Parity("fp16", "E", 2, 1.0, 9, 0.5, least - 0.01).check(tolerance, "frame")


@given(arrays.arrays(np.uint8, (3, 4, 3)), arrays.arrays(np.uint8, (3, 4, 3)))
@settings(deadline=None)
def test_psnr_is_its_definition(a: Array, b: Array) -> None:
    error = sum((int(p) - int(q)) ** 2 for p, q in zip(a.flat, b.flat, strict=True)) / a.size
    assert psnr(a, b) == (math.inf if error == 0 else pytest.approx(10 * math.log10(255**2 / error)))


@given(st.floats(1e-6, 1.0))
@settings(deadline=None)
def test_psnr_of_floats_has_a_range_of_two(step: float) -> None:
    a = np.zeros((4, 4))
    assert psnr(a, a + step, data_range=2.0) == pytest.approx(20 * math.log10(2 / step))


def test_psnr_of_what_is_no_number_is_the_worst() -> None:
    assert psnr(np.zeros(3), np.array([0, np.inf, 0]), data_range=2.0) == -math.inf
    assert psnr(np.zeros(3), np.array([0, np.nan, 0]), data_range=2.0) == -math.inf


def test_the_reference_is_the_network_in_outside_form() -> None:
    graph = picture_graph(small_network())
    samples = [sample_inputs(graph.declaration, seed) for seed in (0, 1)]
    first, second = run_torch_network(graph, samples)
    assert (first["image"].shape, first["image"].dtype.name) == ((16, 24, 3), "uint8")
    assert (first[NETWORK_OUTPUT].shape, first[NETWORK_OUTPUT].dtype.name) == ((3, 16, 24), "float32")
    wanted = np.clip(np.rint((first[NETWORK_OUTPUT].transpose(1, 2, 0) + 1) * 127.5), 0, 255)
    assert np.abs(first["image"] - wanted).max() <= 1
    assert not np.array_equal(first["image"], second["image"])


def test_onnx_runtime_runs_a_file_on_every_sample(tmp_path: Path) -> None:
    model = parse("g (float[2] x) => (float[2] y, float[2] z) { y = Neg (x) z = Add (x, x) }")
    ir.save(model, tmp_path / "tiny.onnx")
    samples: list[dict[str, Array]] = [{"x": random(2, seed=seed)} for seed in range(3)]
    results = list(run_onnxruntime(tmp_path / "tiny.onnx", samples, threads=1))
    assert len(results) == 3
    for sample, result in zip(samples, results, strict=True):
        np.testing.assert_array_equal(result["y"], -sample["x"])
        np.testing.assert_array_equal(result["z"], 2 * sample["x"])


# What a picture loses, and what it does not -----------------------------------------------------------------------


def _rounded(network: Array) -> Array:
    return np.clip(np.rint((network.transpose(1, 2, 0) + np.float32(1)) * np.float32(127.5)), 0, 255).astype(np.uint8)


def _network(height: int, width: int) -> Array:
    """A float output that uses the whole range."""
    return np.random.default_rng(7).uniform(-1, 1, (3, height, width)).astype(np.float32)


def _held(network: Array, changed: Array, *, float_output: bool = True, picture: Array | None = None) -> Parity:
    """A stage that computes ``changed`` where the reference computes ``network``."""
    reference = {"image": _rounded(network), NETWORK_OUTPUT: network}
    image = _rounded(changed) if picture is None else picture
    return compare("s", "e", [reference], [{"image": image} | ({NETWORK_OUTPUT: changed} if float_output else {})])


@pytest.mark.parametrize("float_output", [True, False])
@pytest.mark.parametrize("size", [(16, 16), (64, 96), (540, 960)])
def test_rounding_errors_pass_at_every_size(size: tuple[int, int], float_output: bool) -> None:
    """Of 3e-5 everywhere: 0.4 % of the values turn over, more than was once allowed, and no picture loses anything."""
    network = _network(*size)
    noise = np.random.default_rng(3).choice(np.array([-3e-5, 3e-5], np.float32), network.shape)
    parity = _held(network, network + noise, float_output=float_output)
    parity.check(EXACT, "frame")
    if size == (540, 960):
        assert parity.equal_share is not None and parity.equal_share == pytest.approx(1 - 127.5 * 3e-5, abs=3e-4)


def _biased(network: Array) -> Array:
    return network + np.float32(1e-3)


def _scaled(network: Array) -> Array:
    return network * np.float32(0.998)


def _wrong_row(network: Array) -> Array:
    """Zero padding instead of reflection, say: the outermost row alone, and little."""
    changed = network.copy()
    changed[:, 0] *= np.float32(0.99)
    return changed


def _wrong_corner(network: Array) -> Array:
    changed = network.copy()
    changed[:, -1, -1] = -changed[:, -1, -1]
    return changed


def _shifted(network: Array) -> Array:
    return np.roll(network, 1, axis=2)


def _one_channel(network: Array) -> Array:
    changed = network.copy()
    changed[2] += np.float32(5e-4)
    return changed


@pytest.mark.parametrize("float_output", [True, False])
@pytest.mark.parametrize("size", [(64, 96), (540, 960)])
@pytest.mark.parametrize("error", [_biased, _scaled, _wrong_row, _wrong_corner, _shifted, _one_channel])
def test_true_errors_stop_an_export(error: Any, size: tuple[int, int], float_output: bool) -> None:
    """By the picture alone, too: once the float output is gone."""
    network = _network(*size)
    with pytest.raises(ParityError, match="error"):
        _held(network, error(network), float_output=float_output).check(EXACT, "frame")


def _truncated(network: Array) -> Array:
    return ((network.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)


def _one_level_up(network: Array) -> Array:
    return np.minimum(_rounded(network), 254) + np.uint8(1)


def _one_row_one_level(network: Array) -> Array:
    picture = _rounded(network)
    picture[-1] = np.where(picture[-1] < 255, picture[-1] + 1, 254)
    return picture


@pytest.mark.parametrize("wrong", [_truncated, _one_level_up, _one_row_one_level])
def test_a_picture_that_is_not_its_float_output_rounded(wrong: Any) -> None:
    """Never more than one grey level off, and the float output is right."""
    network = _network(540, 960)
    parity = _held(network, network, picture=wrong(network))
    assert parity.grey_levels == 1 and parity.float_error == 0
    with pytest.raises(ParityError, match="float error that the picture tells of"):
        parity.check(EXACT, "frame")


def test_a_flat_picture_between_two_levels_may_turn_over_whole() -> None:
    """Zeros are 127.5: the smallest error decides between 127 and 128, for every value at once."""
    flat = np.zeros((3, 32, 32), np.float32)
    parity = _held(flat, flat - np.float32(1e-6))
    assert parity.equal_share == 0 and parity.grey_levels == 1
    parity.check(EXACT, "frame")


def test_values_beyond_the_range_are_clamped() -> None:
    network = np.full((3, 4, 4), 1.5, np.float32)
    parity = _held(network, network)
    assert parity.picture_error == 0.0
    parity.check(EXACT, "frame")


def test_pictures_alone_are_held_to_their_psnr() -> None:
    """Golden pictures have no float output beside them: 1 % of flips is within rounding, 2 % is not."""
    for share, passes in ((0.01, True), (0.02, False)):
        picture = np.full((100, 100, 3), 9, np.uint8)
        changed = picture.copy()
        changed.reshape(-1)[: int(share * picture.size)] += 1
        parity = compare("s", "e", [{"image": picture}], [{"image": changed}])
        if passes:
            parity.check(EXACT, "frame")
        else:
            with pytest.raises(ParityError, match="PSNR"):
                parity.check(EXACT, "frame")
