"""Studies that we fetch: a named one, or new ones on a schedule (C-FIND with C-GET or C-MOVE)."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, NonNegativeInt, PositiveFloat
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context, build_role

from groundglass.core.atomic_files import write_whole
from groundglass.errors import GroundglassError, SettingsError
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
from groundglass.node.logs import LOGGER
from groundglass.node.uids import is_uid, ourselves
from groundglass.settings.toml import Maybe, settings

_LOG = logging.getLogger(f"{LOGGER}.retrieve")
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
    host: str
    """Where it listens."""
    port: int
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


class Fetched:
    """Which studies were fetched, and how large they were; outlives the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def size_of(self, study_instance_uid: str) -> int | None:
        """How many instances it had when it was fetched; None when it was not."""
        try:
            return int(json.loads(self._place(study_instance_uid).read_text("ascii")))
        except FileNotFoundError:
            return None

    def enter(self, study: RemoteStudy) -> None:
        """Remember that it was fetched."""
        place = self._place(study.study_instance_uid)
        write_whole(place, json.dumps(study.instances))

    def _place(self, study_instance_uid: str) -> Path:
        return self._folder / hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]


class Retriever:
    """Looks for new studies again and again, in a thread of its own, and fetches them."""

    def __init__(
        self,
        source: Source,
        schedule: Schedule,
        sink: InstanceSink,
        fetched: Fetched,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._source = source
        self._schedule = schedule
        self._sink = sink
        self._fetched = fetched
        self._today = today
        self._sizes: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retrieval", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the study in hand."""
        self._stop.set()
        self._thread.join()

    def look_once(self) -> list[str]:
        """Fetch every study that is new and has not grown since the last look.

        Returns
        -------
        list of str
            Study Instance UIDs of those fetched.

        Raises
        ------
        PeerError
            The archive cannot be asked.
        SpoolFull
            There is no room.
        """
        last = self._today()
        first = last - timedelta(days=self._schedule.days)
        sizes: dict[str, int] = {}
        done = []
        for study in self._source.studies(first, last + timedelta(days=1)):
            uid = study.study_instance_uid
            if not self._wanted(study):
                continue
            sizes[uid] = study.instances
            if self._sizes.get(uid) == study.instances and not self._stop.is_set():
                self._fetch(study)
                done.append(uid)
        self._sizes = sizes
        return done

    def _wanted(self, study: RemoteStudy) -> bool:
        pattern = self._schedule.description.casefold()
        return (
            is_uid(study.study_instance_uid)
            and fnmatch.fnmatchcase(study.description.casefold(), pattern)
            and self._fetched.size_of(study.study_instance_uid) != study.instances
        )

    def _fetch(self, study: RemoteStudy) -> None:
        try:
            result = self._source.fetch(study.study_instance_uid, self._sink)
        except PeerError as error:  # it is tried again at the next look
            _LOG.warning("study not fetched", extra={"fields": {"reason": error.found}})
            return
        self._fetched.enter(study)
        for uid in result.studies:
            self._sink.ended(uid)
        fields = {"instances": result.taken, "passed_over": sum(result.passed_over.values())}
        _LOG.info("study fetched", extra={"fields": fields})

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look_once()
            except (GroundglassError, OSError) as error:
                fields = {"reason": getattr(error, "found", type(error).__name__)}
                _LOG.warning("archive not asked", extra={"fields": fields})
            self._stop.wait(self._schedule.every_s)


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
