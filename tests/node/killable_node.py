"""A whole node for a process of its own, to be killed: all but the networks is real."""

from __future__ import annotations

import threading
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from groundglass.core.result import Outcome, StudyEnd
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.health import HttpSettings
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.node import Node
from groundglass.node.outbound.destinations import make_destination
from groundglass.node.outbound.pacs import PacsSettings
from groundglass.node.queue.states import JobSettings
from groundglass.node.settings import NodeSettings
from groundglass.node.worker.analyser import Work
from groundglass.node.worker.loop import WorkerSettings


class CountingAnalyser:
    """Writes one object that says how many images the study had."""

    def analyse(self, work: Work) -> StudyEnd:
        images = sorted(work.study.iterdir())
        first = dcmread(images[0], stop_before_pixels=True)
        study = str(first.StudyInstanceUID)
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID = SecondaryCaptureImageStorage
        data.Modality = "OT"
        data.PatientID = first.PatientID
        data.StudyInstanceUID = study
        data.SeriesInstanceUID = f"{study}.9"
        data.SOPInstanceUID = f"{study}.9.{work.analysis.revision}"
        data.InstanceNumber = len(images)
        data.save_as(work.out / "capture.dcm", enforce_file_format=True)
        (work.out / "result.json").write_text("{}")
        return StudyEnd(Outcome.VERDICT, "")

    def stop(self) -> None:
        """It never takes long."""

    def check(self) -> str:
        return CTImageStorage.name

    def close(self) -> None:
        """It holds nothing."""


def serve(data: Path, port: int, archive_port: int, quiet_s: float) -> None:
    """Run until killed."""
    data.mkdir(mode=0o700, exist_ok=True)
    pacs = PacsSettings("archive", "ARCHIVE", "127.0.0.1", archive_port)
    settings = NodeSettings(
        data=data,
        spool=SpoolSettings(free_floor_mb=0),
        jobs=JobSettings(
            quiet_s=quiet_s, analysis_tries=1000, delivery_tries=1000, first_delay_s=0.1,
            longest_delay_s=0.5,
        ),
        worker=WorkerSettings(lease_s=2.0, poll_s=0.1),
        http=HttpSettings(port=0),
        listener=ListenerSettings(port=port),
        destinations=(pacs,),
    )  # fmt: skip
    destination = make_destination(pacs, CommitmentInbox(data / "commitments"))
    node = Node(settings, {pacs.name: destination}, lambda _: CountingAnalyser())
    node.run(threading.Event())
