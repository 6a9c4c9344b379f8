"""New names for old ones, by a site's secret key.

Keyed hashes: whoever has the key gets the same names again, on any machine and on any day; whoever
has not can neither compute nor check them, though old UIDs and patient numbers are easily guessed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from groundglass.errors import SettingsError

_LEAST_BYTES = 16
#: Dates move into the past, by at least a month and at most ten years.
_SHIFT_DAYS = (30, 3650)


@dataclass(frozen=True, slots=True)
class SiteKey:
    """A secret that decides every new name: 16 random bytes or more, shown nowhere."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < _LEAST_BYTES:
            raise SettingsError(
                f"a key of {len(self.secret)} bytes",
                expected=f"at least {_LEAST_BYTES} random bytes",
                action="Make one: head -c 32 /dev/urandom > site.key; keep it secret and safe.",
            )

    @classmethod
    def read(cls, path: Path) -> SiteKey:
        """The key in a file: all its bytes, as they are.

        Raises
        ------
        SettingsError
            The file cannot be read or holds too little.
        """
        try:
            secret = path.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"no key file that can be read ({error.strerror or error})",
                expected=f"a file of at least {_LEAST_BYTES} random bytes",
                action="Make one: head -c 32 /dev/urandom > site.key; keep it secret and safe.",
            ) from error
        return cls(secret)

    def uid(self, old: str) -> str:
        """The new UID for an old one, of form 2.25 (PS3.5 B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', old)[:16], version=5).int}"

    def patient(self, old: str) -> str:
        """A pseudonym for a patient: letters and digits, 17 of them."""
        return f"P{base64.b32encode(self._digest('patient', old)[:10]).decode('ascii')}"

    def earlier(self, day: date, patient: str) -> date | None:
        """A date moved into the past by as many days as all dates of the patient.

        None where that would be before the calendar begins.
        """
        first, last = _SHIFT_DAYS
        number = int.from_bytes(self._digest("dates", patient)[:8], "big")
        try:
            return day - timedelta(days=first + number % (last - first + 1))
        except OverflowError:
            return None

    def _digest(self, purpose: str, old: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\0{old}".encode(), hashlib.sha256).digest()
