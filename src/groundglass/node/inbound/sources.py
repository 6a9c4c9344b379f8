"""Archives that studies are fetched from, by DIMSE (C-FIND with C-GET or C-MOVE) or DICOMweb."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, NonNegativeInt, PositiveFloat
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context, build_role

from groundglass.errors import SettingsError
from groundglass.node.dicomweb import DicomwebServer, first_value
from groundglass.node.dimse.clients import ClientSettings, PeerError, Wanted, associated, shown
from groundglass.node.dimse.commands import Status
from groundglass.node.dimse.commitment import Reference
from groundglass.node.dimse.peers import Peer
from groundglass.node.dimse.presentation_contexts import (
    MESSAGE_SYNTAXES,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
)
from groundglass.node.dimse.queries import find, find_context
from groundglass.node.dimse.tls import TlsSettings
from groundglass.node.http import HttpAccess
from groundglass.node.inbound.accepted import IMAGE_SYNTAXES, TAKEN_CLASSES
from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.inbound.importing import NO_CT, TransferResult, import_bytes, import_instance
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.inbound.spool import SpoolFull
from groundglass.node.uids import is_uid, ourselves
from groundglass.settings.toml import Maybe, settings

_CT = "CT"
#: Sub-operations failed, of all or of some (PS3.4 tables C.4-2, C.4-3).
_ENDED_WITH_FAILURES = (0xB000, 0xA702)


@settings
class Schedule:
    """Which new studies are fetched, and how often they are looked for."""

    every_s: PositiveFloat = 300.0
    """Pause between two looks, in s. 300. A study is fetched when it has not grown between two
    looks."""
    days: NonNegativeInt = 1
    """Studies of today and so many days before. 1: what came around midnight."""
    description: str = "*"
    """Pattern of the Study Description, as *chest*, capitals or not. *: every study with CT."""


@settings
class PacsSourceSettings:
    """An archive to fetch studies from by DIMSE."""

    name: str
    """What the log and, in place of an AE title, rules call it."""
    ae_title: str
    """Its AE title."""
    host: Annotated[str, Field(min_length=1)]
    """Where it listens."""
    port: Annotated[int, Field(gt=0, lt=2**16)]
    """TCP port there."""
    kind: Literal["pacs"] = "pacs"
    method: Literal["get", "move"] = "get"
    """ "get" takes images over our own association. "move" has it send them to our listener, which
    it must know; for archives without C-GET."""
    calling_ae_title: str = "GROUNDGLASS"
    """Ours. With "move" it is also where the images are sent: the listener's."""
    schedule: Maybe[Schedule] = None
    """Look for new studies; without, only named ones are fetched."""
    tls: Maybe[TlsSettings] = None
    """How it is called; without, in the clear."""

    def __post_init__(self) -> None:
        self.peer()
        self.client()

    def peer(self) -> Peer:
        """The archive as a peer."""
        return Peer(self.ae_title, host=self.host, port=self.port, tls=self.tls)

    def client(self) -> ClientSettings:
        """Ourselves towards it."""
        return ourselves(self.calling_ae_title)


@settings
class DicomwebSourceSettings:
    """An archive to fetch studies from by QIDO-RS and WADO-RS."""

    name: str
    """What the log and, in place of an AE title, rules call it."""
    url: str
    """The service's root, as https://pacs.example/dicom-web."""
    kind: Literal["dicomweb"] = "dicomweb"
    schedule: Maybe[Schedule] = None
    """Look for new studies; without, only named ones are fetched."""
    access: HttpAccess = HttpAccess()
    """Certificates, token and time limits."""


SourceSettings = Annotated[PacsSourceSettings | DicomwebSourceSettings, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class RemoteStudy:
    """A study that an archive has."""

    study_instance_uid: str
    """Which one."""
    description: str
    """Its Study Description."""
    instances: int
    """How many it has; -1 when the archive does not say."""


class Source(Protocol):
    """Where studies are fetched from."""

    def images(self, study_instance_uid: str) -> dict[str, list[Reference]]:
        """SOP class and instance of the images that it lists of a study's CT series.

        By Series Instance UID; none of a study that it does not have.

        Raises
        ------
        PeerError
            It cannot be asked.
        """

    def studies(self, first: date, last: date) -> list[RemoteStudy]:
        """Studies with CT of these days.

        Raises
        ------
        PeerError
            It cannot be asked.
        """

    def fetch(self, study_instance_uid: str, sink: InstanceSink) -> TransferResult:
        """Fetch a study's CT images.

        Raises
        ------
        PeerError
            Not all came; what came stays.
        SpoolFull
            There is no room.
        """


class PacsSource:
    """An archive that speaks DIMSE."""

    def __init__(self, settings: PacsSourceSettings) -> None:
        self._settings = settings
        self._peer = settings.peer()
        self._client = settings.client()

    def studies(self, first: date, last: date) -> list[RemoteStudy]:
        """Ask by C-FIND; no attribute of the patient is asked for."""
        keys = {
            "StudyDate": f"{first:%Y%m%d}-{last:%Y%m%d}",
            "ModalitiesInStudy": "CT",
            "StudyInstanceUID": "",
            "StudyDescription": "",
            "NumberOfStudyRelatedInstances": "",
        }
        with associated(self._peer, Wanted([find_context()]), self._client) as association:
            answers = find(association, self._peer, "STUDY", keys)
        return [
            RemoteStudy(
                str(answer.get("StudyInstanceUID", "")),
                str(answer.get("StudyDescription", "") or ""),
                _number(answer.get("NumberOfStudyRelatedInstances")),
            )
            for answer in answers
        ]

    def images(self, study_instance_uid: str) -> dict[str, list[Reference]]:
        """Ask by C-FIND at SERIES and IMAGE level, which every archive offers (PS3.4 C.6.2.1)."""
        _check_uid(study_instance_uid)
        with associated(self._peer, Wanted([find_context()]), self._client) as association:
            return self._list(association, study_instance_uid)

    def fetch(self, study_instance_uid: str, sink: InstanceSink) -> TransferResult:
        """Fetch its CT series by C-GET or C-MOVE, as the settings say; then see what is here."""
        _check_uid(study_instance_uid)
        result = TransferResult(studies={study_instance_uid})
        full: list[SpoolFull] = []
        moving = self._settings.method == "move"
        model = STUDY_ROOT_MOVE if moving else STUDY_ROOT_GET
        wanted = Wanted(
            [find_context(), build_context(model, list(MESSAGE_SYNTAXES))]
            + ([] if moving else _storage_contexts()),
            roles=[] if moving else [build_role(uid, scp_role=True) for uid in TAKEN_CLASSES],
            handlers=[(evt.EVT_C_STORE, self._keep, [sink, result, full])],
        )
        with associated(self._peer, wanted, self._client) as association:
            images = self._list(association, study_instance_uid)
            for series in images:
                identifier = Dataset()
                identifier.QueryRetrieveLevel = "SERIES"
                identifier.StudyInstanceUID = study_instance_uid
                identifier.SeriesInstanceUID = series
                if moving:
                    own = self._settings.calling_ae_title
                    answers = association.send_c_move(identifier, own, model)
                else:
                    answers = association.send_c_get(identifier, model)
                _wait_for_end(answers, self._peer)
        if full:
            raise full[0]
        return self._compare(images, sink, result)

    def _keep(
        self, event: evt.Event, sink: InstanceSink, result: TransferResult, full: list[SpoolFull]
    ) -> int:
        """Answer the C-STORE of an image that comes over our own association."""
        try:
            syntax = str(event.context.transfer_syntax)
            data = event.encoded_dataset(include_meta=False)
            import_instance(iter((data,)), syntax, self._settings.name, sink)
        except Unfit as error:
            result.pass_over(str(error))
            return Status.CANNOT_UNDERSTAND
        except SpoolFull as error:
            full.append(error)
            return Status.OUT_OF_RESOURCES
        return Status.SUCCESS

    def _list(self, association: Association, study: str) -> dict[str, list[Reference]]:
        """SOP class and instance of every image of the study's CT series."""
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": "", "Modality": ""}
        images: dict[str, list[Reference]] = {}
        for one in find(association, self._peer, "SERIES", keys):
            series = str(one.get("SeriesInstanceUID", ""))
            if str(one.get("Modality", "")) == _CT and is_uid(series):
                image = {"SOPInstanceUID": "", "SOPClassUID": ""}
                keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series, **image}
                images[series] = [
                    (str(answer.get("SOPClassUID", "")), str(answer.get("SOPInstanceUID", "")))
                    for answer in find(association, self._peer, "IMAGE", keys)
                ]
        return images

    def _compare(
        self, images: dict[str, list[Reference]], sink: InstanceSink, result: TransferResult
    ) -> TransferResult:
        """Count what is here of what the archive has.

        Raises
        ------
        PeerError
            A CT image is missing.
        """
        missing = 0
        for sop_class, sop_instance in (image for series in images.values() for image in series):
            if sop_class and sop_class not in TAKEN_CLASSES:
                result.pass_over(NO_CT)
            elif any(sink.holds(uid, sop_instance) for uid in TAKEN_CLASSES):
                result.taken += 1
            else:
                missing += 1
        if missing:
            raise PeerError(
                f"{missing} images of a study missing after {self._peer} sent it",
                expected="every CT image that it lists",
                action="Look into its log; it is tried again.",
            )
        return result


class DicomwebSource:
    """An archive that speaks DICOMweb."""

    def __init__(self, settings: DicomwebSourceSettings) -> None:
        self._name = settings.name
        self._server = DicomwebServer(settings.url, settings.access)

    def studies(self, first: date, last: date) -> list[RemoteStudy]:
        """Ask by QIDO-RS."""
        filters = {"StudyDate": f"{first:%Y%m%d}-{last:%Y%m%d}", "ModalitiesInStudy": "CT"}
        return [
            RemoteStudy(
                first_value(one, "0020000D"),
                first_value(one, "00081030"),
                _number(first_value(one, "00201208")),
            )
            for one in self._server.studies(filters)
        ]

    def images(self, study_instance_uid: str) -> dict[str, list[Reference]]:
        """Ask by QIDO-RS (PS3.18 section 10.6)."""
        _check_uid(study_instance_uid)
        found: dict[str, list[Reference]] = {}
        for one in self._server.instances(study_instance_uid):
            reference = one.sop_class_uid, one.sop_instance_uid
            found.setdefault(one.series_instance_uid, []).append(reference)
        return found

    def fetch(self, study_instance_uid: str, sink: InstanceSink) -> TransferResult:
        """Fetch image after image by WADO-RS."""
        _check_uid(study_instance_uid)
        result = TransferResult()
        for instance in self._server.instances(study_instance_uid):
            if instance.sop_class_uid not in TAKEN_CLASSES:
                result.pass_over(NO_CT)
                continue
            try:
                result.studies.add(import_bytes(self._server.retrieve(instance), self._name, sink))
            except Unfit as error:
                result.pass_over(str(error))
            else:
                result.taken += 1
        return result


def open_source(settings: SourceSettings) -> Source:
    """A source from its settings.

    Raises
    ------
    SettingsError
        Something in them cannot be used.
    """
    match settings:
        case PacsSourceSettings():
            return PacsSource(settings)
        case DicomwebSourceSettings():
            return DicomwebSource(settings)


def _storage_contexts() -> list[PresentationContext]:
    """One context per class and syntax: images come as they are kept there."""
    return [build_context(uid, [syntax]) for uid in TAKEN_CLASSES for syntax in IMAGE_SYNTAXES]


def _wait_for_end(answers: Any, peer: Peer) -> None:
    """Wait for the final response to a C-GET or C-MOVE.

    Which images failed is not asked of it: archives count those too that are no CT.
    """
    status = None
    try:
        for answer, _ in answers:
            status = answer.get("Status")
    except (ValueError, RuntimeError) as error:
        raise PeerError(
            f"{peer} not offering retrieval",
            expected="an archive that gives studies by the configured method",
            action="Allow it there, or choose the other method.",
        ) from error
    if status is None or not (status == 0x0000 or status in _ENDED_WITH_FAILURES):
        raise PeerError(
            f"{peer} ending a retrieval with {shown(status)}",
            expected="success",
            action="Look into its log; it is tried again.",
        )


def _check_uid(text: str) -> None:
    if not is_uid(text):
        raise SettingsError(
            f"{text!r} as a Study Instance UID",
            expected="digits and dots, at most 64 characters",
            action="Give the study's UID.",
        )


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return -1
