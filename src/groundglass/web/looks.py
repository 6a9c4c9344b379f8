"""How the pages' templates say times, shares and states."""

from __future__ import annotations

from datetime import UTC, datetime

import jinja2

from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.core.verdict_words import NONE_SEEN, class_name, percent
from groundglass.node.queue.states import Priority, State
from groundglass.report.html.environment import page_environment
from groundglass.web.worklist.order import Need

#: States in a reader's words.
_STATES = {
    State.RECEIVED: "arriving",
    State.READY: "waiting for analysis",
    State.ANALYSING: "being analysed",
    State.REPORTED: "result there",
    State.DELIVERING: "being delivered",
    State.DELIVERED: "delivered",
    State.REFUSED: "no verdict",
    State.SUPERSEDED: "replaced",
    State.FAILED: "failed",
}
_NEEDS = {
    Need.WAITED_TOO_LONG: "waits too long",
    Need.FINDINGS: "findings",
    Need.HIDDEN: "not read yet",
    Need.NO_ANSWER: "no answer",
    Need.COMING: "coming",
    Need.NOTHING_SEEN: "nothing seen",
    Need.READ: "read",
}


def templates() -> jinja2.Environment:
    """The pages' templates; every value is escaped."""
    environment = page_environment("groundglass.web")
    environment.filters |= {
        "duration": duration,
        "clock": clock,
        "day": day,
        "percent": percent,
        "whole_percent": lambda share: "–" if share is None else f"{share:.0%}",
        "priority": priority_name,
        "state_words": lambda state: _STATES[state],
        "need_words": lambda need: _NEEDS[need],
        "class_name": class_name,
        "verdict_name": lambda label: NONE_SEEN if label == "healthy" else class_name(label),
    }
    environment.globals |= {"research_use_only": RESEARCH_USE_ONLY}
    return environment


def duration(seconds: float) -> str:
    """A waiting time: "45 s", "12 min", "3 h 20 min", "2 d 4 h"."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{int(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def clock(seconds: float) -> str:
    """A point in time: "2026-11-30 18:04 UTC"."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def day(date: str) -> str:
    """A DICOM date (PS3.5 section 6.2) as 2026-11-30; what is none as it stands."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date


def priority_name(priority: int) -> str:
    """A priority's name, or its number."""
    names = {one.value: one.name.lower() for one in Priority}
    return names.get(priority, str(priority))
