"""The page's server, a part of the node's process."""

from __future__ import annotations

import socket
import threading

import uvicorn

from groundglass.errors import SettingsError
from groundglass.node.assembly import Stores
from groundglass.node.logs import node_log
from groundglass.node.settings import NodeSettings
from groundglass.node.web_settings import WebSettings
from groundglass.web.app import make_app
from groundglass.web.context import PageContext

_LOG = node_log("page")
#: How long answers under way may take to end when the node stops, in s.
_GRACE_S = 5
_LONGEST_END_S = 30.0


def open_page(node: NodeSettings, settings: WebSettings, stores: Stores) -> PageServer:
    """The page of a node, bound to its port and not yet answering.

    Raises
    ------
    SettingsError
        The address or port cannot be listened at, or TLS files cannot be used.
    """
    return PageServer(PageContext.open(node, settings, stores))


class PageServer:
    """Serves the page in a thread of its own."""

    def __init__(self, page: PageContext) -> None:
        self._page = page
        settings = page.settings
        self._tls = settings.tls.server() if settings.tls else None
        self._socket = _bound(settings.host, settings.port)
        config = uvicorn.Config(
            make_app(page),
            log_config=None,
            access_log=False,  # addresses hold search words, which may be names
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            limit_concurrency=500,
        )
        config.load()
        config.ssl = self._tls
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)

    @property
    def port(self) -> int:
        """TCP port listened at."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to answer."""
        self._page.desk.begin()
        self._thread.start()
        _LOG.info("page", host=self._page.settings.host, port=self.port, tls=self._tls is not None)

    def stop(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_LONGEST_END_S)
        self._socket.close()
        self._page.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
        if not self._server.should_exit:
            _LOG.error("the page ended by itself; the node goes on without it")


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(128)  # only now would another one on the same port be refused
    except (OSError, OverflowError) as error:
        sock.close()
        raise SettingsError(
            f"{host} port {port} that cannot be listened at "
            f"({getattr(error, 'strerror', None) or error})",
            expected="an address of this machine and a free port",
            action="Correct [web] in the settings, or stop what uses the port.",
        ) from error
    return sock
