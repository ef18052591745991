"""What an entry asks of Prometheus, what it means by it, and the names that it sends."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selection import Entry, Mode
from bridge.selection.entry import quantile_name


def entry(metric: str, mode: Mode = Mode.VALUE, quantiles: tuple[float, ...] = ()) -> Entry:
    return Entry("", metric, mode, metric=metric, quantiles=quantiles)


@pytest.mark.parametrize(
    ("metric", "mode", "asks"),
    [
        ("nv_gpu", Mode.VALUE, ("nv_gpu",)),
        ("vllm:requests", Mode.RATE, ("vllm:requests",)),
        ("nv_*_us", Mode.INCREASE, ("nv_.*_us",)),
        ("nv_?", Mode.STATS, ("nv_.",)),
        ("*", Mode.VALUE, (".+",)),
        ("**", Mode.VALUE, (".+",)),
        ("h", Mode.HISTOGRAM, ("h_bucket", "h_sum", "h_count")),
        ("h*", Mode.HISTOGRAM, ("h.*_bucket", "h.*_sum", "h.*_count")),
        ("*", Mode.HISTOGRAM, (".+_bucket", ".+_sum", ".+_count")),
    ],
)
def test_names_are_asked_for_as_regular_expressions(metric: str, mode: Mode, asks: tuple[str, ...]) -> None:
    assert entry(metric, mode).asks == asks


@given(st.text("ab_:*?", min_size=1, max_size=6), st.text("ab_:", min_size=1, max_size=6))
def test_a_glob_means_what_it_means_in_a_shell(glob: str, name: str) -> None:
    assert entry(glob).wants(name) == fnmatchcase(name, glob)


@given(st.text("ab*?", min_size=1, max_size=4), st.text("ab_", min_size=1, max_size=4))
def test_of_a_histogram_its_three_parts_are_wanted_and_lead_back_to_it(glob: str, metric: str) -> None:
    histogram = entry(glob, Mode.HISTOGRAM)
    parts = histogram.parts(metric)

    assert parts == (f"{metric}_bucket", f"{metric}_sum", f"{metric}_count")
    assert {histogram.wants(part) for part in parts} == {fnmatchcase(metric, glob)}
    assert {histogram.metric_of(part) for part in parts} == {metric}


def test_a_name_is_wanted_as_a_whole() -> None:
    assert [name for name in ("a", "ab", "ba", "a_bucket", "A", "a\n") if entry("a").wants(name)] == ["a"]


def test_a_query_wants_no_series_and_asks_for_no_name() -> None:
    query = Entry("", "q", Mode.VALUE, query="sum(a)")

    assert (query.asks, query.glob, query.wants("q"), query.wants("")) == ((), False, False, False)


def test_no_question_matches_the_empty_name() -> None:
    """Prometheus refuses a selector that does."""
    assert [glob for glob in ("*", "**", "*?", "?*") if re.fullmatch(entry(glob).asks[0], "")] == []


def test_a_glob_sends_each_metric_under_its_own_name_without_colons() -> None:
    assert entry("vllm:*").published("vllm:requests:total") == "vllm_requests_total"
    assert entry("a").published("whatever") == "a"


@pytest.mark.parametrize(
    ("quantile", "suffix"),
    [
        *((0, "00"), (0.0, "00"), (1, "100"), (1.0, "100"), (0.5, "50"), (0.05, "05"), (0.95, "95"), (0.999, "999")),
        *((0.1, "10"), (0.001, "001"), (0.0625, "0625"), (1e-7, "0000001"), (0.9999999999999999, "9999999999999999")),
    ],
)
def test_a_quantile_is_named_by_its_digits(quantile: float, suffix: str) -> None:
    assert quantile_name("x", quantile) == f"x_p{suffix}"


@given(st.sets(st.floats(0, 1), min_size=2))
def test_two_quantiles_never_share_a_name(quantiles: set[float]) -> None:
    assert len(entry("h", Mode.HISTOGRAM, tuple(quantiles)).quantile_names("h")) == len(quantiles)


def test_modes_tell_what_they_need() -> None:
    assert [mode for mode in Mode if not mode.raw] == [Mode.VALUE]
    assert [mode for mode in Mode if mode.gain] == [Mode.INCREASE, Mode.RATE, Mode.HISTOGRAM]
