"""Nothing phones home: the usage reports of the libraries below are switched off before any of them is imported."""

from __future__ import annotations

import os
import sys

_SWITCHES = (
    "ORT_DISABLE_TELEMETRY",  # ONNX Runtime: in native code, with a lasting id under ~/.cache
    "DO_NOT_TRACK",
    "HF_HUB_DISABLE_TELEMETRY",
)


def switch_off_telemetry() -> None:
    """Tell every library that reports usage not to, in this process and in those that it starts.

    Called by ``import edge_i2i``, so that it holds whatever is imported after it. What the user has set stays. OpenVINO
    and NNCF have no switch for one process, but do without the package that reports for them.
    """
    for name in _SWITCHES:
        os.environ.setdefault(name, "1")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's way to say: not to be imported
    onnxruntime = sys.modules.get("onnxruntime")
    if onnxruntime is not None:  # imported first by the program that uses us: it has begun to report, and stops
        onnxruntime.disable_telemetry_events()
