"""`python -m benchmarks.peers.child NAME OPTIONS`: runs one peer once for every line that comes in.

Answers with one JSON line each: what was prepared, or why nothing was; then the seconds of each
run.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any, BinaryIO

from benchmarks.peers import NotHere, Prepared


def main(name: str, options: dict[str, Any]) -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        prepared: Prepared = importlib.import_module(f"benchmarks.peers.{name}").prepare(options)
    except ImportError as error:
        _answer(answers, {"missing": f"{error.name or error} is not installed"})
        return
    except NotHere as reason:
        _answer(answers, {"missing": str(reason)})
        return
    except Exception as error:  # noqa: BLE001  (whatever a peer raises costs its row, no more)
        _answer(answers, {"missing": f"{type(error).__name__}: {error}"})
        return
    _answer(answers, {"ready": prepared.name, "answer": prepared.answer})
    for _ in sys.stdin.buffer:
        begin = time.perf_counter()
        prepared.work()
        _answer(answers, {"seconds": time.perf_counter() - begin})


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
