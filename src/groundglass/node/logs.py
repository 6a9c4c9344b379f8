"""Structured logs without patient identifiers: one JSON object a line, a study by its pseudonym."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal

from groundglass.core.atomic_files import sync
from groundglass.errors import SettingsError
from groundglass.settings.toml import settings

#: Root of the node's loggers.
LOGGER = "groundglass.serve"
#: Keywords of logging itself; all others are fields.
_OWN = ("exc_info", "stack_info", "stacklevel")
#: In the data folder: by it a folder is known to be a node's.
KEY_FILE = "site.key"
_KEY_BYTES = 32
#: Hexadecimal digits of a pseudonym: 64 bits, no clash among the studies of a hospital.
_DIGITS = 16


def node_log(part: str) -> NodeLog:
    """The log of a part of the node."""
    return NodeLog(logging.getLogger(f"{LOGGER}.{part}"))


class NodeLog(logging.LoggerAdapter[logging.Logger]):
    """A log of events with fields: `log.info("study fetched", instances=300)`."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Fields into what `JsonLines` writes."""
        own = {name: kwargs.pop(name) for name in _OWN if name in kwargs}
        return msg, {**own, "extra": {"fields": dict(kwargs)}}


class SparingLog:
    """Says a thing once in a while, with how often it happened since it was said last.

    For what others can cause as often as they like: they must not fill the log. Safe to use from
    several threads.
    """

    def __init__(
        self, log: NodeLog, every_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._now = now
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], float] = {}
        self._unsaid: Counter[tuple[str, str]] = Counter()

    def warning(self, event: str, *, reason: str, **fields: object) -> None:
        """Say it, unless the same event for the same reason was said just now."""
        what, now = (event, reason), self._now()
        with self._lock:
            if now - self._said.get(what, -inf) < self._every_s:
                self._unsaid[what] += 1
                return
            self._said[what] = now
            unsaid = self._unsaid.pop(what, 0)
        since = {"unsaid": unsaid} if unsaid else {}
        self._log.warning(event, reason=reason, **fields, **since)  # type: ignore[arg-type]


class Pseudonyms:
    """Names for studies and instances that say nothing of the patient.

    A keyed hash (HMAC-SHA-256, RFC 2104): the same UID has the same name on every machine of the
    site, and without the key nobody can try UIDs against a name.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def at(cls, folder: Path) -> Pseudonyms:
        """With the key in `folder`, made when there is none; only its owner may read it.

        Raises
        ------
        SettingsError
            The key is too short to be one.
        """
        path = folder / KEY_FILE
        with suppress(FileNotFoundError):
            return cls(_read_key(path))
        with NamedTemporaryFile(dir=folder, prefix=f".{KEY_FILE}.") as file:  # mode 0600
            file.write(secrets.token_hex(_KEY_BYTES).encode())
            sync(file)
            with suppress(FileExistsError):  # another process was faster: its key counts
                os.link(file.name, path)
        return cls(_read_key(path))

    def of(self, uid: str) -> str:
        """The name of what has this UID: 16 hexadecimal digits."""
        return hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()[:_DIGITS]


@settings
class LogSettings:
    """What is logged, as JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least of what is logged. info: every study's way, some ten lines each."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the fields.

    The text of an exception is left out, since it may quote a header; its type and place are there.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                entry["where"] = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
        return json.dumps(entry, ensure_ascii=False, default=str)


def _read_key(path: Path) -> bytes:
    key = path.read_text("ascii").strip()
    if len(key) < 2 * _KEY_BYTES:
        raise SettingsError(
            f"a key of {len(key)} characters in {path}",
            expected=f"at least {2 * _KEY_BYTES} hexadecimal digits",
            action="Restore the key from a backup; with another one, studies change their names.",
        )
    return key.encode("ascii")
