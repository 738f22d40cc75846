"""The translation job from files to files, with real pictures and videos and a network that inverts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_i2i.contract import Size
from edge_i2i.errors import BadInputError, EdgeI2IError, MissingRequirementError, OutputError, PictureError, UsageError
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter
from edge_i2i.media.pictures import read_picture, write_picture
from edge_i2i.translate.files import STATE_NAME, TranslateSummary, translate_path

IDENTITY = {"bundle": "sha256:abc", "variant": "fp32", "fit": "letterbox"}


class Inverter:
    """A network that turns pictures into their negative, and counts how often it ran."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        self.calls += 1
        frame = inputs["frame"]
        assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.flags.c_contiguous
        return 255 - frame


class Ear:
    """Writes down what the progress says."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def start(self, total: int | None, what: str) -> None:
        self.heard.append(f"start {total} {what}")

    def advance(self, n: int = 1, note: str = "") -> None:
        self.heard.append(f"{n} {note}".strip())

    def finish(self) -> None:
        self.heard.append("finish")


def picture(seed: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def pictures(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(folder / name, picture(seed))
    return folder


def video(path: Path, frames: int = 8, size: Size = Size(32, 48)) -> Path:  # noqa: B008
    with VideoWriter(path, Fraction(25), size, time_base=Fraction(1, 1000)) as writer:
        for index in range(frames):
            flat = np.full((size.height, size.width, 3), 20 + 10 * (index % 20), np.uint8)
            writer.write(flat, Fraction(40 * index + 7 * (index % 2), 1000))
    return path


def run(source: Path | str, output: Path, network: Inverter | None = None, **options: object) -> TranslateSummary:
    return translate_path(network or Inverter(), {"frame": str(source)}, output, identity=IDENTITY, **options)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# What it does ---------------------------------------------------------------------------------------------------


def test_a_picture(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    summary = run(tmp_path / "a.png", tmp_path / "new" / "b.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "new" / "b.png"), 255 - picture(0))
    assert (summary.translated, summary.frames, summary.skipped_existing, summary.failed) == (1, 1, 0, ())
    assert summary.outputs == (tmp_path / "new" / "b.png",) and summary.seconds > 0
    assert files(tmp_path / "new") == ["b.png"]  # no state file for a single picture


def test_a_single_picture_is_always_translated(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    network = Inverter()
    for _ in range(2):
        assert run(tmp_path / "a.png", tmp_path / "b.png", network).translated == 1
    assert network.calls == 2


def test_a_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png", "deep/b.png")
    ear = Ear()
    summary = run(tmp_path / "in", tmp_path / "out", progress=ear)
    assert files(tmp_path / "out") == [STATE_NAME, "a.png", "deep/b.png"]
    np.testing.assert_array_equal(read_picture(tmp_path / "out/deep/b.png"), 255 - picture(1))
    assert (summary.translated, summary.frames) == (2, 2)
    assert ear.heard == ["start 2 files", "1 a.png", "1 b.png", "finish"]


def test_a_pattern(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png", "b.png", "c.jpg")
    summary = run(f"{tmp_path}/in/*.png", tmp_path / "out")
    assert [path.name for path in summary.outputs] == ["a.png", "b.png"]


def test_a_video_keeps_every_frame_and_its_time(tmp_path: Path) -> None:
    source, ear = video(tmp_path / "a.mp4"), Ear()
    summary = run(source, tmp_path / "b.mp4", progress=ear)
    with VideoReader(source) as before, VideoReader(tmp_path / "b.mp4") as after:
        assert after.size == before.size and after.fps == before.fps
        pairs = list(zip(before, after, strict=True))
    assert len(pairs) == 8
    for old, new in pairs:
        assert new.pts_seconds == old.pts_seconds
        assert np.abs(255 - old.image.astype(int) - new.image).max() <= 3
    assert (summary.translated, summary.frames) == (1, 8)
    assert ear.heard == ["start 8 frames", *["1"] * 8, "finish"]


def test_a_video_gets_the_size_of_its_results(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4")
    translate_path(lambda inputs: inputs["frame"][:16, :20], {"frame": str(source)}, tmp_path / "b.mp4")
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert reader.size == Size(16, 20) and len(list(reader)) == 8


def test_the_sound_of_a_video_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as target:
        film = target.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 48, 32, "yuv420p"
        sound = target.add_stream("aac", rate=48000, layout="mono")
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(picture(index, 32, 48), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            target.mux(film.encode(frame))
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, 1024 * index, Fraction(1, 48000)
            target.mux(sound.encode(samples))
        target.mux(film.encode(None))
        target.mux(sound.encode(None))
    run(source, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert sum(packet.size > 0 for packet in container.demux(audio=0)) >= 10


def test_pictures_and_videos_in_one_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png")
    video(tmp_path / "in/b.mp4")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert files(tmp_path / "out") == [STATE_NAME, "a.png", "b.mp4"]
    assert (summary.translated, summary.frames) == (2, 9)


def test_a_network_that_reuses_its_output_array(tmp_path: Path) -> None:
    source, buffer = video(tmp_path / "a.mp4"), np.empty((32, 48, 3), np.uint8)

    def reuse(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        np.subtract(255, inputs["frame"], out=buffer)
        return buffer

    translate_path(reuse, {"frame": str(source)}, tmp_path / "b.mp4")
    with VideoReader(tmp_path / "b.mp4") as reader:
        means = [frame.image.mean() for frame in reader]
    np.testing.assert_allclose(means, [235 - 10 * index for index in range(8)], atol=3)


# Maps -----------------------------------------------------------------------------------------------------------


def maps(root: Path, name: str, size: tuple[int, int] = (12, 18), instance_size: tuple[int, int] | None = None) -> None:
    rng = np.random.default_rng(0)
    for folder, shape, dtype in (("labels", size, np.uint8), ("instances", instance_size or size, np.uint16)):
        (root / folder).mkdir(exist_ok=True)
        cv2.imwrite(str(root / folder / name), rng.integers(0, 30, shape).astype(dtype))


def paint(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    labels, instances = inputs["label_map"], inputs["instance_map"]
    assert labels.dtype == np.uint8 and instances.dtype == np.int32
    return np.dstack([labels * 8, instances.astype(np.uint8), labels])


def test_maps_in_folders(tmp_path: Path) -> None:
    maps(tmp_path, "a.png")
    maps(tmp_path, "b.png")
    sources = {"label_map": str(tmp_path / "labels"), "instance_map": str(tmp_path / "instances")}
    summary = translate_path(paint, sources, tmp_path / "out")
    assert summary.translated == 2
    labels = cv2.imread(str(tmp_path / "labels/a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read_picture(tmp_path / "out/a.png")[..., 2], labels)


def test_maps_of_different_sizes(tmp_path: Path) -> None:
    maps(tmp_path, "a.png")
    maps(tmp_path, "b.png", (12, 18), (12, 17))
    sources = {"label_map": str(tmp_path / "labels"), "instance_map": str(tmp_path / "instances")}
    summary = translate_path(paint, sources, tmp_path / "out")
    (failure,) = summary.failed
    assert failure.path == tmp_path / "labels/b.png"
    assert "differ in size" in failure.reason and "12x18" in failure.reason and "12x17" in failure.reason
    assert summary.translated == 1


def test_a_role_that_no_file_can_fill(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="style"):
        translate_path(paint, {"style": str(tmp_path)}, tmp_path / "out")


# Bad files ------------------------------------------------------------------------------------------------------


def test_bad_pictures_are_passed_over_and_reported(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", "a.png", "b.jpg", "c.png", "z.png")
    (source / "b.jpg").write_bytes((source / "b.jpg").read_bytes()[:-50])
    (source / "c.png").write_text("not a picture")
    (source / "d.exr").write_bytes(b"\x76\x2f\x31\x01" + bytes(50))
    (source / "e.bmp").touch()
    ear = Ear()
    summary = run(source, tmp_path / "out", progress=ear)
    assert {failure.path.name: failure.reason.partition("\n")[0] for failure in summary.failed} == {
        "b.jpg": f"The picture '{source / 'b.jpg'}' is damaged: it ends before its end-of-image marker.",
        "c.png": f"The file '{source / 'c.png'}' cannot be read: it is not a picture.",
        "d.exr": f"The file '{source / 'd.exr'}' cannot be read: it is an OpenEXR picture of floating-point light.",
        "e.bmp": f"The picture '{source / 'e.bmp'}' is empty: 0 bytes.",
    }
    assert summary.translated == 2
    assert files(tmp_path / "out") == [STATE_NAME, "a.png", "z.png"]
    assert len(ear.heard) == 8 and "passed over" in ear.heard[2]


def test_a_bad_picture_alone_is_reported_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    summary = run(tmp_path / "a.png", tmp_path / "b.png")
    assert [failure.path for failure in summary.failed] == [tmp_path / "a.png"]
    assert summary.outputs == () and not (tmp_path / "b.png").exists()


def test_what_the_network_refuses_is_reported_too(tmp_path: Path) -> None:
    def refuse(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        raise BadInputError("The label 40 is not known.")

    pictures(tmp_path / "in", "a.png")
    summary = translate_path(refuse, {"frame": str(tmp_path / "in")}, tmp_path / "out")
    assert summary.failed[0].reason == "The label 40 is not known."


@pytest.mark.parametrize("damage", ["truncated", "empty", "zero frames"])
def test_a_bad_video_leaves_nothing(tmp_path: Path, damage: str) -> None:
    source = video(tmp_path / "a.mkv", 40)
    data = source.read_bytes()
    if damage == "zero frames":
        with av.open(str(source), "w") as target:
            stream = target.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            target.start_encoding()
    else:
        source.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"")
    ear = Ear()
    summary = run(source, tmp_path / "out.mp4", progress=ear)
    (failure,) = summary.failed
    assert failure.path == source and "video" in failure.reason
    assert files(tmp_path) == ["a.mkv"]
    assert ("frames were read" in failure.reason) == (damage == "truncated")
    assert ear.heard == [] or (ear.heard[0].startswith("start") and ear.heard[-1] == "finish")


def test_a_missing_source(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="There is no file or folder") as caught:
        run(tmp_path / "nowhere", tmp_path / "out")
    assert caught.value.exit_code == 4 and not (tmp_path / "out").exists()


def test_without_pyav_a_folder_with_a_video_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "in", "a.png")
    (tmp_path / "in/b.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingRequirementError, match="video") as caught:
        run(tmp_path / "in", tmp_path / "out")
    assert caught.value.exit_code == 3 and not (tmp_path / "out").exists()


def test_pictures_do_not_need_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "in", "a.png")
    monkeypatch.setitem(sys.modules, "av", None)
    assert run(tmp_path / "in", tmp_path / "out").translated == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png")
    (tmp_path / "file").touch()
    with pytest.raises(EdgeI2IError, match="is a file, not a folder") as caught:
        run(tmp_path / "in", tmp_path / "file" / "out")
    assert caught.value.exit_code == 2


# Taking up again ------------------------------------------------------------------------------------------------


class Interrupted(Inverter):
    """Is stopped by the user in the middle of the second picture."""

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        if self.calls == 1:
            raise KeyboardInterrupt
        return super().__call__(inputs)


def test_a_stopped_job_is_taken_up_where_it_was(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png", "b.png", "c.png")
    ear, network = Ear(), Inverter()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "in", tmp_path / "out", Interrupted(), progress=ear)
    assert ear.heard[-1] == "finish"
    assert files(tmp_path / "out") == [STATE_NAME, "a.png"]
    summary = run(tmp_path / "in", tmp_path / "out", network)
    assert (summary.translated, summary.skipped_existing, network.calls, summary.frames) == (2, 1, 2, 2)
    assert [path.name for path in summary.outputs] == ["a.png", "b.png", "c.png"]


def test_a_finished_job_is_not_done_again_unless_asked(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png", "b.png")
    network = Inverter()
    run(tmp_path / "in", tmp_path / "out", network)
    assert run(tmp_path / "in", tmp_path / "out", network).skipped_existing == 2
    assert network.calls == 2
    assert run(tmp_path / "in", tmp_path / "out", network, resume=False).translated == 2
    assert network.calls == 4


@pytest.mark.parametrize("change", ["newer source", "empty result", "new source", "result gone"])
def test_what_changed_is_done_again(tmp_path: Path, change: str) -> None:
    source = pictures(tmp_path / "in", "a.png", "b.png")
    run(source, tmp_path / "out")
    if change == "newer source":
        write_picture(source / "a.png", picture(9))
        later = (tmp_path / "out/a.png").stat().st_mtime_ns + 10**9
        os.utime(source / "a.png", ns=(later, later))
    elif change == "empty result":  # after a power cut
        (tmp_path / "out/a.png").write_bytes(b"")
    elif change == "new source":
        write_picture(source / "c.png", picture(9))
    else:
        (tmp_path / "out/a.png").unlink()
    summary = run(source, tmp_path / "out")
    assert summary.translated == 1
    assert summary.skipped_existing == (2 if change == "new source" else 1)


def test_a_folder_never_holds_the_results_of_two_networks(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png")
    run(tmp_path / "in", tmp_path / "out")
    other = IDENTITY | {"variant": "fp16"}
    with pytest.raises(UsageError, match="variant was fp32, is now fp16") as caught:
        translate_path(Inverter(), {"frame": str(tmp_path / "in")}, tmp_path / "out", identity=other)
    assert caught.value.exit_code == 2 and "--no-resume" in caught.value.remedy


def test_a_replaced_job_that_is_stopped_does_not_mistake_old_results_for_its_own(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png", "b.png", "c.png")
    sources, other = {"frame": str(tmp_path / "in")}, IDENTITY | {"bundle": "sha256:def"}
    run(tmp_path / "in", tmp_path / "out")
    for name in "abc":  # as if it had been yesterday
        os.utime(tmp_path / f"out/{name}.png", (10**9, 10**9))
    with pytest.raises(KeyboardInterrupt):
        translate_path(Interrupted(), sources, tmp_path / "out", identity=other, resume=False)
    summary = translate_path(Inverter(), sources, tmp_path / "out", identity=other)
    assert (summary.translated, summary.skipped_existing) == (2, 1)


def test_somebody_elses_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    pictures(tmp_path / "in", "a.png")
    pictures(tmp_path / "out", "a.png")
    before = (tmp_path / "out/a.png").read_bytes()
    with pytest.raises(UsageError, match="already there") as caught:
        run(tmp_path / "in", tmp_path / "out")
    assert caught.value.exit_code == 2
    assert (tmp_path / "out/a.png").read_bytes() == before and files(tmp_path / "out") == ["a.png"]
    assert run(tmp_path / "in", tmp_path / "out", resume=False).translated == 1


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.mkv"])
def test_a_file_of_another_kind_is_not_replaced_by_a_single_result(tmp_path: Path, name: str) -> None:
    source = pictures(tmp_path, "in.png") / "in.png" if name.endswith("png") else video(tmp_path / "in.mp4")
    (tmp_path / name).write_bytes(b"a diary")
    with pytest.raises(OutputError, match=r"already and is not a (picture|film)") as caught:
        run(source, tmp_path / name)
    assert caught.value.exit_code == 2 and (tmp_path / name).read_bytes() == b"a diary"
    (tmp_path / name).unlink()
    for _ in range(2):  # a result of before is
        assert run(source, tmp_path / name).translated == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["b.png", "b.mp4", "b.heic", "deep/b.jpg"])
def test_a_pipe_in_a_folder_is_reported_and_not_waited_for(tmp_path: Path, name: str) -> None:
    pictures(tmp_path / "in", "a.png", "deep/c.png")
    os.mkfifo(tmp_path / "in" / name)
    summary = run(tmp_path / "in", tmp_path / "out")
    assert summary.translated == 2 and [failure.path for failure in summary.failed] == [tmp_path / "in" / name]
    assert "pipe" in summary.failed[0].reason


@pytest.mark.parametrize("place", ["out/a.mp4", "out"])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path, place: str) -> None:
    (tmp_path / "in").mkdir()
    video(tmp_path / "in/a.mp4")
    source = tmp_path / "in" if place == "out" else tmp_path / "in/a.mp4"
    (tmp_path / "out").mkdir()
    others = [".b.mp4.77-0123abcd.part", ".a.mp4.part", ".a.mp4.77-0123abcd.part.bak"]
    for name in [*others, ".a.mp4.77-0123abcd.part", ".a.mp4.1234567-ffffffff.part"]:
        (tmp_path / "out" / name).write_bytes(b"half a film")
    assert run(source, tmp_path / place).translated == 1
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left - {STATE_NAME} == {"a.mp4", *others}


@pytest.mark.parametrize("content", ["", "{", '{"version": 2, "identity": {}}', "[]"])
def test_a_damaged_state_file_is_said(tmp_path: Path, content: str) -> None:
    pictures(tmp_path / "in", "a.png")
    run(tmp_path / "in", tmp_path / "out")
    (tmp_path / "out" / STATE_NAME).write_text(content)
    with pytest.raises(UsageError, match="cannot be read"):
        run(tmp_path / "in", tmp_path / "out")


def test_a_network_that_fails_in_an_unexpected_way_is_not_hidden(tmp_path: Path) -> None:
    def fail(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        raise RuntimeError("out of memory")

    pictures(tmp_path / "in", "a.png")
    with pytest.raises(RuntimeError, match="out of memory"):
        translate_path(fail, {"frame": str(tmp_path / "in")}, tmp_path / "out")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    program = "import sys, edge_i2i.translate.files; print(*{'cv2', 'av', 'torch', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# Two runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("single", [False, True])
def test_a_second_run_on_the_same_results_says_so(tmp_path: Path, single: bool) -> None:
    pictures(tmp_path / "in", "a.png", "b.png")
    source, output = (tmp_path / "in/a.png", tmp_path / "out.png") if single else (tmp_path / "in", tmp_path / "out")
    refused = []

    def translate(inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
        with pytest.raises(OutputError, match="Another run is writing") as caught:
            translate_path(lambda given: given["frame"], {"frame": str(source)}, output)
        refused.append(caught.value.exit_code)
        return np.asarray(inputs["frame"], np.uint8)

    summary = translate_path(translate, {"frame": str(source)}, output)
    assert set(refused) == {2} and not summary.failed
    assert not [path for path in tmp_path.rglob(".*") if "run" in path.name]
