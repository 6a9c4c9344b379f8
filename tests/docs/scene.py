"""A place where a page's blocks are run one after the other, as its reader would."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from docs.blocks import EXPERIMENTS, ROOT, Block
from docs.pages import Page, Said
from groundglass.cohort import Case, Cohort, write_cohort
from groundglass.cohort.phantoms import phantom_json
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.infer import load_bundle
from groundglass.infer.bundle_paths import MANIFEST
from groundglass.phantom import LABELS, PhantomSettings, make_phantom, write_dicom_series
from groundglass.prepare.intensity import window_to_uint8
from made_work import alive, eventually

#: The settings that a page starts a node with.
_STARTED = "groundglass.toml"
#: A node of a trial, which stops waiting sooner and listens where nobody else does.
_SOONER = "\n[listener]\nport = {port}\n\n[http]\nport = 0\n\n[jobs]\nquiet_s = 1\n"
_DOCUMENTED_PORT = "127.0.0.1:11112"
_SHORT = {"epochs": 1, "slices": 8, "patience": 0, "variants": 1, "slices_per_patient": 1}
#: `groundglass serve` would not end: it goes on behind, as in a terminal of its own.
_GROUNDGLASS = """#!/bin/sh
case " $* " in
  *" --check "*|*" --example "*) ;;
  " serve "*) {python} -m groundglass "$@" >node.log 2>&1 & echo $! >node.pid; exit ;;
esac
exec {python} -m groundglass "$@"
"""
#: For what hangs; on a quiet machine everything takes minutes.
_LIMIT_S = 3600


@dataclass
class Scene:
    """A working folder, commands on the path, a home of its own.

    Parameters
    ----------
    folder : Path
        Holds everything.
    study : Path
        A small DICOM study, to be called what the page calls it.
    page : Page
        What is run.
    names : dict
        What the page's Python has named so far.
    """

    folder: Path
    study: Path
    page: Page
    names: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = self.folder / "checkout"
        self.home = self.folder / "home"
        tools = self.folder / "bin"
        for made in (self.work, self.home, tools):
            made.mkdir()
        programs = {
            "groundglass": _GROUNDGLASS.format(python=sys.executable),
            "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
            "pip": "#!/bin/sh\n# Installed already: tests use no network.\n",
        }
        for name, text in programs.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        self.variables = {
            **os.environ,
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
            "COLUMNS": "200",
            **self.page.variables,
        }
        self.port = _free_port()
        for name in self.page.there:
            MAKERS[name](self)

    def put(self, block: Block, said: Said) -> Path:
        """Write a file's content under the name that the page gives it."""
        path = self.work / said.file
        text = said.before + self.smaller(block.text)
        if said.file == _STARTED:
            text += _SOONER.format(port=self.port)
        path.write_text(text, "utf-8")
        return path

    def smaller(self, text: str) -> str:
        """The text with the page's words exchanged, and a port that is free."""
        for word, other in self.page.smaller.items():
            text = text.replace(word, other)
        return text.replace(_DOCUMENTED_PORT, f"127.0.0.1:{self.port}")

    def shell(self, text: str) -> str:
        """Run commands, the first that fails ends them; what they print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.smaller(text)],
            cwd=self.work, env=self.variables, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=_LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        if self._node:
            assert eventually(self._listens), (self.work / "node.log").read_text()
        return done.stdout

    def python(self, block: Block) -> None:
        """Run Python with what the page's earlier blocks have named; the caller is in `work`."""
        code = compile(block.text, f"{block.page}:{block.line}", "exec", dont_inherit=True)
        exec(code, self.names)  # noqa: S102  (our own documentation)

    def close(self) -> None:
        """End the node that was started, if one was."""
        node = self._node
        if node and alive(node):
            os.kill(node, signal.SIGTERM)
            assert eventually(lambda: not alive(node))

    @property
    def _node(self) -> int:
        noted = self.work / "node.pid"
        return int(noted.read_text()) if noted.exists() else 0

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _a_study(name: str) -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        shutil.copytree(scene.study, scene.work / name)

    return make


def _a_bundle(name: str) -> Callable[[Scene], None]:
    """The weights that ship, under another name."""

    def make(scene: Scene) -> None:
        folder = scene.work / name
        shutil.copytree(load_bundle(DEFAULT_BUNDLE).folder, folder)
        manifest = folder / MANIFEST
        text = manifest.read_text("utf-8").replace('"name": "demonstration"', f'"name": "{name}"')
        manifest.write_text(text, "utf-8")

    return make


def _slices(scene: Scene) -> None:
    """A study as pictures, shown through the window that the page states, from head to feet."""
    settings = PhantomSettings("CP", 0.8, 4, matrix=512, slice_count=50, slice_spacing_mm=6.0)
    hu = make_phantom(settings).volume.hu[::-1]
    (scene.work / "slices").mkdir()
    for number, one in enumerate(hu):
        grey = window_to_uint8(one, -600, 1500)
        cv2.imwrite(str(scene.work / "slices" / f"slice{number}.png"), grey)


def _chest_cts(scene: Scene) -> None:
    """A folder for each class, in it one for each patient."""
    for number, label in enumerate(LABELS * 4):
        settings = PhantomSettings(
            label, 0.8, 900 + number, matrix=64, slice_count=28, slice_spacing_mm=10.0
        )
        folder = scene.work / "chest-cts" / label / f"patient-{number:03}"
        write_dicom_series(make_phantom(settings), folder)


def _downloads(scene: Scene) -> None:
    """Public sets' folders; importing opens no study."""
    names = (
        "COVID-CT-MD/COVID-19 Cases/P001/IM0001.dcm",
        "COVID-CT-MD/Cap Cases/cap001/IM0001.dcm",
        "COVID-CT-MD/Normal Cases/normal001/IM0001.dcm",
        "CC-CCII/NCP/1/10/0000.png",
        "CC-CCII/CP/2/20/0000.png",
        "CC-CCII/Normal/3/30/0000.png",
    )
    for name in names:
        path = scene.work / "downloads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _cohort(scene: Scene) -> None:
    """A table with patients of every class, whom the bundle has not seen."""
    cases = []
    for number, label in enumerate(LABELS * 2):
        settings = PhantomSettings(
            label, 0.8, 700 + number, matrix=128, slice_count=30, slice_spacing_mm=10.0
        )
        path = scene.work / f"{number}.phantom.json"
        path.write_text(phantom_json(settings))
        cases.append(Case(f"made-{number}", path, label, "test", "phantom", number + 2))
    table = scene.work / "cohort.csv"
    write_cohort(Cohort(table, tuple(cases)), table)


def _node(scene: Scene) -> None:
    """A node that takes what it is sent."""
    settings = 'data = "node"\n' + _SOONER.format(port=scene.port)
    (scene.work / _STARTED).write_text(settings)
    scene.shell("groundglass serve --config groundglass.toml")


def _experiments(scene: Scene) -> None:
    """Those of the checkout, cut down to what is seen to run in a minute."""
    (scene.work / "experiments").mkdir()
    for path in EXPERIMENTS:
        text = shortened(path.read_text("utf-8"))
        (scene.work / "experiments" / path.name).write_text(text)


def shortened(text: str) -> str:
    """An experiment of one epoch, few slices of a patient and small groups' variants."""
    lines = []
    for line in text.splitlines():
        name = line.partition(" =")[0]
        lines.append(line if name not in _SHORT else f"{name} = {_SHORT[name]}")
    return "\n".join(lines) + "\n"


def _password(scene: Scene) -> None:
    (scene.work / "password.txt").write_text("correct horse battery\n")


#: What a page says is there, and how it is made.
MAKERS: Mapping[str, Callable[[Scene], None]] = {
    **{name: _a_study(name) for name in ("STUDY", "INPUT", "incoming", "path/to/study")},
    "my-bundle": _a_bundle("my-bundle"),
    "new": _a_bundle("new"),
    "slices": _slices,
    "chest-cts": _chest_cts,
    "downloads": _downloads,
    "cohort.csv": _cohort,
    "node": _node,
    "experiments": _experiments,
    "password.txt": _password,
}
