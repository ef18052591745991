"""The questions of a cycle."""

import json
import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from bridge.queries import Kind, Window, history, questions, selectors, up
from bridge.selection import Selection, parse

WINDOW = Window(interval=60, scrape_interval=15)


def select(*metrics: object) -> Selection:
    return parse(json.dumps({"customMetrics": list(metrics)}))


def test_two_questions_carry_all_named_metrics() -> None:
    selection = select("a", "b", {"metric": "c", "mode": "increase"}, {"metric": "a", "mode": "rate", "name": "r"})
    asked = questions(selection, WINDOW, check_age=False)

    assert [(question.kind, question.expr) for question in asked] == [
        (Kind.VALUES, '{__name__=~"a|b"}'),
        (Kind.SAMPLES, '{__name__=~"c|a"}[1m31s]'),
    ]


def test_a_users_query_is_asked_as_it_is() -> None:
    (asked,) = questions(select({"query": "sum(a)", "name": "total"}), WINDOW, match='job="x"')

    assert (asked.kind, asked.expr) == (Kind.EXPRESSION, "sum(a)")


def test_the_age_is_asked_for_where_prometheus_looks_back_further() -> None:
    asked = questions(select("a"), WINDOW, check_age=True)

    assert [question.expr for question in asked] == ['{__name__=~"a"}', 'last_over_time({__name__=~"a"}[1m])']


def test_the_age_limit_is_two_scrapes_where_these_are_longer_than_the_interval() -> None:
    assert Window(interval=10, scrape_interval=15).age_limit == 30
    assert Window(interval=60, scrape_interval=15).age_limit == 60


def test_matchers_of_the_user_are_in_every_question_of_ours() -> None:
    selection = select("a", {"metric": "b", "mode": "irate"})
    asked = questions(selection, WINDOW, match='job="x"')

    assert [question.expr for question in asked] == [
        '{__name__=~"a",job="x"}',
        'last_over_time({__name__=~"a",job="x"}[1m])',
        '{__name__=~"b",job="x"}[1m31s]',
    ]
    assert up(WINDOW, match='job="x"').expr == 'up{job="x"}[1m1s]'
    assert up(WINDOW).expr == "up{}[1m1s]"


def test_history_asks_for_an_hour_before_the_interval() -> None:
    (asked,) = history([{"__name__": "a", "model": "m"}, {"__name__": "a", "model": "n"}], WINDOW)

    assert (asked.kind, asked.expr) == (Kind.SAMPLES, '{__name__=~"a",model=~"m|n"}[1h1m1s]')
    assert list(history([], WINDOW)) == []
    assert up(WINDOW, hour=True).expr == "up{}[1h1m1s]"


def test_history_is_narrowed_by_what_can_be_written_and_no_further() -> None:
    odd = {"__name__": "a", "path": 'C:\\x "y".*', "broken": "two\nlines", "service.name": "from Prometheus 3 on"}
    (asked,) = history([odd], WINDOW)

    assert asked.expr == r"""{__name__=~"a",path=~"C:\\\\x\\ \"y\"\\.\\*"}[1h1m1s]"""


def test_an_hour_of_many_series_is_asked_in_parts() -> None:
    """10,000 series scraped every 15 s have 2.4 million samples an hour; one part brings a quarter of a million."""
    lost = [{"__name__": f"m{number % 25}", "model": f"model-{number}"} for number in range(10_000)]
    asked = list(history(lost, WINDOW))

    assert 10 <= len(asked) <= 40
    assert all(len(quote(question.expr)) < 7900 for question in asked)


def test_many_long_labels_narrow_history_only_as_far_as_the_url_holds() -> None:
    lost = [{"__name__": "m", **{f"label_{number:02}": "v" * 300 for number in range(40)}}]
    (asked,) = history(lost, WINDOW)

    assert "label_00" in asked.expr
    assert len(quote(asked.expr)) < 7900


def test_a_thousand_long_names_are_asked_in_parts_that_fit_into_a_url() -> None:
    found = list(selectors([f"{number:03}".replace("0", "a") + "m" * 147 for number in range(100, 400)]))

    assert len(found) > 1
    assert all(len(quote(selector)) < 7900 for selector in found)


names = st.lists(st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,149}", fullmatch=True), max_size=400)


@given(names, st.sampled_from(["", 'job="x"', 'model=~"' + "m" * 2000 + '"']))
def test_selectors_hold_each_name_once_and_fit_into_a_url(wanted: list[str], match: str) -> None:
    found = list(selectors(wanted, match))

    held = [name for selector in found for name in re.findall(r'__name__=~"([^"]*)"', selector)[0].split("|")]
    assert held == list(dict.fromkeys(wanted))
    assert all(len(quote(f"last_over_time({selector}[1h1m1s])")) < 7900 for selector in found)
