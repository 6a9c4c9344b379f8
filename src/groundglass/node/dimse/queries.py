"""Questions to an archive by C-FIND, Study Root (PS3.4 annex C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from groundglass.node.dimse.clients import PeerError, shown
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.presentation_contexts import MESSAGE_SYNTAXES, STUDY_ROOT_FIND

_PENDING = frozenset((0xFF00, 0xFF01))


def find_context() -> PresentationContext:
    """What to negotiate for `find`."""
    return build_context(STUDY_ROOT_FIND, list(MESSAGE_SYNTAXES))


def find(
    association: Association, peer: Peer, level: str, keys: Mapping[str, str]
) -> Sequence[Dataset]:
    """Ask, and wait for all answers.

    `level` is `STUDY`, `SERIES` or `IMAGE`; `keys` are DICOM keywords with the value to match, an
    empty one asks for the value.

    Raises
    ------
    PeerError
        It does not answer to the end.
    """
    question = Dataset()
    question.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(question, keyword, value)
    answers: list[Dataset] = []
    status: int | None = None
    try:
        for answer, identifier in association.send_c_find(question, STUDY_ROOT_FIND):
            status = answer.get("Status")
            if status in _PENDING and identifier is not None:
                answers.append(identifier)
    except (ValueError, RuntimeError) as error:
        raise PeerError(
            f"{peer} not offering queries (Study Root C-FIND)",
            expected="an archive that can be asked what it holds",
            action="Allow our AE title to query there.",
        ) from error
    if status != 0x0000:
        raise PeerError(
            f"{peer} answering a query with {shown(status)}",
            expected="success",
            action="Look into its log.",
        )
    return answers
