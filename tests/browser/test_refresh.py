"""The page while somebody looks at it: what the small script changes, and what it leaves alone."""

from __future__ import annotations

from itertools import takewhile

import pytest
from selenium.webdriver.common.keys import Keys

from bridge.states import State
from bridge.web import Web
from tests.browser.driving import Browser
from tests.browser.scenes import Scene

SHOWN = "document.querySelector('header time').textContent"
LOST = "document.getElementById('lost').hidden"
FOCUSED = "document.activeElement.id"


def later(scene: Scene, browser: Browser) -> None:
    """Half a minute on, the page is fetched again."""
    scene.clock.sleep(30)
    browser.look_again()


def test_it_fetches_itself_every_ten_seconds(scene: Scene, browser: Browser) -> None:
    with browser.tab():
        browser.open(scene.url)
        before = browser.ask("document.querySelector('h1').textContent")
        scene.turn_into(State.THROTTLED)
        browser.tell("Emulation.setVirtualTimePolicy", policy="advance", budget=10_500)
        browser.wait("document.querySelector('h1').textContent", "throttled")

    assert before == "delivering"


def test_a_new_state_is_shown_named_in_the_title_and_said_once(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    silent = browser.ask("document.getElementById('said').textContent")
    scene.turn_into(State.QUOTA)
    browser.look_again()
    browser.wait("document.querySelector('h1').textContent", "quota reached")

    assert silent == ""
    assert browser.ask("document.title").startswith("quota reached")
    assert browser.ask("document.getElementById('said').textContent") == "State: quota reached"
    assert browser.complaints() == []


def test_focus_open_details_and_scrolling_stay(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    browser.ask("document.getElementById('newest-cycles').open = true")
    browser.ask("document.getElementById('newest-cycles-table').scrollTo(0, 120)")
    browser.ask("document.getElementById('newest-cycles-summary').focus()")
    browser.ask("window.scrollTo(0, 700)")
    old = "document.querySelector('main').dataset.old"
    browser.ask(f"{old} = 'yes'")
    later(scene, browser)
    browser.wait(old, None)

    assert browser.ask(FOCUSED) == "newest-cycles-summary"
    assert browser.ask("[...document.querySelectorAll('details')].map((one) => one.open)") == [False, True]
    assert browser.ask("document.getElementById('newest-cycles-table').scrollTop") == 120
    assert browser.ask("window.scrollY") == 700
    assert browser.ask(SHOWN) == "12:00:55"


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("getSelection().selectAllChildren(document.getElementById('query'))", "getSelection().removeAllRanges()"),
        ("Object.defineProperty(document, 'hidden', { value: true, configurable: true })", "delete document.hidden"),
    ],
    ids=["something is being selected", "nobody looks"],
)
def test_the_bridge_is_asked_for_nothing_while(scene: Scene, browser: Browser, begin: str, end: str) -> None:
    browser.open(scene.url)
    browser.driver.execute_script(
        "const ask = window.fetch; window.asked = 0; window.fetch = (...all) => { window.asked += 1; return ask(...all); }"
    )
    browser.ask(begin)
    later(scene, browser)
    meanwhile = browser.ask("window.asked")  # it is asked before the event has been dealt with
    browser.ask(end)
    later(scene, browser)
    browser.wait(SHOWN, "12:01:25")

    assert (meanwhile, browser.ask("window.asked")) == (0, 1)


def test_a_bridge_that_is_gone_is_said_to_be_and_found_again(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    port = scene.web.url.rstrip("/").rpartition(":")[2]
    hidden = browser.ask(LOST)
    scene.close()
    browser.look_again()
    browser.wait(LOST, expected=False)
    said = browser.ask("document.getElementById('lost').innerText")
    findings = browser.audit()
    scene.web = Web("127.0.0.1", int(port), board=scene.board, registry=scene.registry)
    browser.look_again()
    browser.wait(LOST, expected=True)

    assert hidden is True
    assert said.startswith("The bridge does not answer.")
    assert findings == []


def test_another_version_loads_the_page_and_its_script_anew(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    browser.ask("document.documentElement.dataset.version = '0.1'")
    browser.look_again()

    browser.wait("document.documentElement.dataset.version", "0.9.0")


def test_the_keyboard_reaches_all_that_can_be_used(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    seen = []
    for _ in range(9):
        browser.press(Keys.TAB)
        seen.append(browser.ask("document.activeElement.id || document.activeElement.getAttribute('href')"))

    reached = list(takewhile(lambda one: one is not None, seen))
    assert reached == ["stretches-summary", "newest-cycles-summary", "query", "status.json", "metrics"]


def test_a_fold_opens_by_the_keyboard(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    browser.press(Keys.TAB, Keys.ENTER)

    browser.wait("document.getElementById('stretches').open", expected=True)


def test_the_policy_stops_a_script_and_a_style_that_are_not_the_page_s_own(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url)
    browser.ask(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<p id=tried style=\"color: red\">x</p>')"
    )
    browser.driver.execute_script(
        "const one = document.createElement('script'); one.textContent = 'window.ran = true'; document.body.append(one)"
    )

    assert browser.ask("window.ran === undefined") is True
    assert browser.ask("document.getElementById('tried').style.color") == ""
    assert len(browser.complaints()) == 2
