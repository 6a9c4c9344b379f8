"""Who does something to a job: a worker, a sender, a person, the node by itself."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

#: What the node does by its clock, and what becomes of files that have had their time.
NODE, RETENTION = "node", "retention"
#: The kernel's record of who logged in (proc(5)); it outlives sudo and su.
_LOGIN = Path("/proc/self/loginuid")
_NOBODY_LOGGED_IN = 2**32 - 1
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Act:
    """What is done to a job, for the audit trail."""

    actor: str
    """Who does it: "worker", "sender", "user" or "page user" and a name, `NODE` or `RETENTION`."""
    reason: str
    """Why."""


def worker(name: str) -> str:
    """A worker of this or another machine, as an actor."""
    return f"worker {name}"[:_LONGEST]


def sender(ae_title: str) -> str:
    """Who sends instances, as an actor."""
    return f"sender {ae_title}"[:_LONGEST]


def reader(name: str) -> str:
    """Who is logged in to the page, as an actor."""
    return f"page user {name}"[:_LONGEST]


def person() -> str:
    """The person at this process' keyboard, as an actor: "user alice as groundglass@node1".

    Who logged in, as the kernel keeps it; where it does not (a container, a scheduled task), who
    called sudo, else whose process it is. "as" names the account if it is another one. `SUDO_USER`
    is a variable that its user can set: it is believed only where the kernel knows nobody.
    """
    account = _name(os.getuid())
    login = _logged_in() or os.environ.get("SUDO_USER") or account
    by = login if login == account else f"{login} as {account}"
    return f"user {by}@{socket.gethostname()}"[:_LONGEST]


def _logged_in() -> str:
    try:
        uid = int(_LOGIN.read_text("ascii"))
    except (OSError, ValueError):
        return ""
    return "" if uid == _NOBODY_LOGGED_IN else _name(uid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container, an account without a name
        return str(uid)
