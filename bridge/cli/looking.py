"""Takes settings, gives what a person wants to know: the commands that post nothing."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from bridge.cli.options import command, tell
from bridge.errors import BridgeError, ConfigurationError, Finding, Severity
from bridge.settings import Settings, missing


@command(need_credential=False)
def check(
    settings: Settings,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the files and settings alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write findings and cost as JSON.")] = False,
) -> int:
    """Say all that will go wrong, and the remedies, and what it will cost.

    Nothing is posted.
    """
    from bridge import check as checks  # noqa: PLC0415 — heavy
    from bridge import daemon, selection  # noqa: PLC0415
    from bridge.cli.terminal import print_bill  # noqa: PLC0415

    found: list[Finding] = []
    bill = None
    if not offline and not settings.sandbox and settings.connection is None:
        found.append(missing(os.environ))
    try:
        chosen = selection.load(settings.metrics_file)
    except ConfigurationError as error:
        found += error.findings
    else:
        if offline:
            result = checks.check_offline(settings, chosen)
        else:
            prometheus, folder = daemon.connect(settings), daemon.state_folder(settings)
            result = checks.check(settings, chosen, prometheus, folder)
        found += [finding for finding in result.findings if finding not in found]
        bill = result.bill
        if not as_json:
            print(
                f"{settings.metrics_file}: {len(chosen.entries)} entries selected, digest {chosen.digest}", flush=True
            )
    counts = Counter(finding.severity for finding in found)
    if as_json:
        print(json.dumps({"findings": [asdict(one) for one in found], "cost": bill and asdict(bill)}, indent=2))
    else:
        tell(found)
        if bill and bill.metrics:
            print_bill(bill)
        print(", ".join(f"{counts[one]} {one.value}{'' if counts[one] == 1 else 's'}" for one in Severity))
    return 2 if counts[Severity.ERROR] else 1 if counts[Severity.FAILURE] else 0


@command(need_credential=False)
def catalog(
    settings: Settings,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these, globs too: 'nv_gpu_*'.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
    snippet: Annotated[
        bool, typer.Option("--snippet", help="Write a metrics.json that sends what is there, each in its best form.")
    ] = False,
) -> int:
    """List the metrics that can be chosen.

    Those that Triton is known to expose, and those that Prometheus has now.
    """
    from bridge import daemon, selection  # noqa: PLC0415 — heavy
    from bridge.catalog import catalog as lines_of  # noqa: PLC0415
    from bridge.catalog import document, only, written  # noqa: PLC0415
    from bridge.cli.terminal import print_catalog  # noqa: PLC0415
    from bridge.errors import PrometheusError  # noqa: PLC0415

    try:
        chosen = selection.load(settings.metrics_file)
    except ConfigurationError as error:
        tell(error.findings)
        chosen = None
    try:
        prometheus = daemon.connect(settings)
        present, kinds = prometheus.names(), prometheus.kinds()
    except PrometheusError as error:
        print(f"warning: {error}; what is present now is not known", file=sys.stderr)
        present, kinds = None, None
    lines = only(lines_of(chosen, present, kinds), names or ())
    if not lines:
        known = " ".join(names or ())
        raise ConfigurationError([Finding(known, "no metric has such a name", "triton-bridge catalog lists all")])
    if snippet:
        print(written(document(lines)))
    elif as_json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        print_catalog(lines)
    return 0


@command(need_credential=False)
def explain(
    settings: Settings,
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="A published name, or a Prometheus name.")],
    *,
    at: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="'2026-11-21 10:00' (local time), or 2026-11-21T10:00:00Z; without it: now."),
    ] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Show the points that Azure rejected, made again, with its reasons.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every series, sample and envelope.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")] = False,
) -> int:
    """Show how a metric gets from Prometheus to Azure.

    The PromQL, the samples, the labels kept and dropped, the exact envelope, the last verdict. Nothing is posted or changed.
    """
    from bridge.cli.explaining import Wish, explanation  # noqa: PLC0415 — heavy
    from bridge.cli.page import print_explanation  # noqa: PLC0415

    wish = Wish.read(metric, at, rejected=rejected, most=sys.maxsize if everything else 3)
    told = explanation(settings, wish)
    if as_json:
        print(json.dumps(asdict(told), indent=2))
    else:
        print_explanation(told, rejected=rejected, everything=everything)
    if told.problem:
        print(f"error: {told.problem}", file=sys.stderr)
    return 1 if told.problem else 0


@command(need_credential=False)
def status(
    settings: Settings,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write /status.json as it is.")] = False,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the bridge is; without it: at BRIDGE_LISTEN of this machine."),
    ] = None,
) -> int:
    """Show how the running bridge does, as its status page does.

    Exit code 0: points arrive, and nothing is wrong beside. 1: they do not, or no bridge answers.
    """
    from bridge.cli import watching  # noqa: PLC0415 — heavy

    if watch and as_json:
        raise ConfigurationError([Finding("--json", "is given beside --watch", "give one of both")])
    place = url or watching.address(settings.listen)
    if watch:
        return watching.watch(lambda: watching.fetch(place))
    try:
        answer = watching.fetch(place)
    except BridgeError:
        if url is None and (told := watching.kept(settings)):
            tell([told])
        raise
    if as_json:
        print(answer.decode())
    else:
        watching.show(answer)
    return watching.code(answer)
