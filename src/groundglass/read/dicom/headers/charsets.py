"""Texts of a header in the letters they were written in (PS3.5 section 6.1, PS3.3 C.12.1.1.2)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from pydicom.charset import STAND_ALONE_ENCODINGS, decode_bytes, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

_ESCAPE = b"\x1b"
#: How the defined terms are misspelt: blanks, hyphens and underscores exchanged or left out.
_SINGLE = re.compile(r"ISO[ _-]*IR[ _-]*(\d+)")
_EXTENDED = re.compile(r"ISO[ _-]*2022[ _-]*(IR)?[ _-]*(\d+|GBK)")


def encodings_of(declared: Sequence[str]) -> tuple[str, ...]:
    """Python's names of the character sets that Specific Character Set (0008,0005) lists.

    The first holds until an escape sequence (PS3.5 6.1.2.5); an empty one is the default
    repertoire. None of them where nothing beyond that is declared, or the first is no character set
    that is known.
    """
    terms = [_term(value) for value in declared]
    found = [_encoding(term) for term in terms]
    if not found or found[0] is None:
        return ()
    rest = [
        encoding
        for term, encoding in zip(terms[1:], found[1:], strict=True)
        if encoding is not None and term not in STAND_ALONE_ENCODINGS
    ]
    return () if len(found) == 1 and terms[0] in _DEFAULT else (found[0], *rest)


_DEFAULT = ("", "ISO_IR 6", "ISO 2022 IR 6")


def decode(raw: bytes, encodings: Sequence[str]) -> str:
    """Bytes of a text, whose value is not split yet: a backslash may be half a letter.

    Without character sets (`encodings_of`), and where the declared ones do not fit, as UTF-8, else
    as Latin-1: a wrong character set costs accents, never the file.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii")
    if encodings and _ESCAPE in raw:
        return decode_bytes(raw, encodings, TEXT_VR_DELIMS)
    for encoding in (*encodings[:1], "utf-8"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _term(value: str) -> str:
    """A defined term as the standard spells it, where it can be recognised."""
    plain = value.strip(" \0").upper()
    if found := _SINGLE.fullmatch(plain):
        return f"ISO_IR {found[1]}"
    if found := _EXTENDED.fullmatch(plain):
        return f"ISO 2022 {'IR ' if found[1] else ''}{found[2]}"
    return "ISO_IR 192" if plain in ("UTF-8", "UTF8") else plain


def _encoding(term: str) -> str | None:
    if term in python_encoding:
        return python_encoding[term]
    try:
        "".encode(term)
        return codecs.lookup(term).name
    except (LookupError, ValueError):
        return None
