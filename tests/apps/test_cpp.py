"""The C++ sample: built with CMake against the OpenVINO wheel, and held against the Python translator."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_i2i

Picture = NDArray[np.uint8]
SAMPLE = Path(__file__).parents[2] / "runtime" / "apps" / "cpp"
HEIGHT, WIDTH = 64, 96  # of ``rgb_bundle``


def missing() -> str:
    """What the sample needs and is not here; empty where nothing is missing."""
    if shutil.which("cmake") is None:
        return "cmake is not installed"
    if shutil.which("c++") is None and "CXX" not in os.environ:
        return "no C++ compiler is installed"
    return "" if importlib.util.find_spec("openvino") else "openvino is not installed"


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("i2i_translate")
    configure = ["cmake", "-S", SAMPLE, "-B", build, "-DCMAKE_BUILD_TYPE=Release"]
    for command in (
        [*configure, f"-DPython3_EXECUTABLE={sys.executable}"],
        ["cmake", "--build", build, "--config", "Release"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "i2i_translate"


def translate(program: Path, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60)


def ppm(picture: Picture) -> bytes:
    return b"P6\n%d %d\n255\n" % (picture.shape[1], picture.shape[0]) + picture.tobytes()


def from_ppm(data: bytes) -> list[Picture]:
    """The pictures of a stream that the sample wrote: every header is as long as the first."""
    header = data.index(b"255\n") + 4
    width, height = map(int, data[2:header].split()[:2])
    whole = header + height * width * 3
    assert len(data) % whole == 0
    return [
        np.frombuffer(data[at + header : at + whole], np.uint8).reshape(height, width, 3)
        for at in range(0, len(data), whole)
    ]


def noise(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def largest_difference(first: Picture, second: Picture) -> int:
    return int(np.abs(first.astype(int) - second.astype(int)).max())


@pytest.mark.parametrize("layout", ["file", "folder"])
@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_translates_as_the_translator_does(
    program: Path, rgb_bundle: Path, tmp_path: Path, layout: str, variant: str
) -> None:
    bundle = rgb_bundle if layout == "file" else unpacked(rgb_bundle, tmp_path / "folder.i2i")
    source, target = tmp_path / "in.ppm", tmp_path / "out.ppm"
    source.write_bytes(ppm(noise(1)))
    done = translate(program, bundle, source, target, "--variant", variant, "--threads", 1)
    assert done.returncode == 0, done.stderr
    with edge_i2i.load(rgb_bundle, engine="openvino", variant=variant, threads=1) as translator:
        expected = translator(noise(1))
    assert largest_difference(from_ppm(target.read_bytes())[0], expected) <= 1
    assert variant in done.stderr.decode() and "64x96" in done.stderr.decode() and "threads 1" in done.stderr.decode()


def unpacked(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def test_a_stream_of_pictures_keeps_its_order(program: Path, rgb_bundle: Path) -> None:
    pictures = [noise(seed) for seed in range(3)]
    header_with_comment = ppm(pictures[0]).replace(b"P6\n", b"P6 # a camera's\n", 1)
    stream = header_with_comment + b"".join(map(ppm, pictures[1:]))
    done = translate(program, rgb_bundle, "-", "-", "--threads", 1, stdin=stream)
    assert done.returncode == 0, done.stderr
    assert b"3 translated" in done.stderr
    results = from_ppm(done.stdout)
    with edge_i2i.load(rgb_bundle, engine="openvino", variant="fp32", threads=1) as translator:
        for picture, result in zip(pictures, results, strict=True):
            assert largest_difference(result, translator(picture)) <= 1


def test_bench_says_how_long_a_run_takes(program: Path, rgb_bundle: Path) -> None:
    done = translate(program, rgb_bundle, "-", "-", "--threads", 1, "--bench", 5, stdin=ppm(noise(1)))
    assert done.returncode == 0
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("5 runs: p50 ") and last.endswith(" fps")


def test_a_variant_of_another_engine_is_not_misread(program: Path, quantized_bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(quantized_bundle) as archive:
        variants = {name.split(".")[1] for name in archive.namelist() if name.startswith("graphs/frame.")}
    strange = sorted(name for name in variants if "-" in name and "openvino" not in name)
    own = next(name for name in variants if name.startswith("int8-openvino"))
    refused = translate(program, quantized_bundle, "-", "-", "--variant", strange[0], stdin=ppm(noise(1)))
    assert refused.returncode == 2
    assert own in refused.stderr.decode() and strange[0] not in refused.stderr.decode().split("→")[1]
    done = translate(program, quantized_bundle, "-", "-", "--variant", own, "--threads", 1, stdin=ppm(noise(1)))
    assert done.returncode == 0, done.stderr
    with edge_i2i.load(quantized_bundle, engine="openvino", variant=own, threads=1) as translator:
        assert largest_difference(from_ppm(done.stdout)[0], translator(noise(1))) <= 1


def test_help_is_no_error(program: Path) -> None:
    done = translate(program, "--help")
    assert done.returncode == 0 and b"BUNDLE INPUT.ppm OUTPUT.ppm" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ((), 2, "Give a bundle"),
        (("{bundle}", "-", "-", "--treads", "1"), 2, "There is no option '--treads'"),
        (("{bundle}", "-", "-", "--threads"), 2, "takes a value"),
        (("{bundle}", "-", "-", "--bench", "many"), 2, "whole number"),
        (("{bundle}", "-", "-", "--variant", "int4"), 2, "It has: fp16, fp32"),
        (("missing.i2i", "-", "-"), 4, "There is no bundle"),
        (("{bundle}", "missing.ppm", "-"), 4, "'missing.ppm' cannot be read"),
        (("{bundle}", "-", "/nowhere/out.ppm"), 4, "cannot be written"),
    ],
)
def test_wrong_usage_says_what_to_do(
    program: Path, rgb_bundle: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    filled = [argument.format(bundle=rgb_bundle) for argument in arguments]
    done = translate(program, *filled, stdin=ppm(noise(1)))
    assert (done.returncode, done.stdout) == (code, b"")
    assert complaint in done.stderr.decode() and "→" in done.stderr.decode()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"P5\n2 2\n255\n1234", "does not begin with P6"),
        (b"P6\n2\n", "header is damaged"),
        (b"P6\n99999 2\n255\n", "too large"),
        (b"P6\n2 2\n65535\n", "65536 levels"),
        (b"P6\n0 2\n255\n", "out of range"),
        (ppm(noise(1))[:-1], "cut short"),
        (ppm(noise(1, 65, 96)), "The picture is 65x96; the network takes 64x96"),
    ],
)
def test_a_bad_picture_leaves_no_result(
    program: Path, rgb_bundle: Path, tmp_path: Path, data: bytes, complaint: str
) -> None:
    target = tmp_path / "out.ppm"
    target.write_bytes(b"an older result")
    done = translate(program, rgb_bundle, "-", target, stdin=data)
    assert done.returncode == 4
    assert complaint in done.stderr.decode()
    assert target.read_bytes() == b"an older result"


def damaged(bundle: Path, how: str) -> bytes:
    data = bytearray(bundle.read_bytes())
    if how == "cut short":
        return bytes(data[:-1])
    if how == "no zip":
        return b"\x89PNG" + bytes(data[4:])
    if how == "flipped bit":
        with zipfile.ZipFile(bundle) as archive:
            member = archive.getinfo("graphs/frame.fp32.onnx")
        data[member.header_offset + 30 + len(member.filename) + member.file_size // 2] ^= 1
    if how == "directory":
        data[data.rindex(b"PK\1\2")] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("cut short", "its end is missing"),
        ("no zip", "neither a folder nor a zip"),
        ("flipped bit", "is damaged"),
        ("directory", "table of contents is damaged"),
    ],
)
def test_a_damaged_bundle_is_refused(program: Path, rgb_bundle: Path, tmp_path: Path, how: str, complaint: str) -> None:
    bundle = tmp_path / "damaged.i2i"
    bundle.write_bytes(damaged(rgb_bundle, how))
    done = translate(program, bundle, "-", "-", stdin=ppm(noise(1)))
    assert (done.returncode, done.stdout) == (4, b"")
    assert complaint in done.stderr.decode()


def test_a_compressed_zip_is_refused(program: Path, rgb_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "compressed.i2i"
    with zipfile.ZipFile(rgb_bundle) as source, zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    done = translate(program, bundle, "-", "-", stdin=ppm(noise(1)))
    assert done.returncode == 4 and b"compressed" in done.stderr


def test_a_network_that_takes_more_than_a_frame_is_refused(program: Path, label_bundle: Path) -> None:
    done = translate(program, label_bundle, "-", "-", stdin=ppm(noise(1, 64, 64)))
    assert done.returncode == 4 and b"more than a frame" in done.stderr
