"""The routes: what is answered where. PROTOCOL.md has the table; ``security.Guard`` stands in front."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from edge_i2i.contract import Size
from edge_i2i.errors import BadInputError, BundleError, EdgeI2IError, MissingRequirementError, UsageError
from edge_i2i.hosting.asgi import ASGIApp
from edge_i2i.hosting.incoming import Uploads, read_body, visitor
from edge_i2i.hosting.refusals import RequestError, TooLargeError
from edge_i2i.live.figures.prometheus import CONTENT_TYPE, render
from edge_i2i.texts import shown_in
from edge_i2i.web.security import STRANGER, Guard, Rules
from edge_i2i.web.shared_model import ModelGoneError, ModelState
from edge_i2i.web.site import BUNDLES, PAGE_FOLDER, Site
from edge_i2i.web.tabs import Tabs
from edge_i2i.web.thumbnails import Thumbnails
from edge_i2i.web.uploads import WrongFormatError, decode_exemplar
from edge_i2i.web.webrtc import answer_offer, webrtc_available

LARGEST_OFFER = 1 << 18  # bytes; an SDP with every candidate of a well-connected machine has some 10 KiB

_REVALIDATE = "private, no-cache"  # kept by the browser, and asked about each time
_MEDIA_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".html": "text/html",
}
"""Said here, because what a system's registry says of them may be wrong, and ``nosniff`` takes it literally."""


def make_app(sites: Mapping[str, Site], rules: Rules) -> ASGIApp:
    """The application for a server of sites: the first at the root, and each under ``/bundles/ID/`` as well."""
    routes = {name: _Routes(site).all() for name, site in sites.items()}
    mounts = [Mount(f"{BUNDLES}/{name}", routes=items) for name, items in routes.items()]
    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        EdgeI2IError: _error_response,
        HTTPException: _http_error_response,
    }
    return Guard(Starlette(routes=[*mounts, *next(iter(routes.values()))], exception_handlers=handlers), rules)


class _Routes:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._tabs, self._thumbnails = Tabs(site), Thumbnails(site)
        self._uploads = Uploads()

    def all(self) -> list[BaseRoute]:
        """What is answered, beneath the site's own path."""
        return [
            Route("/", self._page),
            Mount("/page", _PageFiles(directory=PAGE_FOLDER)),
            Route("/bundle.json", self._bundle),
            Route("/graphs/{name}.onnx", self._graph),
            Route("/thumbs/{number}.jpg", self._thumbnail),
            Route("/exemplar", self._exemplar, methods=["POST"]),
            Route("/webrtc", self._webrtc, methods=["POST"]),
            Route("/healthz", self._health),
            Route("/metrics", self._metrics),
            WebSocketRoute("/ws", self._socket),
        ]

    async def _socket(self, socket: WebSocket) -> None:
        await self._tabs.serve(socket)

    async def _page(self, _request: Request) -> Response:
        return _file_response(PAGE_FOLDER / "index.html")

    async def _bundle(self, _request: Request) -> Response:
        return _json(self._site.describe(webrtc=webrtc_available()))

    async def _graph(self, request: Request) -> Response:
        known = {graph.name for graph in (self._site.bundle.frame_graph, *self._site.bundle.condition_graphs)}
        name = request.path_params["name"]
        record = self._site.browser_variant(name) if name in known else None
        if record is None:
            raise RequestError(404, f"There is no graph '{name}' for browsers.", remedy="bundle.json lists them.")
        headers = {"etag": f'"{record.sha256}"', "cache-control": _REVALIDATE, "content-length": str(record.bytes)}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers={"etag": headers["etag"], "cache-control": _REVALIDATE})
        chunks = await asyncio.to_thread(_begun, self._site.bundle.chunks(record.path))
        return StreamingResponse(chunks, headers=headers, media_type="application/octet-stream")

    async def _thumbnail(self, request: Request) -> Response:
        jpeg = await self._thumbnails.jpeg(request.path_params["number"])
        return Response(jpeg, media_type="image/jpeg")

    async def _exemplar(self, request: Request) -> Response:
        if (size := self._exemplar_size()) is None:
            raise RequestError(422, "This bundle takes no exemplar.", remedy="Pick a style instead.")
        limits = self._site.limits
        async with self._uploads.place(visitor(request)) as upload:
            data = await upload.read(request, limits.exemplar_bytes, limits.upload_seconds)
            picture = await self._site.in_turn(decode_exemplar, data, limits, size)
        self._site.figures.uploads += 1
        return JSONResponse({"id": self._site.exemplars.add(picture)})

    def _exemplar_size(self) -> Size | None:
        graphs = (self._site.bundle.frame_graph, *self._site.bundle.condition_graphs)
        specs = [spec for graph in graphs for spec in graph.inputs if spec.name == self._site.takes.exemplar]
        return Size(*specs[0].shape[:2]) if specs else None

    async def _webrtc(self, request: Request) -> Response:
        data = await read_body(request, LARGEST_OFFER, self._site.limits.upload_seconds)
        offer = _read_offer(data)
        if (tab := self._tabs.find(offer["tab"])) is None:
            raise RequestError(422, "That tab is not open.", remedy="Open the WebSocket first; 'ready' names the tab.")
        return JSONResponse(await answer_offer(self._site, tab, offer["sdp"]))

    async def _health(self, request: Request) -> Response:
        shared = self._site.shared
        state: dict[str, Any] = {"state": shared.state.value}
        if request.scope[STRANGER]:
            return JSONResponse(state, 200 if shared.state is ModelState.READY else 503)
        if shared.state is ModelState.READY and shared.info is not None:
            state |= {"engine": shared.info.engine, "effective_precision": shared.info.effective_precision}
            return _json(state)
        if shared.error is not None:
            return _json({**state, "what": shared.error.what, "remedy": shared.error.remedy}, 503)
        return _json({**state, "note": shared.note}, 503)

    async def _metrics(self, _request: Request) -> Response:
        text = render(self._site.figures.families(self._site.shared))
        return Response(text, headers={"content-type": CONTENT_TYPE})


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """With the first chunk read: what is not there (any more) is an error before the answer has begun."""
    return itertools.chain([next(chunks, b"")], chunks)


class _PageFiles(StaticFiles):
    def file_response(self, full_path: Any, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(full_path, *arguments, **options)
        if (media_type := _MEDIA_TYPES.get(Path(full_path).suffix)) is not None and response.status_code == 200:
            response.headers["content-type"] = _with_charset(media_type)
        response.headers["cache-control"] = _REVALIDATE
        return response


def _file_response(path: Path) -> Response:
    if not path.is_file():
        raise RequestError(404, "The page is not installed.", remedy="Install the wheel again.")
    return FileResponse(path, headers={"content-type": _with_charset("text/html"), "cache-control": _REVALIDATE})


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _read_offer(data: bytes) -> dict[str, str]:
    try:
        offer = json.loads(data)
    except (ValueError, RecursionError):
        offer = None
    texts = isinstance(offer, dict) and all(isinstance(offer.get(name), str) for name in ("sdp", "type", "tab"))
    if not texts or offer["type"] != "offer":
        raise RequestError(400, "This is no offer.", remedy='Send {"sdp": …, "type": "offer", "tab": …} as JSON.')
    return dict(offer)


# Errors ---------------------------------------------------------------------------------------------------------

_STATUS: tuple[tuple[type[EdgeI2IError], int], ...] = (
    (TooLargeError, 413),
    (WrongFormatError, 415),
    (BundleError, 503),
    (BadInputError, 400),
    (UsageError, 422),
    (ModelGoneError, 503),
    (MissingRequirementError, 503),
)


async def _error_response(_request: Request, error: Exception) -> Response:
    if not isinstance(error, EdgeI2IError):
        raise error
    found = (status for kind, status in _STATUS if isinstance(error, kind))
    status = error.status if isinstance(error, RequestError) else next(found, 500)
    return _json_error(status, error.what, error.remedy)


async def _http_error_response(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _json_error(error.status_code, f"{error.detail}.", "PROTOCOL.md lists what is answered.")


def _json_error(status: int, what: str, remedy: str) -> Response:
    return _json({"type": "error", "what": what, "remedy": remedy}, status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    """Texts in it may be a bundle's, so a stranger's."""
    return JSONResponse(shown_in(content), status)
