"""Takes Settings, builds the parts and runs them: start → run → drain.

The scheduler is only the alarm: it rings at every grid time, drift-free, and never starts a second turn beside a
running one. Which grid time a turn works on is told by Prometheus' clock (``turns``).
"""

from __future__ import annotations

import gc
import logging
import operator
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from opentelemetry.sdk.resources import Resource

from bridge import __version__
from bridge.account import Account
from bridge.backlog import Backlog
from bridge.cycle import Cycle, Patience, Sink, Terms
from bridge.delivery import Delivery, Entra, context_tags
from bridge.durations import format_duration
from bridge.ending import SIGNALS, Ending, beside
from bridge.envelopes import Encoder
from bridge.errors import ConfigurationError, PrometheusError
from bridge.exposition import MetricsPort
from bridge.instruments import JOB, Instruments
from bridge.points import Outcome, Sighting
from bridge.prometheus import Prometheus
from bridge.sandbox import Sandbox
from bridge.selection import Selection, SelectionFile
from bridge.settings import Settings
from bridge.settings.syntax import is_loopback
from bridge.status import About
from bridge.times import utc
from bridge.turns import Turns, tell_waiting
from bridge.watch import Closing, opening
from bridge.web import Web
from bridge.witness import Witness

log = logging.getLogger(__name__)

_NO_KEY = "00000000-0000-0000-0000-000000000000"
_SANDBOX_ROWS = 10_000  # some 12 MB
_SANDBOX_PORT = 9465
_STANDS_ON = ("azure-monitor-opentelemetry-exporter", "opentelemetry-sdk")
_PROMETHEUS_SECONDS = 10  # for a Prometheus that starts with the bridge
_EPOCH = datetime.fromtimestamp(0, timezone.utc)


@dataclass(frozen=True)
class Parts:
    """What was built, for one run of the daemon or one cycle."""

    cycle: Cycle
    witness: Witness
    prometheus: Prometheus
    instruments: Instruments


def state_folder(settings: Settings) -> Path:
    """Where a bridge with these settings keeps its backlog."""
    return settings.state_dir / "bridge"


def connect(settings: Settings) -> Prometheus:
    """The Prometheus that the settings name."""
    user = settings.prometheus_username
    return Prometheus(
        settings.prometheus_url,
        auth=(user, settings.prometheus_password or "") if user else None,
        bearer_token=settings.prometheus_bearer_token,
        headers=settings.prometheus_headers,
        ca=settings.prometheus_ca,
    )


@contextmanager
def build(
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    sink: Sink | None = None,
    locked: Backlog | None = None,
) -> Iterator[Parts]:
    """Build the parts and close them again. ``sink`` stands in Azure's place where it is given; nothing is kept then.

    ``locked`` is the backlog where the caller has its lock already. Else this raises ConfigurationError where another
    process works with the state directory.
    """
    with ExitStack() as closing:
        folder = state_folder(settings) if sink is None else None
        backlog = locked or Backlog(folder)
        if locked is None:
            backlog.lock()
        closing.callback(backlog.close)
        prometheus = connect(settings)
        closing.callback(prometheus.close)
        key, string = _NO_KEY, ""
        if settings.sandbox and sink is None:
            sandbox = closing.enter_context(_sandbox(settings.listen.host))
            string = sandbox.connection_string
            log.info("sandbox in Azure's place: what arrives is shown at %s", sandbox.url)
        elif settings.connection and sink is None:  # what is shown needs no key
            key, string = settings.connection.instrumentation_key, settings.connection.string
        if sink is None:
            entra = Entra(settings.entra_client_id) if settings.entra else None
            delivery = Delivery(string, entra=entra)
            closing.callback(delivery.close)
            sink = delivery
        instruments = Instruments()
        witness = Witness(folder)
        cycle = Cycle(
            Terms(
                interval=settings.interval,
                settle_delay=settings.settle_delay,
                scrape_interval=settings.scrape_interval,
                match=settings.match,
                max_series=settings.max_series,
                target=settings.own_target,
            ),
            prometheus,
            Encoder(key, context_tags(Resource(settings.resource_attributes))),
            sink,
            instruments,
            witness,
            backlog,
            Patience(stop or threading.Event()),
        )
        yield Parts(cycle, witness, prometheus, instruments)


def _sandbox(host: str) -> Sandbox:
    """A sandbox that is reached as the status page is, at a port that can be known before."""
    sandbox = Sandbox(host, _SANDBOX_PORT, max_rows=_SANDBOX_ROWS)
    try:
        sandbox.start()
    except ConfigurationError:  # another has that port
        return Sandbox(host, max_rows=_SANDBOX_ROWS)
    return sandbox


def run(settings: Settings, file: SelectionFile) -> int:
    """Run until a signal ends it (``ending``); the exit code."""
    # Blocked here and waited for below: a handler could run at any instruction, and lock itself out.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    stop = threading.Event()
    for finding in settings.findings:
        log.warning(str(finding))
    with build(settings, stop=stop) as parts:
        turns = Turns(parts.cycle, parts.instruments, file, stop, limit=settings.backfill_limit, about=about(settings))
        web = Web(
            *settings.listen,
            board=turns.board,
            registry=parts.instruments.registry,
        )
        announce(settings, file.current, parts.cycle.backlog.account)
        log.info("status page at %s", web.url)
        log.info("in Azure: %s", turns.board.snapshot().about.query)
        # Not waited for: a Prometheus that never answers must not hold up a signal.
        beside(lambda: look_at(settings))
        closing = None
        if target := settings.own_target:
            beside(lambda: see_opening(target, settings.triton_since, parts.witness, stop))
            closing = Closing(MetricsPort(target), time.time, time.sleep)
        gc.freeze()  # what was imported stays
        scheduler = _schedule(turns, settings.interval)
        (job,) = scheduler.get_jobs()
        beside(lambda: mind_the_clock(job, settings.interval, stop))
        Ending(turns, stop, closing).run(lambda: scheduler.shutdown(wait=False))
        web.close()
    return 0


def about(settings: Settings) -> About:
    """What the status tells of this process."""
    tags = context_tags(Resource(settings.resource_attributes))
    return About(
        __version__,
        tags.get("ai.cloud.role", ""),
        tags.get("ai.cloud.roleInstance", ""),
        settings.interval,
        str(settings.metrics_file),
        {**{name: version(name) for name in _STANDS_ON}, "Python": platform.python_version()},
    )


def see_opening(target: str, since: float | None, witness: Witness, stop: threading.Event) -> None:
    """Keep the moment before Triton opened: what it counts, it counts from zero then.

    ``since`` is known where Triton was started with us, and may well have been quicker to open than we to look.
    """
    # Elsewhere, a closed port may be any network's.
    if since is None and is_loopback(target.rpartition(":")[0]):
        since = opening(MetricsPort(target), time.time, stop.wait)
    # A bridge that was started again knows it already.
    if since is not None and all(one.time != since for one in witness.sightings):
        witness.saw(Sighting(since, target, None))
        log.info("Triton opened at %s: its counts begin at zero", target)


def announce(settings: Settings, selection: Selection, account: Account) -> None:
    """Log the version, the effective settings (secrets masked), the selection, and what is gone on with."""
    log.info("triton-bridge %s", __version__)
    for name, value, source in filter(operator.itemgetter(1), settings.shown()):
        log.info("setting %s=%s (%s)", name, value, source)
    names = ", ".join(f"{entry.name} ({entry.mode.value})" for entry in selection.entries)
    log.info("selection %s: %s", selection.digest, names)
    if account.origin is not None:
        accepted = account.points[Outcome.ACCEPTED]
        log.info("account since %s: %d points accepted; %s", utc(account.origin), accepted, tell_waiting(account))


def look_at(settings: Settings, pause: Callable[[float], object] = time.sleep) -> None:
    """Log what is found of Prometheus. In a container it starts beside the bridge, and may take a moment."""
    prometheus = connect(settings)
    try:
        for left in reversed(range(_PROMETHEUS_SECONDS)):
            try:
                rules, targets = prometheus.rules(), prometheus.targets()
                break
            except PrometheusError:
                if not left:
                    raise
                pause(1)
        log.info("Prometheus %s at %s: %d recording rules", prometheus.version(), prometheus.url, len(rules))
    except PrometheusError as error:
        log.warning("%s; it is asked again every cycle", error)
        return
    finally:
        prometheus.close()
    # Of the target that is this process, Prometheus tells how it was before this start.
    for target in (one for one in targets if one.job != JOB):
        log.info(
            "target %s %s: %s, scraped every %s%s",
            target.job,
            target.instance,
            target.health,
            format_duration(target.scrape_interval),
            f" ({target.last_error})" if target.last_error else "",
        )


def _schedule(turns: Turns, interval: float) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(timezone=timezone.utc)
    scheduler.add_listener(_overlap, EVENT_JOB_MAX_INSTANCES)
    scheduler.add_job(
        turns.turn,
        _Alarm(seconds=interval, start_date=_EPOCH, timezone=timezone.utc),
        next_run_time=datetime.now(timezone.utc),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
    )
    scheduler.start()
    return scheduler


class _Alarm(IntervalTrigger):  # type: ignore[misc]
    """Rings at the grid times. Those that passed meanwhile are not counted up: a clock may jump by years."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:  # noqa: ARG002
        following: datetime | None = super().get_next_fire_time(None, now + timedelta(microseconds=1))
        return following


def mind_the_clock(job: Job, interval: float, stop: threading.Event) -> None:
    """Ring again within an interval where the clock was set back: the alarm would wait for time to catch up."""
    while not stop.wait(interval):
        now = datetime.now(timezone.utc)
        if job.next_run_time and job.next_run_time - now > timedelta(seconds=interval):
            job.modify(next_run_time=now)


def _overlap(_: JobSubmissionEvent) -> None:
    log.warning("the cycle before is still under way at this grid time, which is worked on after it")
