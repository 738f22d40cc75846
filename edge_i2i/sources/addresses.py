"""Addresses of sources, as people may see them: in messages, logs and statistics."""

from __future__ import annotations

import re

# The user information of RFC 3986 §3.2.1: up to the last "@" before the path.
_USER_INFORMATION = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/?#]*@", re.IGNORECASE)

# A password with an unescaped "/", "?", "#" or blank: what stands where a port would is no number, and an "@" follows.
# Nobody can connect to that, but it must not be shown either; rather too much is cut off. (Digits and a "/" cannot be
# told from a port and a path.)
_BROKEN_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/?#:\[@]*:(?!\d+(?:[/?#\s]|$)).*@", re.IGNORECASE)

# Cameras take them as parameters (?user=admin&pwd=…), in the path (/user=admin&password=…), and GStreamer's rtspsrc as
# properties (user-pw=…).
_PARAMETER = re.compile(
    r"((?<![a-z0-9])(?:user|usr|username|user-id|login|password|passwd|pwd|pass|user-pw|token|auth|secret|key|api_?key"
    r"|access_token)=)(?:\"[^\"]*\"|'[^']*'|[^&;\s])*",
    re.IGNORECASE,
)


def without_credentials(uri: str) -> str:
    """A URI, or a text with some in it, without user names, passwords and tokens.

    >>> without_credentials("rtsp://admin:secret@camera:554/stream")
    'rtsp://camera:554/stream'
    >>> without_credentials("http://camera/snapshot.cgi?user=admin&pwd=secret&channel=1")
    'http://camera/snapshot.cgi?user=…&pwd=…&channel=1'
    """
    for pattern in (_USER_INFORMATION, _BROKEN_PASSWORD):
        uri = pattern.sub(r"\1", uri)
    return _PARAMETER.sub(r"\1…", uri)
