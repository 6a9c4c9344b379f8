from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from groundglass.errors import ReportError
from groundglass.report.writing import MANIFEST, refuse_unusable, write_all


def manifest(*names: str, mark: str = "") -> bytes:
    return json.dumps({"files": {name: {} for name in names}, "mark": mark}).encode()


OLD = {
    "report.html": b"old page",
    "extra.bin": b"old",
    "dicom/a.dcm": b"old",
    "dicom/b.dcm": b"old",
    MANIFEST: manifest("report.html", "extra.bin", "dicom/a.dcm", "dicom/b.dcm"),
}
NEW = {
    "report.html": b"new page",
    "more.bin": b"new",
    "dicom/a.dcm": b"new",
    MANIFEST: manifest("report.html", "more.bin", "dicom/a.dcm"),
}


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()
    }


def test_writes_into_a_directory_that_is_missing(tmp_path: Path) -> None:
    write_all(NEW, tmp_path / "a" / "b")
    assert content(tmp_path / "a" / "b") == NEW


def test_writes_into_an_empty_directory_without_replacing_it(tmp_path: Path) -> None:
    inode = tmp_path.stat().st_ino  # an orchestrator's mount point must stay the same directory
    write_all(NEW, tmp_path)
    assert content(tmp_path) == NEW
    assert tmp_path.stat().st_ino == inode


def test_replaces_an_earlier_report_whole(tmp_path: Path) -> None:
    write_all(OLD, tmp_path)
    write_all(NEW, tmp_path)
    assert content(tmp_path) == NEW
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "dicom",
        "more.bin",
        "report.html",
        MANIFEST,
    ]


@pytest.mark.parametrize(
    "there",
    [
        {"scan.dcm": b"mine"},
        {**OLD, "scan.dcm": b"mine"},
        {**OLD, "dicom/scan.dcm": b"mine"},
        {**OLD, "scans/a.dcm": b"mine"},
        {MANIFEST: b"another tool's"},
        {MANIFEST: b'{"files": 3}'},
        {MANIFEST: b"[1]"},
        {"report.html": b"a page without a manifest"},
    ],
)
def test_refuses_a_directory_with_other_things(tmp_path: Path, there: dict[str, bytes]) -> None:
    for name, data in there.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    for refuse in (lambda: refuse_unusable(tmp_path), lambda: write_all(NEW, tmp_path)):
        with pytest.raises(ReportError, match="Give another directory"):
            refuse()
        assert content(tmp_path) == there


def test_a_usable_place_is_not_refused_and_not_touched(tmp_path: Path) -> None:
    refuse_unusable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    write_all(OLD, tmp_path)
    refuse_unusable(tmp_path)
    assert content(tmp_path) == OLD


def test_a_place_that_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundglass.report.writing.os.access", lambda _path, _mode: False)
    with pytest.raises(ReportError, match="Permission denied"):
        refuse_unusable(tmp_path / "a")


def test_refuses_a_file_in_the_directorys_place(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(ReportError):
        write_all(NEW, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"mine"


class Interrupted:
    """`Path.replace` that fails at the n-th call; earlier and later ones work."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.left, self.error, self.real = at, error, Path.replace
        self.moved: list[str] = []

    def __call__(self, path: Path, target: Path) -> Path:
        self.left -= 1
        if self.left == 0:
            raise self.error
        self.moved.append(target.name)
        return self.real(path, target)


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> Interrupted:
    hook = Interrupted(at, error)

    def replace(path: Path, target: Path) -> Path:
        return hook(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    return hook


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_exchange_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException
) -> None:
    write_all(OLD, tmp_path)
    interrupt(monkeypatch, at, error)
    with pytest.raises(ReportError if isinstance(error, OSError) else KeyboardInterrupt):
        write_all(NEW, tmp_path)
    assert content(tmp_path) == OLD


@pytest.mark.parametrize("at", range(1, 5))
def test_a_failing_first_report_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    interrupt(monkeypatch, at, OSError(5, "Input/output error"))
    with pytest.raises(ReportError, match="Input/output error"):
        write_all(NEW, tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_writing_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(OLD, tmp_path)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("groundglass.report.writing.os.fsync", full)
    with pytest.raises(ReportError, match="No space left"):
        write_all(NEW, tmp_path)
    assert content(tmp_path) == OLD


def test_the_manifest_goes_first_and_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(OLD, tmp_path)
    moved = interrupt(monkeypatch, 99, OSError()).moved
    write_all(NEW, tmp_path)
    assert moved[0] == MANIFEST
    assert moved[-1] == MANIFEST


def test_another_writer_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """The lock is held as another process would hold it: by another open directory."""
    (tmp_path / ".groundglass-writing-other").mkdir()
    there = [path.name for path in tmp_path.iterdir()]
    other = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ReportError, match="another run writing"):
            write_all(NEW, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == there
    finally:
        os.close(other)
    write_all(NEW, tmp_path)
    assert content(tmp_path) == NEW


def test_a_refused_writer_leaves_the_folder_another_is_filling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found no folder and made it; the one that came second must not take it away."""
    directory = tmp_path / "a" / "b"
    real, others = os.open, []

    def slower(path: Path, flags: int) -> int:
        handle = real(path, flags)
        if path == directory and not others:
            others.append(real(path, flags))
            fcntl.flock(others[0], fcntl.LOCK_EX)
            (directory / "theirs").write_bytes(b"")
        return handle

    monkeypatch.setattr("groundglass.report.writing.os.open", slower)
    with pytest.raises(ReportError, match="another run writing"):
        write_all(NEW, directory)
    os.close(others[0])
    assert [path.name for path in directory.iterdir()] == ["theirs"]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    leftover = tmp_path / ".groundglass-writing-dead"
    leftover.mkdir()
    (leftover / "report.html").write_bytes(b"half")
    write_all(NEW, tmp_path)
    assert content(tmp_path) == NEW
    assert not leftover.exists()
