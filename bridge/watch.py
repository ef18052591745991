"""Takes Triton's metrics port, gives what was seen there: when it opened, and what stood there last.

In the images the bridge starts beside Triton and ends after it. Both ends lie between two scrapes: what Triton counted
before the first and after the last one is known by looking only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridge.exposition import MetricsPort, Unreadable

_OPENING_EVERY = 0.5  # seconds
_CLOSING_EVERY = 0.25  # a draining Triton's last counts stand there for some two seconds


def opening(port: MetricsPort, clock: Callable[[], float], pause: Callable[[float], bool]) -> float | None:
    """Wait until Triton answers: when its port was last seen closed (epoch s), None if it never was.

    ``pause`` waits so many seconds, and says whether to give up.
    """
    closed = None
    while True:
        now = clock()
        try:
            if port.read() is not None:
                return closed
            closed = now
        except Unreadable:
            pass  # it listens, and is not ready to tell
        if pause(_OPENING_EVERY):
            return None


class Closing:
    """Looks until the port is closed. ``newest`` is when it was last open, and the last line of each series.

    Triton takes away the series of a model when it has unloaded it, a second before it closes the port.

    ``looked`` is set after the first look, ``gone`` once the port is closed; ``pause`` waits so many seconds.
    """

    def __init__(self, port: MetricsPort, clock: Callable[[], float], pause: Callable[[float], object]) -> None:
        self.newest: tuple[float, str] | None = None
        self.looked = threading.Event()
        self.gone = threading.Event()
        self._lines: dict[str, str] = {}
        self._port = port
        self._clock = clock
        self._pause = pause

    def run(self) -> None:
        """Look, until there is nothing more to see."""
        while not self.gone.is_set():
            now = self._clock()
            try:
                text = self._port.read()
            except Unreadable:
                text = ""
            if text is None:
                self.gone.set()
            elif text:
                self._lines |= {line.rpartition(" ")[0]: line for line in text.splitlines() if line and line[0] != "#"}
                self.newest = (now, "\n".join(self._lines.values()) + "\n")
            self.looked.set()
            self._pause(_CLOSING_EVERY)
