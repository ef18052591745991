"""Takes where a bridge listens, gives what it tells of itself: once, or again and again; or what its folder tells without it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from io import TextIOWrapper

import orjson
import requests
from rich.console import Console, RenderableType
from rich.live import Live

from bridge import __version__
from bridge.backlog import Backlog
from bridge.cli import status_tables
from bridge.daemon import state_folder
from bridge.errors import BridgeError, ConfigurationError, Finding, Severity
from bridge.points import Outcome
from bridge.settings import Address, Settings
from bridge.times import utc
from bridge.turns import tell_waiting

_WIDE = 120  # columns of a file or a pipe
_EVERY = 2.0  # seconds
_SECONDS = 5.0  # for an answer
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — the addresses that mean all, and how to reach them


def address(listen: Address) -> str:
    """The URL of a bridge of this machine that listens there."""
    host = _ANY.get(listen.host, listen.host)
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def fetch(url: str) -> bytes:
    """Its ``/status.json``. Raises BridgeError where none is to be had, ConfigurationError where that is no URL."""
    if "://" not in url:
        raise ConfigurationError([Finding("--url", f"{url!r} has no scheme", f"http://{url}")])
    session = requests.Session()
    session.trust_env = False  # a proxy of the way to Azure would be asked
    place = f"{url.rstrip('/')}/status.json"
    remedy = "is it running? BRIDGE_LISTEN, or --url, must be as it is set there"
    try:
        with session:
            reply = session.get(place, timeout=_SECONDS)
            known = reply.ok and "words" in orjson.loads(reply.content)
    except requests.RequestException as error:
        raise BridgeError(f"no triton-bridge answers at {place} ({type(error).__name__}) — {remedy}") from None
    except (orjson.JSONDecodeError, TypeError):
        known = False
    if not known:
        raise BridgeError(f"what answers at {place} is no triton-bridge — {remedy}")
    return reply.content


def kept(settings: Settings) -> Finding | None:
    """What the state folder tells without the bridge; None where it holds nothing."""
    folder = state_folder(settings)
    account = Backlog(folder).account
    if account.origin is None:
        return None
    newest = "none" if account.last_delivered is None else utc(account.last_delivered)
    accepted = f"{account.points[Outcome.ACCEPTED]:,} points were accepted since {utc(account.origin)}"
    told = f"{accepted}, the newest of {newest}; {tell_waiting(account)}"
    return Finding(str(folder), told, severity=Severity.NOTE)


def code(answer: bytes) -> int:
    """The exit code."""
    return 0 if orjson.loads(answer)["healthy"] else 1


def show(answer: bytes) -> None:
    """Print it. Raises BridgeError where this version does not understand it."""
    console = _console()
    _print(console, _drawn(answer, console.width))


def watch(ask: Callable[[], bytes], pause: Callable[[float], object] = time.sleep) -> int:
    """Show it every two seconds until Ctrl-C, whether it answers or not; the exit code is that of what was seen last."""
    console = _console()
    seen = 1
    last: RenderableType = ""
    try:
        # On a screen of its own: what is longer than the terminal would scroll, and leave its top behind each time.
        with Live(console=console, screen=True, auto_refresh=False) if console.is_terminal else nullcontext() as live:
            while True:
                try:
                    answer = ask()
                    last, seen = _drawn(answer, console.width), code(answer)
                except BridgeError as error:
                    last, seen = status_tables.lost(str(error)), 1
                if live:
                    live.update(last, refresh=True)
                else:
                    _print(console, last)
                pause(_EVERY)
    except KeyboardInterrupt:
        if console.is_terminal:
            console.print(last)
    return seen


def _drawn(answer: bytes, width: int) -> RenderableType:
    document = orjson.loads(answer)
    try:
        return status_tables.status(document, width)
    except (LookupError, ValueError, TypeError) as error:
        raise BridgeError(
            f"what the bridge tells is not understood ({error!r}): is it of another version than {__version__}?"
            " --json writes it as it is"
        ) from None


def _print(console: Console, what: RenderableType) -> None:
    if console.is_terminal:
        console.print(what)
        return
    with console.capture() as lines:
        console.print(what)
    print("\n".join(map(str.rstrip, lines.get().splitlines())), flush=True)


def _console() -> Console:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an encoding without bars still has words
    width = None if sys.stdout.isatty() else _WIDE
    return Console(width=width, highlight=False, markup=False, emoji=False)
