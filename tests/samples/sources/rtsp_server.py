"""As much of an RTSP camera as FFmpeg asks for over TCP (RFC 2326 §10.12; H.264 as in RFC 6184 §5.6)."""

from __future__ import annotations

import re
import socketserver
import struct
import threading
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import numpy as np

_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n"
)
_TICKS = 3600  # of 90 kHz between two frames: 25 a second


def encode(pictures: list[np.ndarray]) -> list[list[bytes]]:
    """The NAL units of each picture."""
    codec = av.CodecContext.create("libx264", "w")
    codec.height, codec.width = pictures[0].shape[:2]
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 25)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "1", "repeat-headers": "1"}
    frames = [av.VideoFrame.from_ndarray(picture, "rgb24") for picture in pictures]
    for number, frame in enumerate(frames):
        frame.pts = number
    packets = [packet for frame in [*frames, None] for packet in codec.encode(frame)]
    return [[unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit] for packet in packets]


class RtspServer(socketserver.ThreadingTCPServer):
    """Plays ``pictures`` once to whoever asks, and then hangs up. ``asked``: the methods, and the transports."""

    daemon_threads = True

    def __init__(self, pictures: list[np.ndarray]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.units = encode(pictures)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        """Of the stream, with credentials."""
        return f"rtsp://me:secret@127.0.0.1:{self.server_address[1]}/stream"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: RtspServer

    def handle(self) -> None:
        while (request := self._request()) is not None:
            method, headers = request
            self.server.asked.append(method)
            self._answer(method, headers)
            if method == "PLAY":
                self._play()
                return

    def _request(self) -> tuple[str, dict[str, str]] | None:
        lines = []
        while (line := self.rfile.readline().decode().strip()) or not lines:
            if not line:
                return None
            lines.append(line)
        pairs = (line.partition(": ") for line in lines[1:])
        return lines[0].split()[0], {name.lower(): value for name, _, value in pairs}

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        lines = [f"CSeq: {headers['cseq']}", "Session: 1"]
        body = ""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        if method == "DESCRIBE":
            body = _SDP
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        if method == "SETUP":
            self.server.asked.append(headers["transport"])
            lines.append(f"Transport: {headers['transport']};ssrc=00000001")
        self.wfile.write("\r\n".join(["RTSP/1.0 200 OK", *lines, "", body]).encode())

    def _play(self) -> None:
        sequence = 0
        for number, units in enumerate(self.server.units):
            for unit in units:
                marker = 0x80 if unit is units[-1] else 0
                rtp = struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, number * _TICKS, 1) + unit
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                sequence += 1
