"""Takes a wish to have a stretch of time posted, gives an exit code: says what will be done, asks, does it, says what came of it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bridge import backfill, daemon, selection
from bridge.account import Account
from bridge.backfill import Result, Wish, shown
from bridge.backlog import Backlog, Stretch
from bridge.cli.terminal import leave_bar, show_progress
from bridge.ending import interruptible
from bridge.errors import BridgeError, ConfigurationError, Finding
from bridge.settings import Settings, missing

Ask = Callable[[str], bool]


def fill(settings: Settings, wish: Wish, ask: Ask | None) -> int:
    """Post a stretch of time, or have the triton-bridge do it that works with the same folder.

    ``ask`` asks a question with yes or no; None: all of it is to be posted, whatever was posted already.
    """
    source = daemon.connect(settings)
    try:
        now, newest = backfill.due(source, settings.interval, settings.settle_delay)
    finally:
        source.close()
    start, end = wish.bounds(now, newest, settings.backfill_limit)
    if wish.end is not None and wish.end > end:
        print(f"note: --end lies ahead of the newest grid time that is due, {shown(end)}")
    folder = daemon.state_folder(settings)
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        raise BridgeError(
            f"{folder} cannot be read, so that it is not known what was posted already"
            " — run this as the user that triton-bridge runs as"
        )
    backlog = Backlog(folder)
    try:
        backlog.lock()
    except ConfigurationError:
        return _have_it_done(backlog, folder, start, end, ask, max(10, 2 * settings.interval))
    return _do_it(settings, backlog, now, newest, start, end, ask)


def _do_it(
    settings: Settings, backlog: Backlog, now: float, newest: float, start: float, end: float, ask: Ask | None
) -> int:
    """Post it here, with the lock."""
    if settings.connection is None and not settings.sandbox:
        raise ConfigurationError([missing(os.environ)])
    chosen = selection.load(settings.metrics_file)
    stop = threading.Event()
    with daemon.build(settings, stop=stop, locked=backlog) as parts:
        parts.cycle.in_force(chosen, now)
        backlog.orders()  # which nobody took so far
        if not backlog.repairable:
            raise BridgeError(backlog.trouble)
        start, end, *_ = stretch = backlog.stretch(start, end)
        backlog.again(start, end, repeat=_agreed(stretch, backlog.account, ask))
        before, begun = backlog.account, time.monotonic()
        if not backlog.stretch(start, end).waiting:
            return _nothing()
        print("Ctrl-C ends it after the cycle under way; it can be gone on with")
        steps = backfill.post(parts.cycle, newest, start, end)
        interruptible(lambda: show_progress(steps), stop, leave_bar)
        left = backlog.stretch(start, end).waiting
        code = _told(Result.between(before, backlog.account, time.monotonic() - begun))
        if left:
            how = "give the command again, and do not post again what is settled, to go on"
            print(f"failure: {left} cycles wait still — {backlog.trouble or how}", file=sys.stderr)
        return 1 if left else code


def _have_it_done(backlog: Backlog, folder: Path, start: float, end: float, ask: Ask | None, quiet: float) -> int:
    """Ask the process that has the lock, and watch it."""
    before, begun = backlog.account, time.monotonic()
    if before.origin is None:
        raise BridgeError(f"the triton-bridge that works with {folder} has begun nothing yet — try again in a minute")
    stretch = backlog.stretch(start, end)
    repeat = _agreed(stretch, before, ask)
    if backlog.ordered:
        print("another command has asked for a stretch already, which is not counted here yet")
    total = stretch.cycles if repeat else stretch.cycles - stretch.settled
    if not total:
        return _nothing()
    backlog.order(stretch.start, stretch.end, repeat=repeat)
    print("the running triton-bridge is asked to do it, and begins at its next turn; Ctrl-C ends the watching alone")
    stop = threading.Event()
    steps = backfill.follow(folder, stretch, total, stop.wait, quiet=quiet)
    interruptible(lambda: show_progress(steps), stop, leave_bar)
    if stop.is_set():
        print("the triton-bridge goes on with it")
        return 1
    print("of the running triton-bridge, its newest cycles included:")
    return _told(Result.between(before, Backlog(folder).account, time.monotonic() - begun))


def _agreed(stretch: Stretch, account: Account, ask: Ask | None) -> bool:
    """Say what will be done; whether what is settled is to be posted again."""
    if not stretch.cycles:
        raise ConfigurationError(
            [Finding("--end", "no grid time lies between the two times", "let them lie further apart")]
        )
    print(backfill.plan(stretch))
    for since, until in account.unknown:
        if since < stretch.end and until > stretch.start:
            print(f"of {shown(since)} to {shown(until)} it is not known what was posted: it counts as settled")
    if not stretch.settled or ask is None:
        return ask is None
    if not sys.stdin.isatty():
        print("what is settled is not posted again: there is no terminal to ask at, and no --yes")
        return False
    return ask(f"Post the {stretch.settled} settled ones again? What was delivered of them will be there twice.")


def _nothing() -> int:
    print("nothing is left to post")
    return 0


def _told(result: Result) -> int:
    print(result.summary)
    for loss in result.losses:
        print(f"failure: {loss}", file=sys.stderr)
    return 1 if result.losses else 0
