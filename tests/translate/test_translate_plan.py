"""Which files are taken, how maps are paired, and what results are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.errors import PictureError, UsageError
from edge_i2i.translate.plan import _result_names, make_plan


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def planned(root: Path, source: str, output: str = "out") -> dict[str, str]:
    plan = make_plan({"frame": str(root / source)}, root / output)
    return {item.source.relative_to(root).as_posix(): item.output.relative_to(root).as_posix() for item in plan.items}


def check_usage(sources: dict[str, str], output: Path, *words: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_plan(sources, output)
    assert caught.value.exit_code == 2 and caught.value.remedy
    for word in words:
        assert word in str(caught.value)


# Finding --------------------------------------------------------------------------------------------------------


def test_a_folder_is_searched_to_its_depths_and_its_layout_repeated(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.jpg", "in/A.PNG", "in/deep/er/c.webp", "in/clip.mov", "in/notes.txt")
    assert planned(tmp_path, "in") == {
        "in/A.PNG": "out/A.png",
        "in/b.jpg": "out/b.png",
        "in/clip.mov": "out/clip.mp4",
        "in/deep/er/c.webp": "out/deep/er/c.png",
    }


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/._a.png", "in/.cache/b.png")
    assert planned(tmp_path, "in") == {"in/a.png": "out/a.png"}


def test_an_output_folder_inside_the_source_is_not_translated_again(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/out/a.png", "in/out/deep/a.png", "in/outer/a.png")
    assert planned(tmp_path, "in", "in/out") == {"in/a.png": "in/out/a.png", "in/outer/a.png": "in/out/outer/a.png"}


@pytest.mark.parametrize("name", ["a.jfif", "a.JFIF", "a.jpe", "a.ppm", "a.dib", "a.heic", "a.hif", "a.avif", "a.mpo"])
def test_every_name_of_a_picture_is_taken(tmp_path: Path, name: str) -> None:
    assert planned(touch(tmp_path, f"in/{name}"), "in") == {f"in/{name}": "out/a.png"}


@pytest.mark.parametrize("name", ["a.MTS", "a.m2ts", "a.3gp", "a.3g2", "a.qt", "a.vob", "a.LRV", "a.h264"])
def test_every_name_of_a_film_is_taken(tmp_path: Path, name: str) -> None:
    assert planned(touch(tmp_path, f"in/{name}"), "in") == {f"in/{name}": "out/a.mp4"}


@pytest.mark.parametrize(
    "name", ["a.DNG", "a.cr2", "a.CR3", "a.nef", "a.tga", "a.jxl", "a.psd", "a.svg", "a.mjpg", "a.y4m"]
)
def test_what_is_not_read_is_listed_so_that_it_is_reported(tmp_path: Path, name: str) -> None:
    assert list(planned(touch(tmp_path, f"in/{name}"), "in")) == [f"in/{name}"]


@pytest.mark.parametrize("name", ["IMG_0001", "a.jpg_large", "a.jpg!d", "a.php"])
@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypheic"])
def test_a_picture_under_another_name_is_known_by_its_content(tmp_path: Path, name: str, head: bytes) -> None:
    touch(tmp_path, f"in/{name}", "in/BMW.txt", "in/P5 notes.md")
    (tmp_path / "in" / name).write_bytes(head + bytes(60))
    (tmp_path / "in/BMW.txt").write_bytes(b"BMW, a car")
    (tmp_path / "in/P5 notes.md").write_bytes(b"P5 is what is to be done")
    assert list(planned(tmp_path, "in")) == [f"in/{name}"]


def test_pictures_that_cannot_be_read_are_listed_so_that_they_are_reported(tmp_path: Path) -> None:
    assert list(planned(touch(tmp_path, "in/a.heic", "in/b.gif"), "in")) == ["in/a.heic", "in/b.gif"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in/*.jpg", {"in/a.jpg": "out/a.png"}),
        ("in/**/*.jpg", {"in/a.jpg": "out/a.png", "in/x/b.jpg": "out/x/b.png"}),
        ("in/x/**", {"in/x/b.jpg": "out/b.png"}),
        ("in/?.[jp][pn]g", {"in/a.jpg": "out/a.png", "in/c.png": "out/c.png"}),
        ("in/*/b.jpg", {"in/x/b.jpg": "out/x/b.png"}),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, found: dict[str, str]) -> None:
    touch(tmp_path, "in/a.jpg", "in/c.png", "in/x/b.jpg")
    assert planned(tmp_path, pattern) == found


def test_a_pattern_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(touch(tmp_path, "a.jpg", "in/b.jpg"))
    plan = make_plan({"frame": "*.jpg"}, Path("out"))
    assert [(item.source, item.output) for item in plan.items] == [(Path("a.jpg"), Path("out/a.png"))]
    plan = make_plan({"frame": "**/*.jpg"}, Path("out"))
    assert [item.output for item in plan.items] == [Path("out/a.png"), Path("out/in/b.png")]


def test_a_name_that_looks_like_a_pattern_but_exists_is_a_file(tmp_path: Path) -> None:
    assert planned(touch(tmp_path, "a[1].jpg", "a1.jpg"), "a[1].jpg") == {"a[1].jpg": "out/a[1].png"}


@pytest.mark.parametrize("source", ["nowhere.png", "nowhere"])
def test_nothing_there(tmp_path: Path, source: str) -> None:
    with pytest.raises(PictureError, match="There is no file or folder") as caught:
        planned(tmp_path, source)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("source", ["in", "in/*.png"])
def test_no_picture_there(tmp_path: Path, source: str) -> None:
    with pytest.raises(PictureError, match="no picture and no video") as caught:
        planned(touch(tmp_path, "in/notes.txt"), source)
    assert ".webp" in caught.value.remedy and caught.value.exit_code == 4


# Naming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "output", "target"),
    [
        ("a.jpg", "b.png", "b.png"),
        ("a.jpg", "b.JPG", "b.JPG"),
        ("a.jpg", "folder", "folder/a.png"),
        ("a.jpg", "made/already.v2", "made/already.v2/a.png"),
        ("a.mov", "b.mkv", "b.mkv"),
        ("a.mov", "folder", "folder/a.mp4"),
    ],
)
def test_a_single_file(tmp_path: Path, source: str, output: str, target: str) -> None:
    (tmp_path / "made/already.v2").mkdir(parents=True)
    assert planned(touch(tmp_path, source), source, output) == {source: target}
    assert make_plan({"frame": str(tmp_path / source)}, tmp_path / output).folder is None


@pytest.mark.parametrize(("source", "output"), [("a.jpg", "b.gif"), ("a.jpg", "b.mp4"), ("a.mov", "b.png")])
def test_a_single_file_into_the_wrong_format(tmp_path: Path, source: str, output: str) -> None:
    touch(tmp_path, source)
    check_usage({"frame": str(tmp_path / source)}, tmp_path / output, "cannot hold", "suffixes")


@pytest.mark.parametrize("output", ["a.png", ".", "x/../a.png"])
def test_a_source_is_never_replaced(tmp_path: Path, output: str) -> None:
    touch(tmp_path, "a.png", "x/b.png")
    check_usage({"frame": str(tmp_path / "a.png")}, tmp_path / output, "replace its own source")


@pytest.mark.parametrize("output", ["in", "in/x/.."])
def test_results_do_not_lie_among_their_sources(tmp_path: Path, output: str) -> None:
    touch(tmp_path, "in/x/a.png")
    check_usage({"frame": str(tmp_path / "in")}, tmp_path / output, "among their sources")


@pytest.mark.parametrize("output", ["b.png", "b.mp4", "file"])
def test_many_do_not_fit_into_one_file(tmp_path: Path, output: str) -> None:
    touch(tmp_path, "in/a.png", "file")
    check_usage({"frame": str(tmp_path / "in")}, tmp_path / output, "one file", "Name a folder")


def test_sources_that_differ_in_their_suffix_only(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/a.png", "in/b.jpg", "in/x/a.png")
    assert planned(tmp_path, "in") == {
        "in/a.jpg": "out/a.jpg.png",
        "in/a.png": "out/a.png.png",
        "in/b.jpg": "out/b.png",
        "in/x/a.png": "out/x/a.png",
    }


names = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from("aAb"),
        st.sampled_from(["", ".jpg", ".png"]),
        st.sampled_from([".jpg", ".png", ".bmp", ".mov"]),
    ),
    unique=True,
    max_size=20,
)


@given(names)
def test_no_two_results_share_a_name_on_any_disk(sources: list[str]) -> None:
    results = _result_names([Path(name) for name in sources], [name.endswith(".mov") for name in sources])
    assert len({str(name).casefold() for name in results}) == len(sources)
    assert all(name.suffix in (".png", ".mp4") for name in results)


# Pairing --------------------------------------------------------------------------------------------------------


def test_maps_are_paired_by_place_and_name(tmp_path: Path) -> None:
    touch(tmp_path, "labels/bonn/a_labelIds.png", "labels/b_label.png", "labels/c.png")
    touch(tmp_path, "instances/bonn/a_instanceIds.png", "instances/b_inst.png", "instances/c.png")
    plan = make_plan(
        {"label_map": str(tmp_path / "labels"), "instance_map": str(tmp_path / "instances")}, tmp_path / "out"
    )
    found = {item.output.relative_to(tmp_path / "out").as_posix(): dict(item.inputs) for item in plan.items}
    assert found == {
        "b_label.png": {
            "label_map": tmp_path / "labels/b_label.png",
            "instance_map": tmp_path / "instances/b_inst.png",
        },
        "bonn/a_labelIds.png": {
            "label_map": tmp_path / "labels/bonn/a_labelIds.png",
            "instance_map": tmp_path / "instances/bonn/a_instanceIds.png",
        },
        "c.png": {"label_map": tmp_path / "labels/c.png", "instance_map": tmp_path / "instances/c.png"},
    }
    assert not plan.failures


def test_cityscapes_keeps_both_maps_in_one_folder(tmp_path: Path) -> None:
    touch(tmp_path, "gt/a_labelIds.png", "gt/a_instanceIds.png", "gt/a_color.png")
    sources = {"label_map": str(tmp_path / "gt/*_labelIds.png"), "instance_map": str(tmp_path / "gt/*_instanceIds.png")}
    (item,) = make_plan(sources, tmp_path / "out").items
    assert [path.name for path in item.inputs.values()] == ["a_labelIds.png", "a_instanceIds.png"]
    check_usage({"label_map": sources["label_map"], "instance_map": str(tmp_path / "gt")}, tmp_path / "out", "pattern")


def test_a_map_without_a_partner_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, "labels/a.png", "labels/b.png", "instances/a.png", "instances/z.png")
    plan = make_plan(
        {"label_map": str(tmp_path / "labels"), "instance_map": str(tmp_path / "instances")}, tmp_path / "out"
    )
    assert len(plan.items) == 1
    (failure,) = plan.failures
    assert failure.path == tmp_path / "labels/b.png" and "no instance_map" in failure.reason


def test_single_maps_need_not_have_the_same_name(tmp_path: Path) -> None:
    touch(tmp_path, "l.png", "i.png")
    plan = make_plan(
        {"label_map": str(tmp_path / "l.png"), "instance_map": str(tmp_path / "i.png")}, tmp_path / "o.png"
    )
    assert plan.items[0].output == tmp_path / "o.png"


def test_a_result_does_not_replace_the_second_map_either(tmp_path: Path) -> None:
    touch(tmp_path, "l.png", "i.png")
    sources = {"label_map": str(tmp_path / "l.png"), "instance_map": str(tmp_path / "i.png")}
    check_usage(sources, tmp_path / "i.png", "replace its own source")


def test_a_file_and_a_folder_are_no_pair(tmp_path: Path) -> None:
    touch(tmp_path, "l.png", "instances/l.png")
    sources = {"label_map": str(tmp_path / "l.png"), "instance_map": str(tmp_path / "instances")}
    check_usage(sources, tmp_path / "out", "either files or folders")


def test_a_video_is_no_map(tmp_path: Path) -> None:
    touch(tmp_path, "l.mp4")
    with pytest.raises(PictureError, match="is a video"):
        make_plan({"label_map": str(tmp_path / "l.mp4")}, tmp_path / "out")


# Names that are too long ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("a" * 251 + ".jpg", "a" * 251 + ".png"),  # both keep their suffixes, and get another
        ("b" * 251 + ".png", "b" * 252 + ".ts"),
        ("é" * 125 + ".jpg", "é" * 125 + ".png"),
    ],
)
def test_a_result_whose_name_would_be_too_long_gets_a_shorter_one_that_stays(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    touch(tmp_path, *(f"in/{name}" for name in names), "in/short.png")
    first, second = planned(tmp_path, "in"), planned(tmp_path, "in")
    assert first == second and first["in/short.png"] == "out/short.png"
    assert len(set(first.values())) == len(names) + 1
    for output in first.values():
        assert len(os.fsencode(Path(output).name)) <= 255 and Path(output).suffix in (".png", ".mp4")
        (tmp_path / output).parent.mkdir(exist_ok=True)
        (tmp_path / output).touch()


def test_the_result_of_a_single_film_too(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    touch(tmp_path, "c" * 252 + ".ts")
    ((_, output),) = planned(tmp_path, "c" * 252 + ".ts").items()
    assert len(Path(output).name) == 255 and output.endswith(".mp4")
    (tmp_path / output).touch()


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="this system tells no limit of paths")
def test_a_path_that_would_be_too_long_is_a_failure_of_that_file_alone(tmp_path: Path) -> None:
    output = tmp_path
    for _ in range(14):
        output = output / ("p" * 230)
    touch(tmp_path, "in/short.png", *(f"in/{'/'.join(['q' * 200] * depth)}/deep.png" for depth in (1, 4)))
    plan = make_plan({"frame": str(tmp_path / "in")}, output)
    assert [item.source.name for item in plan.items].count("short.png") == 1
    assert [failure.path.name for failure in plan.failures] == ["deep.png"]
    assert "too long" in plan.failures[0].reason
