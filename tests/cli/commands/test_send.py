"""`groundglass send` says of every file what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.cli.failures import ExitCode
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from made_ct import ct_series, write
from node.in_memory import ANY_PORT, MemorySink

Invoke = Callable[..., Result]


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def there(sink: MemorySink, tmp_path: Path) -> Iterator[str]:
    """The address of a listener."""
    service = CommitmentService(sink, CommitmentInbox(tmp_path / "inbox"))
    with Listener(ANY_PORT, InboundServices(sink, service)) as listener:
        yield f"GROUNDGLASS@127.0.0.1:{listener.port}"


def test_a_folder_goes_whole(invoke: Invoke, sink: MemorySink, there: str, tmp_path: Path) -> None:
    write(ct_series()[:3], tmp_path / "study" / "deep")
    (tmp_path / "study" / "note.txt").write_text("no DICOM, so not counted")
    done = invoke("send", tmp_path / "study", "--to", there)
    assert done.exit_code == ExitCode.DONE, done.output
    assert "3 of 3 files taken by GROUNDGLASS@127.0.0.1" in done.output
    assert len(sink.files) == 3


def test_what_is_not_taken_is_named_with_its_reason(
    invoke: Invoke, sink: MemorySink, there: str, tmp_path: Path
) -> None:
    write(ct_series()[:1], tmp_path / "study")
    write(ct_series(SOPClassUID="1.2.840.10008.5.1.4.1.1.4")[1:2], tmp_path / "study" / "mr")
    done = invoke("send", tmp_path / "study", "--to", there)
    assert done.exit_code == ExitCode.CANNOT
    assert "1 of 2 files taken" in done.output
    assert "mr/im0000: not taken, MR Image Storage" in done.output


def test_one_file(invoke: Invoke, sink: MemorySink, there: str, tmp_path: Path) -> None:
    (path,) = write(ct_series()[:1], tmp_path / "study").iterdir()
    assert invoke("send", path, "--to", there).exit_code == ExitCode.DONE
    assert len(sink.files) == 1


def test_a_full_disk_there_is_no_success(
    invoke: Invoke, sink: MemorySink, there: str, tmp_path: Path
) -> None:
    sink.full = True
    done = invoke("send", write(ct_series()[:1], tmp_path / "study"), "--to", there)
    assert done.exit_code == ExitCode.CANNOT
    assert "0xA700" in done.output


def test_nobody_there(invoke: Invoke, tmp_path: Path) -> None:
    study = write(ct_series()[:1], tmp_path / "study")
    done = invoke("send", study, "--to", "PACS@127.0.0.1:9")
    assert done.exit_code == ExitCode.CANNOT
    assert "no DICOM system at PACS@127.0.0.1:9" in done.output


def test_another_ae_title_is_told_what_to_do(invoke: Invoke, there: str, tmp_path: Path) -> None:
    study = write(ct_series()[:1], tmp_path / "study")
    done = invoke("send", study, "--to", there.replace("GROUNDGLASS", "OTHER"))
    assert done.exit_code == ExitCode.CANNOT
    assert "refusing the association (Called AE title not recognised)" in done.output


@pytest.mark.parametrize(
    "options",
    [("--to", "PACS"), ("--to", "PACS@h:104", "--as", "x" * 17), ("--to", "P@h:1", "--ca", "CA")],
)
def test_wrong_use(invoke: Invoke, tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "CA").touch()
    given = [str(tmp_path / "CA") if option == "CA" else option for option in options]
    assert invoke("send", tmp_path, *given).exit_code == ExitCode.WRONG_USE


def test_a_folder_without_dicom(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("send", tmp_path, "--to", "PACS@127.0.0.1:9")
    assert done.exit_code == ExitCode.CANNOT
    assert "no DICOM file" in done.output
