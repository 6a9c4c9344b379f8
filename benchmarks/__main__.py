"""`python -m benchmarks`: the figures of this machine, as Markdown and JSON."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import document
from benchmarks.machine import load, machine
from benchmarks.peers.running import ROOT
from benchmarks.rows import Bench, Section

#: Title and module of each section; what a module needs is imported only when it runs.
SECTIONS: Mapping[str, tuple[str, str]] = {
    "classifier": ("Classifier", "benchmarks.sections.classifier"),
    "masks": ("Lung masks", "benchmarks.sections.masks"),
    "study": ("A whole study", "benchmarks.sections.study"),
    "memory": ("Memory", "benchmarks.sections.memory"),
    "cohort": ("A cohort", "benchmarks.sections.cohort"),
    "peak": ("Share of the machine's peak", "benchmarks.sections.peak"),
    "reading": ("Reading and equalising", "benchmarks.sections.reading"),
    "scaling": ("Scaling and cost model", "benchmarks.sections.scaling"),
    "dice": ("Lung masks against truth", "benchmarks.sections.lungs"),
    "precision": ("bf16 against f32", "benchmarks.sections.precision"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run sections; 1 if one of them broke, whose place then says why."""
    given = _parser().parse_args(arguments)
    chosen = [name for name in SECTIONS if name in (given.only or SECTIONS)]
    given.studies.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        bundle=given.bundle,
        peers_python=str(given.peers),
        studies=given.studies,
        marked_slices=given.masks,
        pairs=given.pairs,
        cohort=given.cohort,
        patients=given.patients,
    )
    return run(bench, chosen, given.out)


def run(bench: Bench, chosen: Sequence[str], out: Path) -> int:
    """Run sections one after the other; what is done is written at once. 1 if one broke, else 0.

    Sections not chosen keep what the folder has of an earlier run on this machine.
    """
    whole = document.begin(out, machine(bench.bundle), keep=len(chosen) < len(SECTIONS))
    code = 0
    for number, name in enumerate(chosen, 1):
        title, module = SECTIONS[name]
        begin, when = time.monotonic(), f"{_now()}, {load()} before"
        tell = _teller(f"{number}/{len(chosen)} {name}", begin)
        tell("begins")
        pictures = {}
        try:
            section: Section = importlib.import_module(module).section(replace(bench, tell=tell))
        except Exception as error:  # noqa: BLE001  (one section must not cost the others' results)
            traceback.print_exc(limit=-3)
            entry = document.broken(title, f"{type(error).__name__}: {error}", when)
            code = 1
        else:
            entry = document.entered(title, section, when, time.monotonic() - begin)
            pictures = section.pictures
        found = {**whole["sections"], name: entry}
        whole["sections"] = {key: found[key] for key in SECTIONS if key in found}
        document.write(whole, pictures, out)
        tell(f"done, {out}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    add("--only", type=_names, help=f"sections, by comma: {', '.join(SECTIONS)}")
    add("--bundle", default="demonstration", help="name or folder of the weights")
    add("--peers", type=Path, default=_peers_python(), help="interpreter that has the peers")
    add("--pairs", type=int, default=5, help="runs that count")
    add("--cohort", type=int, default=24, help="studies of the cohort")
    add("--patients", type=int, default=12, help="made patients for bf16 against f32")
    add("--studies", type=Path, default=ROOT / "runs" / "benchmarks", help="where made studies are")
    add("--masks", type=Path, default=ROOT.parent / "shared" / "data" / "lung-masks" / "test")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown)}: no such section; there are {', '.join(SECTIONS)}"
        )
    return names


def _peers_python() -> Path:
    """That of the peers' own environment, or this one, which has some of them."""
    own = ROOT / ".venv-peers" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def _teller(name: str, begin: float) -> Callable[[str], None]:
    def tell(what: str) -> None:
        print(f"[{name}, {time.monotonic() - begin:.0f} s] {what}", file=sys.stderr, flush=True)

    return tell


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


if __name__ == "__main__":
    sys.exit(main())
