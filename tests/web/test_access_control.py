"""Who gets in, who may do what, and what is refused whoever asks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from groundglass.node.queue.states import State
from groundglass.web.app import make_app
from groundglass.web.context import PageContext
from groundglass.web.people.access import Deed
from groundglass.web.routes.visitor import LOGIN_COOKIE, SESSION_COOKIE
from groundglass.web.security.csrf import form_token
from web.conftest import PASSWORD, Login, browser
from web.made_node import MadeNode, Sent

SENT = Sent("1.2.3")
#: What answers without a login, and nothing else.
OPEN = {"/healthz", "/login"}


def _routes(page: PageContext) -> Iterator[tuple[str, str]]:
    """Every address with a method, words filled in."""
    for route in _all_routes(make_app(page).routes):
        path = re.sub(r"\{number\}", "1", re.sub(r"\{job_id\}", "1", route.path))
        path = path.replace("{name:path}", "result.json").replace("{act}", "bump")
        for method in sorted(route.methods or ()):
            yield method, path


def _all_routes(routes: list[object]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _all_routes(route.original_router.routes)


def log_in(client: TestClient, name: str, password: str) -> object:
    form = re.search(r'name="form" value="(\w+)"', client.get("/login").text)
    assert form is not None
    body = {"name": name, "password": password, "form": form[1]}
    return client.post("/login", data=body)


def test_without_a_session_every_page_and_call_is_refused(
    page: PageContext, stranger: TestClient, node: MadeNode
) -> None:
    node.judge(SENT)
    routes = list(_routes(page))
    assert len(routes) > 20
    for method, path in routes:
        if path in OPEN:
            continue
        answer = stranger.request(method, path, content=b"")
        refused = (answer.status_code, answer.headers.get("location"))
        assert refused in ((401, None), (303, "/login")), f"{method} {path}: {refused}"


def test_open_pages_say_nothing_of_patients(stranger: TestClient, node: MadeNode) -> None:
    node.judge(SENT)
    for path in OPEN:
        answer = stranger.get(path)
        assert answer.status_code == 200
        assert "Jane" not in answer.text


def test_a_password_lets_in_and_a_wrong_one_does_not(page: PageContext) -> None:
    client = browser(page)
    assert log_in(client, "reader", "wrong horse battery").status_code == 401
    assert client.get("/").status_code == 303
    assert log_in(client, " Reader ", PASSWORD).status_code == 303
    assert client.get("/").status_code == 200
    deeds = [entry.what for entry in page.people.access.last()]
    assert deeds == [Deed.LOGGED_IN, Deed.REFUSED]


def test_a_session_that_was_put_into_the_browser_before_is_worth_nothing(
    page: PageContext,
) -> None:
    """Session fixation: logging in gives a new token, and the old one ends."""
    mine = page.people.sessions.begin(page.people.users.get("reader"))
    victim = browser(page)
    victim.cookies.set(SESSION_COOKIE, mine, domain="127.0.0.1")
    assert log_in(victim, "operator", PASSWORD).status_code == 303
    cookies = [one.value for one in victim.cookies.jar if one.name == SESSION_COOKIE]
    assert cookies[-1] != mine
    assert page.people.sessions.find(mine) is None


def test_trying_passwords_is_stopped(page: PageContext) -> None:
    client = browser(page)
    codes = [log_in(client, "reader", f"guess number {n}").status_code for n in range(7)]
    assert codes == [401] * 5 + [429] * 2
    assert log_in(client, "reader", PASSWORD).status_code == 429, "the right one too"
    assert page.people.throttle.begin("operator", "10.0.0.1"), "others still may"


def test_cookies_are_kept_from_scripts_and_other_sites(page: PageContext) -> None:
    client = browser(page)
    answer = log_in(client, "reader", PASSWORD)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if SESSION_COOKIE in c)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_logging_out_ends_the_session(page: PageContext, login: Login) -> None:
    client = login("reader")
    token = client.cookies[SESSION_COOKIE]
    assert client.post("/logout", data={"form": "wrong"}).status_code == 403
    assert client.post("/logout", data={"form": form_token(token)}).status_code == 303
    assert page.people.sessions.find(token) is None


def test_a_login_form_of_another_site_is_refused(page: PageContext) -> None:
    client = browser(page)
    body = {"name": "reader", "password": PASSWORD, "form": form_token("made up")}
    assert client.post("/login", data=body).status_code == 403
    client.cookies.set(LOGIN_COOKIE, "another")
    assert client.post("/login", data=body).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"x-form-token": ""},
        {"x-form-token": "0" * 64},
        {"origin": "http://elsewhere.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_change_from_another_site_is_refused(
    login: Login, node: MadeNode, page: PageContext, headers: dict[str, str]
) -> None:
    job = node.judge(SENT)
    client = login("operator")
    answer = client.post(f"/api/v1/studies/{job.id}/bump", headers=headers)
    assert answer.status_code == 403
    said = {"answer": "agree"}
    read = client.post(f"/api/v1/studies/{job.id}/readings", json=said, headers=headers)
    assert read.status_code == 403
    assert page.stores.jobs.records.get(job.id).priority == 0
    assert page.readings.counting() == []


@pytest.mark.parametrize("act", ["retry", "bump", "purge"])
def test_a_reader_cannot_do_an_operators_work(
    login: Login, node: MadeNode, page: PageContext, act: str
) -> None:
    job = node.judge(SENT)
    client = login("reader")
    assert client.post(f"/api/v1/studies/{job.id}/{act}").status_code == 403
    form = {"what": act, "form": client.headers["x-form-token"]}
    assert client.post(f"/studies/{job.id}/act", data=form).status_code == 403
    after = page.stores.jobs.records.get(job.id)
    assert (after.state, after.priority, after.files_purged) == (State.DELIVERED, 0, False)


def test_an_operator_works_with_their_name_on_it(
    login: Login, node: MadeNode, page: PageContext
) -> None:
    job = node.judge(SENT)
    client = login("operator")
    assert client.post(f"/api/v1/studies/{job.id}/bump").json()["priority"] == "emergency"
    form = {"form": client.headers["x-form-token"]}
    assert client.post(f"/studies/{job.id}/act", data={**form, "what": "retry"}).status_code == 303
    assert page.stores.jobs.records.get(job.id).state is State.READY
    assert client.post(f"/api/v1/studies/{job.id}/purge").status_code == 409, "it is at work"
    entries = [(e.who, e.what, e.job_id) for e in page.people.access.last()]
    assert entries == [("operator", Deed.RETRIED, job.id), ("operator", Deed.BUMPED, job.id)]


def test_what_readers_do_is_in_the_chained_trail(
    login: Login, node: MadeNode, page: PageContext
) -> None:
    """Views, downloads and readings, each with the reader's name, and no rows beside them."""
    job = node.judge(SENT)
    client = login("reader")
    client.get(f"/studies/{job.id}")
    client.get(f"/studies/{job.id}/files/result.json")
    client.post(f"/api/v1/studies/{job.id}/readings", json={"answer": "agree"})
    trail = page.stores.jobs.records.audit_of(job)[-3:]
    assert [(entry.actor, entry.reason) for entry in trail] == [
        ("page user reader", "viewed"),
        ("page user reader", "downloaded: result.json"),
        ("page user reader", "read: agree"),
    ]
    assert page.stores.jobs.records.get(job.id) == job, "the job itself is as it was"


def test_the_record_is_for_admins(login: Login) -> None:
    for path in ("/record", "/api/v1/record"):
        assert [login(r).get(path).status_code for r in ("reader", "operator", "admin")] == [
            403,
            403,
            200,
        ]


def test_a_token_calls_the_api_and_opens_no_page(page: PageContext, stranger: TestClient) -> None:
    token = page.people.tokens.make(page.people.users.get("operator"), 1)
    bearer = {"authorization": f"Bearer {token}"}
    assert stranger.get("/api/v1/me", headers=bearer).json()["name"] == "operator"
    assert stranger.get("/", headers=bearer).status_code == 303
    assert stranger.get("/api/v1/me", headers={"authorization": "Bearer x"}).status_code == 401
    page.people.users.set_password("operator", "another password")
    assert stranger.get("/api/v1/me", headers=bearer).status_code == 401


def test_who_is_removed_is_out_at_once(page: PageContext, login: Login) -> None:
    client = login("reader")
    assert client.get("/api/v1/me").status_code == 200
    page.people.users.remove("reader")
    assert client.get("/api/v1/me").status_code == 401
    assert log_in(browser(page), "reader", PASSWORD).status_code == 401


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", ""])
def test_other_names_are_refused(login: Login, host: str) -> None:
    """DNS rebinding: a page of another name that points here gets nothing."""
    assert login("reader").get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fjobs.sqlite",
        "%2e%2e/%2e%2e/site.key",
        "/etc/passwd",
        "dicom%2f..%2fresult.json",
        "dicom",
        "nothing.txt",
    ],
)
def test_only_files_of_the_report_can_be_had(login: Login, node: MadeNode, name: str) -> None:
    job = node.judge(SENT)
    client = login("reader")
    assert client.get(f"/studies/{job.id}/files/{name}").status_code == 404
    there = client.get(f"/studies/{job.id}/files/dicom/segmentation.dcm")
    assert there.status_code == 200
    assert "attachment" in there.headers["content-disposition"]


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_static_files_are_the_packages_own(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code in (404, 303)
    assert stranger.get("/static/page.css").status_code == 200


def test_every_answer_forbids_what_it_does_not_need(login: Login, stranger: TestClient) -> None:
    for answer in (
        login("reader").get("/"),
        stranger.get("/login"),
        stranger.get("/static/viewer.js"),
        stranger.get("/nothing"),
        stranger.get("/", headers={"host": "elsewhere.example"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_a_body_that_is_too_large_is_refused(login: Login) -> None:
    answer = login("reader").post("/login", content=b"x" * (64 * 1024 + 1))
    assert answer.status_code == 413


def test_script_in_a_header_or_a_remark_is_text(login: Login, node: MadeNode) -> None:
    evil = "<script>alert(1)</script>"
    job = node.judge(Sent("1.2.3", f"{evil}^E", f'"><img src=x onerror=alert(1)>{evil}'))
    client = login("reader")
    said = {"answer": "disagree", "remark": evil, "label": evil}
    assert client.post(f"/api/v1/studies/{job.id}/readings", json=said).status_code == 201
    for path in ("/", "/rows", f"/studies/{job.id}", "/agreement", f"/?q={evil}"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)" in client.get(f"/studies/{job.id}").text
