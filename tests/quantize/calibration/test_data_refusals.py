"""Videos, and data that cannot be calibrated over: each refused with its reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_i2i.contract import Size
from edge_i2i.errors import BadInputError, PictureError
from edge_i2i.media.geometry import Fit
from edge_i2i.quantize.calibration.folders import Folders
from samples.animations import SUFFIXES
from samples.animations import save as save_animation
from samples.calibration import Networks, ids, load, notes, photographs, picture, save, street
from samples.films import film_of

# Videos ---------------------------------------------------------------------------------------------------------


def with_bar(index: int) -> np.ndarray:
    """A frame of a film: a black bar grows from the left, a pixel a frame."""
    image = picture([index // 4], Size(120, 160))
    image[:, : 1 + index] = 0
    return image


def test_a_videos_frames_are_spread_over_its_whole_length(network: Networks, tmp_path: Path) -> None:
    path = film_of(tmp_path / "clip.mp4", map(with_bar, range(90)))
    with load(network("munit"), path, count=6, fit=Fit.STRETCH, held_out=2) as data:
        # The black bar on the left grows by a pixel a frame: it tells which frame of the 90 a sample is.
        bars = sorted(int((s["frame"].mean(axis=(0, 2)) < 20).sum()) for s in [*data.samples, *data.held_out])
        assert bars[0] <= 3 and bars[-1] >= 20 and np.diff(bars).max() <= 7
        assert len(data.samples) == 6


def test_videos_that_show_nothing_or_are_none_are_refused(network: Networks, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="one colour"):
        load(network("rgb"), film_of(tmp_path / "still.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 10))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(PictureError, match="cannot be read as a video"):
        load(network("rgb"), tmp_path / "broken.mp4")
    with pytest.raises(PictureError, match="There is no video"):
        load(network("rgb"), tmp_path / "absent.mp4")
    with pytest.raises(PictureError, match="is a video"):
        load(network("labels"), tmp_path / "still.mp4", Folders(instance_maps=tmp_path))
    with pytest.raises(PictureError, match="no names to pair maps by"):
        load(network("mask"), tmp_path / "still.mp4", Folders(masks=tmp_path))
    only = tmp_path / "only"
    only.mkdir()
    shutil.copy(tmp_path / "still.mp4", only)
    with pytest.raises(PictureError, match="videos only"):
        load(network("rgb"), only)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_animations_are_clips(network: Networks, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    made = [Image.fromarray(picture([index], Size(120, 160))) for index in range(12)]
    clip = save_animation(tmp_path / f"clip.{suffix}", made)
    with load(network("munit"), clip, count=6, fit=Fit.STRETCH, held_out=2) as data:
        assert len(data.samples) == 6 and len({sample["frame"].tobytes() for sample in data.samples}) == 6
    with pytest.raises(PictureError, match="is a video"):
        load(network("labels"), clip, Folders(instance_maps=tmp_path))
    with pytest.raises(PictureError, match="videos only"):
        load(network("rgb"), tmp_path)
    for number in range(3):
        save_animation(tmp_path / f"{number}.png", made[number : number + 1])
    with load(network("rgb"), tmp_path, count=2) as data:
        assert len(data.samples) == 2
    assert f"passed over: {clip.name}" in caplog.text
    clip.write_bytes(clip.read_bytes()[:-40])
    with pytest.raises(PictureError, match="damaged or cut off"):
        load(network("munit"), clip, count=6)


# Bad data -------------------------------------------------------------------------------------------------------


def flat_folder(folder: Path) -> Path:
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 2, (60, 80, 3)).astype(np.uint8)
        save(folder / f"f{number}.png", noise + 40 * number)
    return folder


def test_empty_unreadable_and_single_colour_sets_are_refused(network: Networks, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.png").write_bytes(b"not a picture")
    cases = {
        "empty": "holds no picture",
        "torn": r"None of the 1 calibration pictures can be read. The first: .*a\.png",
        "absent": "There is no file or folder",
    }
    flat_folder(tmp_path / "flat")
    for name, message in {**cases, "flat": "one colour only"}.items():
        with pytest.raises(PictureError, match=message) as caught:
            load(network("rgb"), tmp_path / name)
        assert caught.value.exit_code == 4 and caught.value.remedy


def test_bad_pictures_among_good_ones_are_passed_over_and_told(network: Networks, tmp_path: Path) -> None:
    photographs(flat_folder(tmp_path), 6, size=Size(40, 50))
    (tmp_path / "torn.jpg").write_bytes(b"not a picture")
    with load(network("rgb"), tmp_path) as data:
        assert (data.summary.pictures, len(data.samples)) == (4, 4)
        for words in (
            "1 picture could not be read and passed over, the first:",
            "torn.jpg",
            "3 pictures of one colour passed over",
            "6 of 6 pictures are smaller than 64x64 and were enlarged",
            "only 4 different pictures for ranges",
        ):
            assert words in notes(data)


def test_maps_that_do_not_fit_are_refused(network: Networks, tmp_path: Path) -> None:
    street(tmp_path / "one", 3, exemplars=False)
    with pytest.raises(PictureError, match="takes 'instance_map' with every frame") as caught:
        load(network("labels"), tmp_path / "one" / "label_map")
    assert "--instance-maps" in caught.value.remedy
    (tmp_path / "one" / "instance_map" / "a01_instanceIds.png").unlink()
    with pytest.raises(PictureError, match=r"1 of 3 calibration pictures lack a partner:\n.*a01_labelIds.png"):
        load(network("labels"), tmp_path / "one")
    street(tmp_path / "two", 3, exemplars=False)
    save(tmp_path / "two" / "label_map" / "a01_labelIds.png", ids(1, 9).astype(np.uint8))
    with pytest.raises(PictureError, match=r"a01_labelIds.png: 'label_map' holds values 0..9; legal are 0..4"):
        load(network("labels"), tmp_path / "two")
    save(tmp_path / "two" / "label_map" / "a01_labelIds.png", ids(1, 4, Size(30, 40)).astype(np.uint8))
    with pytest.raises(PictureError, match="inputs differ in size: label_map 30x40, instance_map 60x80"):
        load(network("labels"), tmp_path / "two")
    for path in (tmp_path / "two" / "label_map").iterdir():
        save(path, np.full((60, 80), 3, np.uint8))
    with pytest.raises(PictureError, match="one colour"):
        load(network("labels"), tmp_path / "two")


def test_exemplars_that_a_network_cannot_do_without_are_asked_for(
    network: Networks, streets: Path, tmp_path: Path
) -> None:
    street(tmp_path, 4, exemplars=False)
    with pytest.raises(BadInputError, match="needs features") as caught:
        load(network("encoder"), tmp_path)
    assert caught.value.exit_code == 4 and "--exemplars" in caught.value.remedy
    other = photographs(tmp_path / "looks", 3)
    with pytest.raises(PictureError, match="lack a partner"):
        load(network("encoder"), tmp_path, Folders(exemplars=other))
    with load(
        network("encoder"),
        tmp_path,
        Folders(exemplars=streets / "exemplar", exemplar_instance_maps=streets / "instance_map"),
    ):
        pass
    shutil.rmtree(tmp_path / "label_map")
    with pytest.raises(PictureError, match="and no label_map/"):
        load(network("encoder"), tmp_path)
