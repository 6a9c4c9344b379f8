"""The conformance statement says what is negotiated, no more and no less."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom import AE
from pynetdicom.presentation import build_context

from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.services import InboundServices
from node.in_memory import ANY_PORT, MemorySink

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
MADE = runpy.run_path(str(REFERENCE / "make_conformance.py"))
STATEMENT = MADE["conformance_statement"]()
_SYNTAXES = [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
_CLASSES = [uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"]


def _between(start: str, end: str) -> set[str]:
    """UIDs in a part of the statement."""
    part = STATEMENT.split(start, 1)[1].split(end, 1)[0]
    return set(re.findall(r"`(1\.2\.[0-9.]+)`", part))


def test_the_page_is_the_code() -> None:
    assert MADE["PAGE"].read_text("utf-8") == STATEMENT, (
        "what is negotiated changed: run python docs/reference/make_conformance.py"
    )


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Every (class, transfer syntax) of the standard's that a listener accepts."""
    sink = MemorySink()
    service = CommitmentService(sink, CommitmentInbox(tmp_path_factory.mktemp("inbox")))
    pairs = [(uid, syntax) for uid in _CLASSES for syntax in _SYNTAXES if _relevant(uid)]
    pairs += [(uid, _SYNTAXES[0]) for uid in _CLASSES if not _relevant(uid)]
    found: set[tuple[str, str]] = set()
    with Listener(ANY_PORT, InboundServices(sink, service)) as listener:
        for at in range(0, len(pairs), 127):
            # With one context that is always accepted: without any, the association would end.
            contexts = [build_context(uid, [syntax]) for uid, syntax in pairs[at : at + 127]]
            contexts.append(build_context("1.2.840.10008.1.1", ["1.2.840.10008.1.2"]))
            association = AE("TEST").associate(
                "127.0.0.1", listener.port, contexts=contexts, ae_title="GROUNDGLASS"
            )
            assert association.is_established
            found |= {
                (str(context.abstract_syntax), str(context.transfer_syntax[0]))
                for context in association.accepted_contexts
            }
            association.release()
    return found


def _relevant(uid: str) -> bool:
    """CT of any kind is asked in every transfer syntax, the rest in one."""
    return "CT Image" in UID_dictionary[uid][0]


def test_exactly_the_listed_classes_are_taken(accepted: set[tuple[str, str]]) -> None:
    listed = _between("| SOP class | transfer syntaxes | our role |", "*messages*:")
    assert {uid for uid, _ in accepted} == listed


def test_exactly_the_listed_syntaxes_are_taken(accepted: set[tuple[str, str]]) -> None:
    listed = _between("| transfer syntax |", "Deflated")
    assert {syntax for uid, syntax in accepted if _relevant(uid)} == listed
