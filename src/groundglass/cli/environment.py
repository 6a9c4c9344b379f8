"""What this program and the processes it begins ask of the libraries they load."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from types import MappingProxyType

#: numpy asks the kernel for pages of 2 MB, which it first has to put together. Where memory is full
#: of cached files, as on any machine that has just received a study, that takes up to as long as
#: reading the study: 300 slices in 0.5 s without such pages, in 0.5 to 0.9 s with them.
ASKED: Mapping[str, str] = MappingProxyType({"NUMPY_MADVISE_HUGEPAGE": "0"})


def ask() -> None:
    """Ask for it, unless the user has asked otherwise; of use before numpy is imported."""
    for name, value in ASKED.items():
        os.environ.setdefault(name, value)


def hush() -> None:
    """Keep what libraries would tell from the terminal: it helps no user, and may quote a header.

    Whatever matters of it is said in our own words where it happens.
    """
    logging.captureWarnings(capture=True)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)  # has a handler of its own
