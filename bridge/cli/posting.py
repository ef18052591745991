"""Takes settings, gives what reaches Application Insights: the commands that post, and the endpoint to post to."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from typing import Annotated

import typer

from bridge.cli.options import app, command, tell
from bridge.errors import ConfigurationError, Finding
from bridge.points import Batch, Outcome, Receipt, Report, Settlement
from bridge.settings import Settings


@command(need_credential=True)
def run(settings: Settings) -> int:
    """Run until SIGTERM or Ctrl-C.

    The cycle under way is finished, within 10 s; a second signal ends at once.
    """
    from bridge import daemon, selection  # noqa: PLC0415 — heavy

    return daemon.run(settings, selection.SelectionFile(settings.metrics_file))


@command(need_credential=True)
def once(
    settings: Settings,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the envelopes as JSON lines to stdout, post nothing.")
    ] = False,
) -> int:
    """Run one cycle: the newest that is due."""
    from bridge import daemon, selection, turns  # noqa: PLC0415 — heavy
    from bridge.logs import of_cycle  # noqa: PLC0415
    from bridge.times import utc  # noqa: PLC0415

    class Terminal:
        """Where a dry run posts to."""

        def paused(self) -> None:
            return None

        def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:  # noqa: ARG002 — a Sink's
            for item in batch.items():
                print(item.decode())
            return Receipt(accepted=batch.points)

    tell(settings.findings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = selection.load(settings.metrics_file)
    with daemon.build(settings, sink=Terminal() if dry_run else None) as parts:
        newest = parts.cycle.newest(parts.prometheus.now())
        parts.cycle.in_force(chosen, newest - parts.cycle.interval)
        with of_cycle(newest):
            report = parts.cycle.run(newest)
            if report is None:
                print(f"the cycle of {utc(newest)} is settled already: nothing was posted", file=sys.stderr)
                return 0
            turns.expire(parts.cycle.backlog, report, settings.backfill_limit)
            if dry_run and report.settlement is Settlement.SETTLED:
                print(_dry(report), file=sys.stderr)
            else:
                turns.tell(report)
            turns.tell_absent(report)
    lost = report.outcomes.get(Outcome.REJECTED, 0) + report.outcomes.get(Outcome.EXPIRED, 0)
    return 0 if report.settlement is Settlement.SETTLED and not lost else 1


def _dry(report: Report) -> str:
    """Why there are fewer lines than points, if there are."""
    without = (Outcome.NOT_FINITE, Outcome.LEFT_OUT)
    kept = [f"{count} {one.value.replace('_', ' ')}" for one in without if (count := report.outcomes.get(one))]
    lines = report.outcomes.get(Outcome.ACCEPTED, 0)
    return f"dry run: {report.read} points read, {', '.join([*kept, f'{lines} written'])}; nothing was posted"


@command(need_credential=False)
def backfill(
    settings: Settings,
    *,
    start: Annotated[
        str | None, typer.Option(metavar="WHEN", help="'2026-11-21 10:00' (local time), or 2026-11-21T10:00:00Z.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="WHEN", help="The same; without it: now.")] = None,
    last: Annotated[str | None, typer.Option(metavar="DURATION", help="So long up to now, as 6h.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Post again what was posted already, without asking.")] = False,
) -> int:
    """Post a stretch of time, as Prometheus remembers it.

    Ctrl-C ends it in order, and the same command goes on. A running triton-bridge of the same state folder does the
    work itself.
    """
    from bridge.backfill import Wish  # noqa: PLC0415 — heavy
    from bridge.cli.conversation import fill  # noqa: PLC0415

    tell(settings.findings)
    return fill(settings, Wish.read(start, end, last), None if yes else functools.partial(typer.confirm, default=False))


@app.command()
def sandbox(
    *,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:9465",
    scriptable: Annotated[
        bool,
        typer.Option("--scriptable", help="Let POST /_script prescribe the next replies, for tests."),
    ] = False,
) -> None:
    """Run a local Application Insights endpoint.

    It obeys the service's rules, and shows what arrived.
    """
    from bridge.sandbox import serve  # noqa: PLC0415 — only here
    from bridge.settings.syntax import Wrong, address  # noqa: PLC0415

    try:
        host, port = address(listen, any_port=True)
    except Wrong as error:
        raise ConfigurationError([Finding("--listen", error.problem, error.remedy)]) from None
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    serve(host, port, scriptable=scriptable, announce=functools.partial(print, flush=True), stop=stop)
