"""Logging in and out."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from groundglass.web.context import PageContext
from groundglass.web.people.access import Caller, Deed
from groundglass.web.routes.visitor import (
    LOGIN_COOKIE,
    SESSION_COOKIE,
    Page,
    Reader,
    address_of,
    meant_form,
    rendered,
)
from groundglass.web.security.csrf import form_token, genuine

router = APIRouter(include_in_schema=False)
#: Characters of a name that is looked up.
_LONGEST_NAME = 64


@router.get("/login")
def login_form(page: Page) -> HTMLResponse:
    """The form."""
    return _form(page, "", 200)


@router.post("/login")
def log_in(
    request: Request,
    page: Page,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    form: Annotated[str, Form()] = "",
) -> Response:
    """Begin a session, always a new one: a token put into the browser before is worth nothing."""
    name = name.strip().lower()
    caller = Caller(name, address_of(request))
    if not genuine(request.cookies.get(LOGIN_COOKIE, ""), form):
        return _form(page, "The form was too old. Please try again.", 403)
    if len(name) > _LONGEST_NAME or not page.people.throttle.begin(name, caller.address):
        page.people.access.enter(caller, Deed.REFUSED, detail="too many tries")
        return _form(page, "Too many tries. Wait a quarter of an hour.", 429)
    user = page.people.users.authenticated(name, password)
    if user is None:
        page.people.access.enter(caller, Deed.REFUSED)
        return _form(page, "Name and password do not belong together.", 401)
    page.people.throttle.succeeded(name, caller.address)
    token = page.people.sessions.begin(user, request.cookies.get(SESSION_COOKIE, ""))
    page.people.access.enter(Caller(user.name, caller.address), Deed.LOGGED_IN)
    answer = RedirectResponse("/", 303)
    _set_cookie(answer, page, SESSION_COOKIE, token)
    answer.delete_cookie(LOGIN_COOKIE)
    return answer


@router.post("/logout", dependencies=[Depends(meant_form)])
def log_out(page: Page, visitor: Reader) -> Response:
    """End the session."""
    page.people.sessions.end(visitor.secret)
    page.people.access.enter(visitor.caller, Deed.LOGGED_OUT)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def _form(page: PageContext, wrong: str, status: int) -> HTMLResponse:
    secret = secrets.token_urlsafe(32)
    answer = rendered(page, "login.html.j2", wrong=wrong, form=form_token(secret), me=None)
    answer.status_code = status
    _set_cookie(answer, page, LOGIN_COOKIE, secret)
    return answer


def _set_cookie(answer: Response, page: PageContext, name: str, value: str) -> None:
    """Not for scripts, not with other sites' requests, and encrypted wherever that can be."""
    secure = not page.settings.local
    answer.set_cookie(name, value, httponly=True, samesite="lax", secure=secure, path="/")
