"""From folders, videos and golden inputs to complete, varied inputs of every kind of network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.golden import golden_input
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.cli.options.calibration_options import CalibrationDataOptions
from edge_i2i.contract import Role, Size
from edge_i2i.errors import BundleError, PictureError, UsageError
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.metrics.flicker import PanningClip, warp_error
from edge_i2i.progress import Progress
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, load_calibration
from edge_i2i.quantize.calibration.folders import Folders
from samples.calibration import (
    NETWORKS,
    Networks,
    distinct,
    ids,
    load,
    notes,
    photographs,
    picture,
    save,
    write_toy_bundle,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("photos"), 12)


def fitted(ids: np.ndarray) -> np.ndarray:
    """A map as the network at 64x64 gets it."""
    target = np.zeros((64, 64), ids.dtype)
    place_into(np.ascontiguousarray(ids), place(Size(*ids.shape), Size(64, 64), Fit.CROP), target)
    return target


# Complete inputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("source", ["files", "golden"])
def test_every_sample_is_a_complete_input_of_the_frame_graph(
    network: Networks, photos: Path, streets: Path, name: str, source: str
) -> None:
    bundle = network(name)
    files = streets if name in ("labels", "encoder") else photos
    if name == "labels":
        files = files / "label_map"
    folders = Folders(instance_maps=streets / "instance_map") if name == "labels" else None
    with load(bundle, files if source == "files" else "golden", folders, count=6) as data:
        assert len(data.held_out) >= 2 and len(data.clip) == 8 and len(data.samples) >= 2
        for sample in [*data.samples, *data.held_out, *data.clip]:
            assert list(sample) == [spec.name for spec in bundle.frame_graph.inputs]
            for spec in bundle.frame_graph.inputs:
                array = sample[spec.name]
                assert (array.shape, array.dtype) == (spec.shape, spec.dtype.value)
                assert np.isfinite(array).all()
                if spec.role is not Role.STYLE:  # the toy graphs know no range
                    assert array.min() >= spec.low and array.max() <= spec.high


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("munit", "adain"), ("egscit", "style"), ("bicyclegan", "bias_0"), ("mask", "exemplar"), ("boxes", "adain")],
)
def test_every_sample_has_a_look_of_its_own(network: Networks, photos: Path, name: str, tensor: str) -> None:
    with load(network(name), photos, count=6) as data:
        assert distinct(data.samples, tensor) >= 5
        assert distinct(data.held_out, tensor) >= 2


def test_looks_come_from_exemplars_and_from_draws(network: Networks, photos: Path) -> None:
    with load(network("munit"), photos, count=8) as data:
        assert "4 drawn styles" in data.summary.looks and "exemplars" in data.summary.looks
        assert "frames of the set itself served as exemplars" in notes(data)


def test_exemplars_of_a_folder_are_held_out_too(network: Networks, photos: Path, tmp_path: Path) -> None:
    exemplars = photographs(tmp_path / "looks", 6, first=50)
    with load(network("mask"), photos, Folders(exemplars=exemplars), count=8) as data:
        seen, judged = ({sample["exemplar"].tobytes() for sample in part} for part in (data.samples, data.held_out))
        assert len(seen) == 4 and judged and not seen & judged
        assert "of the set itself" not in notes(data)


def test_a_frame_is_not_its_own_exemplar(network: Networks, photos: Path) -> None:
    with load(network("mask"), photos, count=20) as data:
        assert all(not np.array_equal(sample["frame"], sample["exemplar"]) for sample in data.samples)


def test_few_pictures_meet_many_looks(network: Networks, tmp_path: Path) -> None:
    photographs(tmp_path, 5)
    with load(network("munit"), tmp_path, count=16) as data:
        assert len(data.samples) == 16 and distinct(data.samples, "frame") == 3
        assert distinct(data.samples, "adain") > 8
    with load(network("rgb"), tmp_path, count=16) as data:
        assert len(data.samples) == 3, "without looks, the same picture again says nothing new"


def test_attributes_are_on_and_off_and_so_are_those_of_the_source(network: Networks, photos: Path) -> None:
    with load(network("attributes"), photos, count=8) as data:
        for name in ("attributes", "source_attributes"):
            rows = np.stack([sample[name] for sample in data.samples])
            assert rows.mean(axis=0).tolist() == [0.5] * 14
            assert len(np.unique(rows, axis=0)) > 4
        assert distinct(data.samples, "style") > 4
        assert "combinations of attributes" in data.summary.looks


def test_a_slider_is_moved(network: Networks, photos: Path) -> None:
    with load(network("slider"), photos, count=12) as data:
        assert distinct(data.samples, "mix") >= 3
        assert any(not np.array_equal(sample["style"], sample["second_style"]) for sample in data.samples)


def test_boxes_lie_in_the_frame_and_objects_have_styles(network: Networks, photos: Path) -> None:
    with load(network("boxes"), photos, count=8) as data:
        counts = set()
        for sample in [*data.samples, *data.held_out]:
            used = sample["boxes"][sample["boxes"].any(axis=1)]
            counts.add(len(used))
            assert (used[:, 0] < used[:, 2]).all() and (used[:, 1] < used[:, 3]).all()
            assert used.min() >= 0 and used[:, 2].max() <= 48 and used[:, 3].max() <= 32
        assert len(counts) > 1 and 0 not in counts
        assert distinct(data.samples, "object_adain") == 8
        assert "drawn boxes" in data.summary.looks


def test_masks_are_taken_from_files_or_drawn(network: Networks, tmp_path: Path) -> None:
    photographs(tmp_path / "frame", 4)
    with load(network("mask"), tmp_path / "frame", count=4) as data:
        mask = data.samples[0]["mask"]
        assert (mask.min(), mask.max()) == (0, 255) and "drawn masks" in data.summary.looks
    for number in range(4):
        save(tmp_path / "mask" / f"p{number:02}.png", picture(number)[..., 0])
    for source, folders in (
        (tmp_path, None),
        (tmp_path / "frame", Folders(masks=tmp_path / "mask")),
    ):
        with load(network("mask"), source, folders, count=4, fit=Fit.STRETCH) as data:
            assert "drawn masks" not in data.summary.looks


# Where things lie -----------------------------------------------------------------------------------------------


def test_maps_are_paired_by_their_names(network: Networks, streets: Path) -> None:
    with load(network("encoder"), streets, count=6) as data:
        labels, instances = (
            {fitted(array).tobytes(): number for number, array in enumerate(every)}
            for every in ([ids(n, 4).astype(np.uint8) for n in range(8)], [ids(n, 9, factor=1000) for n in range(8)])
        )
        for sample in data.samples:
            number = labels[sample["label_map"].tobytes()]
            assert instances[sample["instance_map"].astype(np.uint16).tobytes()] == number
        assert distinct(data.samples, "features") > 2
    pattern = Path(f"{streets}/**/*_labelIds.png")
    maps = Folders(instance_maps=Path(f"{streets}/**/*_instanceIds.png"))
    with pytest.raises(PictureError, match="lack a partner"):
        load(network("labels"), pattern, maps)  # the folders differ, and so do the places below them
    with load(network("labels"), Path(f"{streets}/label_map/*"), Folders(instance_maps=streets / "instance_map")):
        pass


def test_folders_inside_the_data_folder_are_not_frames(network: Networks, tmp_path: Path) -> None:
    photographs(tmp_path, 5)
    photographs(tmp_path / "looks", 5, first=40)
    with load(network("munit"), tmp_path, Folders(exemplars=tmp_path / "looks")) as data:
        assert data.summary.pictures == 3


def test_an_option_that_the_network_has_no_use_for_is_refused(network: Networks, photos: Path) -> None:
    for folders, what in (
        (Folders(exemplars=photos), "takes no exemplar"),
        (Folders(instance_maps=photos), "takes no instance map of a frame"),
        (Folders(exemplar_instance_maps=photos), "takes no instance map of an exemplar"),
        (Folders(masks=photos), "takes no mask of a frame"),
    ):
        with pytest.raises(UsageError, match=what):
            load(network("rgb"), photos, folders)


# Held out -------------------------------------------------------------------------------------------------------------


def test_quality_is_judged_on_other_pictures(network: Networks, tmp_path: Path) -> None:
    photographs(tmp_path, 8)
    for number in range(8):
        shutil.copy(tmp_path / f"p{number:02}.png", tmp_path / f"x{number:02}.png")
    with load(network("rgb"), tmp_path) as data:
        seen, judged = ({sample["frame"].tobytes() for sample in part} for part in (data.samples, data.held_out))
        assert len(seen) == 6 and len(judged) == 2 and not seen & judged
        assert "8 copies of other pictures passed over" in notes(data)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_pictures_are_judged_on_mirror_images(network: Networks, tmp_path: Path, count: int) -> None:
    photographs(tmp_path, count)
    with load(network("rgb"), tmp_path) as data:
        assert (len(data.samples), len(data.held_out)) == (count, max(2, count))
        assert np.array_equal(data.held_out[0]["frame"], data.samples[0]["frame"][:, ::-1])
        everything = [*data.samples, *data.held_out]
        assert distinct(everything, "frame") == len(everything)
        assert "judged on mirror images" in notes(data)


def test_a_symmetric_picture_is_judged_on_its_middle(network: Networks, tmp_path: Path) -> None:
    half = picture(1, Size(60, 40))
    save(tmp_path / "a.png", np.concatenate([half, half[:, ::-1]], axis=1))
    save(tmp_path / "b.png", picture(2))
    with load(network("rgb"), tmp_path) as data:
        everything = [*data.samples, *data.held_out]
        assert distinct(everything, "frame") == len(everything) == 4


def test_the_clip_pans_and_keeps_its_look(network: Networks, photos: Path) -> None:
    with load(network("boxes"), photos, count=4) as data:
        assert warp_error(PanningClip(tuple(frame["frame"] for frame in data.clip), data.clip_step)) == 0
        assert distinct(data.clip, "frame") == 8
        assert distinct(data.clip, "adain") == 1
        boxes = np.stack([frame["boxes"] for frame in data.clip])
        whole = (boxes[:, :, 0] > 0).all(axis=0) & (boxes[:, :, 2] < 48).all(axis=0) & boxes.any(axis=2).all(axis=0)
        assert np.allclose(np.diff(boxes[:, whole, 0], axis=0), -data.clip_step[1])
    with load(network("mask"), photos, count=4) as data:
        assert warp_error(PanningClip(tuple(frame["mask"] for frame in data.clip), data.clip_step)) == 0


# The same again -------------------------------------------------------------------------------------------------


def test_the_same_data_and_options_give_the_same_samples_in_any_order(
    network: Networks, photos: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(photos, tmp_path / "copy")
    with load(network("slider"), photos, count=6) as first, load(network("slider"), elsewhere, count=6) as second:
        assert first.sha256 == second.sha256
        backwards = [second.samples[index] for index in reversed(range(6))][::-1]
        for one, other in zip(first.samples, backwards, strict=True):
            assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_changes_the_samples_changes_the_hash(network: Networks, photos: Path, tmp_path: Path) -> None:
    base = {"count": 6}
    variants: list[dict[str, Any]] = [base, {"count": 5}, {**base, "seed": 1}, {**base, "fit": Fit.STRETCH}]
    hashes = [load(network("munit"), photos, **options).sha256 for options in variants]
    looks = Folders(exemplars=photographs(tmp_path / "looks", 6, first=70))
    hashes += [load(network("munit"), photos, looks, **base).sha256, load(network("munit"), "golden").sha256]
    hashes += [load(network("mask"), photos, **base).sha256]
    assert len(set(hashes)) == len(hashes)


def test_samples_cannot_be_written_to(network: Networks, photos: Path) -> None:
    with load(network("rgb"), photos) as data, pytest.raises(ValueError, match="read-only"):
        data.samples[0]["frame"][0] = 0


# Golden inputs --------------------------------------------------------------------------------------------------


def test_golden_inputs_are_taken_as_they_are(network: Networks) -> None:
    bundle = network("boxes")
    golden = bundle.golden()
    with load(bundle, "golden") as data:
        for number, sample in enumerate(data.samples):
            assert all(np.array_equal(array, golden[f"frame.{number}.in.{name}"]) for name, array in sample.items())
        plain, mirrored = data.samples[0], data.held_out[0]
        assert np.array_equal(mirrored["frame"], plain["frame"][:, ::-1])
        assert "random pictures" in notes(data)


def test_a_bundle_without_golden_inputs_says_so(tmp_path: Path) -> None:
    bundle = open_bundle(write_toy_bundle(tmp_path / "bare.i2i", *NETWORKS["rgb"], golden=False))
    with pytest.raises(BundleError, match="no golden inputs") as caught:
        load(bundle, "golden")
    assert caught.value.exit_code == 4


def test_golden_inputs_that_are_not_complete_are_refused(tmp_path: Path) -> None:
    path = write_toy_bundle(tmp_path / "bare.i2i", *NETWORKS["boxes"], golden=False)
    frame = open_bundle(path).frame_graph
    assert len(frame.inputs) > 1
    with extend_bundle(path) as writer:
        first = frame.inputs[0]
        writer.add_golden({golden_input(frame.name, 0, first.name): np.zeros(first.shape, first.dtype.value)})
        writer.finish_extended({})
    with pytest.raises(BundleError, match=r"The golden data of .* lacks"):
        load(open_bundle(path), "golden")


# Options --------------------------------------------------------------------------------------------------------


def test_options_are_checked_and_converted() -> None:
    for wrong in ({"count": 0}, {"held_out": 1}, {"seed": -1}):
        with pytest.raises(UsageError, match="out of range"):
            CalibrationOptions(**wrong)
    given_options = CalibrationDataOptions(data="golden", samples=7, exemplars=Path("looks"), fit="stretch")
    assert given_options.source == "golden"
    assert CalibrationDataOptions(data="./golden").source == Path("golden")
    options = given_options.options(threads=1)
    assert (options.count, options.folders.exemplars, options.fit, options.threads) == (7, Path("looks"), "stretch", 1)
    with pytest.raises(UsageError, match="no fit 'wide'"):
        CalibrationDataOptions(data="x", fit="wide").options()
    with pytest.raises(UsageError, match="nothing to calibrate over"):
        _ = CalibrationDataOptions().source


class Counter(Progress):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, total: int | None, what: str) -> None:
        self.told.append([what, total, 0])

    def advance(self, n: int = 1, note: str = "") -> None:
        self.told[-1][2] += n

    def finish(self) -> None:
        self.told[-1].append("done")


def test_progress_is_told(network: Networks, photos: Path, tmp_path: Path) -> None:
    counter = Counter()
    options = CalibrationOptions(count=4, folders=Folders(exemplars=photographs(tmp_path, 3)), threads=1)
    load_calibration(network("egscit"), photos, options, counter)
    assert counter.told == [["calibration pictures", 8, 8, "done"], ["exemplars", 3, 3, "done"]]
