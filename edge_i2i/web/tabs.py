"""One open tab: its credit, its look, its figures, and the peer connection that belongs to it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from edge_i2i.errors import EdgeI2IError
from edge_i2i.hosting.incoming import visitor
from edge_i2i.hosting.shares import who_makes_room
from edge_i2i.texts import shown_in
from edge_i2i.web.encoding import DEFAULT_QUALITY, encode
from edge_i2i.web.figures import Answered, TabFigures, Unanswered
from edge_i2i.web.looks import ChosenLook, LookRequest
from edge_i2i.web.shared_model import ModelInfo, ModelState, SupersededError, Translated
from edge_i2i.web.site import Site
from edge_i2i.web.uploads import decode_frame
from edge_i2i.web.wire import (
    FrameMessage,
    QualityRequest,
    WireFormat,
    answer_bytes,
    error_message,
    frame_id,
    read_frame,
    read_request,
)

CREDITS = 1
"""Frames that a tab may have under way. One: its age is then one way through, and no more."""

LOADING_SECONDS, STATS_SECONDS = 0.05, 1.0  # how often to look
_OUTBOX_ROOM = 64  # messages; a tab that lets so many lie does not read any more

BROKE_RULES, CANNOT_SERVE, BUSY = 1008, 1011, 1013  # RFC 6455 §7.4.1, and 1013 of its registry


class Peer(Protocol):
    """A connection that belongs to a tab."""

    async def close(self) -> None:
        """End the connection."""
        ...


@dataclass(frozen=True)
class _Answer:
    """What gives a credit back, when it is sent: who does not read gets no further pictures made."""

    content: bytes | str


@dataclass(frozen=True)
class _Farewell:
    code: int


class _EndedError(Exception):
    """The tab is gone, or was shown out."""


class Tab:
    """One WebSocket. Lives in the event loop; the model works for it elsewhere."""

    def __init__(self, site: Site, socket: WebSocket) -> None:
        self._site, self._socket = site, socket
        self.id = secrets.token_urlsafe(12)
        self.visitor = visitor(socket)
        self.since = site.clock.now()
        self.seat = site.shared.seat()
        self.figures = TabFigures(site.clock)
        self._outbox: asyncio.Queue[str | _Answer | _Farewell] = asyncio.Queue(_OUTBOX_ROOM)
        self._quality = DEFAULT_QUALITY
        self._worn = self._wanted = ChosenLook()
        self._in_flight = self._uncredited = 0
        self._peer: Peer | None = None
        self._ended = False

    async def run(self) -> None:
        """Serve the tab until it is closed, and free what belongs to it."""
        await self._socket.accept()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_all())
                group.create_task(self._report())
                await self._receive_all(group)
        except* (_EndedError, WebSocketDisconnect):
            pass
        finally:
            self._ended = True
            self.seat.close()
            if self._peer is not None:
                await self._peer.close()

    async def adopt(self, peer: Peer) -> None:
        """Let a connection belong to this tab: it ends with it, or when another one comes."""
        before, self._peer = self._peer, peer
        if before is not None:
            await before.close()
        if self._ended:
            await peer.close()

    def show_out(self, error: EdgeI2IError) -> None:
        """Send the tab an error, and close it."""
        try:
            self._post_json(error_message(error))
            self._post(_Farewell(BUSY))
        except _EndedError:
            return  # it does not read; what it is sent ends it

    # What comes in ------------------------------------------------------------------------------------------

    async def _receive_all(self, group: asyncio.TaskGroup) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise _EndedError
            if (data := message.get("bytes")) is not None:
                self._take_frame(data, group)
            else:
                self._take_request(message["text"], group)

    def _take_frame(self, message: bytes, group: asyncio.TaskGroup) -> None:
        cause = self._why_unwanted()
        if cause is not None:
            self.count_unanswered(cause)
            self._uncredited += 1
            if self._uncredited >= self._site.limits.uncredited:
                self._post(_Farewell(BROKE_RULES))
            return
        self._uncredited = 0
        self._in_flight += 1
        group.create_task(self._answer(message, self._site.clock.now()))

    def _why_unwanted(self) -> Unanswered | None:
        if self._site.shared.state is not ModelState.READY:
            return Unanswered.NOT_READY
        return Unanswered.NO_CREDIT if self._in_flight >= CREDITS else None

    def _take_request(self, text: str, group: asyncio.TaskGroup) -> None:
        try:
            request = read_request(text)
        except EdgeI2IError as error:
            self._post_json(error_message(error))
            return
        if isinstance(request, QualityRequest):
            self._quality = request.quality
        else:
            group.create_task(self._change_look(request, text))

    async def _change_look(self, request: LookRequest, text: str) -> None:
        wanted = self._wanted = self._wanted.changed(request)
        try:
            await asyncio.wrap_future(self.seat.wear(wanted))
        except SupersededError:
            return  # the newer request, which holds this one, is answered
        except EdgeI2IError as error:
            if self._wanted is wanted:
                self._wanted = self._worn
            self._post_json(error_message(error))
            return
        self._worn = wanted
        self._post(text)

    # What goes out ------------------------------------------------------------------------------------------

    async def _answer(self, message: bytes, arrived: float) -> None:
        try:
            frame = read_frame(message)
            self._post(_Answer(await self._answered(frame, arrived)))
        except EdgeI2IError as error:
            self.count_unanswered(_cause(error))
            self._post(_Answer(_shown(error_message(error, frame_id(message)))))

    async def _answered(self, frame: FrameMessage, arrived: float) -> bytes:
        picture = await self._site.in_pool(decode_frame, frame, self._site.limits)
        result = await asyncio.wrap_future(self.seat.translate(picture))
        encoded = await self._site.in_pool(encode, result.image, frame.format, self._quality)
        answer = self.count_answered(arrived, result)
        return answer_bytes(frame, answer.queue, answer.model, encoded)

    def count_answered(self, arrived: float, result: Translated) -> Answered:
        """Count a frame that arrived at ``arrived`` and has its result now; returns what it took."""
        now = self._site.clock.now()
        answer = Answered(now, now - arrived, result.began - arrived, result.model_seconds)
        self.figures.add(answer)
        self._site.figures.add(answer)
        return answer

    def post_error(self, error: EdgeI2IError) -> None:
        """Send the tab an error, unless it does not read any more."""
        if not self._outbox.full():
            self._post_json(error_message(error))

    def count_unanswered(self, cause: Unanswered) -> None:
        """Count a frame that gets no picture, and why."""
        self.figures.dropped += 1
        self._site.figures.add_unanswered(cause)

    async def _report(self) -> None:
        """Say how loading goes, then that frames are wanted, then every second how it goes."""
        shared = self._site.shared
        said = ""
        while shared.state is ModelState.LOADING:
            if shared.note != said:
                said = shared.note
                self._post_json({"type": "loading", "note": said})
            await asyncio.sleep(LOADING_SECONDS)
        if shared.info is None:
            self._post_json(error_message(shared.gone()))
            self._post(_Farewell(CANNOT_SERVE))
            return
        self._post_json(self._ready(shared.info))
        while True:
            await asyncio.sleep(STATS_SECONDS)
            self._post_json(self._stats())

    def _ready(self, info: ModelInfo) -> dict[str, Any]:
        size = self._site.bundle.frame_graph.size
        return {
            "type": "ready",
            "credits": CREDITS,
            "format": [form.name.lower() for form in WireFormat],
            "tab": self.id,
            "engine": info.engine,
            "effective_precision": info.effective_precision,
            "variant": info.variant,
            "size": [size.height, size.width],
        }

    def _stats(self) -> dict[str, Any]:
        ages = self.figures.age_ms()
        return {
            "type": "stats",
            "fps": self.figures.fps(),
            "age_ms": round(ages.p50, 3),
            "age_p99_ms": round(ages.p99, 3),
            "queue": self._site.shared.waiting,
            "tabs": self._site.figures.tabs,
            "dropped": self.figures.dropped,
        }

    def _post_json(self, message: Mapping[str, Any]) -> None:
        self._post(_shown(message))

    def _post(self, message: str | _Answer | _Farewell) -> None:
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            raise _EndedError from None

    async def _send_all(self) -> None:
        while True:
            message = await self._outbox.get()
            if isinstance(message, _Farewell):
                await self._socket.close(message.code)
                raise _EndedError
            await self._send(message)

    async def _send(self, message: str | _Answer) -> None:
        if isinstance(message, _Answer):
            self._in_flight -= 1  # before it is sent: the next frame may be here before this goes on
        content = message.content if isinstance(message, _Answer) else message
        if isinstance(content, bytes):
            await self._socket.send_bytes(content)
        else:
            await self._socket.send_text(content)


class Tabs:
    """All open tabs, by id."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._open: dict[str, Tab] = {}

    async def serve(self, socket: WebSocket) -> None:
        """Serve a WebSocket to its end, unless there are too many."""
        self._site.shared.start()
        tab = Tab(self._site, socket)
        if len(self._open) >= self._site.limits.tabs and not self._make_room(tab):
            await self._turn_away(socket)
            return
        self._open[tab.id] = tab
        self._site.figures.tabs = len(self._open)
        try:
            await tab.run()
        finally:
            self._open.pop(tab.id, None)
            self._site.figures.tabs = len(self._open)

    def find(self, number: str) -> Tab | None:
        """The open tab of an id."""
        return self._open.get(number)

    def _make_room(self, tab: Tab) -> bool:
        """Have the oldest tab of whoever has most of them go, unless this visitor has as many."""
        leaves = who_makes_room(self._open.values(), tab.visitor)
        if leaves is None:
            return False
        del self._open[leaves.id]
        leaves.show_out(
            EdgeI2IError("Somebody else wants to try, too, and you have several tabs open.", remedy="Use one of them.")
        )
        return True

    async def _turn_away(self, socket: WebSocket) -> None:
        self._site.figures.tabs_refused += 1
        busy = EdgeI2IError(
            f"{len(self._open)} tabs are open, which is all that this server takes.", remedy="Close one, then reload."
        )
        try:
            await socket.accept()
            await socket.send_text(_shown(error_message(busy)))
            await socket.close(BUSY)
        except WebSocketDisconnect:
            return


def _shown(message: Mapping[str, Any]) -> str:
    """A message as JSON, with texts made safe to show: they may be a bundle's, so a stranger's."""
    return json.dumps(shown_in(message))


def _cause(error: EdgeI2IError) -> Unanswered:
    """Why a frame got no picture, by the error."""
    if isinstance(error, SupersededError):
        return Unanswered.SUPERSEDED
    return Unanswered.REFUSED if error.exit_code == _BAD_INPUT else Unanswered.FAILED


_BAD_INPUT = 4
