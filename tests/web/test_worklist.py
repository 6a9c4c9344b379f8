"""The worklist: what is told of each study, and which one needs eyes first."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.node.queue.states import Priority
from groundglass.web.context import PageContext
from groundglass.web.worklist.order import Need, Standing
from web.conftest import Login, logged_in
from web.made_node import MadeNode, Sent

HOUR = 3600.0
UNREAD = Standing(
    read=False, ended=True, findings=None, hidden=False, priority=0, waiting_since=0.0
)
standings = st.builds(
    Standing,
    read=st.booleans(),
    ended=st.booleans(),
    findings=st.sampled_from([None, True, False]),
    hidden=st.booleans(),
    priority=st.sampled_from([0, 50, 100]),
    waiting_since=st.floats(0, 10 * HOUR),
)


def test_findings_come_first_and_what_is_read_last() -> None:
    now = 60.0
    seen, nothing = replace(UNREAD, findings=True), replace(UNREAD, findings=False)
    coming, read = replace(UNREAD, ended=False), replace(seen, read=True)
    mixed = [read, nothing, coming, UNREAD, seen]
    ordered = sorted(mixed, key=lambda one: one.place(now, HOUR))
    assert ordered == [seen, UNREAD, coming, nothing, read]


def test_a_hidden_verdict_does_not_show_in_the_order() -> None:
    seen, nothing = (replace(UNREAD, hidden=True, findings=None) for _ in range(2))
    assert seen.place(60.0, HOUR) == nothing.place(60.0, HOUR)
    assert seen.need(60.0, HOUR) is Need.HIDDEN


def test_the_more_urgent_goes_first_among_its_like() -> None:
    urgent = replace(UNREAD, findings=True, priority=50, waiting_since=30.0)
    longer = replace(UNREAD, findings=True)
    assert urgent.place(60.0, HOUR) < longer.place(60.0, HOUR)
    assert longer.place(60.0, HOUR) < replace(longer, waiting_since=1.0).place(60.0, HOUR)


@given(waiting=standings, other=standings)
def test_nobody_waits_beyond_the_limit_behind_somebody_who_came_later(
    waiting: Standing, other: Standing
) -> None:
    """The upper limit: whatever verdicts and priorities say."""
    now = 11 * HOUR
    waiting = replace(waiting, read=False, waiting_since=min(waiting.waiting_since, 9 * HOUR))
    assert waiting.need(now, 2 * HOUR) is Need.WAITED_TOO_LONG
    if other.read or other.waiting_since > waiting.waiting_since:
        assert waiting.place(now, 2 * HOUR) < other.place(now, 2 * HOUR)


def test_each_study_says_what_a_reader_must_know(login: Login, node: MadeNode) -> None:
    node.judge(Sent("1.2.1", "Judged^Ann"))
    node.refuse(Sent("1.2.2", "Refused^Bob"), "Found no chest CT.")
    node.receive(Sent("1.2.4", "Coming^Cy", files=2))
    node.complete(Sent("1.2.3", "Waiting^Di", priority=Priority.EMERGENCY))
    client = login("reader")
    page = client.get("/").text
    for words in (
        "Judged Ann",
        "COVID-19 pneumonia",
        "Refused Bob",
        "Found no chest CT.",
        "arriving",
        "emergency",
        "expected 20",
        "nobody",
    ):
        assert words in page
    names = [one["patient_name"] for one in client.get("/api/v1/studies").json()]
    assert names == ["Judged Ann", "Refused Bob", "Waiting Di", "Coming Cy"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("show=findings", ["Judged Ann"]),
        ("show=no-answer", ["Refused Bob"]),
        ("show=read", []),
        ("q=bob", ["Refused Bob"]),
        ("q=ANN judged", ["Judged Ann"]),
        ("q=ann bob", []),
        ("q=1.2.2", ["Refused Bob"]),
        ("show=findings&q=bob", []),
    ],
)
def test_filter_and_search(login: Login, node: MadeNode, query: str, names: list[str]) -> None:
    node.judge(Sent("1.2.1", "Judged^Ann"))
    node.refuse(Sent("1.2.2", "Refused^Bob"), "Found no chest CT.")
    found = login("reader").get(f"/api/v1/studies?{query}").json()
    assert [one["patient_name"] for one in found] == names


def test_a_study_that_changed_after_it_was_read_says_so(
    login: Login, node: MadeNode, page: PageContext
) -> None:
    sent = Sent("1.2.3")
    job = node.judge(sent)
    client = login("reader")
    assert client.post(f"/api/v1/studies/{job.id}/readings", json={"answer": "agree"}).is_success
    (row,) = client.get("/api/v1/studies").json()
    assert (row["need"], row["changed_since_read"]) == ("read", False)
    node.judge(replace(sent, files=5))
    (row,) = client.get("/api/v1/studies").json()
    assert (row["revision"], row["changed_since_read"]) == (2, True)
    assert row["need"] != "read"
    assert "changed since read" in client.get("/").text
    assert "revision 2" in client.get(f"/studies/{job.id}").text
    late = client.post(f"/api/v1/studies/{job.id}/readings", json={"answer": "agree"})
    assert late.status_code == 409, "of what is there no more"


def test_what_changes_changes_the_pulse(node: MadeNode, page: PageContext, login: Login) -> None:
    seen = [page.board.pulse()]
    node.receive(Sent("1.2.3"))
    seen.append(page.board.pulse())
    assert page.board.pulse() == seen[-1]
    node.judge(Sent("1.2.3"))
    seen.append(page.board.pulse())
    login("reader").post("/api/v1/studies/1/readings", json={"answer": "unsure"})
    seen.append(page.board.pulse())
    assert len(set(seen)) == 4


def test_blind_mode_hides_every_sign_of_the_verdict(
    node: MadeNode, blind_page: PageContext
) -> None:
    job = node.judge(Sent("1.2.3"))
    client = logged_in(blind_page, "reader")
    texts = [
        client.get(path).text
        for path in ("/", f"/studies/{job.id}", "/api/v1/studies", f"/api/v1/studies/{job.id}")
    ]
    for text in (re.sub("<select name.*?</select>", "", text) for text in texts):
        for sign in ("COVID", "pneumonia", "0.8125", "result.json", '"label":"CP"', "made"):
            assert sign not in text, sign
    view = client.get(f"/api/v1/studies/{job.id}").json()["view"]
    assert (view["first"], view["slices"]) == (12, [])
    at = f"/api/v1/studies/{job.id}"
    assert client.get(f"{at}/slices/5/evidence").status_code == 403
    assert client.get(f"/studies/{job.id}/files/result.json").status_code == 404
    assert client.post(f"{at}/readings", json={"answer": "agree"}).status_code == 422
    assert client.post(f"{at}/readings", json={"answer": "findings"}).status_code == 201
    (reading,) = client.get(f"{at}/readings").json()
    assert (reading["answer"], reading["label"], reading["blind"]) == ("agree", "findings", True)
    assert "COVID" in client.get(f"/studies/{job.id}").text
    assert client.post(f"{at}/readings", json={"answer": "findings"}).status_code == 422
