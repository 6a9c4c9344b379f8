"""The application: addresses, what guards them, and how errors are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

import groundglass
from groundglass.errors import GroundglassError
from groundglass.node.logs import node_log
from groundglass.node.queue.states import DatabaseDown
from groundglass.web.context import PageContext
from groundglass.web.routes import api, health, login, pages
from groundglass.web.routes.visitor import API, NotLoggedIn
from groundglass.web.security.headers import Guard

_LOG = node_log("page")
_DESCRIPTION = (
    "Chest CT triage of this node. Research use only; not a medical device; not for diagnosis. "
    "Send `Authorization: Bearer …` with a token of `groundglass users token`."
)


def make_app(page: PageContext) -> FastAPI:
    """The application of one node's page."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await page.watch.end()

    app = FastAPI(
        title="groundglass",
        version=groundglass.__version__,
        description=_DESCRIPTION,
        docs_url=None,  # they fetch their scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.state.page = page
    app.add_middleware(Guard, settings=page.settings)
    for part in (health, login, pages, api):
        app.include_router(part.router)
    static = Path(str(files("groundglass.web") / "static"))
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_exception_handler(NotLoggedIn, _to_login)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(GroundglassError, _cannot)
    app.add_exception_handler(Exception, _broke)
    return app


def _to_login(request: Request, _: Exception) -> Response:
    if request.url.path.startswith(API):
        words = {"detail": "Not logged in."}
        return JSONResponse(words, 401, headers={"www-authenticate": "Bearer"})
    if request.url.path == "/rows":  # a page that is open is told; it must not show the form
        return HTMLResponse("", 401)
    return RedirectResponse("/login", 303)


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException | AnyHTTPException) else 400
    detail = error.detail if isinstance(error, HTTPException | AnyHTTPException) else ""
    return _told(request, status, str(detail))


def _not_understood(request: Request, error: Exception) -> Response:
    where = ""
    if isinstance(error, RequestValidationError):
        where = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
    return _told(request, 422, f"Not understood: {where}.")


def _cannot(request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, DatabaseDown) else 409
    return _told(request, status, getattr(error, "found", "It cannot be done."))


def _broke(request: Request, error: Exception) -> Response:
    _LOG.error("something unforeseen happened", exc_info=error)
    return _told(request, 500, "Something unforeseen happened, a defect in groundglass.")


def _told(request: Request, status: int, words: str) -> Response:
    """For programs as JSON, for people as a page."""
    if request.url.path.startswith(API):
        return JSONResponse({"detail": words}, status)
    page: PageContext = request.app.state.page
    template = page.templates.get_template("error.html.j2")
    return HTMLResponse(template.render(status=status, words=words, me=None), status)
