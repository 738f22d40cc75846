"""Made-up inputs: legal, seeded, and unlike each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec, picture_spec
from edge_i2i.graphs.samples import sample_inputs

SIZE = Size(24, 40)
SPECS = (
    picture_spec("frame", Role.FRAME, SIZE, ""),
    picture_spec("exemplar", Role.EXEMPLAR, SIZE, ""),
    TensorSpec("label_map", Role.LABEL_MAP, (24, 40), DType.UINT8, 0, 34, ""),
    TensorSpec("instance_map", Role.INSTANCE_MAP, (24, 40), DType.INT32, 0, 2**31 - 1, ""),
    TensorSpec("slots", Role.INSTANCE_MAP, (24, 40), DType.INT32, 0, 255, "", slots=256),
    TensorSpec("features", Role.STYLE, (3, 24, 40), DType.FLOAT32, -1, 1, ""),
    TensorSpec("style", Role.STYLE, (8,), DType.FLOAT32, -3, 3, ""),
)


def _declare(*specs: TensorSpec) -> GraphDeclaration:
    return GraphDeclaration("frame", GraphKind.FRAME, specs, ())


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_samples_are_legal(seed: int) -> None:
    samples = sample_inputs(_declare(*SPECS), seed)
    assert list(samples) == [spec.name for spec in SPECS]
    for spec in SPECS:
        array = samples[spec.name]
        assert (array.shape, array.dtype) == (spec.shape, np.dtype(spec.dtype.value))
        assert spec.low <= array.min()
        assert array.max() <= spec.high
        assert array.flags.c_contiguous


def test_the_same_seed_gives_the_same_arrays() -> None:
    first, again = (sample_inputs(_declare(*SPECS), 7) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])


def test_seeds_and_inputs_differ() -> None:
    samples = [sample_inputs(_declare(*SPECS), seed) for seed in range(3)]
    for spec in SPECS:
        assert not np.array_equal(samples[0][spec.name], samples[1][spec.name])
        assert not np.array_equal(samples[1][spec.name], samples[2][spec.name])
        assert len(np.unique(samples[0][spec.name])) > 1
    assert not np.array_equal(samples[0]["frame"], samples[0]["exemplar"])
    assert not np.array_equal(samples[0]["instance_map"], samples[0]["slots"])


def test_pictures_have_smooth_areas_as_well_as_noise() -> None:
    picture = sample_inputs(_declare(picture_spec("frame", Role.FRAME, Size(128, 128), "")), 1)["frame"].astype(float)
    neighbours = np.abs(np.diff(picture, axis=1)).mean()
    apart = np.abs(picture[:, 64:] - picture[:, :64]).mean()
    assert 1 < neighbours < apart / 2


def test_label_maps_use_many_classes_and_instance_maps_large_ids() -> None:
    samples = sample_inputs(_declare(*SPECS), 1)
    assert len(np.unique(samples["label_map"])) > 5
    assert samples["instance_map"].max() > 1000


@pytest.mark.parametrize("size", [Size(1, 1), Size(8, 8), Size(65, 3)])
def test_any_size_will_do(size: Size) -> None:
    label = TensorSpec("label_map", Role.LABEL_MAP, (size.height, size.width), DType.UINT8, 0, 0, "")
    samples = sample_inputs(_declare(picture_spec("frame", Role.FRAME, size, ""), label), 0)
    assert samples["frame"].shape == (size.height, size.width, 3)
    assert not samples["label_map"].any()
