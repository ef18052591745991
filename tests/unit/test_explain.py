"""An explanation says what is sent: who sends it, what becomes of each label and sample, and why there is no row."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.page import Line, broken
from bridge.explain import Told, globbed, nearest, senders
from bridge.explain.labels import fates
from bridge.explain.series import Findings, boundless, tell, units
from bridge.points import Series, identity
from bridge.queries import Window
from bridge.selection import Entry, Selection, parse
from bridge.telemetry import Answers, Cut, latest_before
from bridge.telemetry.dimensions import dimensions
from bridge.telemetry.nouns import Sample

T = 1_795_000_020.0
START = T - 60
CUT = Cut(START, T, 60.0)
OWN = {"__name__": "c", "job": "triton", "instance": "t:8002"}
UP = {**OWN, "__name__": "up"}


def selection(*metrics: object) -> Selection:
    return parse(json.dumps({"customMetrics": list(metrics)}))


def entry(**fields: object) -> Entry:
    (only,) = selection({"metric": "c", **fields}).entries
    return only


# -- who sends it --------------------------------------------------------------------------------------------------------

CHOSEN = selection(
    "nv_*",
    "plain",
    {"metric": "plain", "mode": "increase", "name": "gained"},
    {"metric": "h", "mode": "histogram", "name": "latency", "quantiles": [0.5, 0.95]},
    {"query": "sum(up)", "name": "asked"},
    {"metric": "vllm:*", "mode": "histogram", "quantiles": [0.95]},
    {"metric": "nv_named", "name": "nv_other"},
)
PRESENT = {"nv_a", "nv_other", "vllm:ttft_bucket", "vllm:ttft_sum", "vllm:ttft_count", "vllm:running", "plain"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gained", [(2, "plain", ("gained",))]),
        ("plain", [(1, "plain", ("plain",)), (2, "plain", ("gained",))]),
        ("latency_p95", [(3, "h", ("latency_p95",))]),
        ("h_bucket", [(3, "h", ("latency", "latency_p50", "latency_p95"))]),
        ("asked", [(4, None, ("asked",))]),
        ("nv_a", [(0, "nv_a", ("nv_a",))]),
        ("nv_gone", [(0, "nv_gone", ("nv_gone",))]),
        ("nv_other", [(6, "nv_named", ("nv_other",)), (0, "nv_other", ("nv_other",))]),
        ("vllm_ttft_p95", [(5, "vllm:ttft", ("vllm_ttft_p95",))]),
        ("vllm:ttft", [(5, "vllm:ttft", ("vllm_ttft", "vllm_ttft_p95"))]),
        ("vllm:ttft_sum", [(5, "vllm:ttft", ("vllm_ttft", "vllm_ttft_p95"))]),
        ("nothing", []),
    ],
)
def test_a_name_leads_to_all_entries_that_send_it_and_what_is_named_comes_first(
    name: str, expected: list[tuple[int, str | None, tuple[str, ...]]]
) -> None:
    found = [(one.entry.place, one.entry.metric, one.names) for one in senders(CHOSEN, name, PRESENT)]

    assert found == [(f"metrics.json: customMetrics[{n}]", metric, names) for n, metric, names in expected]


def test_the_nearest_names_are_selected_ones_and_of_globs_those_that_are_there() -> None:
    assert nearest(CHOSEN, "gainde", PRESENT) == ["gained"]
    assert nearest(CHOSEN, "nv_b", PRESENT) == ["nv_a"]
    assert nearest(CHOSEN, "nv_a_thing_of_another_kind", set()) == []


def test_an_entry_whose_series_another_one_sends_says_which() -> None:
    """What is named goes before globs by whatever name it is sent, and of globs the first one counts."""
    both = selection("a_*", {"metric": "*_b", "mode": "stats"}, {"metric": "a_c", "name": "mine"})
    instead = {
        name: [one.instead for one in senders(both, name, {"a_b", "a_c", "x_b"})] for name in ("a_b", "a_c", "x_b")
    }

    assert [one.instead for one in senders(both, "a_c", set())] == [""]
    place = "metrics.json: customMetrics"
    assert instead == {"a_b": ["", f"{place}[0]"], "a_c": ["", f"{place}[2]"], "x_b": [""]}


def test_an_unusual_name_of_a_glob_is_asked_for_by_a_glob_and_its_series_alone_are_meant() -> None:
    (sender,) = senders(selection("*"), 'utf.8 "n"', ['utf.8 "n"', "utf_8__n_"])

    assert (sender.entry.asks, sender.metric, sender.names) == (("utf.8..n.",), 'utf.8 "n"', ('utf.8 "n"',))
    assert [sender.means(Series({"__name__": name}, [])) for name in ('utf.8 "n"', "utf_8__n_")] == [True, False]


def test_a_glob_that_is_asked_about_stands_for_the_metrics_that_are_sent() -> None:
    assert globbed(CHOSEN, "*", PRESENT) == ["nv_a", "nv_other", "plain", "vllm:ttft"]
    assert globbed(CHOSEN, "vllm:*", PRESENT) == ["vllm:ttft"]


# -- labels --------------------------------------------------------------------------------------------------------------


def why(labels: dict[str, str], of: Entry) -> dict[str, list[tuple[str | None, str]]]:
    found: dict[str, list[tuple[str | None, str]]] = {}
    for fate in fates([labels], of):
        found.setdefault(fate.label, []).append((fate.dimension, fate.why))
    return found


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        ({"model": "a"}, {}, {"model": [("model", "kept")]}),
        (
            {"instance": "127.0.0.1:8002", "job": "t"},
            {},
            {
                "instance": [(None, "dropped: a loopback address says nothing in Azure")],
                "job": [(None, "dropped with the loopback instance")],
            },
        ),
        ({"instance": "t:1", "job": "t"}, {}, {"instance": [("instance", "kept")], "job": [("job", "kept")]}),
        (
            {"model": "a", "version": "1"},
            {"mode": "increase", "by": ["model"]},
            {"model": [("model", "kept")], "version": [(None, "dropped: not named in by")]},
        ),
        (
            {"model": "a", "version": "1"},
            {"mode": "increase", "without": ["version"]},
            {"model": [("model", "kept")], "version": [(None, "dropped: named in without")]},
        ),
        (
            {"gpu_uuid": "1"},
            {"labels": {"rename": {"gpu_uuid": "gpu"}}},
            {"gpu_uuid": [("gpu", "renamed by labels.rename")]},
        ),
        (
            {"gpu_uuid": "1", "gpu": "0"},
            {"labels": {"rename": {"gpu_uuid": "gpu"}}},
            {
                "gpu_uuid": [("gpu_uuid", "not renamed: the series has a label gpu already")],
                "gpu": [("gpu", "kept")],
            },
        ),
        (
            {"a": "1", "b": "2"},
            {"labels": {"rename": {"a": "b", "b": "a"}}},
            {"a": [("b", "renamed by labels.rename")], "b": [("a", "renamed by labels.rename")]},
        ),
        ({}, {"labels": {"add": {"team": "x"}}}, {"team": [("team", "added by labels.add")]}),
        (
            {"team": "own"},
            {"labels": {"add": {"team": "x"}}},
            {"team": [("team", "kept"), (None, "not added: the series has that label already")]},
        ),
        ({"l" * 151: "x"}, {}, {"l" * 151: [(None, "dropped: its name is longer than 150 characters")]}),
    ],
)
def test_each_label_is_kept_or_dropped_for_a_reason(
    labels: dict[str, str], fields: dict[str, object], expected: dict[str, list[tuple[str | None, str]]]
) -> None:
    assert why({"__name__": "c", **labels}, entry(**fields)) == expected


NAMES = st.sampled_from(["a", "b", "c", "d", "job"])
LABELS = st.dictionaries(NAMES, st.sampled_from("xyz"), max_size=4)


@given(
    LABELS,
    st.sampled_from([None, "t:1", "localhost", "127.0.0.1:8002"]),
    LABELS.map(lambda pairs: {old: f"{old}{new}" if new == "x" else "b" for old, new in pairs.items()}),
    LABELS,
    st.sampled_from([{}, {"by": ["a", "instance"]}, {"by": []}, {"without": ["b", "job"]}]),
)
def test_the_labels_that_stay_are_the_dimensions_that_are_sent(
    labels: dict[str, str],
    instance: str | None,
    rename: dict[str, str],
    add: dict[str, str],
    grouping: dict[str, list[str]],
) -> None:
    labels = {"__name__": "c", **labels, **({"instance": instance} if instance else {})}
    if len({*rename.values(), *add}) < len(rename) + len(add):
        rename = {}  # refused by the selection
    of = entry(mode="increase", labels={"rename": rename, "add": add}, **grouping)
    kept = {k: v for k, v in labels.items() if of.grouping is None or of.grouping.keeps(k)}

    told = {fate.dimension: fate.values[0] for fate in fates([labels], of) if fate.dimension is not None}

    assert told == dimensions(kept, of)


# -- samples -------------------------------------------------------------------------------------------------------------


def explained(
    of: Entry,
    series: Sequence[Series],
    up: Sequence[Sample] = (),
    *,
    read: Sequence[Series] = (),
    fresh: Sequence[Series] = (),
    history: dict[frozenset[tuple[str, str]], Sample] | None = None,
) -> list[Told]:
    """What is told of these raw samples; ``read`` is what the question for the values at T gave."""
    answers = Answers(
        values=read,
        fresh=frozenset(identity(one.labels) for one in fresh),
        samples=series if of.mode.raw else (),
        up=[Series(UP, up)],
        history=history or {},
    )
    trail = () if of.mode.raw else series
    found = Findings(of, answers, CUT, Window(60.0, 15.0), trail, frozenset())
    return [tell(unit, found) for unit in units(found)]


def at(*values: float | str, first: float = START) -> list[Sample]:
    """A sample every 15 s from ``first`` on."""
    return [(first + 15 * n, f"{value}") for n, value in enumerate(values)]


def test_a_gain_can_be_followed_by_hand() -> None:
    (told,) = explained(entry(mode="increase"), [Series(OWN, at(105, 107, "NaN", 3))])

    (part,) = told.parts
    assert part.before == (START, "105")
    assert [text for _, text in part.samples] == ["107", "NaN", "3"]
    assert part.resets == (START + 45,)
    assert (told.steps, told.values) == (("2", "3"), {"c": 5.0})


@given(
    st.lists(st.one_of(st.just("NaN"), st.integers(0, 50).map(str)), min_size=1, max_size=9),
    st.integers(-3, 1),
    st.booleans(),
)
def test_the_steps_add_up_to_what_is_sent(texts: list[str], first: int, known: bool) -> None:
    samples = at(*texts, first=START + 15 * first)
    series = Series(OWN, samples)
    history = {} if latest_before(series, CUT) else {identity(OWN): (START - 600, "7")}
    (told,) = explained(entry(mode="increase"), [series], history=history if known else {})

    assert told.values == ({"c": sum(map(float, told.steps))} if told.values else {})
    assert bool(told.values) == any(text != "NaN" for time, text in samples if START < time <= T)
    assert bool(told.values) != bool(told.why)


@pytest.mark.parametrize(
    ("up", "history", "origin", "value"),
    [
        ([(START - 30, "1")], {}, "so it begins at zero", 9.0),
        ([], {}, "only the base line", 2.0),
        ([], {identity(OWN): (START - 600, "6")}, "from 10m before the interval", 3.0),
    ],
)
def test_a_new_series_says_where_its_count_begins(
    up: list[Sample], history: dict[frozenset[tuple[str, str]], Sample], origin: str, value: float
) -> None:
    (told,) = explained(entry(mode="increase"), [Series(OWN, at(7, 9, first=START + 15))], up, history=history)

    assert origin in told.parts[0].origin
    assert told.values == {"c": value}


OLD = Series(OWN, at(1, first=START - 30))
NOW = Series(OWN, [(T, "1")])
SCRAPES = [(START + 15 * n, "1") for n in range(1, 5)]
DOWN = [(time, "0") for time, _ in SCRAPES]


@pytest.mark.parametrize(
    ("mode", "series", "up", "read", "reason"),
    [
        ("value", Series(OWN, [(T, "NaN")]), SCRAPES, [Series(OWN, [(T, "NaN")])], "not finite"),
        ("value", OLD, SCRAPES, [NOW], "its last sample, 11:05:30Z, is 90 s older than T, and what is older than 1m"),
        ("value", OLD, SCRAPES, [], "its target was scraped, and no longer exposes it"),
        ("value", OLD, DOWN, [], "its target was down, 4 of 4 scrapes failed"),
        ("value", OLD, [], [], "no scrape of its target either"),
        ("increase", OLD, DOWN, [], "no sample in the interval: its target was down"),
        ("increase", Series(OWN, at("NaN", first=T)), SCRAPES, [], "NaN, which no counter can be"),
        ("rate", Series(OWN, at(4, first=T)), [], [], "only sample is the base line"),
        ("irate", Series(OWN, at(4, first=T)), SCRAPES, [], "irate needs two samples"),
        ("stats", Series(OWN, at("NaN", first=T)), SCRAPES, [], "not finite"),
        ("stats", OLD, SCRAPES, [], "no sample in the interval"),
    ],
)
def test_a_series_without_a_row_says_why(
    mode: str, series: Series, up: list[Sample], read: list[Series], reason: str
) -> None:
    fresh = read if "NaN" in str(read) else []
    (told,) = explained(entry(mode=mode), [series], up, read=read, fresh=fresh)

    assert told.values == {}
    assert reason in told.why


def histogram(*counts: tuple[float, float, float]) -> list[Series]:
    """Observations up to 1, all of them, and their sum, a scrape each."""
    columns = list(zip(*counts, strict=True))
    names = [{"le": "1"}, {"le": "+Inf"}, None, None]
    values = [columns[0], columns[1], columns[1], columns[2]]
    return [
        Series({**OWN, "__name__": f"c_{'bucket' if le else kind}", **(le or {})}, at(*column))
        for le, kind, column in zip(names, ["", "", "count", "sum"], values, strict=True)
    ]


def test_a_histogram_is_one_with_all_its_series() -> None:
    series = histogram((1, 2, 10), (2, 4, 22), (1, 1, 0.5))
    (told,) = explained(entry(mode="histogram", quantiles=[0.5]), series)

    assert [part.series for part in told.parts] == ['c_bucket{le="1"}', 'c_bucket{le="+Inf"}', "c_count", "c_sum"]
    assert told.values["c"] == {
        "count": 3,
        "sum": 12.5,
        "min": 0,
        "max": pytest.approx(12.5 / 3),
        "buckets": {"1": 2, "+Inf": 1},
    }
    assert told.values["c_p50"] == 0.75


def test_a_histogram_without_an_observation_gives_no_row() -> None:
    (told,) = explained(entry(mode="histogram"), histogram((1, 2, 10), (1, 2, 10)))

    assert (told.values, "nothing was observed" in told.why) == ({}, True)


def test_a_label_le_of_another_meaning_is_a_label_like_others() -> None:
    series = Series({**OWN, "le": "left"}, at(4, first=T))
    (told,) = explained(entry(), [series], read=[series], fresh=[series])

    assert told.values == {"c": 4.0}


def test_a_histogram_without_bounds_has_a_row_and_no_quantile() -> None:
    series = [one for one in histogram((1, 2, 10), (2, 4, 22)) if one.labels.get("le") != "1"]
    (told,) = explained(entry(mode="histogram", quantiles=[0.5]), series)

    assert (told.why, list(told.values), boundless(told.values["c"])) == ("", ["c"], True)


def test_samples_that_the_bridge_saw_are_no_scrapes_for_statistics() -> None:
    """A series has a row of its own scrapes, whatever else is scraped."""
    other = {**OWN, "pod": "x"}
    scraped = [Series(other, at(50, first=T)), Series(OWN, at(1, first=T - 15))]
    answers = Answers(samples=[scraped[0], Series(OWN, at(1, 9, first=T - 15))], scraped=scraped)
    found = Findings(entry(mode="stats"), answers, CUT, Window(60.0, 15.0), (), frozenset({T}))

    counts = [tell(unit, found).values["c"]["sum"] for unit in units(found)]
    assert counts == [50, 1]


# -- the page ------------------------------------------------------------------------------------------------------------


@given(st.text("ab ", max_size=200), st.integers(40, 160))
def test_a_line_fits_the_terminal_unless_it_is_to_be_copied(text: str, width: int) -> None:
    words = " ".join(word[:30] for word in text.split())

    assert max(map(len, broken(Line(f"    {words}", hang=4), width))) <= width
    assert broken(Line(text, verbatim=True), width) == [text]


def test_what_a_label_holds_does_not_steer_the_terminal() -> None:
    assert broken(Line("model=\x1b[2J\n"), 80) == ["model=\\x1b[2J\\n"]
