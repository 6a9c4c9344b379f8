"""A file is what it was or what it shall be, and durable where that is promised."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from groundglass.core import atomic_files
from groundglass.core.atomic_files import (
    append_synced,
    clear_unfinished,
    open_whole,
    replacing,
    sync_folder,
    write_synced,
    write_whole,
)


def _synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of files at the moment they are synced, as they come; 0 for a folder's."""
    sizes: list[int] = []

    def fsync(handle: int) -> None:
        folder = Path(f"/proc/self/fd/{handle}").is_dir()
        sizes.append(0 if folder else os.fstat(handle).st_size)

    monkeypatch.setattr(atomic_files.os, "fsync", fsync)
    return sizes


def test_a_file_is_replaced_by_its_whole_successor(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with open_whole(path) as file:
        file.write(b"n")
        file.flush()
        assert path.read_bytes() == b"old"
        file.write(b"ew")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_broken_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def broken_off() -> None:
        with open_whole(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_may_write_one_file_and_the_last_wins(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as one, replacing(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "ä\r\n\n")
    assert (tmp_path / "a").read_bytes() == "ä\r\n\n".encode()
    append_synced(tmp_path / "a", "ö\r\n")
    assert (tmp_path / "a").read_bytes() == "ä\r\n\nö\r\n".encode()


def test_what_is_promised_to_last_is_synced_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = _synced(monkeypatch)
    write_whole(tmp_path / "a", b"12345")
    assert sizes == []
    write_whole(tmp_path / "a", b"12345", synced=True)
    append_synced(tmp_path / "a", "678")
    write_synced(tmp_path / "b", b"12")
    sync_folder(tmp_path)
    assert sizes == [5, 8, 2, 0]


def test_a_synced_file_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_synced(tmp_path / "a", b"other")


def test_leftovers_of_the_killed_are_cleared_and_no_other_file(tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("a", "b", ".b.12.part", ".a.12", "a.12.part")]
    for path in others:
        path.touch()
    unfinished = replacing(tmp_path / "a")
    unfinished.__enter__().touch()
    clear_unfinished(tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == sorted(others)
