"""The page's one build step: onnxruntime-web from npm, pinned by a lock file, into ``page/ort/``.

    python -m edge_i2i.web.vendor        (make web)

``npm/package-lock.json`` pins every package by its checksum, ``npm/SHA256SUMS`` each file that is taken out of them.
The files are in the wheel and not in the repository. To take another version: change ``npm/package.json``, run
``npm install --package-lock-only`` in ``npm/``, then this with ``--accept``, which writes ``SHA256SUMS`` anew.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_i2i.errors import BadInputError, EdgeI2IError, MissingRequirementError

NPM = Path(__file__).parent / "npm"
RUNTIME = Path(__file__).parent / "page" / "ort"
SUMS = "SHA256SUMS"

# The CPU and the WebGPU build: a module each, the module's loader and its WebAssembly.
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)


def runtime_is_here(folder: Path = RUNTIME) -> bool:
    """Whether every file is there that a browser may ask for; whether it is the right one is for ``check_runtime``."""
    return all((folder / name).is_file() for name in FILES)


def fetch_runtime(target: Path = RUNTIME, *, accept: bool = False) -> None:
    """Put the browser's runtime where the page looks for it. ``accept``: its checksums are the right ones from now on.

    Raises:
        MissingRequirementError: npm is not here, or could not fetch.
        BadInputError: a file is not the one that was pinned; ``target`` is as it was.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MissingRequirementError("Fetching onnxruntime-web needs npm.", remedy="Install Node.js 20 or newer.")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(shutil.copytree(NPM, Path(folder) / "npm"))
        if subprocess.run([npm, "ci"], cwd=work, check=False, stdout=sys.stderr).returncode:
            raise MissingRequirementError("npm could not fetch onnxruntime-web; it says why above.")
        fetched = work / "ort"
        fetched.mkdir()
        shutil.copy(work / "LICENSE", fetched)
        for name in FILES:
            shutil.copy(work / "node_modules" / "onnxruntime-web" / "dist" / name, fetched)
        if accept:
            (NPM / SUMS).write_text("".join(f"{_sha256(fetched / name)}  {name}\n" for name in FILES), encoding="utf-8")
        check_runtime(fetched)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(fetched, target)


def check_runtime(folder: Path = RUNTIME) -> None:
    """Compare the checksums of the runtime's files in a folder with those that are pinned.

    Raises:
        MissingRequirementError: a file is not there.
        BadInputError: a file is another than the pinned one.
    """
    for line in (NPM / SUMS).read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        if not (folder / name).is_file():
            raise MissingRequirementError(f"The page's '{name}' is not here.", remedy="make web")
        if _sha256(folder / name) != digest:
            raise BadInputError(f"The page's '{name}' is not the one that was pinned.", remedy="make web")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Fetch the runtime from the command line; returns the exit code."""
    try:
        fetch_runtime(accept="--accept" in arguments)
    except EdgeI2IError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
