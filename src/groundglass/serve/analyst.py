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
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from groundglass.core.result import Outcome
from groundglass.dicom import read_study, read_volume, select_chest_ct
from groundglass.errors import AssemblyError, GroundglassError, NoChestCT, ReadError
from groundglass.infer import Precision
from groundglass.pipeline import Triage
from groundglass.report import write_report

_PR_SET_PDEATHSIG = 1


def main(bundle: str, precision: str, memory_mb: int, parent: int) -> None:
    """Answer until standard input ends."""
    answers = _settle(parent)

    def fail(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
        """Say what broke and where, but not its text, which may quote a header."""
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f" in {trace.tb_frame.f_code.co_qualname}" if trace is not None else ""
        _answer(answers, {"failed": f"{kind.__name__}{where}"})

    sys.excepthook = fail
    try:
        triage = Triage.load(bundle, Precision(precision))
    except GroundglassError as error:
        _answer(answers, {"failed": str(error)})
        return
    _limit(memory_mb)
    _answer(answers, {"loaded": f"{triage.bundle.name} {triage.bundle.version}"})
    for line in sys.stdin.buffer:
        _answer(answers, _work(triage, json.loads(line), memory_mb))


def _work(triage: Triage, work: dict[str, Any], memory_mb: int) -> dict[str, Any]:
    try:
        return _analyse(triage, Path(work["study"]), Path(work["out"]))
    except (NoChestCT, ReadError, AssemblyError) as error:
        unfit = Outcome.NOT_CHEST_CT if isinstance(error, NoChestCT) else "unreadable"
        return {"outcome": unfit, "reason": str(error), "verdict": False}
    except GroundglassError as error:
        return {"failed": str(error)}
    except MemoryError:
        return {"failed": f"the analysis needed more than {memory_mb} MB"}


def _analyse(triage: Triage, folder: Path, out: Path) -> dict[str, Any]:
    begin = time.perf_counter()
    volume = read_volume(select_chest_ct(read_study(folder)))
    read = time.perf_counter()
    result = triage(volume)
    analysed = time.perf_counter()
    write_report(result, volume, out)
    seconds = {stage: ms / 1000 for stage, ms in result.timings_ms.items()}
    seconds |= {"read": read - begin, "report": time.perf_counter() - analysed}
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "verdict": result.verdict is not None,
        "seconds": seconds,
    }


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


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
