"""The analysis as the worker sees it: in a process of its own, with bounded memory and time.

What came over the network is parsed there. Whatever it does to that process, the node lives on.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, PositiveFloat

from groundglass.errors import GroundglassError
from groundglass.settings.toml import settings

_CHILD = "groundglass.node.worker.analyst"

#: Outcomes of studies that never came to a result, beside those of `core.result.Outcome`: no
#: regular volume can be made of its images; the analysis broke down each time it was tried.
UNREADABLE, GIVEN_UP = "unreadable", "given-up"


class AnalysisFailed(GroundglassError):  # noqa: N818  (reads as what it says)
    """The analysis broke down; nothing is known of the study, and another try may help."""


class AnalysisStopped(GroundglassError):  # noqa: N818  (reads as what it says)
    """The analysis was broken off by `Analyser.stop`."""


@settings
class AnalysisSettings:
    """With what a study is analysed, and how much it may take."""

    bundle: str = "demonstration"
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
    """What is to be analysed.

    Parameters
    ----------
    study : Path
        Folder of the study's files and nothing else.
    out : Path
        Folder for the report.
    revision : int
        Revision of the study; part of what the results' UIDs are made from.
    given_up : str
        Why the analysis is given up, if it is: then only a capture is written that says so.
    """

    study: Path
    out: Path
    revision: int
    given_up: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """How an analysis ended. Its report is on disk, synced.

    Parameters
    ----------
    outcome : str
        A `core.result.Outcome`, `UNREADABLE` or `GIVEN_UP`.
    reason : str
        In words.
    verdict : bool
        Whether there is one.
    seconds : mapping of str to float
        Duration of each stage in s.
    """

    outcome: str
    reason: str
    verdict: bool
    seconds: Mapping[str, float] = field(default_factory=dict)


class Analyser(Protocol):
    """Analyses studies, one at a time."""

    def analyse(self, work: Work) -> Analysis:
        """Analyse a study and write its report.

        Raises
        ------
        AnalysisFailed
            It broke down.
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
    """Analyses in a child process that keeps the networks loaded from one study to the next.

    Parameters
    ----------
    settings : AnalysisSettings
        Weights and limits.
    """

    def __init__(self, settings: AnalysisSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded = ""
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def analyse(self, work: Work) -> Analysis:
        """Analyse a study and write its report.

        Raises
        ------
        AnalysisFailed
            It broke down, or took more memory or time than it may.
        AnalysisStopped
            `stop` was called.
        """
        self._stopped.clear()
        self.check()
        deadline = time.monotonic() + self._settings.time_limit_s
        self._tell({**asdict(work), "study": str(work.study), "out": str(work.out)})
        answer = self._answer(deadline)
        if "failed" in answer:
            raise _failed(answer["failed"])
        return Analysis(**answer)

    def check(self) -> str:
        """Load the networks where they are not; what was loaded.

        Raises
        ------
        AnalysisFailed
            They cannot be loaded.
        """
        if self._process is None:
            self._begin()
            answer = self._answer(time.monotonic() + self._settings.time_limit_s)
            if "failed" in answer:
                self._end()
                raise _failed(answer["failed"])
            self._loaded = answer["loaded"]
        return self._loaded

    def stop(self) -> None:
        """Break off what is running, from another thread."""
        self._stopped.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the child process."""
        self._end()

    def _begin(self) -> None:
        settings = json.dumps({**asdict(self._settings), "parent": os.getpid()})
        with self._lock:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD, settings],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what libraries print there may quote a header
                start_new_session=True,  # Ctrl-C is for the node, which ends it when it is time
            )

    def _tell(self, work: Mapping[str, object]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise self._ended()
        try:
            process.stdin.write(json.dumps(work).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _answer(self, deadline: float) -> dict[str, Any]:
        """The child's next line."""
        process = self._process
        if process is None or process.stdout is None:
            raise self._ended()
        line = b""
        for piece in _pieces(process.stdout.fileno(), deadline):
            line += piece
            if line.endswith(b"\n"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        if time.monotonic() >= deadline:
            self._end()
            raise _failed(f"the analysis took longer than {self._settings.time_limit_s:g} s")
        raise self._ended()

    def _ended(self) -> GroundglassError:
        """Why there is no child any more."""
        code = self._end()
        if self._stopped.is_set():
            return AnalysisStopped(
                "a stop in mid analysis", expected="its end", action="It begins again elsewhere."
            )
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return _failed(f"the analysis' process ended {how}")

    def _end(self) -> int:
        """Kill the child, if it lives, and clear up after it; its exit code."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        return process.wait()


def _pieces(handle: int, deadline: float) -> Iterator[bytes]:
    """What comes through a pipe, until its end or the deadline."""
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                piece = os.read(handle, 65536)
                if not piece:
                    return
                yield piece


def _failed(found: str) -> AnalysisFailed:
    return AnalysisFailed(
        found,
        expected="an analysis that comes to its end",
        action="It is tried again; if it keeps failing, look at the study by `groundglass run`.",
    )
