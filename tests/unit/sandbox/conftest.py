"""Takes options, gives running sandboxes with a clock that stands still."""

from collections.abc import Callable, Iterator

import pytest

from bridge.sandbox import Sandbox
from tests.unit.sandbox.telemetry import NOW


class Clock:
    """The time, as a test sets it; ``waits`` holds what was asked to be slept."""

    def __init__(self) -> None:
        self.time = NOW
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(clock: Clock) -> Iterator[Callable[..., Sandbox]]:
    running: list[Sandbox] = []

    def run(**options: object) -> Sandbox:
        sandbox = Sandbox(**{"now": clock.now, "sleep": clock.waits.append, **options})
        running.append(sandbox)
        sandbox.start()
        return sandbox

    yield run
    for sandbox in running:
        sandbox.close()


@pytest.fixture
def sandbox(start: Callable[..., Sandbox]) -> Sandbox:
    return start(scriptable=True)
