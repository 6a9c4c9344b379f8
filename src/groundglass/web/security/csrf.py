"""Tokens in forms, so that no other site's page can send them in a reader's name."""

from __future__ import annotations

import hashlib
import hmac


def form_token(secret: str) -> str:
    """What a form carries, made from a secret that only this browser's cookie holds.

    A page of another site can have the cookie sent, but can read neither it nor this.
    """
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def genuine(secret: str, token: str) -> bool:
    """Whether a form's token was made from the browser's secret."""
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), token.encode())
