"""Extras: parts of the program that a plain install leaves out."""

from __future__ import annotations

from importlib.util import find_spec

from groundglass.errors import SettingsError, install_extra


def need(package: str, extra: str) -> None:
    """Say in time, and in words, that a command needs more than a plain install.

    Parameters
    ----------
    package : str
        A package of that extra.
    extra : str
        The extra's name.

    Raises
    ------
    SettingsError
        It is not installed.
    """
    if find_spec(package) is None:
        raise SettingsError(
            f"no {package}",
            expected="it to be installed; a plain install leaves it out",
            action=install_extra(extra),
        )
