"""Can everything be installed on every platform? Resolves all extras, with the pins, for other machines than this.

    python -m benchmarks.install_platforms --output docs/figures/install-platforms.json

Nothing is installed and nothing is built: `pip install --dry-run --platform … --only-binary=:all:`. pip reads
environment markers for the machine that it runs on; here it is told the other machine's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement

from benchmarks.figures import ROOT, circumstances, write_json

PYTHON = "3.11"

# pip's own evaluation of markers, for another machine.
PIP = """
import json, sys
from pip._vendor.packaging import markers
there = {**markers.default_environment(), **json.loads(sys.argv.pop(1))}
markers.default_environment = lambda: there
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


# Published as source that only asks for these wheels; what has to be built cannot be resolved for another machine.
SOURCE_ONLY = {"tensorrt-rtx": ("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu13-libs")}


@dataclass(frozen=True)
class Platform:
    """A machine: what its environment markers say, and the wheels that it takes."""

    name: str
    markers: dict[str, str]
    tags: tuple[str, ...]


def _glibc(machine: str, newest: int) -> tuple[str, ...]:
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    return (*tags, f"manylinux2014_{machine}", f"linux_{machine}")


def _markers(sys_platform: str, system: str, os_name: str, machine: str) -> dict[str, str]:
    return {
        "sys_platform": sys_platform,
        "platform_system": system,
        "os_name": os_name,
        "platform_machine": machine,
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
    }


PLATFORMS = (
    Platform("Linux x86-64", _markers("linux", "Linux", "posix", "x86_64"), _glibc("x86_64", 35)),
    Platform("Linux aarch64", _markers("linux", "Linux", "posix", "aarch64"), _glibc("aarch64", 35)),
    Platform("macOS arm64", _markers("darwin", "Darwin", "posix", "arm64"), ("macosx_14_0_arm64",)),
    Platform("Windows x86-64", _markers("win32", "Windows", "nt", "AMD64"), ("win_amd64",)),
)


def requirements(extras: tuple[str, ...], markers: dict[str, str]) -> list[str]:
    """What these extras and the package itself ask for on a machine with these markers, extras of extras with them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = list(project["dependencies"])
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            item = Requirement(text)
            inner = item.name == project["name"]
            found += requirements(tuple(item.extras), markers) if inner else [text]
    environment = {**default_environment(), **markers}
    there = [item for item in map(Requirement, found) if item.marker is None or item.marker.evaluate(environment)]
    wheels = [(name, item.specifier) for item in there for name in SOURCE_ONLY.get(item.name, (item.name,))]
    return sorted({f"{name}{specifier}" for name, specifier in wheels})


def extras_of_all() -> tuple[str, ...]:
    """Every extra that there is."""
    return tuple(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def resolve(platform: Platform, extras: tuple[str, ...]) -> dict[str, Any]:
    """What pip would install there, by name and version, or its complaint."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        where = [option for tag in platform.tags for option in ("--platform", tag)]
        command = ["install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary=:all:", "--target", folder]
        command += [*where, "--python-version", PYTHON, "--implementation", "cp", "--report", str(report)]
        command += ["-c", str(ROOT / "constraints.txt"), *requirements(extras, platform.markers)]
        told = [sys.executable, "-c", PIP, json.dumps(platform.markers), *command]
        done = subprocess.run(told, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return {"resolves": False, "complaint": errors or done.stderr.splitlines()[-3:]}
        items = [item["metadata"] for item in json.loads(report.read_text())["install"]]
        versions = {item["name"]: item["version"] for item in sorted(items, key=lambda item: item["name"].lower())}
        return {"resolves": True, "packages": len(versions), "versions": versions}


def main() -> int:
    """Resolve for every platform; exit code 1 where one does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="also write the outcome as JSON")
    parser.add_argument("--extras", nargs="*", default=extras_of_all(), help="default: all that there are")
    parser.add_argument("--only", choices=[platform.name for platform in PLATFORMS], help="this platform alone")
    options = parser.parse_args()
    outcome = {}
    for platform in PLATFORMS:
        if options.only in (None, platform.name):
            outcome[platform.name] = found = resolve(platform, tuple(options.extras))
            told = f"{found['packages']} packages" if found["resolves"] else " ".join(found["complaint"])
            sys.stdout.write(f"{platform.name:16s} {'resolves' if found['resolves'] else 'DOES NOT'}: {told}\n")
            sys.stdout.flush()
    if options.output is not None:
        pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=True)
        about = {"python": PYTHON, "extras": list(options.extras), "pip": pip.stdout.split()[1]}
        write_json(options.output, {**about, "platforms": outcome, **circumstances()}, indent=1)
    return 0 if all(found["resolves"] for found in outcome.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
