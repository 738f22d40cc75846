"""A page that ``edge-i2i serve`` serves in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request


def assert_serves_and_ends(process: subprocess.Popen[str]) -> None:
    """It prints its URL, says when the network is ready, answers there, and ends well on Ctrl-C."""
    with process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        assert any("ready" in line for line in process.stderr)
        with urllib.request.urlopen(f"{url}healthz") as answer:
            assert json.load(answer)["state"] == "ready"
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
