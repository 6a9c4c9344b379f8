"""Files to another system by C-STORE (PS3.4 annex B), and what it said of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from groundglass.node.dimse.clients import ClientSettings, PeerError, Wanted, associated, shown
from groundglass.node.dimse.peers import Peer
from groundglass.node.outbound.delivery import FileReceipt, FileStatus
from groundglass.node.outbound.identity import Identity, identify
from groundglass.read.dicom.headers.damage import PARSE_ERRORS

#: Told (files done, files in all).
Progress = Callable[[int, int], None]

_UNSENT = (FileStatus.REFUSED, "not sent: the association broke off")
_NO_ANSWER = "no answer"
_CONTEXTS = 128  # per association (PS3.8 section 9.3.2.2)
_UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
#: Statuses that say: taken, but (PS3.7 annex C, PS3.4 table B.2-1).
_WARNINGS = frozenset((0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)))


def send(
    files: Sequence[Path],
    peer: Peer,
    client: ClientSettings,
    progress: Progress = lambda _done, _total: None,
) -> tuple[FileReceipt, ...]:
    """Send files; compressed ones go as they are.

    One receipt per file, in their order. What is no DICOM file is refused here; what an association
    that broke off left unsent is refused, too. `progress` is told how many of how many are done.

    Raises
    ------
    PeerError
        No association came about, so nothing was sent.
    """
    receipts: dict[Path, FileReceipt] = {}
    known: list[Identity] = []
    for path in files:
        identity = identify(path)
        if identity is None:
            receipts[path] = FileReceipt(path, FileStatus.REFUSED, "no DICOM file")
        else:
            known.append(identity)
    progress(len(receipts), len(files))
    sent = False
    for batch, contexts in _batches(known):
        try:
            for receipt in _send_batch(batch, contexts, peer, client):
                receipts[receipt.path] = receipt
                progress(len(receipts), len(files))
                sent = True
        except PeerError:
            if not sent:
                raise
            break
    return tuple(receipts.get(path, FileReceipt(path, *_UNSENT)) for path in files)


def _batches(
    known: Iterable[Identity],
) -> Iterator[tuple[list[Identity], list[PresentationContext]]]:
    """Files that go over one association, with what to propose for them."""
    batch: list[Identity] = []
    kinds: dict[tuple[str, tuple[str, ...]], None] = {}
    for identity in known:
        kind = (identity.sop_class_uid, _syntaxes(identity.transfer_syntax_uid))
        if kind not in kinds and len(kinds) == _CONTEXTS:
            yield batch, [build_context(uid, list(syntaxes)) for uid, syntaxes in kinds]
            batch, kinds = [], {}
        batch.append(identity)
        kinds[kind] = None
    if batch:
        yield batch, [build_context(uid, list(syntaxes)) for uid, syntaxes in kinds]


def _syntaxes(syntax: str) -> tuple[str, ...]:
    """In which encodings a file may go: its own, or either of the two that hold the same bits."""
    return tuple(map(str, _UNCOMPRESSED)) if syntax in _UNCOMPRESSED else (syntax,)


def _send_batch(
    batch: Sequence[Identity],
    contexts: Sequence[PresentationContext],
    peer: Peer,
    client: ClientSettings,
) -> Iterator[FileReceipt]:
    """Over one association; when it breaks off, the rest is refused."""
    with associated(peer, Wanted(contexts), client) as association:
        broken = False
        for identity in batch:
            status, detail = _UNSENT if broken else _send_one(association, identity)
            # pynetdicom may take a while to notice an abort; sending on would wait for an answer.
            broken = broken or detail in (_NO_ANSWER, _UNSENT[1])
            yield FileReceipt(
                identity.path, status, detail, identity.sop_class_uid, identity.sop_instance_uid
            )


def _send_one(association: Association, identity: Identity) -> tuple[FileStatus, str]:
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }
    ways = _syntaxes(identity.transfer_syntax_uid)
    if accepted.isdisjoint((identity.sop_class_uid, syntax) for syntax in ways):
        syntax = UID(identity.transfer_syntax_uid).name
        return FileStatus.REFUSED, f"{UID(identity.sop_class_uid).name} in {syntax} is not taken"
    try:
        answer = association.send_c_store(dcmread(identity.path))
    except (InvalidDicomError, *PARSE_ERRORS) as error:
        return FileStatus.REFUSED, f"a file that cannot be sent ({type(error).__name__})"
    except RuntimeError:  # aborted by the other side, just now
        return _UNSENT
    return judge(answer)


def judge(answer: Dataset) -> tuple[FileStatus, str]:
    """What a C-STORE response says; its comment is left out, as it may quote the header."""
    status = answer.get("Status")
    if status is None:
        return FileStatus.REFUSED, _NO_ANSWER
    words = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", ""))[1]
    detail = f"{shown(status)} {words}".strip()
    if status == 0x0000:
        return FileStatus.ACCEPTED, shown(status)
    return (FileStatus.WARNING if status in _WARNINGS else FileStatus.REFUSED), detail
