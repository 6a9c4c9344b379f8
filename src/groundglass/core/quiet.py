"""Libraries' warnings, kept from whoever called us."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

_LOCK = Lock()
_STACK = ExitStack()
_inside = 0


@contextmanager
def quietly() -> Iterator[None]:
    """Within, what libraries think of a header warns nobody: it may quote it.

    Filters of warnings belong to the process, not to a thread: of any number of threads that are
    within, the first sets them and the last puts them back.
    """
    global _inside  # noqa: PLW0603  (as the filters are the process')
    with _LOCK:
        if _inside == 0:
            _STACK.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", UserWarning)
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _STACK.close()
