"""Whether the page answers, without a login."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def health() -> PlainTextResponse:
    """That it does; how the node is, [http] says."""
    return PlainTextResponse("ok\n")
