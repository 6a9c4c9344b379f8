"""What is done with each block of the documentation: the one table of it.

A block that is not in it fails a test, as does one that is gone. Everything a page says is there
(`STUDY`, `incoming/`, a bundle of one's own) is put there under that very name, so that what is run
is what is printed; where that would take hours, `smaller` names the words that are exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class How(Enum):
    """What is done with a block."""

    RUN = auto()  # run: in a shell, or as Python
    SLOW = auto()  # the same, with `make test-slow` only
    OUTPUT = auto()  # what the block before it prints
    EXPERIMENT = auto()  # written to its file and read as `train` reads it
    NODE = auto()  # likewise, as `serve` reads it
    COHORT = auto()  # likewise, as a table of patients
    JSON = auto()  # read as JSON
    SYNOPSIS = auto()  # a command with words for values: held against the parser
    CHECKED = auto()  # commands held against their parsers, not run; says why
    SHOWN = auto()  # no command: a picture, a file of another program; says what


@dataclass(frozen=True, slots=True)
class Said:
    """One block of a page.

    Parameters
    ----------
    first : str
        Its first line.
    how : How
        What is done with it.
    why : str
        Why it is not run, or what it is.
    file : str
        The name that the page gives to a file's content.
    before : str
        Put before a file's content that is only a part of a file.
    """

    first: str
    how: How
    why: str = ""
    file: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Parameters
    ----------
    blocks : tuple of Said
        From top to bottom.
    there : tuple of str
        What must be there for a reader: names of files and folders (`scene.MAKERS`).
    smaller : mapping of str to str
        Words exchanged before running, so that it takes minutes and not hours.
    variables : mapping of str to str
        Shell variables that the page leaves to the reader.
    """

    blocks: tuple[Said, ...]
    there: tuple[str, ...] = ()
    smaller: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


_INSTALLS = "installs from a package index; .ci/run does it"
_HOURS = "measures for an hour; tests/benchmarks run its parts"
_BESIDE = "; tests/node/test_beside_orthanc.py runs it"
#: Made patients in the place of the paper's numbers.
FEW = "--train 2 2 2 --validation 1 1 1 --test 2 2 2 --matrix 128 --first-seed 300000"

PAGES: Mapping[str, Page] = {
    "CONTRIBUTING.md": Page(
        (
            Said(
                "make demo      # install into .venv, see the program work", How.CHECKED, _INSTALLS
            ),
            Said(
                "cli > web > train | node > evaluate.report | evaluate.calibrate > "
                "evaluate.run > analyse.batch",
                How.SHOWN,
                "the layers, which `make check` holds",
            ),
        )
    ),
    "README.md": Page(
        (
            Said("make demo", How.CHECKED, _INSTALLS),
            Said("groundglass run STUDY --out DIR", How.RUN),
            Said("import groundglass as gg", How.RUN),
        ),
        there=("STUDY", "incoming"),
    ),
    "docs/explanation/heat-maps.md": Page(
        (
            Said("python -m benchmarks.real_lesions --data ../shared/data", How.CHECKED, _HOURS),
            Said("python -m benchmarks.explanations --studies STUDY …", How.CHECKED, _HOURS),
        )
    ),
    "docs/explanation/made-lesions.md": Page(
        (Said("python -m benchmarks.real_or_made --data ../shared/data", How.CHECKED, _HOURS),)
    ),
    "docs/explanation/nothing-lost.md": Page(
        (
            Said(
                "received → ready → analysing → reported → delivering → delivered",
                How.SHOWN,
                "states of a job",
            ),
        )
    ),
    "docs/explanation/opacity-burden.md": Page(
        (Said("python -m benchmarks.explanations", How.CHECKED, _HOURS),)
    ),
    "docs/explanation/paper-and-best.md": Page(
        (Said("groundglass cohort phantom --out phantoms", How.SLOW),),
        there=("experiments",),
        smaller={
            "--out phantoms": f"--out phantoms {FEW}",
            # The header of best.toml, which is run with the other experiments' headers.
            "make weights-paper": "true",
        },
    ),
    "docs/explanation/real-slices.md": Page(
        (
            Said(
                "python -m benchmarks.slice_verdict slices --run runs/slices --cache runs/cache",
                How.CHECKED,
                _HOURS,
            ),
            Said(
                "python -m benchmarks.real_slices train synthetic --data ../shared/data --work "
                "runs",
                How.CHECKED,
                _HOURS,
            ),
        )
    ),
    "docs/explanation/way-of-the-data.md": Page(
        (Said("DICOM · NIfTI · MetaImage · images", How.SHOWN, "the layers"),)
    ),
    "docs/getting-started/first-report.md": Page(
        (
            Said("make demo", How.CHECKED, _INSTALLS),
            Said("python3 -m venv .venv", How.CHECKED, _INSTALLS),
            Said("groundglass run path/to/study --out report", How.RUN),
            Said("import groundglass as gg", How.RUN),
        ),
        there=("path/to/study",),
    ),
    "docs/how-to/analyse-a-study.md": Page(
        (
            Said("groundglass run INPUT --out DIR", How.RUN),
            Said("groundglass run slices/ --out report \\", How.RUN),
        ),
        there=("INPUT", "slices"),
    ),
    "docs/how-to/back-up-and-upgrade.md": Page(
        (
            Said("groundglass send STUDY --to GROUNDGLASS@127.0.0.1:11112", How.RUN),
            Said("groundglass phantom later --label CP --seed 7", How.RUN),
            Said("systemctl stop groundglass", How.RUN),
            Said("groundglass jobs upgrade --config groundglass.toml", How.RUN),
            Said("systemctl start groundglass", How.RUN),
            Said("systemctl stop groundglass", How.RUN),
        ),
        there=("STUDY", "node"),
        smaller={
            "--label CP --seed 7": "--label CP --seed 7 --matrix 128 --slices 40 --spacing 6",
            # No service manager: the node is a process of the trial.
            "systemctl stop groundglass": "kill $(cat node.pid)\nrm node.pid\n"
            "timeout 120 sh -c 'until grep -q \"node stopped\" node.log; do sleep 0.1; done'",
            "systemctl start groundglass": "groundglass serve --config groundglass.toml",
        },
    ),
    "docs/how-to/calibrate.md": Page(
        (
            Said(
                "groundglass calibrate cohort.csv --out ours --split all",
                How.CHECKED,
                "wants nine patients of either kind; tests/cli/commands/test_calibrate.py runs it",
            ),
            Said(
                "groundglass run STUDY --out report --bundle ./ours",
                How.CHECKED,
                "with the bundle that the block before makes",
            ),
        ),
    ),
    "docs/how-to/connect-a-pacs.md": Page(
        (
            Said(
                "sudo cp deploy/orthanc/forward.json deploy/orthanc/forward.lua /etc/orthanc/",
                How.SHOWN,
                f"commands for Orthanc{_BESIDE}",
            ),
            Said("{", How.JSON),
            Said(
                "-- Orthanc sends a CT series on to the node when nothing came for it for "
                "StableAge",
                How.SHOWN,
                f"Lua for Orthanc{_BESIDE}",
            ),
            Said('data = "/var/lib/groundglass"', How.NODE, file="beside-orthanc.toml"),
            Said(
                "groundglass serve --config groundglass.toml --check",
                How.CHECKED,
                f"needs the Orthanc{_BESIDE}",
            ),
            Said(
                "groundglass phantom phantom --label CP",
                How.CHECKED,
                f"needs the Orthanc{_BESIDE}",
            ),
            Said("[[sources]]", How.NODE, file="sources.toml", before='data = "node"\n'),
            Said("[[watch]]", How.NODE, file="watch.toml", before='data = "node"\n'),
            Said("[[destinations]]", How.NODE, file="messages.toml", before='data = "node"\n'),
        )
    ),
    "docs/how-to/deidentify.md": Page(
        (
            Said("head -c 32 /dev/urandom > site.key", How.RUN),
            Said("groundglass deidentify incoming/ --out export --key-file site.key", How.RUN),
            Said("from pathlib import Path", How.RUN),
        ),
        there=("incoming",),
    ),
    "docs/how-to/evaluate.md": Page(
        (
            Said(
                "groundglass cohort phantom --out made --train 0 0 0 --validation 0 0 0 --test 8 9 "
                "7 --first-seed 200000",
                How.RUN,
            ),
            Said(
                "groundglass evaluate cohort.csv --out evaluation --bundle ./new --compare "
                "demonstration",
                How.SLOW,
            ),
            Said("groundglass evaluate cohort.csv --out evaluation --probe", How.SLOW),
        ),
        there=("cohort.csv", "new"),
        smaller={"--test 8 9 7": "--test 2 2 2 --matrix 128"},
    ),
    "docs/how-to/look-inside.md": Page(
        (Said("groundglass prepare STUDY --out seen", How.RUN),), there=("STUDY",)
    ),
    "docs/how-to/make-a-cohort.md": Page(
        (
            Said("groundglass cohort phantom --out made", How.RUN),
            Said("chest-cts/", How.SHOWN, "a tree of folders"),
            Said(
                'groundglass cohort import folders chest-cts/ --source "St Mary" --out cohort.csv',
                How.RUN,
            ),
            Said("patient,study,label,split,source", How.COHORT, file="written.csv"),
            Said(
                "groundglass cohort import covid-ct-md downloads/COVID-CT-MD --out md.csv", How.RUN
            ),
            Said(
                "groundglass cohort split cohort.csv --out split.csv --validation 0.1 --test 0.2 "
                "--seed 7",
                How.RUN,
            ),
            Said("groundglass cohort check split.csv --labels CP,NCP,healthy", How.RUN),
            Said("groundglass cohort check split.csv --usable usable.csv", How.RUN),
            Said(
                "from groundglass.cohort import CheckSettings, check_cohort, open_study, "
                "read_cohort",
                How.RUN,
            ),
        ),
        there=("chest-cts", "downloads"),
        smaller={"--out made": "--out made --train 2 2 2 --validation 1 1 1 --test 1 1 1"},
    ),
    "docs/how-to/make-phantoms.md": Page(
        (
            Said("groundglass phantom study --label NCP --severity 0.7 --seed 12", How.RUN),
            Said(
                "from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series",
                How.RUN,
            ),
        )
    ),
    "docs/how-to/manage-models.md": Page(
        (
            Said("groundglass models                         # what there is", How.RUN),
            Said("groundglass models add ./my-bundle", How.RUN),
        ),
        there=("my-bundle", "STUDY"),
    ),
    "docs/how-to/many-studies.md": Page(
        (
            Said("groundglass batch archive/ --out reports", How.SYNOPSIS),
            Said(
                "groundglass phantom archive/a --label CP --severity 0.8 --seed 1 --slices 50 "
                "--spacing 6",
                How.RUN,
            ),
            Said("Studies: 3", How.OUTPUT),
            Said("from pathlib import Path", How.RUN),
        )
    ),
    "docs/how-to/open-the-page.md": Page(
        (
            Said("pip install '.[web]'                       # in a checkout", How.RUN),
            Said(
                'data = "node"                 # a folder beside this file',
                How.NODE,
                file="groundglass.toml",
            ),
            Said(
                "groundglass users add jane --role reader --config groundglass.toml < password.txt",
                How.RUN,
            ),
            Said("[web]", How.NODE, file="beyond.toml"),
            Said("groundglass users token jane --config groundglass.toml", How.RUN),
        ),
        there=("password.txt",),
    ),
    "docs/how-to/run-a-node.md": Page(
        (
            Said("python3 -m venv .venv", How.CHECKED, _INSTALLS),
            Said(
                'data = "node"                 # a folder beside this file',
                How.NODE,
                file="groundglass.toml",
            ),
            Said("mkdir results", How.RUN),
            Said("groundglass phantom phantom --label CP", How.RUN),
            Said(
                "[[rules]]",
                How.NODE,
                file="rules.toml",
                before='data = "node"\n[[destinations]]\nkind = "folder"\nname = "research"\n'
                'path = "results"\n[[destinations]]\nkind = "folder"\nname = "children"\n'
                'path = "children"\n',
            ),
        )
    ),
    "docs/how-to/run-unattended.md": Page(
        (Said('groundglass run "$IN" --out "$OUT" --json > result.json 2> messages.txt', How.RUN),),
        there=("STUDY",),
        variables={"IN": "STUDY", "OUT": "report"},
    ),
    "docs/how-to/send-a-study.md": Page(
        (
            Said("groundglass send DIR --to AE@HOST:PORT", How.SYNOPSIS),
            Said("$ groundglass phantom study --label CP", How.RUN),
            Said(
                "groundglass send study --to PACS@pacs.example:2762 --tls --ca hospital.pem --cert "
                "us.pem",
                How.CHECKED,
                "needs a hospital's PACS; tests/cli/commands/test_send.py sends over TLS",
            ),
        ),
        there=("node",),
    ),
    "docs/how-to/train.md": Page(
        (
            Said("pip install '.[train]'", How.CHECKED, _INSTALLS),
            Said("groundglass cohort phantom --out phantoms", How.SLOW),
            Said("# mine.toml", How.EXPERIMENT, file="mine.toml"),
            Said(
                "groundglass train all --experiment mine.toml --cohort phantoms/cohort.csv --out "
                "runs/mine",
                How.SLOW,
            ),
            Said(
                "groundglass train all --experiment mine.toml --cohort phantoms/cohort.csv --out "
                "runs/mine --resume",
                How.SLOW,
            ),
            Said("groundglass models show runs/mine/bundle/", How.SLOW),
        ),
        there=("STUDY",),
        smaller={
            "--out phantoms": f"--out phantoms {FEW}",
            "epochs = 20": "epochs = 1",
            "[encoder]": "[sequence]\nepochs = 1\nvariants = 1\n\n[encoder]",
        },
    ),
    "docs/how-to/use-another-bundle.md": Page(
        (
            Said("groundglass models verify ./my-bundle", How.RUN),
            Said("import groundglass as gg", How.RUN),
        ),
        there=("my-bundle", "STUDY"),
    ),
    "docs/how-to/use-from-python.md": Page(
        (Said("import groundglass as gg", How.RUN), Said("try:", How.RUN)), there=("incoming",)
    ),
    "docs/reference/benchmarks.md": Page(
        (
            Said(
                "python -m benchmarks [--only SECTION,…] [--out FOLDER] [--bundle NAME] "
                "[--peers PYTHON]",
                How.CHECKED,
                _HOURS,
            ),
            Said("python3 -m venv .venv-peers", How.CHECKED, _INSTALLS),
            Said(
                "machine     cpu, cores, threads a core, instruction sets, memory, system, "
                "groundglass, precision, versions",
                How.SHOWN,
                "a file's shape",
            ),
        )
    ),
    "docs/reference/cli.md": Page(
        (
            Said("groundglass [OPTIONS] COMMAND [ARGS]", How.SYNOPSIS),
            Said("groundglass run INPUT --out DIR", How.SYNOPSIS),
            Said("groundglass batch INPUT... --out DIR", How.SYNOPSIS),
            Said("groundglass demo", How.RUN),
            Said("groundglass phantom OUT --label CP --severity 0.8 --seed 7", How.RUN),
            Said("groundglass prepare INPUT --out DIR", How.SYNOPSIS),
            Said("groundglass deidentify INPUT --out DIR --key-file FILE", How.SYNOPSIS),
            Said("groundglass cohort COMMAND [ARGS]", How.SYNOPSIS),
            Said("groundglass cohort check TABLE", How.SYNOPSIS),
            Said("groundglass cohort split TABLE --out TABLE", How.SYNOPSIS),
            Said("groundglass cohort import NAME FOLDER --out TABLE", How.SYNOPSIS),
            Said("groundglass cohort join TABLE... --out TABLE", How.SYNOPSIS),
            Said("groundglass cohort phantom --out DIR", How.RUN),
            Said("groundglass evaluate COHORT --out DIR", How.SYNOPSIS),
            Said("groundglass calibrate COHORT --out DIR", How.SYNOPSIS),
            Said(
                "groundglass train segmenter | encoder | sequence | all --experiment FILE --cohort "
                "TABLE --out DIR",
                How.SYNOPSIS,
            ),
            Said("groundglass serve --config FILE", How.SYNOPSIS),
            Said("groundglass send DIR --to AE@HOST:PORT", How.SYNOPSIS),
            Said("groundglass certificates DIR", How.SYNOPSIS),
        )
    ),
    "docs/reference/demonstration-bundle.md": Page(
        (
            Said(
                "groundglass train all --experiment slices.toml --cohort cohort.csv --segmenter "
                "runs/segmenter --out runs/slices",
                How.CHECKED,
                "the end of slices.toml's header, which is run",
            ),
        )
    ),
    "docs/reference/metrics.md": Page(
        (Said("21  3  1      21  4  0", How.SHOWN, "two tables of counts"),)
    ),
    "docs/reference/node-settings.md": Page(
        (
            Said(
                "# Settings of `groundglass serve`, every one with its default, its meaning and "
                "its reason.",
                How.NODE,
                file="all.toml",
                before='data = "node"\n',
            ),
        )
    ),
    "docs/reference/python-api.md": Page(
        (
            Said(
                "GroundglassError            found, expected, action",
                How.SHOWN,
                "a tree of classes",
            ),
        )
    ),
}
