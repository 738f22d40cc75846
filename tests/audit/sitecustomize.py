"""Put on PYTHONPATH by tests/test_telemetry.py: notes every connection, look-up and write of a process."""

import os
import sys
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostby", "urllib.")
_NETWORK += ("http.client.", "ftplib.", "smtplib.")
_MAKING = ("os.mkdir", "os.rename", "os.link", "os.symlink")


def _note(event: str, about: object) -> None:
    descriptor = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{event}\t{about}\n".encode(errors="replace"))
    os.close(descriptor)


def _hook(event: str, args: tuple) -> None:
    if event.startswith(_NETWORK):
        _note("network", f"{event} {args!r}"[:300])
    elif event == "open" and isinstance(args[0], (str, bytes)) and isinstance(args[2], int) and args[2] & _WRITING:
        if os.fspath(args[0]) != os.environ["AUDIT_LOG"]:
            _note("write", Path.cwd() / os.fsdecode(args[0]))
    elif event in _MAKING:
        _note("write", Path.cwd() / os.fsdecode(args[1 if event != "os.mkdir" else 0]))


if "AUDIT_LOG" in os.environ:
    sys.addaudithook(_hook)
