"""The end of a program while a thread of a session is still at work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from edge_i2i.errors import UsageError
from edge_i2i.clock import SystemClock
from edge_i2i.live.session import LiveSession

def load(progress):
    SystemClock().sleep(1.0)
    Path(sys.argv[1]).write_text("it was let come back")
    raise UsageError("nobody hears this")

session = LiveSession(None, load)
session.start()
session.stop(0.05)
sys.exit(7)
"""


def test_the_end_of_a_program_waits_for_what_is_being_loaded(tmp_path: Path) -> None:
    """Else it returns from C++ into an interpreter that is gone, and the process is aborted."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "note")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")
    assert (tmp_path / "note").read_text() == "it was let come back"
