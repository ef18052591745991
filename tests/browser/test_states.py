"""The page in each state: what it says, and that everybody can read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.driving import Browser
from tests.browser.scenes import Scene

# What reaches beyond its own box, but where it may scroll by itself.
BEYOND = """[...document.querySelectorAll('body, body *')].filter((one) =>
    one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1 && getComputedStyle(one).display !== 'inline' &&
    !one.closest('svg, .scroll, thead, .unseen')).map((one) => one.outerHTML.slice(0, 80))"""


WIDTHS = pytest.mark.parametrize("width", [360, 1280])


@WIDTHS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_its_window_and_is_fit_for_everybody(
    each: Scene, browser: Browser, pictures: Path, width: int, scheme: str
) -> None:
    browser.open(each.url, width=width, scheme=scheme)
    browser.picture(pictures / f"{each.state.value}-{width}-{scheme}.png")
    folded = browser.ask(BEYOND)
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    assert folded == browser.ask(BEYOND) == []
    assert browser.ask("document.documentElement.scrollWidth") == width
    assert browser.audit() == []
    assert browser.complaints() == []


@WIDTHS
def test_it_needs_no_script(each: Scene, browser: Browser, pictures: Path, width: int) -> None:
    browser.open(each.url, width=width, scripts=False)
    browser.picture(pictures / f"{each.state.value}-{width}-without-scripts.png")

    assert browser.ask("document.querySelector('h1').textContent") == each.state.words
    assert browser.ask("document.querySelector('noscript a').getAttribute('href')") == "./"
    assert browser.ask(BEYOND) == []
    assert browser.ask("document.documentElement.scrollWidth") == width
    assert browser.complaints() == []


def test_without_scripts_it_is_fit_for_everybody_too(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url, scripts=False)

    assert browser.audit() == []


def test_the_audit_and_the_measure_find_what_is_wrong(scene: Scene, browser: Browser) -> None:
    browser.open(scene.url, width=360)
    browser.ask(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<section><h2></h2><pre></pre></section>')"
    )
    browser.ask("document.querySelector('section:last-child pre').append('x'.repeat(99))")
    browser.ask("document.querySelector('section:last-child pre').style.whiteSpace = 'pre'")

    assert [finding.partition(":")[0] for finding in browser.audit()] == ["empty-heading"]
    assert browser.ask(BEYOND) != []


def test_what_to_do_stands_beside_the_state(each: Scene, browser: Browser) -> None:
    browser.open(each.url)

    said = browser.ask("document.querySelector('.state').innerText")
    snapshot = each.board.snapshot()
    assert each.state.remedy in said
    assert snapshot.detail in said
    assert browser.ask("document.title").startswith(each.state.words)


def test_the_timeline_is_a_table_too(each: Scene, browser: Browser) -> None:
    browser.open(each.url)

    drawn = browser.ask(
        "[...document.querySelectorAll('.timeline rect title')].map((one) => one.textContent.split(':')[0])"
    )
    listed = browser.ask(
        "[...document.querySelectorAll('#stretches tbody tr')].map((row) => row.lastChild.textContent.split(':')[0])"
    )
    assert sorted(drawn) == sorted(listed)
    assert len(drawn) == len(each.board.snapshot().memory.account.timeline)


def test_the_account_adds_up_as_it_stands_on_the_page(each: Scene, browser: Browser) -> None:
    browser.open(each.url)

    columns = browser.ask(
        """[...document.querySelectorAll('table.account')].flatMap((table) => {
            const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll('td')].map((one) => Number(one.textContent.replace(/\\D/g, ''))));
            return rows[0].map((_, column) => rows.map((row) => row[column]));
        })"""
    )
    assert [column[0] for column in columns] == [sum(column[1:]) for column in columns]
    assert len(columns) == 4
