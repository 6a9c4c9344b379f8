"""Sending files, told on the terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from groundglass.cli.console import Terminal, progress_bar
from groundglass.cli.failures import ExitCode
from groundglass.errors import ReadError
from groundglass.node.dimse.clients import ClientSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.send import send
from groundglass.node.outbound.delivery import TAKEN, FileReceipt, FileStatus
from groundglass.read.dicom.dataset import looks_like_dicom

_SHOWN = 10
_LOOK = 132
_DIRECTORY = "DICOMDIR"


def send_all(source: Path, peer: Peer, client: ClientSettings) -> ExitCode:
    """Send a folder's DICOM files and tell what became of them.

    Raises
    ------
    ReadError
        There are none.
    PeerError
        The other system could not be reached or refused us.
    """
    terminal = Terminal()
    files = [source] if source.is_file() else sorted(filter(_is_dicom, source.rglob("*")))
    if not files:
        raise ReadError(
            "no DICOM file in the folder",
            expected="files as a PACS exports them, or a report of `groundglass run`",
            action="Give the folder that holds them.",
        )
    with progress_bar(f"Sending to {peer}") as progress:
        receipts = send(files, peer, client, progress)
    return _tell(receipts, source, terminal, peer)


def _is_dicom(path: Path) -> bool:
    if not path.is_file() or path.name == _DIRECTORY:
        return False
    with path.open("rb") as file:
        return looks_like_dicom(file.read(_LOOK))


def _tell(
    receipts: tuple[FileReceipt, ...], source: Path, terminal: Terminal, peer: Peer
) -> ExitCode:
    counts = Counter(receipt.status for receipt in receipts)
    taken = sum(counts[status] for status in TAKEN)
    terminal.print(f"{taken} of {len(receipts)} files taken by {peer}", "bold")
    remarks = [r for r in receipts if r.status in (FileStatus.WARNING, FileStatus.REFUSED)]
    for receipt in remarks[:_SHOWN]:
        name = receipt.path.relative_to(source) if receipt.path != source else receipt.path.name
        words = "taken with a warning" if receipt.status is FileStatus.WARNING else "not taken"
        terminal.print(f"  {name}: {words}, {receipt.detail}")
    if len(remarks) > _SHOWN:
        terminal.print(f"  … and {len(remarks) - _SHOWN} more")
    return ExitCode.DONE if taken == len(receipts) else ExitCode.CANNOT
