"""Who a patient is, without saying it: what a bundle keeps of those it was trained on."""

from __future__ import annotations

import hashlib
import hmac

from groundglass.errors import SettingsError


def patient_hash(patient: str, salt: str) -> str:
    """A keyed hash of a patient's name in a table: HMAC-SHA-256 (RFC 2104), in hexadecimal.

    Equal patients give equal hashes under one salt, so that a cohort can be compared with the
    hashes a bundle holds. It is no anonymisation: who knows the salt can try names.

    Parameters
    ----------
    patient : str
        As in the column `patient`; blanks around it do not count.
    salt : str
        Kept beside the hashes, of one bundle or one project.

    Raises
    ------
    SettingsError
        An empty salt.
    """
    if not salt:
        raise SettingsError(
            "an empty salt",
            expected="some random text, kept beside the hashes",
            action="Draw one with `secrets.token_hex(16)`.",
        )
    return hmac.new(salt.encode(), patient.strip().encode(), hashlib.sha256).hexdigest()
