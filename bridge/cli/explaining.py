"""Takes settings and a metric's name, gives its Explanation: finds Prometheus, the selection and the account, and asks."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from opentelemetry.sdk.resources import Resource

from bridge import backfill, daemon, selection, witness
from bridge.account import Gap
from bridge.backlog import Backlog
from bridge.catalog import catalog, only
from bridge.check.kinds import listed
from bridge.delivery import context_tags
from bridge.envelopes import Encoder
from bridge.errors import BridgeError, ConfigurationError, Finding, PrometheusError, PrometheusRefused
from bridge.explain import (
    Explainer,
    Explanation,
    Refused,
    Sent,
    envelope_of,
    globbed,
    nearest,
    refused,
    senders,
    verdict,
)
from bridge.prometheus import Prometheus
from bridge.sandbox.local import DEFAULT_KEY
from bridge.selection import Selection
from bridge.selection.entry import is_glob
from bridge.settings import Settings, syntax
from bridge.times import grid_time, utc

_SHOWN = 20  # metrics of a glob that are named


@dataclass(frozen=True)
class Wish:
    """What a person wants to know: of one metric, at a time (epoch s, None: the newest that is due), and how much of it.

    ``rejected``: the refused points instead of a live one. ``most``: so many series, and envelopes, of each entry.
    """

    metric: str
    at: float | None
    rejected: bool
    most: int

    @classmethod
    def read(cls, metric: str, at: str | None, *, rejected: bool, most: int) -> Wish:
        """Raises ConfigurationError where the time is none."""
        try:
            return cls(metric, None if at is None else syntax.when(at), rejected, most)
        except syntax.Wrong as wrong:
            raise ConfigurationError([Finding("--at", wrong.problem, wrong.remedy)]) from None


def explanation(settings: Settings, wish: Wish) -> Explanation:
    """Explain; where Prometheus does not answer, what the account says alone.

    Raises ConfigurationError where the metric is not selected, and BridgeError where the account cannot be read.
    """
    chosen, folder = selection.load(settings.metrics_file), daemon.state_folder(settings)
    backlog = _account(folder)
    with closing(daemon.connect(settings)) as source:
        try:
            return _asked(settings, wish, chosen, backlog, folder, source)
        except PrometheusError as error:
            problem = str(error)
    if is_glob(wish.metric):
        raise _of_several(chosen, wish.metric)
    wanted = senders(chosen, wish.metric)
    points = refused(backlog, {wish.metric, *(name for sender in wanted for name in sender.names)})
    if not (wanted or points):
        raise _not_selected(settings.metrics_file, chosen, wish.metric)
    said = verdict(folder, backlog, wish.at, points, wish.most)
    return Explanation(wish.metric, settings.prometheus_url, chosen.digest, None, wish.at, (), said, problem)


def _asked(
    settings: Settings, wish: Wish, chosen: Selection, backlog: Backlog, folder: Path, source: Prometheus
) -> Explanation:
    """With Prometheus' help. Raises PrometheusError where that does not answer."""
    explainer, present = _explainer(settings, source, folder), source.names()
    newest = backfill.due(source, settings.interval, settings.settle_delay)[1]
    if is_glob(wish.metric) and wish.metric not in present:
        raise _of_several(chosen, wish.metric, present)
    wanted = senders(chosen, wish.metric, present)
    points = refused(backlog, {wish.metric, *(name for sender in wanted for name in sender.names)})
    if not (wanted or (points and wish.rejected)):
        raise _not_selected(settings.metrics_file, chosen, wish.metric, source, present, kept=len(points))
    gap = _gap(settings, wish.at, newest, backlog)
    sent: Sequence[Sent] = ()
    remarks: Sequence[str] = ()
    if wish.rejected:
        points = [point for point in points if wish.at is None or point.time == gap.time]
        again = _again(points[: wish.most], explainer, backlog, chosen, settings.interval, present)
        points = [*again, *points[wish.most :]]
    else:
        sent, remarks = tuple(explainer.sent(wanted, gap, present, wish.most)), _other_selection(gap, chosen)
    said = verdict(folder, backlog, None if wish.rejected else gap.time, points, wish.most)
    said = replace(said, remarks=(*said.remarks, *remarks))
    return Explanation(wish.metric, source.url, chosen.digest, gap.start, gap.time, sent, said)


def _account(folder: Path) -> Backlog:
    """The backlog, to read: without its lock nothing in the folder is changed."""
    try:
        shut = folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    except PermissionError:
        shut = True
    if shut:
        raise BridgeError(f"{folder} cannot be read — run this as the user that triton-bridge runs as")
    return Backlog(folder)


def _explainer(settings: Settings, source: Prometheus, folder: Path) -> Explainer:
    try:
        scrapes = [target.scrape_interval for target in source.targets()]
    except PrometheusRefused:  # something like Prometheus, that scrapes nothing itself
        scrapes = []
    key = settings.connection.instrumentation_key if settings.connection and not settings.sandbox else DEFAULT_KEY
    shown = key if key == DEFAULT_KEY else f"{key[:4]}…"
    return Explainer(
        source,
        Encoder(shown, context_tags(Resource(settings.resource_attributes))),
        settings.match,
        settings.max_series,
        max(scrapes, default=settings.scrape_interval),
        witness.seen(folder),
    )


def _gap(settings: Settings, at: float | None, newest: float, backlog: Backlog) -> Gap:
    """The interval that a cycle asks for at that time, or at the grid time before it."""
    if at is not None and at > newest:
        problem = f"{backfill.shown(at)} lies ahead of the newest grid time that is due"
        raise ConfigurationError([Finding("--at", problem, f"the newest is {backfill.shown(newest)}")])
    ends = (one.time for one in backlog.account.details if at is not None and math.floor(one.time) == math.floor(at))
    # An end of a run is a time of its own, off the grid.
    time = newest if at is None else next(ends, grid_time(at, settings.interval))
    usual = Gap(time - settings.interval, time, settings.interval, "")
    gap = backlog.asked(time) or usual
    return gap if gap.interval == settings.interval else usual


def _again(
    points: Iterable[Refused],
    explainer: Explainer,
    backlog: Backlog,
    chosen: Selection,
    interval: float,
    present: Collection[str],
) -> Iterator[Refused]:
    """Refused points with the envelope that Prometheus gives for them now, by the selection of their time."""

    @lru_cache
    def made(time: float, metric: str) -> tuple[list[dict[str, object]], str]:
        if gap := backlog.asked(time):
            by = selection.parse(backlog.selection(gap.digest))
            note = f"made again by selection {gap.digest}, of its time"
        else:
            gap, by = Gap(grid_time(time - 0.001, interval), time, interval, ""), chosen
            note = f"made again by metrics.json as it is now ({chosen.digest}): that of its time is not known any more"
        return [dict(one) for one in explainer.envelopes(senders(by, metric, present), gap)], note

    for point in points:
        envelopes, note = made(point.time, point.metric)
        envelope = envelope_of(point, envelopes)
        missing = "Prometheus gives no such point any more: its samples are gone, or the selection was another one"
        yield replace(point, envelope=envelope, note=note if envelope else missing)


def _of_several(chosen: Selection, glob: str, present: Collection[str] = ()) -> ConfigurationError:
    metrics = globbed(chosen, glob, present)
    which = f"one of {listed(metrics, _SHOWN)}" if metrics else "triton-bridge catalog lists what can be chosen"
    return ConfigurationError([Finding(glob, "is a glob: one metric can be explained at a time", which)])


def _not_selected(
    file: Path,
    chosen: Selection,
    metric: str,
    source: Prometheus | None = None,
    present: Collection[str] = (),
    *,
    kept: int = 0,
) -> ConfigurationError:
    """With the nearest names, and the entry that would select it best; ``kept`` rejected points are from before."""
    near = nearest(chosen, metric, present)
    remedies = [f"nearest: {', '.join(near)}"] if near else []
    if kept:
        remedies.append(f"--rejected shows {kept} rejected points of it from before")
    kinds = None
    with suppress(PrometheusError):
        kinds = source.kinds() if source else None
    lines = only(catalog(chosen, present or None, kinds), [metric])
    if lines:
        remedies.append(f"to send it, add {json.dumps(lines[0].entry)}")
    else:
        remedies.append("triton-bridge catalog lists what can be chosen")
    return ConfigurationError([Finding(metric, f"is not selected in {file.name}", "; ".join(remedies))])


def _other_selection(gap: Gap, chosen: Selection) -> Sequence[str]:
    if gap.digest in {"", chosen.digest}:
        return []
    now = f"this is told by metrics.json as it is now, {chosen.digest}"
    return [f"for {utc(gap.time)} the bridge has selection {gap.digest} in force; {now}"]
