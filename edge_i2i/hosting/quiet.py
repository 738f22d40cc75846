"""Around an application: what goes wrong in a request becomes an answer and one line, never a traceback.

A traceback is for whoever runs the server with ``--debug``. What visitors can cause is not worth one, and not worth
a full disk.
"""

from __future__ import annotations

import asyncio
import json
import logging

from edge_i2i.errors import EdgeI2IError
from edge_i2i.hosting.asgi import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

_BODY = json.dumps(
    {"type": "error", "what": "The server could not do that.", "remedy": "Try again; its own output says why."}
).encode()


class QuietApp:
    """An ASGI application that raises nothing. It says each kind of failure once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._said: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and answer 500 where the application raises before its answer has begun.

        ``scope``, ``receive`` and ``send`` are those of the ASGI specification: the request, and how its messages are
        received and answered.
        """
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            _log.debug("A request was under way when the server stopped.")
        except Exception as error:  # noqa: BLE001 (whatever it is, others are served on)
            self._say(scope, error)
            if not begun and scope["type"] == "http":
                await _answer_500(send)

    def _say(self, scope: Scope, error: Exception) -> None:
        cause = error.__cause__
        # Starlette's own error, where one of ours comes after the answer's first part.
        known = cause if isinstance(cause, EdgeI2IError) else error
        what = f"{type(known).__name__}: {known}"
        if type(known).__name__ not in self._said:
            self._said.add(type(known).__name__)
            _log.warning("A request for %s failed (said once): %s", ascii(scope.get("path")), ascii(what))
        _log.debug("A request failed.", exc_info=error)


async def _answer_500(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": _BODY})
