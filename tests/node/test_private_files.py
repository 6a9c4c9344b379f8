"""What a node keeps is its own: folders 0700, whatever was there before."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from groundglass.errors import SettingsError
from groundglass.node.inbound.spool import Spool
from groundglass.node.private_files import own_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    own_folder(tmp_path / "srv" / "data")
    assert mode(tmp_path / "srv" / "data") == 0o700


@pytest.mark.parametrize("wide", [0o755, 0o770, 0o701, 0o2750])
def test_a_node_s_folder_found_wider_is_mended_and_that_is_said(
    tmp_path: Path, wide: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "groundglass.serve")
    data = tmp_path / "data"
    Spool(data)
    caplog.clear()
    data.chmod(wide)
    Spool(data)
    assert mode(data) & 0o777 == 0o700
    (said,) = caplog.records
    assert (said.levelname, said.fields) == (  # type: ignore[attr-defined]
        "WARNING",
        {"mode": f"{wide & 0o777:04o}"},
    )
    caplog.clear()
    Spool(data)
    assert not caplog.records


def test_an_empty_folder_that_somebody_made_for_it_is_mended(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    own_folder(tmp_path / "data")
    assert mode(tmp_path / "data") == 0o700


def test_a_folder_with_other_things_in_it_is_left_alone_and_refused(tmp_path: Path) -> None:
    """As `data = "/srv"` would be: to close it would shut others out of what is theirs."""
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv").chmod(0o755)
    (tmp_path / "srv" / "letters").touch()
    with pytest.raises(SettingsError, match="other things than a node's"):
        own_folder(tmp_path / "srv")
    assert mode(tmp_path / "srv") == 0o755


def test_another_user_s_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError

    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o775)
    monkeypatch.setattr(Path, "chmod", denied)
    with pytest.raises(SettingsError, match="another user"):
        own_folder(tmp_path / "data")
