"""Write dicom-conformance.md from what is negotiated: `python docs/reference/make_conformance.py`.

A test compares the page with what this would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.presentation import PresentationContext

from groundglass.node.dimse.associations import (
    TOO_MANY,
    UNKNOWN_CALLED,
    UNKNOWN_CALLER,
    WRONG_CERTIFICATE,
    WRONG_CONTEXT,
)
from groundglass.node.dimse.commands import Status
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.dimse.pdus import PeerLimits
from groundglass.node.dimse.presentation_contexts import (
    MESSAGE_SYNTAXES,
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from groundglass.node.inbound.accepted import IMAGE_SYNTAXES, TAKEN_CLASSES, listener_contexts
from groundglass.node.uids import IMPLEMENTATION_CLASS_UID, ourselves

#: What is sent out: `groundglass.report` writes these. Other files, given to `groundglass send` by
#: hand, go under their own class.
RESULT_CLASSES = (
    SecondaryCaptureImageStorage,
    Comprehensive3DSRStorage,
    SegmentationStorage,
    ParametricMapStorage,
    KeyObjectSelectionDocumentStorage,
)
#: In these encodings, or for a map in the last one, as the files are; nothing is encoded anew but
#: Explicit as Implicit VR where a receiver wants that.
RESULT_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless)
PAGE = Path(__file__).with_name("dicom-conformance.md")

_HEAD = """# DICOM conformance statement

Of `groundglass serve` and `groundglass send`, after PS3.2. This page is written from the code by \
`make_conformance.py` beside it, and a test compares them: what it lists is what is negotiated.

**Research use only.** Not a medical device. **Not an archive:** what was received is deleted when \
its retention ends (`retention` in the settings), storage commitment or not. Never let a scanner \
delete images because groundglass has them.

Nothing is ever deleted or changed in another system, and nothing is written into a series that \
was received. Data sets are kept byte by byte as they come, and sent as their files are; no \
attribute is coerced, no pixel decoded or encoded on the way.
"""

_FLOW = """## What talks to what

| application | does | as |
|---|---|---|
| listener (`groundglass serve`) | takes CT images in, answers C-ECHO and storage commitment, \
hears storage commitment reports on results | SCP; commitment reports as SCU |
| delivery (`groundglass serve`), `groundglass send` | sends objects, and finds out whether they \
are there | SCU |
| retrieval (`groundglass serve`) | finds and fetches named or new studies | SCU |

All may have one AE title. Over HTTP, delivery also speaks STOW-RS and QIDO-RS, retrieval QIDO-RS \
and WADO-RS ([below](#dicomweb)).
"""

_STATUS_WORDS = {
    Status.SUCCESS: "the instance is on disk, synced, and entered into the job table",
    Status.OUT_OF_RESOURCES: "the disk is full or below the free space floor; nothing of it was "
    "kept; send it again later",
    Status.CANNOT_UNDERSTAND: "the data set cannot be parsed, lacks a UID, has one that is none, "
    "or is another instance than the command announces; the error comment says which",
    Status.CLASS_NOT_SUPPORTED: "not the SOP class of its presentation context",
    Status.PROCESSING_FAILURE: "it could not be stored or entered; send it again later",
}

_SERVICES = """### Verification

C-ECHO is answered with success.

### Storage

The answer comes when its meaning is true:

{statuses}

An instance that comes again is taken again and changes nothing. A study is complete when \
its sender, or the archive named in the settings, lists no more images of it (C-FIND at SERIES and \
IMAGE level, or QIDO-RS); where none can be asked, when nothing has come for the quiet time. What \
comes later begins a new revision.

### Storage commitment

N-ACTION (action 1) is answered with success, and the instances named are looked for on disk. The \
N-EVENT-REPORT lists those there, and those not there with failure reason 0112H (no such \
instance) or 0119H (class-instance conflict). To peers whose host and port are in the settings it \
goes over an association of its own, in which we propose the SCP role, tried three times within \
about a minute; to others over the association of the request, at once.

N-EVENT-REPORT on results that we sent is taken in the SCU role, on associations that the \
archive opens (it proposes the SCP role) or on ours.
"""

_POLICIES = """### Associations

Taken from peers in the settings, by AE title **and** address; without peers, from this machine \
alone. Defaults of what can be set:

{settings}

A connection from an address that no peer has, and one too many, is closed without an answer. \
Refused associations:

| reason | result, source, diagnostic (PS3.8 table 9-21) |
|---|---|
{refusals}

What breaks the protocol or a limit is answered with A-ABORT (source 2, service provider). \
Asynchronous operations, user identity and extended negotiation are not supported and not \
answered. Of several transfer syntaxes proposed in one context the first of the table above is \
accepted.
"""

_OUT = """## What is sent and asked (SCU)

| service | SOP classes | transfer syntaxes proposed |
|---|---|---|
{rows}

Files given to `groundglass send` are proposed under their own SOP class; compressed files under \
their own transfer syntax alone, others in Explicit and Implicit VR Little Endian. At most 128 \
contexts go into one association.

C-STORE: 0000H is taken; 0001H, 0107H, 0116H and Bxxx are taken with a warning; everything else, \
and no answer, is not taken and tried again. What was taken is confirmed by storage commitment or \
read back by C-FIND at IMAGE level, as the settings say; before that nothing counts as delivered.

C-FIND keys: at STUDY level Study Date (range), Modalities In Study, Study Instance UID, Study \
Description, Number Of Study Related Instances; at SERIES level Modality; at IMAGE level SOP \
Instance UID, SOP Class UID. No attribute of the patient is asked for.

C-GET and C-MOVE at SERIES level, for series of modality CT. With C-GET the SCP role is proposed \
for the storage classes, each with every transfer syntax in a context of its own, so that images \
come as they are kept.
"""

_WEB = """## DICOMweb

| request | for | how |
|---|---|---|
| STOW-RS, `POST /studies` | results | one instance a request, `application/dicom`; a failure \
listed in the answer counts, whatever the HTTP status |
| QIDO-RS, `GET /studies` | new studies | by Study Date and Modalities In Study |
| QIDO-RS, `GET /studies/…/instances`, `GET /studies/…/series/…/instances` | what a study has; \
reading results back | |
| WADO-RS, `GET /studies/…/series/…/instances/…` | images | `application/dicom; \
transfer-syntax=*` |

Certificates are always checked. http to another machine must be asked for in the settings.
"""

_SECURITY = """## Security

TLS 1.2 or later with the ciphers of the OpenSSL in use (PS3.15 BCP 195 profiles), both ways, as \
the settings say; with authorities given, callers must have a certificate of theirs, and where a \
peer's settings name one, that one (subject's common name, subject alternative name or SHA-256). \
AE titles and addresses are checked besides. UIDs are checked before use, and no text from the \
network becomes part of a file name.

## Character sets

Attributes are passed on undecoded. The Study Description, for rules, is read as UTF-8; other \
bytes are shown as replacement characters.
"""


def conformance_statement() -> str:
    """The statement as Markdown."""
    return "\n".join([_HEAD, _FLOW, _identity(), _listener(), _sender(), _WEB, _SECURITY])


def _identity() -> str:
    return f"""## Implementation

| | |
|---|---|
| Implementation Class UID | `{IMPLEMENTATION_CLASS_UID}` |
| Implementation Version Name | `GROUNDGLASS` and the version |
| Application Context | `1.2.840.10008.3.1.1.1` |
| Maximum Length announced | {PeerLimits().pdu_bytes} bytes |
"""


def _listener() -> str:
    contexts = listener_contexts()
    rows = "\n".join(
        f"| {_named(context.abstract_syntax)} | {_table_of(context)} | {_roles(context)} |"
        for context in contexts
    )
    syntaxes = "\n".join(f"| {_named(uid)} |" for uid in IMAGE_SYNTAXES)
    messages = " and ".join(uid.name for uid in MESSAGE_SYNTAXES)
    statuses = "\n".join(
        ["| status | means |", "|---|---|"]
        + [f"| {status:04X}H | {words} |" for status, words in _STATUS_WORDS.items()]
    )
    settings = "\n".join(
        ["| setting | default |", "|---|---|"]
        + [f"| `{name}` | {value} |" for name, value in _defaults()]
    )
    refusals = "\n".join(
        f"| {one.reason} | {one.result}, {one.source}, {one.diagnostic} |"
        for one in (UNKNOWN_CALLED, UNKNOWN_CALLER, WRONG_CERTIFICATE, TOO_MANY, WRONG_CONTEXT)
    )
    return "\n".join(
        [
            "## What is taken in (SCP)\n",
            "| SOP class | transfer syntaxes | our role |",
            "|---|---|---|",
            rows,
            f"\n*messages*: {messages}. *images*, best first:\n",
            "| transfer syntax |",
            "|---|",
            syntaxes,
            "\nDeflated data sets are not taken: a small one may become gigabytes.\n",
            _SERVICES.format(statuses=statuses),
            _POLICIES.format(settings=settings, refusals=refusals),
        ]
    )


def _sender() -> str:
    messages = " or ".join(uid.name for uid in MESSAGE_SYNTAXES)
    rows = [
        ("Verification", [VERIFICATION], messages),
        ("Storage of results", RESULT_CLASSES, " or ".join(uid.name for uid in RESULT_SYNTAXES)),
        ("Storage commitment", [STORAGE_COMMITMENT], messages),
        ("Query", [STUDY_ROOT_FIND], messages),
        ("Retrieval", [STUDY_ROOT_GET, STUDY_ROOT_MOVE], messages),
        ("Storage for C-GET (as SCP)", TAKEN_CLASSES, "every one of *images*"),
    ]
    return _OUT.format(
        rows="\n".join(f"| {what} | {_list(uids)} | {how} |" for what, uids, how in rows)
    )


def _table_of(context: PresentationContext) -> str:
    """Which of the two tables of transfer syntaxes holds for a context."""
    taken = tuple(context.transfer_syntax)
    tables = {IMAGE_SYNTAXES: "*images*", MESSAGE_SYNTAXES: "*messages*"}
    return tables[taken]


def _roles(context: PresentationContext) -> str:
    return "SCP, SCU" if context.scu_role and context.scp_role else "SCP"


def _defaults() -> Iterable[tuple[str, object]]:
    listener = ListenerSettings()
    hidden = ("peers", "tls", "limits", "implementation")
    for group, prefix in (
        (listener, "listener"),
        (listener.limits, "listener.limits"),
        (ourselves(), "towards others"),
    ):
        for field in fields(group):
            if field.name not in hidden:
                yield f"{prefix}: {field.name}", getattr(group, field.name)


def _list(uids: Sequence[UID]) -> str:
    return "<br>".join(map(_named, uids))


def _named(uid: UID | str | None) -> str:
    known = UID(str(uid))
    return f"{known.name}, `{known}`"


if __name__ == "__main__":
    PAGE.write_text(conformance_statement(), encoding="utf-8")
