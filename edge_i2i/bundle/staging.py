"""The hidden folder in which a bundle is built, and the one step that puts it under its final name."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from edge_i2i.bundle.disk import disk_faults, exchange, fsync_folder
from edge_i2i.bundle.paths import HEADER_NAME
from edge_i2i.errors import BundleOutputError
from edge_i2i.files.kinds import BUNDLE, CUT_ZIP, file_kind
from edge_i2i.files.places import beside

_LOG = logging.getLogger(__name__)


class Staging:
    """The build folder of ``target``, beside it on the same disk. Only the holder of the target's lock may use it.

    Its name is fixed, so whatever is found there was left behind by an export that was killed.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = beside(target, "staging")
        self.tree = self.folder / "tree"
        self.archive = self.folder / "archive"
        self._previous = self.folder / "previous"

    def create(self) -> None:
        """Make the folder, after clearing away what a killed export left.

        Raises:
            BundleOutputError: the folder cannot be made, or something that is no bundle has the target's name.
        """
        self.refuse_foreign_target()
        with disk_faults(self.target.parent, f"'{self.target.name}'"):
            self._clear_remains()
            self.tree.mkdir(parents=True)

    def discard(self) -> None:
        """Remove the folder and all that is in it; what cannot be removed is logged and left to the next export."""
        try:
            self._remove()
        except KeyboardInterrupt:  # Ctrl-C pressed twice: the second one must not stop the tidying after the first
            self._remove()
            raise
        if self.folder.exists():
            _LOG.warning("could not remove %s; the next export to %s will", self.folder, self.target)

    def publish(self, built: Path) -> None:
        """Give ``built``, a file or folder in here, the target's name in one step; what had it before is dropped.

        Not ``files.whole.replacing``, which is for a single file: a bundle may be a folder, or take one's place, and
        a packed one is made of the tree beside it.

        Raises:
            BundleOutputError: the target cannot be replaced; it is then as it was.
        """
        self.refuse_foreign_target()
        with disk_faults(self.target.parent, f"'{self.target.name}'"):
            if built.is_dir() or self.target.is_dir():
                self._replace_folder(built)
            else:
                built.replace(self.target)
            fsync_folder(self.target.parent)

    def refuse_foreign_target(self) -> None:
        """Refuse to replace a folder or a file that is not a bundle, whole or cut off.

        Raises:
            BundleOutputError: the target is such a folder or file.
        """
        target = self.target
        if target.is_file() and target.stat().st_size and file_kind(target) not in (BUNDLE, CUT_ZIP):
            raise BundleOutputError(
                f"'{target}' is a file that is no bundle, and is left as it is.",
                remedy="Give another output path, or move that file away yourself.",
            )
        if target.is_dir() and not (target / HEADER_NAME).is_file() and any(target.iterdir()):
            raise BundleOutputError(
                f"'{target}' is a folder with something other than a bundle in it, and is left as it is.",
                remedy="Give another output path, or remove that folder yourself.",
            )

    def _replace_folder(self, built: Path) -> None:
        if not os.path.lexists(self.target):
            built.replace(self.target)
        elif not exchange(built, self.target):
            self._set_aside_and_replace(built)

    def _set_aside_and_replace(self, built: Path) -> None:
        """Put the bundle in place in two steps, for disks that cannot exchange two names in one.

        The next export mends a kill between them.
        """
        try:
            self.target.replace(self._previous)
            built.replace(self.target)
        finally:
            self._restore_previous()

    def _restore_previous(self) -> bool:
        if os.path.lexists(self.target) or not os.path.lexists(self._previous):
            return False
        self._previous.replace(self.target)
        return True

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._restore_previous()
            shutil.rmtree(self.folder)

    def _clear_remains(self) -> None:
        if self.folder.is_symlink() or not self.folder.is_dir():
            self.folder.unlink(missing_ok=True)
            return
        if self._restore_previous():
            _LOG.warning("an export was killed while it replaced %s; the bundle from before is back", self.target)
        _LOG.info("removing what an interrupted export left in %s", self.folder)
        shutil.rmtree(self.folder)
