"""The spool: whole and synced, or not there."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from groundglass.node.inbound.spool import Spool, SpoolFull, SpoolSettings
from groundglass.node.logs import Pseudonyms


def files(spool: Spool) -> set[Path]:
    """Everything in the spool but its key and locks."""
    return {
        path.relative_to(spool.root)
        for path in spool.root.rglob("*")
        if path.is_file() and path.name != "site.key" and path.parent.name != "locks"
    }


def test_what_is_stored_is_there_byte_for_byte(spool: Spool) -> None:
    stored = spool.store("1.2", "1.2.3", [b"DI", b"", b"CM"])
    assert (spool.root / stored.file).read_bytes() == b"DICM"
    assert stored.bytes == 4
    assert files(spool) == {Path(stored.file)}


def test_the_same_again_is_one_file_other_bytes_are_another(spool: Spool) -> None:
    first = spool.store("1.2", "1.2.3", b"a")
    again = spool.store("1.2", "1.2.3", b"a")
    other = spool.store("1.2", "1.2.3", b"b")
    assert (again.file, again.sha256) == (first.file, first.sha256)
    assert other.file != first.file
    assert files(spool) == {Path(first.file), Path(other.file)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@example(uids=("../../etc", "/etc/passwd"))
@given(uids=st.tuples(st.text(max_size=70), st.text(max_size=70)))
def test_no_text_from_the_network_becomes_part_of_a_path(
    spool: Spool, uids: tuple[str, str]
) -> None:
    stored = spool.store(*uids, b"x")
    place = (spool.root / stored.file).resolve()
    assert place.is_relative_to((spool.root / "studies").resolve())
    assert set(stored.file) <= set("studies/dcm.-0123456789abcdef")


def test_it_is_synced_before_it_has_its_name_and_its_name_before_it_is_acknowledged(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the order of system calls: content, rename, folder, the folders above."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        calls.append(f"sync {path.parent.name if path.is_file() else path.name}")
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        renamed = replace(self, target)
        calls.append("rename")
        return renamed

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    folder = spool.study_folder("1.2")
    spool.store("1.2", "1.2.3", b"x")
    assert calls == [
        "sync incoming",
        "rename",
        f"sync {folder.name}",
        f"sync {folder.parent.name}",
        "sync studies",
    ]
    calls.clear()
    spool.store("1.2", "1.2.4", b"x")
    assert calls == ["sync incoming", "rename", f"sync {folder.name}"]


def test_a_sender_that_breaks_off_leaves_nothing(spool: Spool) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        spool.store("1.2", "1.2.3", broken())
    assert files(spool) == set()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_nothing_and_says_so(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, code: int, where: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    def pieces() -> Iterator[bytes]:
        yield b"half"
        if where == "write":
            full()

    with monkeypatch.context() as patch:
        if where == "fsync":
            patch.setattr(os, "fsync", full)
        if where == "rename":
            patch.setattr(Path, "replace", full)
        with pytest.raises(SpoolFull, match=os.strerror(code)):
            spool.store("1.2", "1.2.3", pieces())
    assert files(spool) == set()
    assert spool.store("1.2", "1.2.3", b"whole").bytes == 5


def test_another_error_of_the_disk_is_none_of_want_of_room(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        spool.store("1.2", "1.2.3", b"x")
    assert files(spool) == set()


def test_below_the_floor_nothing_is_taken_and_the_content_is_not_even_read(tmp_path: Path) -> None:
    room = 10**9
    spool = Spool(tmp_path, SpoolSettings(free_floor_mb=1000), free=lambda _: room)
    spool.store("1.2", "1.2.3", b"x")
    room -= 1

    def unread() -> Iterator[bytes]:
        pytest.fail("read although there is no room")
        yield b""

    with pytest.raises(SpoolFull, match="floor"):
        spool.store("1.2", "1.2.4", unread())


def test_one_instance_on_many_associations_at_once(spool: Spool) -> None:
    barrier = threading.Barrier(8)

    def send(_: int) -> str:
        barrier.wait()
        return spool.store("1.2", "1.2.3", [b"x" * 1000] * 10).file

    with ThreadPoolExecutor(8) as pool:
        (file,) = set(pool.map(send, range(8)))
    assert files(spool) == {Path(file)}


def test_storing_while_the_empty_folder_is_removed(spool: Spool) -> None:
    done = threading.Event()

    def remove() -> None:
        while not done.is_set():
            spool.remove([f"{spool.study_folder('1.2').relative_to(spool.root)}/none.dcm"])

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for number in range(100):
            stored = spool.store("1.2", str(number), b"x")
            assert (spool.root / stored.file).is_file()
            spool.remove([stored.file])
    finally:
        done.set()
        remover.join()
    assert files(spool) == set()


def test_gathering_gives_exactly_the_files_asked_for(spool: Spool) -> None:
    kept = [spool.store("1.2", f"1.2.{n}", bytes([n])).file for n in range(3)]
    folder = spool.root / "jobs" / "j" / "study"
    spool.gather(kept, folder)
    spool.gather(kept[:2], folder)
    assert {path.read_bytes() for path in folder.iterdir()} == {b"\0", b"\1"}
    for path in folder.iterdir():
        path.unlink()
    assert all((spool.root / file).is_file() for file in kept)


def test_holding_keeps_clearing_out_and_many_may_hold(spool: Spool) -> None:
    with (
        spool.holding("1.2"),
        spool.holding("1.2"),
        spool.clearing(spool.study_folder("1.2")) as alone,
    ):
        assert not alone
    with (
        spool.clearing(spool.study_folder("1.2")) as alone,
        spool.clearing(spool.study_folder("1.2")) as second,
    ):
        assert alone
        assert not second


def test_leftovers_are_cleared_by_age(spool: Spool) -> None:
    old, new = spool.root / "incoming" / "old.part", spool.root / "incoming" / "new.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert spool.clear_leftovers(3600) == 1
    assert files(spool) == {new.relative_to(spool.root)}


def test_names_are_the_same_on_every_machine_of_a_site_and_nowhere_else(tmp_path: Path) -> None:
    here, there, elsewhere = Spool(tmp_path / "a"), Spool(tmp_path / "a"), Spool(tmp_path / "b")
    assert here.pseudonyms.of("1.2") == there.pseudonyms.of("1.2")
    assert here.pseudonyms.of("1.2") != elsewhere.pseudonyms.of("1.2")
    assert (tmp_path / "a" / "site.key").stat().st_mode & 0o077 == 0


def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def begin(_: int) -> str:
        barrier.wait()
        return Pseudonyms.at(tmp_path).of("1.2")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(8)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["site.key"]
