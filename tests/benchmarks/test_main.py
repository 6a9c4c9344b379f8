"""The command: sections are chosen, and one that breaks does not cost the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import benchmarks.__main__ as command
import pytest
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sections: two that give a row, one that breaks."""

    def gives(bench: Bench) -> Section:
        bench.tell("measuring")
        return Section(rows=[Row("a figure", Sample((1.0,)), unit="s")])

    def breaks(bench: Bench) -> Section:
        raise RuntimeError("no lungs")

    known = {}
    for name, section in {"one": gives, "two": breaks, "three": gives}.items():
        module = ModuleType(f"made_{name}")
        module.section = section  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        known[name] = (name.title(), module.__name__)
    monkeypatch.setattr(command, "SECTIONS", known)


def test_a_section_that_breaks_leaves_the_others(
    sections: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    code = command.main(["--out", str(out), "--studies", str(tmp_path / "studies")])
    assert code == 1
    whole = json.loads((out / "benchmarks.json").read_text("utf-8"))
    assert list(whole["sections"]) == ["one", "two", "three"]
    assert whole["sections"]["two"]["text"] == ["Not measured: RuntimeError: no lungs"]
    assert len(whole["sections"]["three"]["rows"]) == 1
    said = capsys.readouterr().err
    assert "[1/3 one, 0 s] measuring" in said
    assert "RuntimeError: no lungs" in said


def test_chosen_sections_join_those_there(sections: None, tmp_path: Path) -> None:
    where = ["--out", str(tmp_path), "--studies", str(tmp_path)]
    assert command.main([*where, "--only", "three"]) == 0
    assert command.main([*where, "--only", "one"]) == 0
    whole = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))
    assert list(whole["sections"]) == ["one", "three"]


def test_the_head_tells_the_machine(sections: None, tmp_path: Path) -> None:
    command.main(["--out", str(tmp_path), "--studies", str(tmp_path), "--only", "one"])
    told = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))["machine"]
    assert told["cpu"]
    assert told["cores"] >= 1
    assert told["versions"]["openvino"]


def test_an_unknown_section_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "classifier,speed"])
    assert ended.value.code == 2
    assert "speed: no such section; there are classifier, masks" in capsys.readouterr().err


def test_every_section_is_there() -> None:
    for _, module in command.SECTIONS.values():
        place = module.removeprefix("benchmarks.").replace(".", "/")
        file = Path(command.__file__).parent / f"{place}.py"
        assert "def section(bench: Bench) -> Section:" in file.read_text("utf-8")
