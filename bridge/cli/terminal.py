"""Takes what a person is to see, gives it to a terminal, or to a file in lines: a table, a progress bar. The home of rich."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from bridge.backfill import Progress
from bridge.catalog import Line
from bridge.check import Bill, Cost
from bridge.durations import format_duration

_LINE_EVERY = 10.0  # seconds
_COSTS = 20  # metrics
_PIPE = 300  # columns of a file or a pipe
_WIDE = 120  # columns that the table of the catalog needs


def print_catalog(lines: Iterable[Line], console: Console | None = None) -> None:
    """A row a metric; into a file or a pipe, a line a metric; on a narrow terminal a paragraph a metric."""
    console = console or _console()
    if console.width < _WIDE:
        for line in lines:
            console.print(Text(line.name, "bold"), overflow="fold")
            console.print(Padding(Text("\n".join(filter(None, _paragraph(line)))), (0, 0, 0, 4)))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("metric", "kind", "now", "selected", "best", "what it is"):
        table.add_column(heading, no_wrap=heading == "metric", overflow="fold")
    for line in lines:
        now = {True: "yes", False: "no", None: "?"}[line.present]
        kind = f"{line.kind}, {line.unit}" if line.unit else line.kind
        meaning = f"{line.meaning} [{line.advice}]" if line.advice else line.meaning
        table.add_row(line.name, kind, now, line.selected, _best(line), meaning.replace("[", "\\["))
    console.print(table)


def _paragraph(line: Line) -> tuple[str, ...]:
    """What a row says, in words."""
    now = {True: "there now", False: "not there now", None: ""}[line.present]
    selected = f"selected: {line.selected}" if line.selected else ""
    unit = f"{line.kind}, {line.unit}" if line.unit else line.kind
    first = " · ".join(filter(None, (unit, now, selected, f"best: {_best(line)}")))
    return first, line.meaning, f"[{line.advice}]" if line.advice else ""


def _best(line: Line) -> str:
    return "value" if isinstance(line.entry, str) else str(line.entry["mode"])


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE)


def print_bill(bill: Bill, console: Console | None = None) -> None:
    """A row a metric, the most expensive first; of many the rest in one row, and the total."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric", overflow="fold", max_width=60)
    for heading in ("rows", "points/day", "B/row", "GB/month"):
        table.add_column(heading, no_wrap=True, justify="right")
    costs = list(bill.metrics.items())
    first, rest = costs[:_COSTS], costs[_COSTS:]
    if rest:
        first.append((f"{len(rest)} more", sum((cost for _, cost in rest), Cost())))
    for name, cost in (*first, ("in total", bill.total)):
        gigabytes = f"{cost.gigabytes:.3f}" if cost.gigabytes >= 0.001 else "< 0.001"
        cells = (name, f"{cost.rows:,}", f"{cost.points:,.0f}", f"{cost.row_bytes:,}", gigabytes)
        table.add_row(*cells, style="bold" if cost is bill.total else None)
    (console or _console()).print(table)


def show_progress(steps: Iterable[Progress]) -> None:
    """A bar with a rate and an estimate of the time left; into a file or a pipe, a line now and then."""
    if sys.stdout.isatty():
        _draw(steps)
    else:
        for line in progress_lines(steps, time.monotonic):
            print(line, flush=True)


def leave_bar() -> None:
    """Begin a line below a bar that is not drawn to its end, and show the cursor again."""
    console = Console()
    if console.is_terminal:
        console.show_cursor()
        console.print()


def progress_lines(steps: Iterable[Progress], monotonic: Callable[[], float]) -> Iterator[str]:
    """A line every ten seconds in which there was a step, and one after the last."""
    begun = told = monotonic()
    first = step = None
    for step in steps:
        first = first or step
        if monotonic() - told >= _LINE_EVERY:
            told = monotonic()
            yield _line(first, step, told - begun)
    if first and step:
        yield _line(first, step, monotonic() - begun)


def _line(first: Progress, step: Progress, seconds: float) -> str:
    rate = (step.done - first.done) / seconds if seconds else 0.0
    left = (
        f", {format_duration(round((step.total - step.done) / rate))} left" if rate and step.done < step.total else ""
    )
    return f"{step.done} of {step.total} cycles, {rate:.1f} cycles/s{left}"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} cycles/s")


def _draw(steps: Iterable[Progress]) -> None:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("cycles"), _Rate(), TimeRemainingColumn())
    # Standard error that goes elsewhere stays there.
    with Bar(*columns, redirect_stderr=sys.stderr.isatty()) as bar, _log_above():
        task = bar.add_task("", total=None)
        for step in steps:
            bar.update(task, completed=step.done, total=step.total)


@contextmanager
def _log_above() -> Iterator[None]:
    """Let what is logged go through the bar's standard error, and so stand above it."""
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    streams = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)
