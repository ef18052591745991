"""Takes settings, a time and a folder, gives findings on what stands around the bridge: clock, state folder, endpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import requests

from bridge.backlog.files import OsFiles
from bridge.errors import Finding, Severity
from bridge.settings import Settings


def check_clock(before: float, now: float, after: float) -> Iterator[Finding]:
    """Whether our clock (epoch s), read before and after Prometheus told ``now``, can be right by that."""
    skew = min(max(now, before), after) - now
    if abs(skew) > 2:
        ahead = "ahead of" if skew > 0 else "behind"
        problem = f"this clock is {abs(skew):.0f} s {ahead} Prometheus'"
        yield Finding("clock", problem, "Prometheus' clock decides; keep both by NTP", Severity.WARNING)


def check_folder(folder: Path) -> Iterator[Finding]:
    """Whether the backlog could be kept there, by this user; nothing stays behind."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\n")
    except OSError as error:
        yield Finding(
            str(folder),
            f"cannot be written ({error.strerror or error}): after a restart nothing is known of what was delivered",
            "free space there, or let BRIDGE_STATE_DIR be a folder that this user may write",
            Severity.FAILURE,
        )
        return
    lock = folder / "lock"
    if not lock.exists():
        return
    try:
        OsFiles().lock(lock)()  # and gives it back at once
    except BlockingIOError:
        remedy = "no second one can start with it; it is left as it is"
        yield Finding(str(folder), "a triton-bridge runs with this folder now", remedy, Severity.NOTE)
    except OSError as error:
        problem = f"cannot be locked ({error.strerror or error})"
        yield Finding(str(folder), problem, "is it on a disk of this machine, and this user's?", Severity.WARNING)


def check_endpoint(settings: Settings) -> Iterator[Finding]:
    """Whether the ingestion endpoint can be reached; nothing is posted, and any answer will do."""
    if settings.sandbox or settings.connection is None:
        return
    endpoint = settings.connection.ingestion_endpoint
    try:
        requests.get(endpoint, timeout=10, allow_redirects=False)
    except requests.RequestException as error:
        yield Finding(
            endpoint,
            f"the ingestion endpoint cannot be reached ({type(error).__name__})",
            "look at DNS, firewall, HTTPS_PROXY and the connection string",
            Severity.FAILURE,
        )
