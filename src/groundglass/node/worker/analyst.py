"""The child process in which studies are parsed, analysed and reported.

Started by `analyser.ProcessAnalyser`. One JSON line in for each study, one out for its end. It may
take so much memory and no more; when its parent dies, so does it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from groundglass.analyse.triage import Triage
from groundglass.core.result import Outcome
from groundglass.core.study import Study
from groundglass.errors import GroundglassError, InputError, NoChestCT, ReadError
from groundglass.infer import Precision
from groundglass.node.worker.analyser import GIVEN_UP, UNREADABLE, AnalysisFailed
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.report import DicomSettings, write_refusal, write_report

_PR_SET_PDEATHSIG = 1

Answer = dict[str, Any]


def main(settings: Mapping[str, Any]) -> None:
    """Answer until standard input ends.

    Parameters
    ----------
    settings : mapping
        `AnalysisSettings`, and the parent's process number.
    """
    answers = _settle(settings["parent"])

    def fail(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
        """Say what broke and where, but not its text, which may quote a header."""
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f" in {trace.tb_frame.f_code.co_qualname}" if trace is not None else ""
        _answer(answers, {"failed": f"{kind.__name__}{where}"})

    sys.excepthook = fail
    try:
        triage = Triage.load(settings["bundle"], Precision(settings["precision"]))
    except GroundglassError as error:
        _answer(answers, {"failed": str(error)})
        return
    _limit(settings["memory_mb"])
    _answer(answers, {"loaded": f"{triage.bundle.name} {triage.bundle.version}"})
    for line in sys.stdin.buffer:
        work = json.loads(line)
        written = DicomSettings(work["revision"], key_objects=settings["key_objects"])
        try:
            _answer(answers, _work(triage, work, written))
        except MemoryError:
            _answer(
                answers, {"failed": f"the analysis needed more than {settings['memory_mb']} MB"}
            )


def _work(triage: Triage, work: Answer, written: DicomSettings) -> Answer:
    """One study; how it ended."""
    try:
        study = read_study(Path(work["study"]))
    except ReadError as error:  # nothing tells what study a capture could belong to
        return {"outcome": UNREADABLE, "reason": str(error), "verdict": False}
    out = Path(work["out"])
    try:
        if work["given_up"]:
            return _refuse(study, _given_up(work["given_up"]), out, written)
        try:
            return _analyse(triage, study, out, written)
        except InputError as error:
            return _refuse(study, error, out, written)
    except GroundglassError as error:
        return {"failed": str(error)}


def _analyse(triage: Triage, study: Study, out: Path, written: DicomSettings) -> Answer:
    begin = time.perf_counter()
    volume = read_volume(select_chest_ct(study))
    read = time.perf_counter()
    result = triage(volume)
    analysed = time.perf_counter()
    write_report(result, volume, out, written)
    seconds = {stage: ms / 1000 for stage, ms in result.timings_ms.items()}
    seconds |= {"read": read - begin, "report": time.perf_counter() - analysed}
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "verdict": result.verdict is not None,
        "seconds": seconds,
    }


def _refuse(study: Study, error: GroundglassError, out: Path, written: DicomSettings) -> Answer:
    """A capture that says why there is no result, where the study has images to hang it on."""
    outcome = UNREADABLE
    if isinstance(error, NoChestCT):
        outcome = Outcome.NOT_CHEST_CT
    if isinstance(error, AnalysisFailed):
        outcome = GIVEN_UP
    instances = [instance for series in study.series for instance in series.instances]
    if any(instance.sop_class_uid for instance in instances):
        write_refusal(instances, error, out, written)
    return {"outcome": outcome, "reason": str(error), "verdict": False}


def _given_up(reason: str) -> AnalysisFailed:
    return AnalysisFailed(
        f"an analysis that broke down each time it was tried ({reason})",
        expected="one that comes to its end",
        action="Whoever looks after groundglass should look at this study.",
    )


def _settle(parent: int) -> BinaryIO:
    """Keep standard output for answers alone, and die with the parent; the stream for answers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service manager tells every process; the
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # node decides whether this one may finish
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the patient's images
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _limit(memory_mb: int) -> None:
    """Bound the address space to what is used now and so much more."""
    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    limit = used + memory_mb * 10**6
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _answer(answers: BinaryIO, answer: Answer) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
