"""A folder of calibration frames: what it holds, what is left out and why, and that it appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.collect import folder as collection_folder
from edge_i2i.collect.diversity import farthest_points, nearest_distances
from edge_i2i.collect.features import NEAR_DUPLICATE_DISTANCE, frame_features
from edge_i2i.collect.folder import Collection, read_collection
from edge_i2i.collect.frames import Sampling, SourceFrame, SourcePosition, Unreadable
from edge_i2i.collect.opening import open_source
from edge_i2i.collect.run import collect_frames
from edge_i2i.errors import BadInputError, EdgeI2IError, PictureError, UsageError
from edge_i2i.media.pictures import read_picture
from edge_i2i.translate.plan import make_plan
from samples.films import film_of
from samples.pictures import soft_shapes

EVERY_FRAME = Sampling(every=0)


def blank(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


@dataclass
class Played:
    """A source of given frames, which may end in an error; like a camera's they cannot be had twice."""

    pictures: Sequence[np.ndarray]
    error: BaseException | None = None
    kind: str = "camera"
    name: str = "played"
    total: int | None = None
    unreadable: list[Unreadable] = field(default_factory=list)

    def frames(self) -> Generator[SourceFrame, None, None]:
        for index, picture in enumerate(self.pictures):
            yield SourceFrame(picture, SourcePosition("", index, index / 10))
        if self.error:
            raise self.error


def collect_from(source: Path | str, output: Path, count: int = 32) -> Collection:
    return collect_frames(open_source(str(source), output, EVERY_FRAME), output, count=count)


def write_folder(folder: Path, pictures: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / name), picture[..., ::-1])
    return folder


def listing(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_consistent(collection: Collection, output: Path) -> None:
    """The record agrees with itself and with the files."""
    out = collection.left_out
    assert collection.seen == len(collection.frames) + out.blank + out.near_duplicates + out.similar + out.not_needed
    assert read_collection(output) == collection
    names = [f"frame-{number:04d}.png" for number in range(len(collection.frames))]
    assert [frame.file for frame in collection.frames] == names
    assert set(listing(output)) == {*names, ".collection/collection.json", ".collection/contact-sheet.png"}
    for frame in collection.frames:
        content = (output / frame.file).read_bytes()
        assert (frame.sha256, frame.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        assert read_picture(output / frame.file).shape == (frame.height, frame.width, 3)
    assert collection.bytes == sum(frame.bytes for frame in collection.frames)
    assert [path.name for path in output.parent.glob(".*")] == []


# What is chosen -------------------------------------------------------------------------------------------------


def test_a_folder_with_repeats_and_blanks_gives_each_view_once_exactly(tmp_path: Path) -> None:
    pictures = {f"{view}{letter}.png": soft_shapes(view) for view in range(5) for letter in "abc"}
    source = write_folder(tmp_path / "in", pictures | {"black.png": blank(0), "white.png": blank(255)})
    collection = collect_from(source, tmp_path / "out")
    check_consistent(collection, tmp_path / "out")
    assert (collection.seen, collection.left_out.blank, collection.left_out.near_duplicates) == (17, 2, 10)
    assert sorted(frame.source_file for frame in collection.frames) == [f"{view}a.png" for view in range(5)]
    for frame in collection.frames:
        np.testing.assert_array_equal(read_picture(tmp_path / "out" / frame.file), pictures[frame.source_file])


def test_a_video_gives_its_shots_with_their_time_stamps(tmp_path: Path) -> None:
    first, second, third = map(soft_shapes, (1, 2, 3))
    shots = [first] * 10 + [second] * 10 + [blank(0)] * 5 + [third] * 10 + [first] * 5
    collection = collect_from(film_of(tmp_path / "a.mp4", shots, options={"crf": "10"}), tmp_path / "out")
    check_consistent(collection, tmp_path / "out")
    assert sorted(frame.source_frame for frame in collection.frames) == [0, 10, 25]
    assert all(frame.source_seconds == pytest.approx(frame.source_frame / 25) for frame in collection.frames)
    assert (collection.seen, collection.left_out.blank) == (40, 5)


def test_fewer_frames_than_views_cover_the_clusters(tmp_path: Path) -> None:
    """Twenty views of one scene in slightly other light, and one each of two others: three frames, one of each."""
    view, *others = map(soft_shapes, (1, 2, 3))
    dimmed = [(view * (1 - 0.02 * step)).astype(np.uint8) for step in range(20)]
    played = Played([*dimmed[:10], others[0], *dimmed[10:], others[1]])
    collection = collect_frames(played, tmp_path / "out", count=3)
    numbers = {frame.source_frame for frame in collection.frames}
    assert {10, 21} < numbers and len(numbers) == 3
    coverage = collection.coverage
    assert coverage.mean_distance <= coverage.largest_distance <= coverage.closest_pair
    assert coverage.near_duplicate_distance == NEAR_DUPLICATE_DISTANCE
    check_consistent(collection, tmp_path / "out")


def test_a_long_source_keeps_few_frames_on_disk_and_tells_what_it_covers(tmp_path: Path) -> None:
    pictures = [soft_shapes(seed) for seed in range(300)]
    most = 0

    class Watch:
        def start(self, total: int | None, what: str) -> None:
            assert (total, what) == (None, "frames")

        def advance(self, n: int = 1, note: str = "") -> None:
            nonlocal most
            most = max(most, len(list(tmp_path.glob(".out.*.part/spool/*.png"))))

        def finish(self) -> None: ...

    collection = collect_frames(Played(pictures), tmp_path / "out", count=4, progress=Watch())
    check_consistent(collection, tmp_path / "out")
    assert 4 < most <= 64 and collection.left_out.similar > 200 - most
    points = np.array([frame_features(picture) for picture in pictures])
    chosen = points[[frame.source_frame for frame in collection.frames]]
    farthest = max(np.linalg.norm(chosen - point, axis=1).min() for point in points)
    assert collection.coverage.measured_on == 300
    assert collection.coverage.largest_distance == pytest.approx(farthest, abs=1e-3)
    everything = points[farthest_points(points, 4)]
    assert farthest <= 1.2 * nearest_distances(points, everything).max()


def test_the_same_source_gives_the_same_files_and_a_beginning_is_a_smaller_set(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {f"{view}.png": soft_shapes(view) for view in range(12)})
    for name, count in (("a", 6), ("b", 6), ("c", 3)):
        collect_from(source, tmp_path / name, count)
    assert listing(tmp_path / "a") == listing(tmp_path / "b")
    for number in range(3):
        name = f"frame-{number:04d}.png"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_pictures_keep_their_sizes(tmp_path: Path) -> None:
    wide, tall = cv2.resize(soft_shapes(1), (300, 20)), cv2.resize(soft_shapes(2), (17, 200))
    collection = collect_from(write_folder(tmp_path / "in", {"wide.png": wide, "tall.png": tall}), tmp_path / "out")
    assert {(frame.height, frame.width) for frame in collection.frames} == {(20, 300), (200, 17)}
    check_consistent(collection, tmp_path / "out")


def test_whatever_takes_the_folder_takes_the_frames_alone(tmp_path: Path) -> None:
    collection = collect_frames(Played([soft_shapes(seed) for seed in range(8)]), tmp_path / "out")
    taken = [item.source.name for item in make_plan({"frame": str(tmp_path / "out")}, tmp_path / "results").items]
    assert taken == [frame.file for frame in collection.frames]
    rows, columns = 2, 6
    sheet = read_picture(tmp_path / "out" / ".collection" / "contact-sheet.png")
    assert sheet.shape[0] > rows * 128 and sheet.shape[1] > columns * 192


def test_the_record_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.png": soft_shapes(1)})
    collect_from(source, tmp_path / "out")
    text = (tmp_path / "out" / ".collection" / "collection.json").read_text()
    assert str(tmp_path) not in text and json.loads(text)["source"] == {"kind": "folder", "name": "in"}


# What is refused ------------------------------------------------------------------------------------------------


def check_refused(source: Path, output: Path, error: type[EdgeI2IError], *words: str) -> None:
    with pytest.raises(error) as caught:
        collect_from(source, output)
    assert caught.value.remedy
    for word in words:
        assert word in str(caught.value)
    assert [path.name for path in output.parent.glob(".*")] == []


def test_a_set_of_single_colours_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {f"{level}.png": blank(level) for level in (0, 100, 255)})
    check_refused(source, tmp_path / "out", PictureError, "of 3, all are of a single colour", "clip")
    assert not (tmp_path / "out").exists()


def test_a_black_video_is_refused(tmp_path: Path) -> None:
    check_refused(film_of(tmp_path / "a.mp4", [blank(0)] * 9), tmp_path / "out", PictureError, "of 9, all")


def test_an_empty_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    check_refused(tmp_path / "in", tmp_path / "out", BadInputError, "no picture and no video")


def test_a_folder_of_unreadable_files_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.gif"):
        (tmp_path / "in" / name).write_bytes(b"GIF89a")
    check_refused(tmp_path / "in", tmp_path / "out", PictureError, "gives no frame", "2 files cannot be read", "a GIF")


def test_unreadable_files_among_others_are_passed_over_and_told(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.png": soft_shapes(1)})
    (source / "b.png").write_bytes(b"")
    collection = collect_from(source, tmp_path / "out")
    assert [one.file for one in collection.left_out.unreadable] == ["b.png"]
    check_consistent(collection, tmp_path / "out")


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_senseless_count_is_wrong_usage(tmp_path: Path, count: int) -> None:
    with pytest.raises(UsageError, match="1 to 1000"):
        collect_frames(Played([soft_shapes(1)]), tmp_path / "out", count=count)


# What was there before ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchanges", [True, False])
def test_an_earlier_collection_is_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:  # a disk that cannot swap two names
        monkeypatch.setattr(collection_folder, "exchange", lambda first, second: False)
    collect_frames(Played([soft_shapes(seed) for seed in range(9)]), tmp_path / "out")
    collection = collect_frames(Played([soft_shapes(seed) for seed in (20, 21)]), tmp_path / "out")
    check_consistent(collection, tmp_path / "out")
    assert len(collection.frames) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), PictureError("cut off"), OSError("disk")])
@pytest.mark.parametrize("before", [True, False])
def test_an_interrupted_run_changes_nothing(tmp_path: Path, error: BaseException, before: bool) -> None:
    output = tmp_path / "out"
    if before:
        collect_frames(Played([soft_shapes(1), soft_shapes(2)]), output)
    there = listing(tmp_path)
    with pytest.raises(type(error)):
        collect_frames(Played([soft_shapes(seed) for seed in range(5, 15)], error), output)
    assert listing(tmp_path) == there
    assert list(tmp_path.glob(".*")) == [] and output.exists() == before


@pytest.mark.parametrize("exchanges", [True, False])
def test_an_interrupt_at_the_last_step_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    collect_frames(Played([soft_shapes(1), soft_shapes(2)]), tmp_path / "out")
    there = listing(tmp_path)
    replace = Path.replace

    def swap(first: Path, second: Path) -> bool:
        if exchanges:
            raise KeyboardInterrupt
        return False

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "tree":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(collection_folder, "exchange", swap)
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        collect_frames(Played([soft_shapes(5)]), tmp_path / "out")
    assert listing(tmp_path) == there and list(tmp_path.glob(".*")) == []


def test_files_of_somebody_else_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.png").write_bytes(b"precious")
    collect_frames(Played([soft_shapes(1)]), tmp_path / "added")
    (tmp_path / "added" / "holiday.png").write_bytes(b"precious")
    (tmp_path / "file").write_bytes(b"precious")
    there = listing(tmp_path)
    for name in ("mine", "added", "file"):
        with pytest.raises(UsageError, match="left as it is"):
            collect_frames(Played([soft_shapes(2)]), tmp_path / name)
    assert listing(tmp_path) == there


def test_an_output_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EdgeI2IError, match="cannot be written") as caught:
        collect_frames(Played([soft_shapes(1)]), tmp_path / "file" / "out")
    assert caught.value.remedy


def test_an_empty_folder_as_the_output_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    check_consistent(collect_frames(Played([soft_shapes(1)]), tmp_path / "out"), tmp_path / "out")
