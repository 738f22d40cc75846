"""Fetch what the contract and type tests need, once: real TensorRT bindings and type stubs, outside the environment.

    python tests/samples/tensorrt/prepare_bindings.py

The bindings' wheels hold NVIDIA's Python module without the libraries that it loads; they must not become the
environment's ``tensorrt``. So they go to ``.cache/tensorrt/bindings-VERSION`` (ignored by git), and the stubs, whose
few lines that are no valid Python are relaxed, to ``.cache/tensorrt/stubs``.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "tensorrt"
BINDINGS = {
    "11.4.0.106": "tensorrt_cu13_bindings==11.4.0.106",
    "10.16.1.11": "tensorrt_cu13_bindings==10.16.1.11",
    "10.3.0": "tensorrt_cu12_bindings==10.3.0",
}
STUBS = "tensorrt-stubs==10.13.0.35.1"


def main() -> int:
    """Fetch what is not there yet; 1 where something could not be had."""
    missing = [version for version, wheel in BINDINGS.items() if not _fetch(wheel, CACHE / f"bindings-{version}")]
    stubs = CACHE / "stubs"
    if not _fetch(STUBS, stubs):
        missing.append(STUBS)
    else:
        relax_invalid_signatures(stubs / "tensorrt_bindings" / "tensorrt.pyi")
    for name in missing:
        print(f"could not fetch {name} for Python {sys.version_info.major}.{sys.version_info.minor}", file=sys.stderr)
    return 1 if missing else 0


def relax_invalid_signatures(stub: Path) -> int:
    """Open the signatures that are no valid Python (parameters named ``in``, say) and count them."""
    lines = stub.read_text(encoding="utf-8").splitlines()
    relaxed = 0
    while (bad := _first_error("\n".join(lines))) is not None:
        opened = re.sub(r"def (\w+)\(.*\) -> (.*)$", r"def \1(self, *args: typing.Any) -> \2", lines[bad])
        if opened == lines[bad]:
            raise SystemExit(f"{stub}, line {bad + 1} is no valid Python, and no signature: {lines[bad]}")
        lines[bad] = opened
        relaxed += 1
    stub.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return relaxed


def _first_error(text: str) -> int | None:
    try:
        ast.parse(text)
    except SyntaxError as error:
        if error.lineno is None:
            raise
        return error.lineno - 1
    return None


def _fetch(wheel: str, target: Path) -> bool:
    if target.exists():
        return True
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    if subprocess.run([*command, "--target", str(part), wheel], check=False).returncode != 0:
        return False
    part.rename(target)
    return True


if __name__ == "__main__":
    sys.exit(main())
