"""The pages people look at."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Query
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from groundglass.errors import SettingsError
from groundglass.web.context import PageContext
from groundglass.web.people.access import Deed
from groundglass.web.readings.agreement import agreement, agreement_with
from groundglass.web.readings.readings import Answer
from groundglass.web.routes.acts import Act, do_act
from groundglass.web.routes.listing import Show, wanted
from groundglass.web.routes.noting import note
from groundglass.web.routes.visitor import (
    Admin,
    Operator,
    Page,
    Reader,
    ThisJob,
    meant_form,
    rendered,
    visitor_of,
)
from groundglass.web.worklist.board import StudyRow

router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor_of)])
_MANIFESTS = ("result.json", "refusal.json")


@router.get("/")
def worklist(page: Page, me: Reader, show: Show = Show.ALL, q: str = "") -> HTMLResponse:
    """The list of studies."""
    rows = page.board.rows(me.user)
    return rendered(
        page,
        "worklist.html.j2",
        me=me,
        rows=wanted(rows, show, q),
        total=len(rows),
        show=show,
        shows=list(Show),
        q=q,
        limit_s=page.settings.waiting_limit_minutes * 60,
    )


@router.get("/rows")
def rows(page: Page, me: Reader, show: Show = Show.ALL, q: str = "") -> HTMLResponse:
    """The rows of the list alone, for a page that is open."""
    found = page.board.rows(me.user)
    return rendered(page, "rows.html.j2", rows=wanted(found, show, q), total=len(found))


@router.get("/studies/{job_id}")
def study(page: Page, me: Reader, job: ThisJob) -> HTMLResponse:
    """One study."""
    row = page.board.row(job, me.user)
    note(page, me, Deed.VIEWED, job)
    result, source = row.result, page.board.result(job)
    first = 0
    if source is not None and source.shape[0] > 1 and not job.files_purged:
        first = source.middle if row.hidden else source.first_slice
    record = None
    if result is not None and result.verdict is not None:
        record = agreement_with(page.readings.counting(), result.bundle, result.verdict.label)
    return rendered(
        page,
        "study.html.j2",
        me=me,
        row=row,
        job=job,
        result=result,
        first=first,
        slices=source.shape[0] if source else 0,
        record=record,
        answers=list(Answer),
        history=[] if row.hidden else page.readings.of_study(job.study_instance_uid),
        files=[] if row.hidden else sorted(report_files(page, job.report)),
        viewer=viewer_link(page, row),
        later=page.board.latest_of(job),
    )


@router.get("/studies/{job_id}/files/{name:path}")
def download(page: Page, me: Reader, job: ThisJob, name: str) -> Response:
    """A file of the report, one of those its manifest lists and no other."""
    if page.board.row(job, me.user).hidden or name not in report_files(page, job.report):
        raise HTTPException(404, "There is no such file.")
    note(page, me, Deed.DOWNLOADED, job, name)
    path = page.stores.spool.root / job.report / name
    flat = f"study-{job.id}-{name.replace('/', '-')}"
    return FileResponse(path, filename=flat, media_type="application/octet-stream")


@router.post("/studies/{job_id}/act", dependencies=[Depends(meant_form)])
def act(page: Page, me: Operator, job: ThisJob, what: Annotated[Act, Form()]) -> Response:
    """An operator's work."""
    try:
        do_act(page, me, job, what)
    except SettingsError as error:
        raise HTTPException(409, f"Found {error.found}; expected {error.expected}.") from error
    return RedirectResponse("/" if what is Act.PURGE else f"/studies/{job.id}", 303)


@router.get("/agreement")
def agreement_page(
    page: Page, me: Reader, *, by_month: Annotated[bool, Query()] = False
) -> HTMLResponse:
    """How often readers agree, and what they disagree with."""
    counting = page.readings.counting()
    disagreed = [one for one in counting if one.opinion.answer is Answer.DISAGREE]
    if page.settings.blind:  # other readers' studies may be unread by this one
        disagreed = [one for one in disagreed if one.user_id == me.user.id]
    return rendered(
        page,
        "agreement.html.j2",
        me=me,
        table=agreement(counting, by_month=by_month),
        by_month=by_month,
        disagreed=sorted(disagreed, key=lambda one: -one.at),
        blind=sum(one.opinion.blind for one in counting),
    )


@router.get("/record")
def record(page: Page, me: Admin) -> HTMLResponse:
    """Who did what."""
    return rendered(page, "record.html.j2", me=me, entries=page.people.access.last())


def report_files(page: PageContext, report: str) -> frozenset[str]:
    """The files of a report, by its manifest; none where there is no report."""
    if not report:
        return frozenset()
    folder = page.stores.spool.root / report
    for manifest in _MANIFESTS:
        try:
            listed = json.loads((folder / manifest).read_text("utf-8"))["files"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return frozenset((manifest, *listed))
    return frozenset()


def viewer_link(page: PageContext, row: StudyRow) -> str:
    """The study in the hospital's own viewer; empty where there is no link."""
    if not page.settings.viewer_url:
        return ""
    return page.settings.viewer_url.format(
        study_instance_uid=quote(row.job.study_instance_uid, safe=""),
        accession_number=quote(row.identity.accession_number, safe=""),
    )
