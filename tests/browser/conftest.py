"""One browser for all tests, and a scene for each state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.states import State
from examples.stack import ROOT
from tests.browser.driving import Browser
from tests.browser.scenes import Scene
from tests.flow.conftest import MakeBridge
from tests.flow.conftest import make_bridge as make_bridge  # noqa: PLC0414 — a fixture here too
from tests.flow.moves import World, worlds


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where pictures of every page are kept, for a person to look at."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module", params=list(State), ids=lambda state: state.value)
def each(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A scene of each state."""
    scene = Scene(request.param)
    yield scene
    scene.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """One in which all is well, of the test's own."""
    scene = Scene(State.DELIVERING)
    yield scene
    scene.close()


@pytest.fixture
def running(make_bridge: MakeBridge, tmp_path: Path) -> Iterator[World]:
    """A whole bridge between a Prometheus and the sandbox, before its first turn."""
    with worlds(make_bridge, tmp_path) as world:
        yield world
