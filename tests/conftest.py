"""Small networks and bundles that many tests share; each is made once a session."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import pytest

from edge_i2i.contract import Size
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.models.checkpoints.loading import LoadedModel, load_random

if importlib.util.find_spec("pylibsrtp"):
    # Before TensorFlow, which a checkpoint's tests load: after it, libsrtp finds TensorFlow's cryptography and crashes.
    import pylibsrtp  # noqa: F401

hypothesis.settings.register_profile("edge-i2i", deadline=None)  # no test judges time: machines are shared
hypothesis.settings.load_profile("edge-i2i")

TINY_RGB = {"ngf": "8", "n_blocks_global": "2", "n_downsample_global": "2"}
TINY_LABEL = {**TINY_RGB, "label_nc": "8", "instance_edges": "true", "feat_num": "3", "nef": "4", "n_downsample_E": "2"}


@pytest.fixture(scope="session", autouse=True)
def _data_folder_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The key that marks engines as this user's is no business of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def tiny_rgb() -> LoadedModel:
    """A small RGB-mode pix2pixHD with random weights."""
    return load_random("pix2pixhd", TINY_RGB, seed=1)


@pytest.fixture(scope="session")
def rgb_bundle(tiny_rgb: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of ``tiny_rgb`` at 64x96 with both precisions."""
    output = tmp_path_factory.mktemp("rgb") / "rgb.i2i"
    export_bundle(tiny_rgb, Size(64, 96), output, ExportOptions(threads=2))
    return output


@pytest.fixture(scope="session")
def label_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small label-mode pix2pixHD with encoder features, at 64x64, FP32 only."""
    output = tmp_path_factory.mktemp("label") / "label.i2i"
    loaded = load_random("pix2pixhd", TINY_LABEL, seed=2)
    export_bundle(loaded, Size(64, 64), output, ExportOptions(precisions=("fp32",), threads=2))
    return output


@pytest.fixture(scope="session")
def quantized_bundle(rgb_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``rgb_bundle`` with a quantized variant for each target; the quality of two of them is stated."""
    from samples.qdq import add_quantized

    folder = tmp_path_factory.mktemp("quantized")
    add_quantized(Path(shutil.copy(rgb_bundle, folder / "quantized.i2i")))
    return folder / "quantized.i2i"


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """Files of this process grow no longer than 1 KiB in the block: a write fails as on a full disk."""
    resource = pytest.importorskip("resource", reason="this system limits no files")

    @contextmanager
    def limited() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def run_verb(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the ``edge-i2i`` command in this process; returns exit code, stdout and stderr."""
    from edge_i2i.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main.run_command([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
