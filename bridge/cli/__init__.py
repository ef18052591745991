"""Takes a command line, gives an exit code: 0 done, 1 it ran and failed, 2 wrong usage or configuration.

Commands and exit codes; nothing else. What is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from bridge import __version__, logs
from bridge.errors import BridgeError, ConfigurationError, Finding, Severity
from bridge.settings import Described, Settings, describe, load, missing

app = typer.Typer(
    name="triton-bridge",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run a command and exit with its code. Errors are one line a finding on stderr, never a traceback."""
    try:
        try:
            app(prog_name="triton-bridge")
        finally:
            sys.stdout.flush()
    except ConfigurationError as error:
        code = 2
        _tell(error.findings)
    except BridgeError as error:
        code = 1
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has seen enough
        code = 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        code = 1
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 — the last line of defence: a person is to see a line, not a stack
        code = 1
        print(f"error: {type(error).__name__}: {error} — a fault of the bridge; please report it", file=sys.stderr)
    sys.exit(code)


def _tell(findings: Iterable[Finding]) -> None:
    for finding in findings:
        print(f"{finding.severity.value}: {finding}", file=sys.stderr)


def _version(wanted: bool) -> None:  # noqa: FBT001 — a callback of typer
    if wanted:
        print(f"triton-bridge {__version__}")
        raise typer.Exit


@app.callback()
def _(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Carry chosen metrics of a Triton server from Prometheus into Azure Application Insights."""


def _option(setting: Described) -> inspect.Parameter:
    """The option that mirrors a setting. Secrets have none: command lines are visible to others."""
    text = f"{setting.meaning}  [env: {', '.join(setting.names)}]  [default: {setting.default or 'none'}]"
    kind: Any = bool if setting.flag else str
    option = typer.Option(setting.option, metavar=setting.metavar or None, help=text, show_default=False)
    return inspect.Parameter(
        setting.field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def command(*, need_credential: bool) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """A command that takes Settings: it gets one option for each, and logging; its result is the exit code."""

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        own = [p for name, p in inspect.signature(function, eval_str=True).parameters.items() if name != "settings"]
        mirrored = [setting for setting in describe() if setting.option]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            overrides = {setting.field: given.pop(setting.field) for setting in mirrored}
            credential = need_credential and not given.get("dry_run")
            settings = load(overrides=overrides, need_credential=credential)
            handler = logs.setup(settings.log_level, settings.log_format, secrets=settings.secrets)
            try:
                code = function(settings, **given)
            finally:
                handler.close()
            raise typer.Exit(code)

        signature = inspect.Signature([*own, *map(_option, mirrored)])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
        app.command()(run)
        return run

    return decorate


@command(need_credential=True)
def run(settings: Settings) -> int:
    """Run until SIGTERM or Ctrl-C.

    The cycle under way is finished, within 10 s; a second signal ends at once.
    """
    from bridge import daemon, selection  # noqa: PLC0415 — heavy

    _tell(settings.findings)
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
    from bridge.errors import PrometheusError  # noqa: PLC0415
    from bridge.points import Batch, Outcome, Receipt, Settlement  # noqa: PLC0415

    class Terminal:
        """Where a dry run posts to."""

        def paused(self) -> None:
            return None

        def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:  # noqa: ARG002 — a Sink's
            for item in batch.items():
                print(item.decode())
            return Receipt(accepted=batch.points)

    _tell(settings.findings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = selection.load(settings.metrics_file)
    with daemon.build(settings, sink=Terminal() if dry_run else None) as parts:
        try:
            newest = parts.cycle.newest(parts.prometheus.now())
        except PrometheusError as error:
            raise BridgeError(f"{error} — is BRIDGE_PROMETHEUS_URL right?") from None
        parts.cycle.in_force(chosen, newest - parts.cycle.interval)
        report = parts.cycle.run(newest)
        if report is None:
            print(f"the cycle of {turns.utc(newest)} is settled already: nothing was posted", file=sys.stderr)
            return 0
        turns.expire(parts.backlog, report, settings.backfill_limit)
        if dry_run and report.settlement is Settlement.SETTLED:
            print(f"dry run: {report.read} points read, nothing was posted", file=sys.stderr)
        else:
            turns.tell(report)
        turns.tell_absent(report)
    lost = report.outcomes.get(Outcome.REJECTED, 0) + report.outcomes.get(Outcome.EXPIRED, 0)
    return 0 if report.settlement is Settlement.SETTLED and not lost else 1


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

    _tell(settings.findings)
    return fill(settings, Wish.read(start, end, last), None if yes else functools.partial(typer.confirm, default=False))


@command(need_credential=False)
def check(
    settings: Settings,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the files and settings alone.")] = False,
) -> int:
    """Say all that will go wrong, and the remedies.

    Nothing is posted.
    """
    from bridge import daemon, selection  # noqa: PLC0415 — heavy
    from bridge.check import findings  # noqa: PLC0415

    found: list[Finding] = []
    if not offline and not settings.sandbox and settings.connection is None:
        found.append(missing(os.environ))
    try:
        chosen = selection.load(settings.metrics_file)
    except ConfigurationError as error:
        found += error.findings
    else:
        prometheus = None if offline else daemon.connect(settings)
        found += [finding for finding in findings(settings, chosen, prometheus) if finding not in found]
        print(f"{settings.metrics_file}: {len(chosen.entries)} metrics selected, digest {chosen.digest}")
    _tell(found)
    counts = Counter(finding.severity for finding in found)
    print(
        ", ".join(f"{counts[severity]} {severity.value}{'' if counts[severity] == 1 else 's'}" for severity in Severity)
    )
    return 2 if counts[Severity.ERROR] else 1 if counts[Severity.FAILURE] else 0


@command(need_credential=False)
def catalog(
    settings: Settings,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> int:
    """List the metrics that can be chosen.

    Those that Triton is known to expose, and those that Prometheus has now.
    """
    from bridge import daemon, selection  # noqa: PLC0415 — heavy
    from bridge.catalog import catalog as lines_of  # noqa: PLC0415
    from bridge.cli.terminal import print_catalog  # noqa: PLC0415
    from bridge.errors import PrometheusError  # noqa: PLC0415

    try:
        chosen = selection.load(settings.metrics_file)
    except ConfigurationError as error:
        _tell(error.findings)
        chosen = None
    try:
        present = daemon.connect(settings).names()
    except PrometheusError as error:
        print(f"warning: {error}; what is present now is not known", file=sys.stderr)
        present = None
    lines = lines_of(chosen, present)
    if as_json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return 0
    print_catalog(lines)
    return 0


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
