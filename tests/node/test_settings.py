"""Settings: what a file says, what it leaves out, and what it gets wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from groundglass.errors import SettingsError
from groundglass.node.settings import EXPLAINED, NodeSettings, example_settings, load_settings
from groundglass.settings.toml import read_settings

Load = Callable[[str], NodeSettings]
PACS = "[[destinations]]\nkind = 'pacs'\nname = 'a'\nae_title = 'A'\nhost = 'h'\n"
PEER = "[[listener.peers]]\nae_title = 'CT1'\naddresses = ['10.0.0.1']\n"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def from_text(text: str) -> NodeSettings:
        path = tmp_path / "groundglass.toml"
        path.write_text(text, "utf-8")
        return load_settings(path)

    return from_text


def test_an_empty_file_is_the_defaults(load: Load) -> None:
    assert load("") == NodeSettings()


def test_values_of_every_kind(load: Load, tmp_path: Path) -> None:
    settings = load(
        """
        data = "data"
        [jobs]
        quiet_s = 12
        [analysis]
        precision = "f32"
        [listener]
        ae_title = "NODE"
        [[listener.peers]]
        ae_title = "CT1"
        addresses = ["10.0.0.0/24"]
        [listener.tls]
        certificate = "/etc/node.pem"
        [[rules]]
        name = "emergency"
        source_ae = ["ER1", "ER2"]
        priority = "emergency"
        [rules.tags]
        StationName = ["ER*", "CT1"]
        PatientAge = ">= 18"
        """
    )
    assert settings.data == tmp_path / "data"
    assert settings.jobs.quiet_s == 12.0
    assert isinstance(settings.jobs.quiet_s, float)
    assert settings.analysis.precision == "f32"
    assert settings.listener.peers[0].addresses == ("10.0.0.0/24",)
    assert settings.listener.tls is not None
    assert settings.rules[0].tags == {"StationName": ("ER*", "CT1"), "PatientAge": (">= 18",)}
    assert settings.listener.tls.certificate == Path("/etc/node.pem")
    assert settings.rules[0].source_ae == ("ER1", "ER2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dta = 'x'", "unknown key 'dta' in the beginning of the file; expected 'data'?"),
        ("[jobs]\nquite_s = 3", "unknown key 'quite_s' in [jobs]; expected 'quiet_s'?"),
        ("[[rules]]\nname = 'a'\nprio = 'x'", "'prio' in [rules.1]"),
        ("[jobs]\nquiet_s = '3'", "jobs.quiet_s = '3'; expected a number"),
        ("[jobs]\nanalysis_tries = 2.5", "jobs.analysis_tries = 2.5; expected a whole number"),
        ("[jobs]\nanalysis_tries = true", "jobs.analysis_tries = True; expected a whole number"),
        ("[analysis]\nprecision = 'f64'", 'expected one of "auto", "f32", "bf16"'),
        ("jobs = 3", "jobs = 3; expected a table"),
        ("[[rules]]\npriority = 'urgent'", "no rules.1.name in the settings"),
        ("[rules]\nname = 'a'", "expected a list"),
        ("[worker]\nlease_s = 0.0", "worker.lease_s = 0.0; expected above 0"),
        ("[listener]\nae_title = 'much too long an AE title'", "1 to 16"),
        ("data = ", "a TOML file"),
        ("[jobs]\nquiet_s = -5", "jobs.quiet_s = -5; expected 0 or more"),
        ("[jobs]\nquiet_s = nan", "jobs.quiet_s = nan; expected a finite number"),
        ("[retention]\ndays = inf", "retention.days = inf; expected a finite number"),
        ("[jobs]\ndelivery_tries = 0", "jobs.delivery_tries = 0; expected above 0"),
        ("[listener]\nport = 99999", "listener.port = 99999; expected below 65536"),
        ("[listener]\nport = 9190", "port 9190 for the listener and for http"),
        (f"{PACS}port = 99999", "destinations.1.port = 99999; expected below 65536"),
        (f"{PACS}port = 104\ncommitment_wait_s = -5.0", "commitment_wait_s = -5.0; expected 0"),
        (f"{PACS}port = 104\n" * 2, "two destinations called 'a'; expected a name for each"),
        (f"{PACS}port = 1\n".replace("destinations", "sources") * 2, "two sources called 'a'"),
        ("[[rules]]\nname = 'x'\n[rules.tags]\nModality = 3", "Modality.1 = 3; expected a text"),
        ("[[rules]]\nname = 'x'\n[rules.tags]\nModalty = 'CT'", "expected Modality?"),
        ("[[rules]]\nname = 'x'\ntags = 3", "rules.1.tags = 3; expected a table"),
        (f"{PEER}{PEER}", "two of them called 'CT1'; expected one for each AE title"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(load: Load, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        load(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(tmp_path / "none.toml")


def test_the_example_is_the_defaults_and_its_comments_are_too(tmp_path: Path) -> None:
    """As it is, and with every setting that has a default taken out of its comment."""
    example = example_settings()
    table = tomllib.loads(example)
    assert read_settings(NodeSettings, table, tmp_path, EXPLAINED) == NodeSettings()
    lines = example.splitlines()
    tables = [line.startswith(("# [", "[")) for line in lines]
    # Tables that are not there by default need values of their own: leave them out.
    first_absent = [line.startswith("# [") for line in lines].index(True)
    present = [n for n, _ in enumerate(lines) if n < first_absent or lines[n].startswith("[")]
    uncommented = [re.sub(r"^# (\w+ = )", r"\1", lines[n]) for n in present]
    table = tomllib.loads("\n".join(uncommented))
    assert sum(tables) > 5
    assert table["jobs"]["quiet_s"] == NodeSettings().jobs.quiet_s
    assert read_settings(NodeSettings, table, Path("/"), EXPLAINED) == NodeSettings()


@pytest.mark.parametrize("page", ["deploy/groundglass.toml", "docs/reference/node-settings.md"])
def test_the_files_that_show_the_settings_are_the_code(page: str) -> None:
    assert example_settings() in (ROOT / page).read_text("utf-8"), (
        f"the settings changed: `groundglass serve --example` is to replace what {page} shows"
    )


def test_the_database_is_in_the_data_folder_unless_told(tmp_path: Path) -> None:
    assert NodeSettings(data=tmp_path).database_url == f"sqlite:///{tmp_path}/jobs.sqlite"
    assert NodeSettings(database="postgresql://x").database_url == "postgresql://x"
