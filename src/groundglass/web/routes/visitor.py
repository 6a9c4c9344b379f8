"""Who asks, and whether they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Form, Header, HTTPException, Request
from starlette.responses import HTMLResponse

from groundglass.errors import SettingsError
from groundglass.node.queue.states import Job
from groundglass.web.context import PageContext
from groundglass.web.people.access import Caller
from groundglass.web.people.users import Role, User
from groundglass.web.security.csrf import form_token, genuine

#: The browser's session; and the secret of the login form, before there is one.
SESSION_COOKIE, LOGIN_COOKIE = "groundglass_session", "groundglass_login"
#: Under it live programs, which get words and no forms.
API = "/api/"
_BEARER = "bearer "


class NotLoggedIn(Exception):  # noqa: N818  (becomes the login form)
    """Somebody asks for what is behind the login."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in."""

    user: User
    caller: Caller
    secret: str
    """Their session's token; empty for a program with a token of its own."""

    @property
    def form_token(self) -> str:
        """What their forms carry."""
        return form_token(self.secret) if self.secret else ""


def page_of(request: Request) -> PageContext:
    """What the page works with."""
    return cast(PageContext, request.app.state.page)


Page = Annotated[PageContext, Depends(page_of)]


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def visitor_of(request: Request, page: Page) -> Visitor:
    """Whoever asks, by session or token.

    Raises
    ------
    NotLoggedIn
        By neither.
    """
    stated = request.headers.get("authorization", "")
    if stated[: len(_BEARER)].lower() == _BEARER and request.url.path.startswith(API):
        secret, user = "", page.people.tokens.find(stated[len(_BEARER) :].strip())
    else:
        secret = request.cookies.get(SESSION_COOKIE, "")
        user = page.people.sessions.find(secret) if secret else None
    if user is None:
        raise NotLoggedIn
    return Visitor(user, Caller(user.name, address_of(request)), secret)


Reader = Annotated[Visitor, Depends(visitor_of)]


def operator_of(visitor: Reader) -> Visitor:
    """Whoever asks, if they may do an operator's work."""
    return _needing(visitor, Role.OPERATOR)


def admin_of(visitor: Reader) -> Visitor:
    """Whoever asks, if they may do an administrator's work."""
    return _needing(visitor, Role.ADMIN)


Operator = Annotated[Visitor, Depends(operator_of)]
Admin = Annotated[Visitor, Depends(admin_of)]


def _needing(visitor: Visitor, role: Role) -> Visitor:
    if not visitor.user.role.may(role):
        raise HTTPException(403, f"This needs the role {role}.")
    return visitor


def meant(
    visitor: Reader,
    x_form_token: Annotated[str, Header()] = "",
) -> None:
    """Refuse a change that another site's page may have sent; a program's own token is enough."""
    if visitor.secret and not genuine(visitor.secret, x_form_token):
        raise HTTPException(403, "The form is too old, or not ours: load the page again.")


def meant_form(visitor: Reader, form: Annotated[str, Form()] = "") -> None:
    """The same for a form, which carries its token in a field."""
    if not genuine(visitor.secret, form):
        raise HTTPException(403, "The form is too old, or not ours: load the page again.")


def job_of(job_id: int, page: Page) -> Job:
    """The job an address names."""
    if not 0 < job_id < 2**31:
        raise HTTPException(404, "There is no such study.")
    try:
        return page.stores.jobs.records.get(job_id)
    except SettingsError as error:
        raise HTTPException(404, "There is no such study.") from error


ThisJob = Annotated[Job, Depends(job_of)]


def rendered(page: PageContext, name: str, **values: object) -> HTMLResponse:
    """A page from its template."""
    return HTMLResponse(page.templates.get_template(name).render(values))
