"""Cameras as Linux lists them, so that one is found again when it comes back under another number.

A number (``/dev/video0``) belongs to whoever was plugged in first. What stays with a camera is the link that udev makes
for it in ``/dev/v4l/by-id`` (from vendor, product and serial number), or else the name in
``/sys/class/video4linux/videoN/name``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.sources.source import SourceLostError


@dataclass(frozen=True)
class Node:
    """A device file, ``/dev/videoN``.

    ``name``: of the camera; empty where Linux gives none. ``index``: a camera may have several nodes (pictures,
    metadata), which it counts from 0.
    """

    number: int
    path: Path
    name: str
    index: int

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.name else str(self.path)


@dataclass(frozen=True)
class Identity:
    """What stays with a camera. ``link``: in ``by-id``, or None."""

    link: str | None
    name: str
    index: int


@dataclass(frozen=True)
class VideoDevices:
    """What Linux knows of video devices.

    ``nodes``: the folder of the device files; ``facts``: the one with a folder of facts for each.
    """

    nodes: Path = Path("/dev")
    facts: Path = Path("/sys/class/video4linux")

    def all(self) -> list[Node]:
        """Every device, by number."""
        numbers = (re.fullmatch(r"video([0-9]+)", path.name) for path in _inside(self.nodes))
        return [self.node(number) for number in sorted(int(match[1]) for match in numbers if match)]

    def node(self, number: int) -> Node:
        """What is known of the device with this number, whether or not it is there."""
        facts = self.facts / f"video{number}"
        index = _text(facts / "index")
        return Node(
            number,
            self.nodes / f"video{number}",
            _text(facts / "name"),
            int(index) if index.isdecimal() else 0,
        )

    def identity(self, node: Node) -> Identity:
        """What stays with the camera that is at ``node`` now, also under another number."""
        links = sorted(link.name for link in self._links() if link.resolve() == node.path.resolve())
        return Identity(links[0] if links else None, node.name, node.index)

    def find(self, identity: Identity) -> Node | None:
        """The device of the camera with this identity; None: it is not there."""
        for node in self.all():
            now = self.identity(node)
            same = now.link == identity.link if identity.link else now == identity and now.name != ""
            if same:
                return node
        return None

    def _links(self) -> Iterator[Path]:
        return _inside(self.nodes / "v4l" / "by-id")


class LinuxCamera:
    """A camera by its number, or by the path of its device or of a link to it.

    Who named a number gets the same camera again after it was lost, under whatever number; who named a link gets what
    the link leads to.
    """

    def __init__(self, given: int | Path, devices: VideoDevices | None = None) -> None:
        self._given = given
        self._devices = devices or VideoDevices()
        self._identity: Identity | None = None
        self.label = f"camera {given}"

    def locate(self) -> str:
        """Find the device: its path now.

        Raises:
            SourceLostError: it is not there, or may not be used.
        """
        path = self._path()
        if not path.exists():
            raise self.absent(f"There is no {self.label}")
        if not os.access(path, os.R_OK | os.W_OK):
            raise SourceLostError(
                f"You may not use '{path}'.",
                remedy="Join the group that owns it: 'sudo usermod -aG video $USER', then log in again.",
            )
        return str(path)

    def opened(self, where: str | int) -> None:
        """Remember which camera it was that gave pictures at ``where``."""
        match = re.fullmatch(r"video([0-9]+)", Path(where).name) if isinstance(where, str) else None
        if match is None:
            return
        node = self._devices.node(int(match[1]))
        self.label = f"camera {node.number}" + (f" ({node.name})" if node.name else "")
        if self._identity is None and not self._is_link():
            self._identity = self._devices.identity(node)

    def absent(self, what: str) -> SourceLostError:
        """The error that ``what`` says, with the cameras that are there as a remedy."""
        there = ", ".join(str(node) for node in self._devices.all())
        return SourceLostError(
            f"{what}.",
            remedy=f"Here are: {there}. One that is in use elsewhere cannot be opened: end the other program."
            if there
            else f"There is no {self._devices.nodes}/video* at all: plug a camera in. In a container or a virtual "
            "machine, hand the device through (--device /dev/video0).",
        )

    def _path(self) -> Path:
        if self._identity is not None and (self._identity.link or self._identity.name):
            node = self._devices.find(self._identity)
            if node is None:
                raise self.absent(f"The {self.label} is gone")
            return node.path
        if isinstance(self._given, int):
            return self._devices.node(self._given).path
        return self._given.resolve()

    def _is_link(self) -> bool:
        return isinstance(self._given, Path) and self._given.is_symlink()


def _inside(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:  # not there: no such device was ever plugged in
        return


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""
