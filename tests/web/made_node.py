"""A node's data with studies on their way, made without a network or a network's weights."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from groundglass.core.result import Outcome
from groundglass.node.assembly import Stores
from groundglass.node.queue.states import Facts, Job, State
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.report import write_report
from made_result import made_result


def report_of(study: Path, folder: Path) -> Path:
    """A study's report, its findings made up."""
    volume = read_volume(select_chest_ct(read_study(study)))
    return write_report(made_result(volume), volume, folder)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a study says of itself."""

    study_instance_uid: str
    patient_name: str = "Doe^Jane"
    description: str = "CT thorax"
    files: int | None = 3
    """How many images are sent; None for all."""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class MadeNode:
    """Puts studies into a node's stores as the ways in and the workers would."""

    stores: Stores
    images: Path
    """A series as files."""
    report: Path
    """The report of that series."""

    def receive(self, sent: Sent) -> None:
        """Have a study come in."""
        for path in sorted(self.images.iterdir())[: sent.files]:
            image = dcmread(path)
            image.PatientName, image.StudyDescription = sent.patient_name, sent.description
            image.StudyInstanceUID = sent.study_instance_uid
            content = io.BytesIO()
            image.save_as(content, enforce_file_format=True)
            uids = sent.study_instance_uid, str(image.SOPInstanceUID)
            stored = self.stores.spool.store(*uids, content.getvalue())
            facts = Facts(str(image.SOPClassUID), "CT1", sent.description, sent.priority)
            self.stores.jobs.arrivals.enter(stored, facts)

    def complete(self, sent: Sent) -> None:
        """Have it come in, and be whole."""
        self.receive(sent)
        self.stores.jobs.arrivals.explicit_end(sent.study_instance_uid)

    def judge(self, sent: Sent) -> Job:
        """Have it come in, be analysed with a verdict, and delivered."""
        self.complete(sent)
        return self.analyse(sent.study_instance_uid, Outcome.VERDICT, "made", State.DELIVERED)

    def refuse(self, sent: Sent, reason: str) -> Job:
        """Have it come in and be refused."""
        self.complete(sent)
        uid = sent.study_instance_uid
        return self.analyse(uid, Outcome.NOT_CHEST_CT, reason, State.REFUSED)

    def analyse(self, uid: str, outcome: Outcome, reason: str, end: State) -> Job:
        """Have the study that waits be worked on to its end."""
        jobs, spool = self.stores.jobs, self.stores.spool
        job = jobs.leases.take("w1", 600)
        assert job is not None
        assert job.study_instance_uid == uid
        folder = spool.job_folder(uid, job.revision) / f"attempt-{job.attempt}" / "report"
        folder.parent.mkdir(parents=True)
        if outcome is Outcome.VERDICT:
            shutil.copytree(self.report, folder)
        else:
            folder.mkdir()
        place = folder.relative_to(spool.root).as_posix()
        job = jobs.leases.report(job, place, outcome.value, reason)
        return jobs.leases.finish(job, end, reason)
