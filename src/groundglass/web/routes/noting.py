"""What readers do to studies goes on record: in the page's own, and in the chained audit trail."""

from __future__ import annotations

from groundglass.node.queue.actors import Act, reader
from groundglass.node.queue.states import ENDED, Job
from groundglass.web.context import PageContext
from groundglass.web.people.access import Deed
from groundglass.web.routes.visitor import Visitor


def note(page: PageContext, visitor: Visitor, what: Deed, job: Job, detail: str = "") -> None:
    """Write down what somebody did to a study.

    The trail of a study that is still worked on is left to the work: durations are read off it.
    """
    page.people.access.enter(visitor.caller, what, job.id, detail)
    if job.state in ENDED:
        reason = f"{what}: {detail}" if detail else f"{what}"
        actor = reader(visitor.user.name)
        page.stores.jobs.operator.note(job.study_instance_uid, Act(actor, reason))
