"""Every command that README, docs, experiments and the program itself show can be typed as it is.

Blocks are run in the order of their page, in one folder (`docs.pages` says which and what is done
with the others); what is not run is held against the parsers. Commands that take minutes are run
by `make test-slow`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import groundglass
from docs.blocks import EXPERIMENTS, PAGES, ROOT, Block, blocks_of, inline_commands, name_of
from docs.commands import (
    commands_of,
    fault_of,
    fault_of_mention,
    fault_of_synopsis,
    leaves,
    printed_in,
)
from docs.pages import FEW, How, Page, Said
from docs.pages import PAGES as TABLE
from docs.scene import Scene
from groundglass.cohort import read_cohort
from groundglass.node.queue.jobs import JobStore
from groundglass.node.settings import load_settings
from groundglass.train.settings import read_experiment
from made_slices import write_slice_sets, write_whole_studies
from made_work import eventually

BLOCKS = {name_of(page): found for page in PAGES if (found := blocks_of(page))}
SOURCES = sorted(Path(groundglass.__file__).parent.rglob("*.py"))

_TYPED = (How.RUN, How.SLOW, How.CHECKED)
_RUN = (How.RUN, How.OUTPUT, How.EXPERIMENT, How.NODE, How.COHORT, How.JSON)
_MARKUP = re.compile(r"\[/?(?:bold|dim)\]")
_NEXT = re.compile(r"^Next\n  (groundglass .*)$", re.M)
#: Durations, and the numbers in which studies end, differ from run to run.
_VARIES = re.compile(r"^ +\d+ |\d+\.\d s ")
_NUMBER = re.compile(r"\b\d+\.\d+\b")


def _said(name: str) -> list[tuple[Block, Said]]:
    return list(zip(BLOCKS[name], TABLE[name].blocks, strict=True))


def _pages_with(*kinds: How) -> list[str]:
    return [name for name, page in TABLE.items() if any(said.how in kinds for said in page.blocks)]


def _is_shell(block: Block) -> bool:
    return block.language == ""


@pytest.fixture
def scene(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    phantom_study: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    """A reader's folder for the page that the test is about."""
    name = request.node.callspec.params.get("name", "")
    made = Scene(tmp_path, phantom_study, TABLE.get(name, Page(())))
    monkeypatch.chdir(made.work)
    yield made
    made.close()


def test_every_block_is_in_the_table_and_nothing_else() -> None:
    """A new block fails here: `docs.pages` has to say what is to be done with it."""
    found = {name: [block.first for block in blocks] for name, blocks in BLOCKS.items()}
    assert found == {name: [said.first for said in page.blocks] for name, page in TABLE.items()}


def test_what_is_not_run_has_its_reason() -> None:
    for page in TABLE.values():
        for said in page.blocks:
            assert bool(said.why) == (said.how in (How.CHECKED, How.SHOWN)), said.first


def test_what_is_exchanged_is_there() -> None:
    """Words that a page no longer has would leave it to run for hours."""
    for name, page in TABLE.items():
        text = "".join(block.text for block in BLOCKS[name])
        assert [words for words in page.smaller if words not in text] == [], name


@pytest.mark.parametrize("name", BLOCKS)
def test_every_command_of_a_page_exists_and_has_what_it_needs(name: str) -> None:
    for block, said in _said(name):
        where = f"{name}:{block.line}"
        if block.language == "python":
            compile(block.text, where, "exec")
        if said.how is How.SYNOPSIS:
            for line in commands_of(block.text):
                assert not fault_of_synopsis(line), f"{where}: {line}: {fault_of_synopsis(line)}"
        if said.how in _TYPED and _is_shell(block):
            for line in commands_of(block.text):
                assert not fault_of(line), f"{where}: {line}: {fault_of(line)}"


@pytest.mark.parametrize("page", [*PAGES, *EXPERIMENTS], ids=name_of)
def test_every_command_named_in_passing_exists(page: Path) -> None:
    for words in inline_commands(page.read_text("utf-8")):
        assert not fault_of_mention(words), f"{words}: {fault_of_mention(words)}"


@pytest.mark.parametrize("name", _pages_with(*_RUN))
def test_what_a_page_says_runs(name: str, scene: Scene) -> None:
    _run(scene, name, _RUN)


@pytest.mark.slow
@pytest.mark.parametrize("name", _pages_with(How.SLOW))
def test_what_a_page_says_runs_to_its_end(name: str, scene: Scene) -> None:
    _run(scene, name, (*_RUN, How.SLOW))


def _run(scene: Scene, name: str, kinds: tuple[How, ...]) -> None:
    printed = ""
    for block, said in _said(name):
        if said.how not in kinds:
            continue
        if said.how in (How.RUN, How.SLOW):
            printed = _run_block(scene, block)
        elif said.how is How.OUTPUT:
            _assert_printed(block.text, printed)
        else:
            _read(scene, block, said)
    if name == "docs/how-to/run-a-node.md":
        results = scene.work / "results"
        assert eventually(lambda: any(results.rglob("result.json")), 120), (
            scene.work / "node.log"
        ).read_text()
    if name == "docs/how-to/back-up-and-upgrade.md":
        _assert_every_image_is_entered(scene)


def _assert_every_image_is_entered(scene: Scene) -> None:
    """After the drill: both studies' images are in the table, one study's by way of the disk."""
    jobs = JobStore(f"sqlite:///{scene.work / 'node' / 'jobs.sqlite'}")
    found = jobs.records.find()
    files = {file for job in found for file in jobs.records.files_of(job)}
    sent = [one for name in ("STUDY", "later") for one in (scene.work / name).rglob("*.dcm")]
    assert len(files) == len(sent) > 0
    assert all((scene.work / "node" / file).is_file() for file in files)
    ways = {job.source_ae for job in found}
    assert "REINDEX" in ways
    assert len(ways) == 2, "the table of the backup knew one of the two studies"
    jobs.close()


def _run_block(scene: Scene, block: Block) -> str:
    if block.language == "python":
        scene.python(block)
        return ""
    typed = commands_of(block.text)
    printed = scene.shell("\n".join(typed))
    if block.text.startswith("$ "):
        for line in printed_in(scene.smaller(block.text)):
            assert line in printed.splitlines()
    for line in _NEXT.findall(printed):
        scene.shell(line)
    return printed


def _assert_printed(shown: str, printed: str) -> None:
    """Lines in any order, as studies end; probabilities nearly, as precisions differ."""
    lines = {_words(line): line for line in printed.splitlines()}
    for line in filter(None, shown.splitlines()):
        assert _words(line) in lines, f"{line}\nis not among\n{printed}"
        assert _numbers(line) == pytest.approx(_numbers(lines[_words(line)]), abs=0.05), printed


def _words(line: str) -> str:
    return " ".join(_NUMBER.sub("", _VARIES.sub("", line)).split())


def _numbers(line: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(_VARIES.sub("", line))]


def _read(scene: Scene, block: Block, said: Said) -> None:
    """Read a file's content as its program does."""
    if said.how is How.JSON:
        json.loads(block.text)
        return
    readers = {
        How.EXPERIMENT: read_experiment,
        How.NODE: load_settings,
        How.COHORT: read_cohort,
    }
    readers[said.how](scene.put(block, said))


@pytest.mark.parametrize("page", EXPERIMENTS, ids=name_of)
def test_the_commands_of_an_experiment_exist_and_have_what_they_need(page: Path) -> None:
    (block,) = blocks_of(page)
    lines = commands_of(block.text)
    assert any(f"experiments/{page.name}" in line for line in lines)
    for line in lines:
        assert not fault_of(line), f"{line}: {fault_of(line)}"


@pytest.mark.parametrize(
    ("target", "experiment"), [("weights", "slices"), ("weights-paper", "best")]
)
def test_the_weights_are_made_as_their_experiment_says(target: str, experiment: str) -> None:
    """`make weights` is the header of slices.toml, `make weights-paper` that of best.toml."""
    (block,) = blocks_of(ROOT / "experiments" / f"{experiment}.toml")
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("$(BIN)/", "")
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.M)
    assert recipe
    made = commands_of(recipe[1].replace("\t", ""))
    assert [line.split() for line in made] == [line.split() for line in commands_of(block.text)]


#: One begins where another ended.
CHAINS = (
    ("paper",),
    ("paper-reduced",),
    ("segmenter", "segmenter-last"),
    ("segmenter-volumes", "slices"),
    ("synthetic", "covid-ct"),
    ("best",),
)


def test_every_experiment_is_in_a_chain() -> None:
    assert {one for chain in CHAINS for one in chain} == {path.stem for path in EXPERIMENTS}


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
def test_the_commands_of_experiments_run(chain: tuple[str, ...], tmp_path: Path) -> None:
    """On made slices and patients, for an epoch: that they run, not what they reach."""
    page = Page(
        (), there=("experiments",), smaller={"--out runs/phantoms": f"--out runs/phantoms {FEW}"}
    )
    scene = Scene(tmp_path, tmp_path, page)
    write_slice_sets(tmp_path / "shared" / "data", matrix=256)
    write_whole_studies(tmp_path / "shared" / "data", matrix=256)
    for name in chain:
        (block,) = blocks_of(ROOT / "experiments" / f"{name}.toml")
        for line in commands_of(block.text):
            for after in _NEXT.findall(scene.shell(line)):
                assert not fault_of(after), f"{after}: {fault_of(after)}"


def test_the_examples_in_help_exist_and_have_what_they_need() -> None:
    shown = 0
    for command in leaves():
        epilog = _MARKUP.sub("", (command.epilog or "").replace("\\\n", " "))
        for line in epilog.splitlines():
            if not line.strip().startswith("groundglass "):
                continue
            typed = line.partition("·")[0].strip()
            fault = fault_of_mention(typed) if "COMMAND" in typed else fault_of(typed)
            assert not fault, f"{typed}: {fault}"
            shown += 1
    assert shown > 30


def test_commands_that_messages_name_exist() -> None:
    texts = (text for path in SOURCES for text in _texts(ast.parse(path.read_text("utf-8"))))
    named = {words for text in texts for words in inline_commands(text)}
    assert len(named) > 20
    assert not {words: fault for words in named if (fault := fault_of_mention(words))}


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every string of a module, with a word in the place of what is put in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(_part(value) for value in node.values)


def _part(value: Any) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else "X"


def test_nothing_says_to_install_a_release() -> None:
    """There is none on any index yet."""
    pages = [
        *PAGES,
        *SOURCES,
        *EXPERIMENTS,
        *(p for p in (ROOT / "deploy").iterdir() if p.is_file()),
    ]
    for page in pages:
        assert not re.search(r"pip install\s+['\"]?groundglass", page.read_text("utf-8")), page


# That the checks can fail.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("groundglass evaluate t.csv --bundle b/", "--out"),
        ("groundglass run STUDY --out DIR --explian CP", "explian"),
        ("groundglass runs STUDY --out DIR", "runs"),
        ("groundglass phantom a --label flu", "label"),
        ("groundglass phantom a b", "too much"),
        ("make tests", "tests"),
        ("pip install 'groundglass[serve]'", "release"),
        ("pip install '.[server]'", "server"),
        ("python -m benchmarks --onyl dice", "onyl"),
        ("python -m groundglass.nosuch", "nosuch"),
    ],
)
def test_a_command_that_cannot_run_is_found(line: str, words: str) -> None:
    assert words in fault_of(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("groundglass models veryfy", "veryfy"),
        ("groundglass cohort split --fold 5", "--fold"),
        ("groundglass jobs list --sate failed", "--sate"),
    ],
)
def test_a_mention_of_what_is_not_there_is_found(line: str, words: str) -> None:
    assert words in fault_of_mention(line)


def test_a_synopsis_needs_every_required_option() -> None:
    whole = "groundglass train encoder | all --experiment FILE --cohort TABLE --out DIR"
    assert not fault_of_synopsis(whole)
    assert "--out" in fault_of_synopsis(whole.removesuffix(" --out DIR"))
