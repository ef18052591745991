"""Takes evidence, gives findings on what Prometheus scrapes: nothing, too seldom, or more than one bridge's share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from bridge.check.evidence import Dry, Evidence
from bridge.check.kinds import listed
from bridge.durations import format_duration
from bridge.errors import Finding, Severity
from bridge.instruments import JOB
from bridge.prometheus import Target
from bridge.times import utc

# What tells one pod, or else one target, from another; of several, the first that all bear.
_TELLING = ("pod", "kubernetes_pod_name", "pod_name", "instance")
_WITH_IT = ("job", "namespace")
_DOWN = "is Triton running, and its metrics port reached from Prometheus?", Severity.WARNING
_OWN_DOWN = "right while no triton-bridge runs: nothing but its own metrics comes from there", Severity.NOTE
_SELDOM = "let BRIDGE_INTERVAL be a multiple of that", Severity.WARNING


def check_targets(evidence: Evidence) -> Iterator[Finding]:
    """What is not scraped at all, or more seldom than it is asked for."""
    interval = evidence.settings.interval
    if evidence.untold:
        yield Finding(
            "Prometheus",
            f"tells of no {' and no '.join(evidence.untold)}: what depends on that was not looked at",
            severity=Severity.NOTE,
        )
    if not evidence.targets and "targets" not in evidence.untold:
        remedy = "does its configuration name Triton? A target that was just added takes some seconds to appear"
        yield Finding("targets", "Prometheus scrapes nothing", remedy, Severity.WARNING)
    elif not evidence.scraped:
        span = evidence.interval
        problem = f"Prometheus scraped nothing from {utc(span.start)} to {utc(span.time)}: rows and cost are not known"
        yield Finding("targets", problem, "check again after an interval or two", Severity.WARNING)
    alike: dict[tuple[str, str, Severity], list[Target]] = {}
    for target in evidence.ours:
        if target.health == "down":
            problem = f"is down: {target.last_error}"
            alike.setdefault((problem, *(_OWN_DOWN if target.job == JOB else _DOWN)), []).append(target)
        elif target.scrape_interval > interval:
            often = format_duration(target.scrape_interval)
            problem = (
                f"is scraped every {often}, so that most cycles of {format_duration(interval)} find nothing new of it"
            )
            alike.setdefault((problem, *_SELDOM), []).append(target)
    for (problem, remedy, severity), targets in alike.items():
        names = listed([f"{target.job} {target.instance}" for target in targets])
        yield Finding(f"target{'s' * (len(targets) > 1)} {names}", problem, remedy, severity)


def check_sharing(evidence: Evidence) -> Iterator[Finding]:
    """Rows that each of several bridges at one Prometheus would post."""
    settings, dry = evidence.settings, evidence.dry
    if settings.own_target is not None or dry is None:  # a Prometheus of our own has one bridge
        return
    shared: dict[str, set[tuple[str, str]]] = {}
    narrowed = True
    for entry in evidence.selection.entries:
        if not entry.query:
            sources: dict[str, set[tuple[str, str]]] = {}
            for series in dry.found.all(entry):
                labels = series.labels
                target = labels.get("job", ""), labels.get("instance", "")
                sources.setdefault(entry.metric_of(labels["__name__"]), set()).add(target)
            several = {metric: targets for metric, targets in sources.items() if len(targets) > 1}
            narrowed = narrowed and not (several and not entry.match.text)
            shared |= several
        elif settings.match and settings.match not in entry.query:
            problem = "is asked as it stands: BRIDGE_MATCH does not narrow it"
            yield Finding(
                f"{entry.place}.query", problem, f"write the matchers into it: {settings.match}", Severity.NOTE
            )
    label, places = _places(shared, dry)
    if len(places) < 2:
        return
    values = listed([f'{label}="{place[label]}"' for place in places])
    though = f", although BRIDGE_MATCH is {settings.match}" if settings.match else ""
    yield Finding(
        "BRIDGE_MATCH",
        f"{listed(sorted(shared))} come{'s' * (len(shared) == 1)} from {len(places)} targets ({values}){though}: "
        "where each has a bridge beside it, every bridge posts the rows of all",
        f"one bridge for all is right; else each needs its own: BRIDGE_MATCH='{_matchers(places[0], label)}'",
        Severity.NOTE if narrowed or settings.match else Severity.WARNING,
    )


def _places(shared: Mapping[str, set[tuple[str, str]]], dry: Dry) -> tuple[str, list[Mapping[str, str]]]:
    """The label that tells the targets apart, and the labels of a target for each of its values."""
    concerned = set().union(*shared.values())
    labels = {(one.labels.get("job", ""), one.labels.get("instance", "")): one.labels for one in dry.answers.up}
    found = [labels.get(target, {"job": target[0], "instance": target[1]}) for target in sorted(concerned)]
    label = next((name for name in _TELLING if all(name in one for one in found)), "instance")
    places = {(one.get("namespace", ""), one.get(label, "")): one for one in reversed(found)}
    return label, [places[key] for key in sorted(places)]


def _matchers(target: Mapping[str, str], label: str) -> str:
    """How PromQL writes that these labels are those of the target."""
    return ",".join(f"{name}={json.dumps(target[name])}" for name in (*_WITH_IT, label) if target.get(name))
