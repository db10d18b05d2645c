"""The terminal as people and machines see it: sentences, tables, progress, and one JSON document with ``--json``.

Everything that is shown passes through here, so that it is translated, safe against control characters and terminal
markup, and goes to the right stream: sentences and tables to standard output, or to standard error with ``--json``,
where standard output carries the result alone.

Light enough for the executor: rich is imported when something is drawn. Left to others: what to say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from steward.errors import StewardError, printable
from steward.messages import N_, _

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[..., None]


class Screen:
    """One command's output.

    Parameters
    ----------
    json : bool
        Print only :meth:`result`, as JSON, on standard output.
    quiet : bool
        Leave out sentences, tables and progress; warnings and errors stay.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """The rich console, made at first use."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                stderr=self.json,
                highlight=False,
                markup=False,
                emoji=False,
                soft_wrap=True,
                width=None if sys.stdout.isatty() else 140,
            )
        return self._console

    def say(self, template: str, /, **facts: object) -> None:
        """Print one translated sentence."""
        if not self.quiet:
            self.console.print(self.sentence(template, **facts))

    def warn(self, template: str, /, **facts: object) -> None:
        """Print one translated sentence that must not be missed."""
        self.console.print("! " + self.sentence(template, **facts), style="yellow")

    def heading(self, template: str, /, **facts: object) -> None:
        """Begin a stage."""
        if not self.quiet:
            self.console.print()
            self.console.print(self.sentence(template, **facts), style="bold")

    def next(self, command: str) -> None:
        """Say what to run next."""
        self.say(N_("Next: {command}"), command=command)

    @staticmethod
    def sentence(template: str, /, **facts: object) -> str:
        """Return a translated sentence with its facts, each made safe for a terminal."""
        return _(template).format_map({name: printable(value, 500) for name, value in facts.items()})

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table; ``title`` and ``columns`` are translated, cells are made safe. Numbers stand right."""
        if self.quiet:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
        table = Table(title=_(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column, right in zip(columns, numeric, strict=True):
            table.add_column(_(column), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(
                *(
                    Text(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else printable(cell))
                    for cell in row
                )
            )
        self.console.print(table)

    @contextmanager
    def progress(self, template: str, total: int | None = None, /, **facts: object) -> Iterator[Advance]:
        """Show progress on standard error while a person watches; yields ``advance(n=1)``."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda n=1: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(self.sentence(template, **facts), total=total)
            yield lambda n=1: bar.advance(task, n)

    def result(self, document: Mapping[str, object]) -> None:
        """Print the machine-readable result; only with ``--json``."""
        if self.json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")

    def error(self, error: StewardError) -> None:
        """Print a refusal: one sentence, and what to do next."""
        sentence = error.render(_)
        if self.json:
            self.result({"error": type(error).__name__, "message": sentence, "exit_code": error.exit_code})
        sys.stderr.write(_("Refused: {sentence}").format(sentence=sentence) + "\n")
