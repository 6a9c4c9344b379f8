"""Hands the page's questions to the process that reads studies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from groundglass.analyse.supervisor import Broken, Child, Limits
from groundglass.errors import ReadError
from groundglass.node.logs import node_log
from groundglass.web.slices.reader import SliceReader
from groundglass.web.slices.tasks import (
    Evidence,
    Identify,
    Identity,
    Open,
    Pixels,
    Preview,
    SliceEvidence,
    SlicePixels,
    StudySource,
    Task,
    Unshown,
)

_LOG = node_log("page")
#: One slice and the headers of a study; what takes more is stopped.
_LIMITS = Limits(memory_mb=4096, time_s=60.0)

_Answer = TypeVar("_Answer")


class SliceDesk:
    """Asks one thing at a time; a process that broke is replaced before the next."""

    def __init__(self) -> None:
        # A child ends with the thread that made it: this one lives as long as the page.
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="slices")
        self._child: Child | None = None

    def identity(self, task: Identify) -> Identity:
        """Whose study it is; nobody's where the header cannot be read."""
        try:
            return self._ask(task, Identity)
        except ReadError:
            return Identity()

    def open(self, source: StudySource) -> None:
        """Have a study ready before somebody asks for it, without waiting for it."""
        self._hand.submit(self._answer, Open(source))

    def preview(self, source: StudySource, number: int) -> bytes:
        """A slice as JPEG."""
        return self._ask(Preview(source, number), bytes)

    def pixels(self, source: StudySource, number: int) -> SlicePixels:
        """A slice's HU."""
        return self._ask(Pixels(source, number), SlicePixels)

    def evidence(self, source: StudySource, number: int) -> SliceEvidence:
        """Outline and heat of a slice."""
        return self._ask(Evidence(source, number), SliceEvidence)

    def begin(self) -> None:
        """Have the process ready before the first question, without waiting for it."""
        self._hand.submit(self._ready)

    def close(self) -> None:
        """End the process."""
        self._hand.submit(self._end).result()
        self._hand.shutdown()

    def _ask(self, task: Task, kind: type[_Answer]) -> _Answer:
        """The answer.

        Raises
        ------
        ReadError
            There is none.
        """
        answer = self._hand.submit(self._answer, task).result()
        if isinstance(answer, kind):
            return answer
        why = answer.reason if isinstance(answer, Unshown) else "an answer that broke off"
        raise ReadError(
            f"images that cannot be shown ({why})",
            expected="the files of the study as they were analysed",
            action="Look at the report, or have the study analysed again.",
        )

    def _ready(self) -> Child | None:
        """The process, if one can be had."""
        if self._child is None:
            child = Child(SliceReader, _LIMITS)
            self._child = None if isinstance(child.receive(), Broken) else child
        return self._child

    def _answer(self, task: Task) -> Any:
        child = self._ready()
        if child is None:
            return None
        child.give(task)
        answer = child.receive()
        if isinstance(answer, Broken):
            _LOG.warning("reading a slice broke down", how=answer.how)
            self._child = None
            return None
        return answer

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None
