"""What operators do to studies, with their name on it."""

from __future__ import annotations

from enum import StrEnum

from groundglass.errors import SettingsError
from groundglass.node.queue.actors import reader
from groundglass.node.queue.states import Job, Priority
from groundglass.web.context import PageContext
from groundglass.web.people.access import Deed
from groundglass.web.routes.visitor import Visitor


class Act(StrEnum):
    """What can be done to a study."""

    RETRY = "retry"
    """Analyse or deliver it again."""
    BUMP = "bump"
    """Let it go first."""
    PURGE = "purge"
    """Delete its files."""


def do_act(page: PageContext, visitor: Visitor, job: Job, act: Act) -> None:
    """Do it, and write down who did.

    Raises
    ------
    SettingsError
        It cannot be done to this study now.
    """
    actor = reader(visitor.user.name)
    if act is Act.RETRY:
        page.stores.jobs.operator.retry(job.id, actor)
        deed = Deed.RETRIED
    elif act is Act.BUMP:
        page.stores.jobs.operator.bump(job.id, Priority.EMERGENCY, actor)
        deed = Deed.BUMPED
    else:
        if not page.retention.purge(job.study_instance_uid, actor):
            raise SettingsError(
                "images of this study that come in just now",
                expected="a study that is whole",
                action="Try again when it is there.",
            )
        deed = Deed.PURGED
    page.people.access.enter(visitor.caller, deed, job.id)
