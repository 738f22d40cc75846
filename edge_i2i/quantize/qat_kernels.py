"""NNCF's compiled kernels for fake quantization: C++ that torch compiles at first use, and keeps.

NNCF gives that up after 60 s, which a busy machine exceeds. It is given half an hour here, and a person is told
what is being waited for; ``NNCF_EXTENSION_LOAD_TIMEOUT`` in the environment (seconds) says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_i2i.errors import MissingRequirementError
from edge_i2i.progress import Progress
from edge_i2i.requirements import require

LONGEST_S = 1800
_LIMIT = "NNCF_EXTENSION_LOAD_TIMEOUT"
_WAITED_FOR = "set of NNCF's kernels compiled: needed once on this machine, and can take minutes"


def load_kernels(progress: Progress) -> None:
    """Load the kernels, and compile them where that was not done before; what is loaded stays loaded.

    Args:
        progress: told where they have to be compiled.

    Raises:
        MissingRequirementError: NNCF is not installed, or they were not ready in time.
    """
    extensions = require("nncf.torch.extensions", extra="quantize", purpose="QAT")
    kernels = require("nncf.torch.quantization.extensions", extra="quantize", purpose="QAT")
    folder = Path(kernels.QuantizedFunctionsCPULoader.get_build_dir())
    told = not any(folder.glob("*.so")) and not any(folder.glob("*.pyd"))
    if told:
        progress.start(1, _WAITED_FOR)
        progress.advance(0)
    try:
        with _given_time():
            kernels.QuantizedFunctionsCPU.get("Quantize_forward")
    except extensions.ExtensionLoaderTimeoutException as error:
        raise MissingRequirementError(
            f"NNCF's kernels were not compiled in time: another program is compiling them, or one that was killed "
            f"left its lock in {folder}.",
            remedy=f"Wait for the other program; if there is none: rm -rf '{folder}', and run this again.",
        ) from error
    finally:
        if told:
            progress.finish()


@contextmanager
def _given_time() -> Iterator[None]:
    """NNCF reads its limit from the environment; a person's own stays."""
    if _LIMIT in os.environ:
        yield
        return
    os.environ[_LIMIT] = str(LONGEST_S)
    try:
        yield
    finally:
        del os.environ[_LIMIT]
