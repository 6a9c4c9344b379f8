"""What every answer says to browsers, and which requests are answered at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groundglass.node.web_settings import WebSettings

#: Nothing from elsewhere, nothing inline (CSP3); images of our own and those a script decoded.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",  # without any, browsers send forms with no Origin
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
)
#: Images of patients stay in no cache but where an answer says otherwise.
_NOT_KEPT = "no-store"
_OURSELVES = ("localhost", "127.0.0.1", "[::1]")
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
#: Largest body of a request in bytes: a form, or a reading with a remark.
LARGEST_BODY = 64 * 1024


class Guard:
    """Refuses requests for other names and from other sites; puts its headers on every answer.

    Parameters
    ----------
    app : ASGI application
        What answers those that are let through.
    settings : WebSettings
        Its names; whether there is TLS.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._names = frozenset((*_OURSELVES, *(name.lower() for name in settings.names)))
        self._headers = dict(_HEADERS)
        if settings.tls is not None:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("cache-control", _NOT_KEPT)
            await send(message)

        wrong = why_refused(scope["method"], Headers(scope=scope), self._names)
        if wrong is not None:
            await wrong(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def why_refused(method: str, headers: Headers, names: Collection[str]) -> PlainTextResponse | None:
    """The answer to a request that goes no further; None for one that does."""
    host = _host(headers.get("host", ""))
    if host not in names:
        return PlainTextResponse("This name is not among web.names.\n", 421)
    if method in _SAFE:
        return None
    origin = headers.get("origin")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    ):
        return PlainTextResponse("From another site.\n", 403)
    try:
        size = int(headers.get("content-length", "-1"))
    except ValueError:
        size = -1
    if size < 0:
        return PlainTextResponse("A body of unknown length.\n", 411)
    if size > LARGEST_BODY:
        return PlainTextResponse("Too large.\n", 413)
    return None


def _host(stated: str) -> str:
    """A Host header without its port, in small letters."""
    stated = stated.lower()
    if stated.startswith("["):
        return stated.partition("]")[0] + "]"
    return stated.partition(":")[0]
