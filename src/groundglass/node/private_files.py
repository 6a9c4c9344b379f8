"""Files that nobody but their owner may read: what a node holds is patients' images and results."""

from __future__ import annotations

import os
from pathlib import Path

from groundglass.errors import SettingsError
from groundglass.node.logs import KEY_FILE, node_log

_LOG = node_log("files")

_OTHERS = 0o077
_OURS = 0o700


def keep_private() -> None:
    """From now on nothing that this process or its children make may be read by anybody else.

    Whatever it was started with: files are made 0600 and folders 0700, those that libraries make
    (a database with its log) too.
    """
    os.umask(_OTHERS)


def own_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, with those above it where there are none.

    One that is there and that others may enter is mended, if it is a node's own or empty: nothing
    in it was meant for anybody else.

    Raises
    ------
    SettingsError
        Others may enter it, and it holds other things than a node's; or it is another user's.
    OSError
        It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_OURS, exist_ok=True)
    mode = path.stat().st_mode
    if not mode & _OTHERS:
        return
    if not (path / KEY_FILE).is_file() and next(path.iterdir(), None) is not None:
        raise SettingsError(
            f"a data folder {path} that others may enter, with other things than a node's in it",
            expected="a folder for a node alone",
            action=f"Give `data` a folder of its own; or, if it is one, `chmod 700 {path}`.",
        )
    try:
        path.chmod(mode & ~_OTHERS & 0o7777)
    except PermissionError as error:
        raise SettingsError(
            f"a data folder {path} of another user, that others may enter",
            expected="a folder of the user that the node runs as, mode 0700",
            action=f"`chown` it to that user, or have its owner `chmod 700 {path}`.",
        ) from error
    _LOG.warning("data folder closed to others", mode=f"{mode & 0o777:04o}")
