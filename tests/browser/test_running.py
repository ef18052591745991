"""A running bridge in a browser: led into each state, it is shown so, by the page that was open all the time too."""

from __future__ import annotations

import pytest

from bridge.states import State
from tests.browser.driving import Browser
from tests.flow.moves import CAUSES, World

_SAID = "document.querySelector('h1').textContent"


@pytest.mark.parametrize("state", CAUSES, ids=lambda state: state.value)
def test_each_state_of_a_running_bridge_is_shown_with_and_without_scripts_in_two_widths(
    running: World, browser: Browser, state: State
) -> None:
    running.well()
    running.well()
    CAUSES[state](running)

    for width in (360, 1280):
        for scripts in (True, False):
            browser.open(running.web.url, width=width, scripts=scripts)
            assert browser.ask(_SAID) == state.words
            assert browser.ask("document.documentElement.scrollWidth") == width
            assert browser.complaints() == []
    browser.open(running.web.url)
    assert browser.audit() == []


def test_a_page_that_stays_open_tells_every_change(running: World, browser: Browser) -> None:
    browser.open(running.web.url)
    assert browser.ask(_SAID) == State.STARTING.words
    for cause in (State.DELIVERING, State.UNREACHABLE, State.CATCHING_UP, State.NO_DATA):
        CAUSES[cause](running)
        browser.look_again()
        browser.wait(_SAID, cause.words)
    assert browser.complaints() == []
