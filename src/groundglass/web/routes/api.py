"""The API: the same as the pages, for programs and for the pages' own scripts."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field
from starlette.responses import Response

from groundglass.errors import ReadError, SettingsError
from groundglass.node.queue.states import Job
from groundglass.web.context import PageContext
from groundglass.web.people.access import Deed
from groundglass.web.readings.agreement import agreement
from groundglass.web.readings.readings import LONGEST_REMARK
from groundglass.web.routes.acts import Act, do_act
from groundglass.web.routes.api_answers import (
    AccessAnswer,
    AgreementAnswer,
    EvidenceAnswer,
    MeAnswer,
    ReadingAnswer,
    SliceAnswer,
    StudyAnswer,
    StudyDetail,
    ViewAnswer,
)
from groundglass.web.routes.listing import Show, wanted
from groundglass.web.routes.noting import note
from groundglass.web.routes.said import Said, opinion_of
from groundglass.web.routes.visitor import (
    Admin,
    Operator,
    Page,
    Reader,
    ThisJob,
    meant,
    visitor_of,
)
from groundglass.web.slices.tasks import StudySource
from groundglass.web.worklist.board import StudyRow

_Shown = TypeVar("_Shown")

router = APIRouter(prefix="/api/v1", dependencies=[Depends(visitor_of)])

Number = Annotated[int, Path(ge=1, le=10**6, description="From the head, the topmost is 1.")]


@dataclass(frozen=True, slots=True)
class ReadingAsked:
    """What a reader says."""

    answer: Said
    """Of a verdict that is shown: agree, disagree or unsure. Of one that is hidden: findings, none
    or unsure."""
    label: Annotated[str, Field(max_length=64)] = ""
    """The reader's own class."""
    remark: Annotated[str, Field(max_length=LONGEST_REMARK)] = ""


@router.get("/me")
def me(visitor: Reader) -> MeAnswer:
    """Who asks."""
    return MeAnswer(visitor.user.name, visitor.user.role)


@router.get("/studies")
def studies(page: Page, visitor: Reader, show: Show = Show.ALL, q: str = "") -> list[StudyAnswer]:
    """The list of studies, in the order in which to look."""
    return [StudyAnswer.of(row) for row in wanted(page.board.rows(visitor.user), show, q)]


@router.get("/events", response_class=EventSourceResponse)
async def events(page: Page) -> AsyncIterator[ServerSentEvent]:
    """A number whenever the list has changed."""
    async for version in page.watch.versions():
        yield ServerSentEvent(event="list", data=version)


@router.get("/studies/{job_id}")
def study(page: Page, visitor: Reader, job: ThisJob) -> StudyDetail:
    """One study."""
    row = page.board.row(job, visitor.user)
    note(page, visitor, Deed.VIEWED, job)
    result = row.result
    return StudyDetail(
        study=StudyAnswer.of(row),
        view=_view(page, row),
        story=list(result.story) if result else [],
        notes=list(result.notes) if result else [],
        opacity_burden=result.burden if result else None,
        not_judged=result.not_judged if result else None,
    )


@router.get("/studies/{job_id}/slices/{number}/preview", response_class=Response)
def preview(page: Page, job: ThisJob, number: Number) -> Response:
    """A slice through the lung window, as JPEG: quick, and not for reading."""
    _refuse_without_images(page, job)
    content = _shown(page.desk.preview, page, job, number)
    return Response(content, media_type="image/jpeg")


@router.get("/studies/{job_id}/slices/{number}/pixels", response_class=Response)
def pixels(page: Page, job: ThisJob, number: Number) -> Response:
    """A slice's HU: 16-bit little-endian whole numbers, row by row (X-Rows, X-Columns)."""
    _refuse_without_images(page, job)
    one = _shown(page.desk.pixels, page, job, number)
    size = {"x-rows": str(one.rows), "x-columns": str(one.columns)}
    return Response(one.hu, media_type="application/octet-stream", headers=size)


@router.get("/studies/{job_id}/slices/{number}/evidence")
def evidence(page: Page, visitor: Reader, job: ThisJob, number: Number) -> EvidenceAnswer:
    """Lung outline and heat of a slice; both empty where there is none."""
    _refuse_without_images(page, job)
    if page.board.row(job, visitor.user).hidden:
        raise HTTPException(403, "The evidence shows after your own reading.")
    found = _shown(page.desk.evidence, page, job, number)
    lines = [list(line) for line in found.outline]
    return EvidenceAnswer(lines, base64.b64encode(found.heat).decode("ascii"))


@router.get("/studies/{job_id}/readings")
def readings(page: Page, visitor: Reader, job: ThisJob) -> list[ReadingAnswer]:
    """Every reading of a study, the first first; none before one's own where that comes first."""
    if page.board.row(job, visitor.user).hidden:
        return []
    return [ReadingAnswer.of(one) for one in page.readings.of_study(job.study_instance_uid)]


@router.post("/studies/{job_id}/readings", status_code=201, dependencies=[Depends(meant)])
def read(page: Page, visitor: Reader, job: ThisJob, asked: ReadingAsked) -> StudyAnswer:
    """Say what you see; what you said before stays on record."""
    row = page.board.row(job, visitor.user)
    result = page.board.result(job)
    if result is None or page.board.latest_of(job).id != job.id:
        raise HTTPException(409, "There is no result of this study as it is now.")
    opinion = opinion_of(asked.answer, asked.label, asked.remark, row, result)
    verdict = result.verdict.label if result.verdict else ""
    page.readings.enter(job, visitor.user, opinion, (result.bundle, verdict))
    note(page, visitor, Deed.READ, job, opinion.answer)
    return StudyAnswer.of(page.board.row(job, visitor.user))


@router.get("/agreement")
def agreements(page: Page, *, by_month: bool = False) -> list[AgreementAnswer]:
    """How often readers agree with each kind of verdict of each bundle."""
    counting = page.readings.counting()
    return [AgreementAnswer.of(one) for one in agreement(counting, by_month=by_month)]


@router.post("/studies/{job_id}/{act}", dependencies=[Depends(meant)])
def act(page: Page, visitor: Operator, job: ThisJob, act: Act) -> StudyAnswer:
    """Begin a study again, let it go first, or delete its files."""
    try:
        do_act(page, visitor, job, act)
    except SettingsError as error:
        raise HTTPException(409, f"Found {error.found}; expected {error.expected}.") from error
    again = page.stores.jobs.records.get(job.id)
    return StudyAnswer.of(page.board.row(again, visitor.user))


@router.get("/record")
def record(page: Page, _visitor: Admin) -> list[AccessAnswer]:
    """Who did what, the last first."""
    return [
        AccessAnswer(one.at, one.who, one.address, one.what, one.job_id, one.detail)
        for one in page.people.access.last()
    ]


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """Describe this API (OpenAPI 3.1)."""
    described: dict[str, Any] = request.app.openapi()
    return described


def _view(page: PageContext, row: StudyRow) -> ViewAnswer | None:
    result = page.board.result(row.job)
    if result is None or row.job.files_purged or result.shape[0] < 2:
        return None
    marks = () if row.hidden else result.slices
    return ViewAnswer(
        shape=result.shape,
        spacing_mm=result.spacing_mm,
        first=result.middle if row.hidden else result.first_slice,
        slices=[SliceAnswer(m.number, m.judged, m.score, m.key, m.words) for m in marks],
    )


def _refuse_without_images(page: PageContext, job: Job) -> None:
    if page.board.result(job) is None or job.files_purged:
        raise HTTPException(404, "There are no images of this study to show.")


def _shown(
    ask: Callable[[StudySource, int], _Shown], page: PageContext, job: Job, number: int
) -> _Shown:
    try:
        return ask(page.board.source(job), number)
    except ReadError as error:
        raise HTTPException(404, error.found) from error
