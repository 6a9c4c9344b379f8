"""The analysis as the worker sees it: in a process of its own, with bounded memory and time.

What came over the network is parsed there. Whatever it does to that process, the node lives on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field, PositiveFloat

from groundglass.analyse.supervisor import Broken, Child, Limits
from groundglass.core.analysis import Analysis
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.core.result import StudyEnd
from groundglass.errors import GroundglassError
from groundglass.settings.toml import settings

if TYPE_CHECKING:
    from groundglass.node.worker.analyst import Analyst


class AnalysisFailed(GroundglassError):  # noqa: N818  (reads as what it says)
    """The analysis broke down; nothing is known of the study, and another try may help."""


class NoRoom(GroundglassError):  # noqa: N818  (reads as what it says)
    """The disk is full: nothing is known of the study, and nothing is wrong with it."""


class AnalysisStopped(GroundglassError):  # noqa: N818  (reads as what it says)
    """The analysis was broken off by `Analyser.stop`."""


@settings
class AnalysisSettings:
    """With what a study is analysed, and how much it may take."""

    bundle: str = DEFAULT_BUNDLE
    """Weights: a name that `groundglass models` lists, or a folder, given with a slash."""
    precision: Literal["auto", "f32", "bf16"] = "auto"
    """Number format of the networks. auto: bf16 where the processor multiplies it in hardware."""
    memory_mb: Annotated[int, Field(ge=512)] = 8192
    """Address space in MB one analysis may take beyond the loaded networks. 8192: 2000 slices of
    512 × 512 with their images need about half; a hostile file that claims more is stopped."""
    time_limit_s: PositiveFloat = 900.0
    """Longest duration of one analysis in s. 900: a hundred times that of a usual study on two
    cores, and what hangs is stopped within a quarter of an hour."""
    key_objects: bool = False
    """Also write a Key Object Selection of the slices that carry the verdict. false: viewers show
    such lists beside those that people made."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be analysed."""

    study: Path
    """Folder of the study's files and nothing else."""
    out: Path
    """Folder for the report."""
    analysis: Analysis
    """Which analysis of the study it is; part of what the results' UIDs are made from."""
    given_up: str = ""
    """Why the analysis is given up, if it is: then only a capture is written that says so."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What a child says in place of the end of a study when the disk is full; it lives on."""

    how: str
    """What could not be written."""


class Analyser(Protocol):
    """Analyses studies, one at a time."""

    def analyse(self, work: Work) -> StudyEnd:
        """Analyse a study and write its report, synced.

        Raises
        ------
        AnalysisFailed
            It broke down.
        NoRoom
            Its report could not be written for want of room.
        AnalysisStopped
            `stop` was called.
        """
        ...

    def stop(self) -> None:
        """Break off what is running, from another thread."""
        ...

    def check(self) -> str:
        """Load the networks; what was loaded.

        Raises
        ------
        AnalysisFailed
            They cannot be loaded.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class ProcessAnalyser:
    """Analyses in a child process that keeps the networks loaded from one study to the next."""

    def __init__(self, settings: AnalysisSettings) -> None:
        self._settings = settings
        self._child: Child | None = None
        self._loaded = ""
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def analyse(self, work: Work) -> StudyEnd:
        """Analyse a study; one that takes more memory or time than it may broke down."""
        self._stopped.clear()
        child = self._ready()
        child.give(work)
        end: StudyEnd | Unwritten = self._receive(child)
        if isinstance(end, Unwritten):
            raise NoRoom(
                end.how, expected="room for a report", action="Free some on the data disk."
            )
        return end

    def check(self) -> str:
        """Load the networks where they are not; what was loaded."""
        self._ready()
        return self._loaded

    def stop(self) -> None:
        """Break off what is running, from another thread."""
        self._stopped.set()
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.end()

    def _ready(self) -> Child:
        """The child, with the networks loaded."""
        if self._child is not None:
            return self._child
        limits = Limits(self._settings.memory_mb, self._settings.time_limit_s)
        with self._lock:
            child = self._child = Child(partial(_begin, self._settings), limits)
        self._loaded = self._receive(child).what
        return child

    def _receive(self, child: Child) -> Any:
        """The child's next word."""
        answer = child.receive()
        if not isinstance(answer, Broken):
            return answer
        self.close()
        if self._stopped.is_set():
            raise AnalysisStopped(
                "a stop in mid analysis", expected="its end", action="It begins again elsewhere."
            )
        raise AnalysisFailed(
            answer.how,
            expected="an analysis that comes to its end",
            action="It is tried again; if it keeps failing, look at the study by "
            "`groundglass run`.",
        )


def _begin(settings: AnalysisSettings) -> Analyst:
    from groundglass.node.worker.analyst import Analyst  # noqa: PLC0415  (in the child alone)

    return Analyst(settings)
