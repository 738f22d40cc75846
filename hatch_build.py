"""The wheel's build step: the browser's runtime (onnxruntime-web) is in every wheel, or there is none.

Its files are not in the repository. A build in a fresh checkout fetches them from npm by ``edge_i2i.web.vendor``,
checked against its checksums; where that cannot be, the build fails and says what to do. An editable installation takes
what lies in the checkout, so it needs no network.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WITHOUT = "EDGE_I2I_WITHOUT_BROWSER_RUNTIME"


class BrowserRuntimeHook(BuildHookInterface):
    """Makes ``edge_i2i/web/page/ort`` before a wheel is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing; raises where that fails."""
        if version == "editable" or os.environ.get(WITHOUT) == "1":
            return
        sys.path.insert(0, self.root)
        try:
            from edge_i2i.errors import EdgeI2IError
            from edge_i2i.web.vendor import check_runtime, fetch_runtime

            folder = Path(self.root) / "edge_i2i" / "web" / "page" / "ort"
            try:
                check_runtime(folder)
            except EdgeI2IError:
                fetch_runtime(folder)
        except EdgeI2IError as error:
            raise RuntimeError(
                f"The wheel needs the browser's runtime: {error} "
                f"(or set {WITHOUT}=1: then the page offers the server only)"
            ) from error
        finally:
            sys.path.remove(self.root)
