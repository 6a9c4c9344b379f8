"""What is printed where: answers and messages on one stream, progress on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from groundglass.cli.failures import plain

_SHOWN = 10


class Terminal:
    """Where a command prints for people.

    Parameters
    ----------
    stderr : bool
        Print on standard error, because standard output carries something for machines.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        self._console = Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)

    def print(self, text: str = "", style: str = "") -> None:
        """One line; what could steer the terminal is taken out."""
        self._console.print(plain(text), style=style)

    def heading(self, text: str) -> None:
        """A line that begins something new."""
        self.print()
        self.print(text, "bold")

    def some(self, title: str, lines: Sequence[str], where: str) -> None:
        """How many there are, the first ten of them, and where the others can be seen."""
        if lines:
            self.heading(f"{title}: {len(lines)}")
            for line in lines[:_SHOWN]:
                self.print(f"  {line}")
        if len(lines) > _SHOWN:
            self.print(f"  and {len(lines) - _SHOWN} more, {where}")

    def limits(self, statement: str) -> None:
        """The last words of a command that judges: what the bundle's verdicts are worth."""
        from groundglass.core.result import RESEARCH_USE_ONLY

        self.print()
        self.print(statement, "yellow")
        self.print(RESEARCH_USE_ONLY, "bold yellow")


class ProgressBar:
    """A bar that is told (done, in all).

    Parameters
    ----------
    bars : Progress
        Where it is shown.
    words : str
        What is counted.
    """

    def __init__(self, bars: Progress, words: str) -> None:
        self._bars = bars
        self._task = bars.add_task(words, total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work is."""
        self._bars.update(self._task, completed=done, total=total)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, the bar makes room for something to be said, wherever that goes."""
        if self._bars.disable:
            yield
            return
        self._bars.stop()
        yield
        self._bars.start()


@contextmanager
def progress_bar(words: str) -> Iterator[ProgressBar]:
    """A bar for work that tells (done, in all)."""
    with _bars(MofNCompleteColumn()) as bars:
        yield ProgressBar(bars, words)


@contextmanager
def stage_bar(words: Mapping[str, str]) -> Iterator[Callable[[str], None]]:
    """A bar for work that tells the name of each stage as it begins; `words` names them all."""
    with _bars() as bars:
        task = bars.add_task("Beginning", total=len(words))
        names = list(words)

        def begin(stage: str) -> None:
            bars.update(task, description=words[stage], completed=names.index(stage))

        yield begin


@contextmanager
def spinner(words: str) -> Iterator[None]:
    """A moving sign for work that cannot say how far it is."""
    with _bars() as bars:
        bars.add_task(words, total=None)
        yield


def _bars(*more: MofNCompleteColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *more,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
