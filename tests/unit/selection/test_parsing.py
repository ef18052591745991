"""What metrics.json may say, and what is said of it when it is wrong: place, problem and remedy."""

import json
from typing import Any

import pytest

from bridge.errors import ConfigurationError
from bridge.selection import Entry, Mode, parse

METRIC_REMEDY = 'letters, digits, "_" and ":", with * and ? for what is left open; an expression goes into {"query": …}'
NAME_REMEDY = 'letters, digits, "_", "." and "-", at most 150'
LABEL_REMEDY = 'letters, digits and "_", as Prometheus has it'
DIMENSION_REMEDY = "1 to 150 characters, none of them a control character"
MODES = "one of value, increase, rate, irate, stats, histogram"
FIELDS = "known: metric, query, match, name, mode, by, without, aggregate, labels, quantiles"
SMALLEST = '{"customMetrics": ["nv_inference_request_success"]}'
MATCHERS = 'write name="value", with = != =~ or !~, commas between, a backslash twice, and no braces'
AGGREGATE = "one of sum, avg, min, max: only you know what the values mean"
NO_JSON = "JSON has no comments and no comma before a closing bracket"


def findings(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    return [str(finding) for finding in caught.value.findings]


def entries(*metrics: object, **top: object) -> tuple[Entry, ...]:
    return parse(json.dumps({"customMetrics": list(metrics), **top})).entries


def test_a_plain_name_is_an_object_with_only_a_metric() -> None:
    assert entries("a") == entries({"metric": "a"})


def test_an_object_says_metric_mode_and_name() -> None:
    (entry,) = entries({"metric": "a", "mode": "increase", "name": "a.gain"})

    assert entry == Entry("metrics.json: customMetrics[0]", "a.gain", Mode.INCREASE, metric="a")


def test_a_query_is_sent_under_its_name() -> None:
    (entry,) = entries({"query": "sum(a)", "name": "total"})

    assert (entry.query, entry.name, entry.mode, entry.metric) == ("sum(a)", "total", Mode.VALUE, None)


def test_a_colon_does_not_reach_application_insights() -> None:
    (entry,) = entries("vllm:prompt_tokens_total")

    assert entry.name == "vllm_prompt_tokens_total"


def test_one_metric_may_be_sent_in_several_ways_under_several_names() -> None:
    found = entries("a", {"metric": "a", "mode": "increase", "name": "b"}, "a*", {"metric": "a*", "mode": "histogram"})

    assert [entry.name for entry in found] == ["a", "b", "a*", "a*"]


# Of a field of an entry: what is wrong with it, and the remedy.
FIELD_FINDINGS: list[tuple[dict[str, Any], str]] = [
    ({"metric": "2b"}, f"metric: '2b' cannot be the name of a metric — {METRIC_REMEDY}"),
    ({"metric": "rate(a[1m])"}, f"metric: 'rate(a[1m])' cannot be the name of a metric — {METRIC_REMEDY}"),
    ({"metric": "a\n"}, rf"metric: 'a\n' cannot be the name of a metric — {METRIC_REMEDY}"),
    ({"metric": 7}, f"metric: must be a text in quotes, and is 7 — {METRIC_REMEDY}"),
    ({"metric": {}}, f"metric: must be a text in quotes, and is an object — {METRIC_REMEDY}"),
    ({"metric": None}, "metric: is null — write a value, or leave the field out"),
    ({"metric": "a", "moed": "rate"}, "moed: unknown field — did you mean 'mode'?"),
    ({"metric": "a", "x": 1}, f"x: unknown field — {FIELDS}"),
    ({"query": " \n", "name": "b"}, r"query: ' \n' holds no query — write PromQL, or name a metric"),
    (
        {"query": "b", "name": "c", "mode": "rate"},
        "mode: a 'query' has no mode 'rate' — write the function into the query, or use 'metric'",
    ),
    *(
        ({"query": "b", "name": "c", field: value}, f"{field}: a 'query' has no '{field}' — write it into the query")
        for field, value in {"match": "", "by": [], "without": ["a"], "aggregate": "sum", "quantiles": [0.5]}.items()
    ),
    ({"metric": "a", "name": "é"}, f"name: 'é' cannot be a name in Application Insights — {NAME_REMEDY}"),
    ({"metric": "a", "name": ""}, f"name: '' cannot be a name in Application Insights — {NAME_REMEDY}"),
    (
        {"metric": "a", "name": "x" * 151},
        f"name: '{'x' * 79}… cannot be a name in Application Insights — {NAME_REMEDY}",
    ),
    ({"metric": "a*", "name": "b"}, "name: a glob sends each metric under its own name — leave 'name' out"),
    ({"metric": "a", "mode": "delta"}, f"mode: 'delta' is no mode — {MODES}"),
    ({"metric": "a", "mode": ["rate"]}, f"mode: a list is no mode — {MODES}"),
    (
        {"metric": "a", "match": 7},
        'match: must be a text in quotes, and is 7 — for example "model=\\"bert\\"", at most 1000 characters',
    ),
    (
        {"metric": "a", "match": "x" * 1001},
        'match: is too long — for example "model=\\"bert\\"", at most 1000 characters',
    ),
    ({"metric": "a", "match": "model=a"}, f"match: 'model=a' is no list of label matchers — {MATCHERS}"),
    (
        {"metric": "a", "match": r'm=~"\d"'},
        rf"""match: 'm=~"\d"' is no list of label matchers — {MATCHERS}; JSON doubles each backslash once more""",
    ),
    (
        {"metric": "a", "match": '__name__="b"'},
        "match: __name__ cannot be matched here — metrics.json names the metrics",
    ),
    (
        {"metric": "a", "mode": "rate", "by": "a"},
        "by: must be a list in square brackets, and is 'a' — for example [\"model\"]",
    ),
    ({"metric": "a", "mode": "rate", "by": ["a b"]}, f"by[0]: 'a b' cannot be the name of a label — {LABEL_REMEDY}"),
    ({"metric": "a", "mode": "rate", "by": ["a", 1]}, f"by[1]: must be a text in quotes, and is 1 — {LABEL_REMEDY}"),
    ({"metric": "a", "mode": "rate", "by": ["a", "a"]}, "by: names one twice — keep one of them"),
    ({"metric": "a", "mode": "rate", "without": []}, "without: is empty — name at least one, or leave it out"),
    ({"metric": "a", "by": ["b"], "aggregate": "p"}, "aggregate: 'p' is no aggregate — one of sum, avg, min, max"),
    (
        {"metric": "a", "aggregate": "sum"},
        "aggregate: there is nothing to aggregate — name labels with 'by' or 'without'",
    ),
    (
        {"metric": "a", "mode": "stats", "by": ["b"], "aggregate": "sum"},
        "aggregate: mode 'stats' has none — leave 'aggregate' out: the samples of a group are taken together",
    ),
    ({"metric": "a", "quantiles": [0.5]}, """quantiles: mode 'value' has no quantiles — say "mode": "histogram\""""),
    (
        {"metric": "a" * 147, "mode": "histogram", "quantiles": [0.5]},
        "quantiles: the names of the quantiles are longer than 150 characters — give fewer digits, or a shorter 'name'",
    ),
    *(
        ({"metric": "a", "mode": "histogram", "quantiles": value}, f"quantiles{said} — {remedy}")
        for value, said, remedy in [
            (0.5, ": must be a list in square brackets, and is 0.5", "for example [0.5, 0.95]"),
            ([], ": is empty", "name at least one, or leave it out"),
            ([0.5, 0.50], ": names one twice", "keep one of them"),
            ([0.5, 95], "[1]: must be a number from 0 to 1, and is 95", "for example [0.5, 0.95]"),
            ([-0.5], "[0]: must be a number from 0 to 1, and is -0.5", "for example [0.5, 0.95]"),
            (["0.5"], "[0]: must be a number, and is '0.5'", "for example [0.5, 0.95]"),
            ([True], "[0]: must be a number, and is true", "for example [0.5, 0.95]"),
            ([float("nan")], "[0]: must be a number from 0 to 1, and is NaN", "for example [0.5, 0.95]"),
        ]
    ),
    (
        {"metric": "a", "labels": []},
        'labels: must be an object in braces, and is a list — for example {"rename": {"gpu_uuid": "gpu"}, "add": {"team": "search"}}',
    ),
    ({"metric": "a", "labels": {"renam": {}}}, "labels.renam: unknown field — did you mean 'rename'?"),
    (
        {"metric": "a", "labels": {"rename": "b"}},
        """labels.rename: must be an object in braces, and is 'b' — for example {"gpu_uuid": "gpu"}""",
    ),
    (
        {"metric": "a", "labels": {"add": 1}},
        'labels.add: must be an object in braces, and is 1 — for example {"team": "search"}',
    ),
    *(
        ({"metric": "a", "labels": labels}, f"labels.{said}")
        for labels, said in [
            ({"rename": {"2": "b"}}, f"rename.2: '2' cannot be the name of a label — {LABEL_REMEDY}"),
            ({"rename": {"a b": "b"}}, f"rename['a b']: 'a b' cannot be the name of a label — {LABEL_REMEDY}"),
            ({"rename": {"a": ""}}, f"rename.a: '' cannot be the name of a dimension — {DIMENSION_REMEDY}"),
            ({"rename": {"a": 1}}, f"rename.a: must be a text in quotes, and is 1 — {DIMENSION_REMEDY}"),
            ({"add": {"": "b"}}, f"add['']: '' cannot be the name of a dimension — {DIMENSION_REMEDY}"),
            ({"add": {"a\n": "b"}}, rf"add['a\n']: 'a\n' cannot be the name of a dimension — {DIMENSION_REMEDY}"),
            ({"add": {"a": ""}}, "add.a: is empty — 1 to 8192 characters"),
            ({"add": {"a": "x" * 8193}}, "add.a: is too long — 1 to 8192 characters"),
            ({"add": {"a": 1}}, "add.a: must be a text in quotes, and is 1 — 1 to 8192 characters"),
            (
                {"add": {"_MS.a": "b"}},
                "add['_MS.a']: '_MS.a' is Application Insights' own — a name that does not begin with _MS.",
            ),
            (
                {"rename": {"a": "_MS.b"}},
                "rename.a: '_MS.b' is Application Insights' own — a name that does not begin with _MS.",
            ),
            (
                {"rename": {"a": "b", "c": "b"}},
                "rename.c: makes the dimension 'b', as rename.a does — give one of them another name",
            ),
            (
                {"rename": {"a": "b"}, "add": {"b": "c"}},
                "add.b: makes the dimension 'b', as rename.a does — give one of them another name",
            ),
        ]
    ),
]


@pytest.mark.parametrize(("entry", "expected"), FIELD_FINDINGS)
def test_a_wrong_field_is_named_with_its_place_and_a_remedy(entry: dict[str, Any], expected: str) -> None:
    assert findings(json.dumps({"customMetrics": ["right", entry]})) == [f"metrics.json: customMetrics[1].{expected}"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("nv gpu", f"'nv gpu' cannot be the name of a metric — {METRIC_REMEDY}"),
        ("", f"'' cannot be the name of a metric — {METRIC_REMEDY}"),
        ("a" * 151, "the name is longer than 150 characters — give a shorter 'name'"),
        ("a" * 150 + "*", "the name is longer than 150 characters — write a shorter glob"),
        (7, 'must be a metric name in quotes, or an object, and is 7 — {"metric": "a_name"}'),
        (["a"], 'must be a metric name in quotes, or an object, and is a list — {"metric": "a_name"}'),
        (None, 'must be a metric name in quotes, or an object, and is null — {"metric": "a_name"}'),
        ({}, "needs a 'metric' or a 'query' — a name for the one, PromQL for the other"),
        ({"metric": "a", "query": "b", "name": "c"}, "has both 'metric' and 'query' — leave one of them out"),
        ({"query": "b"}, "a 'query' needs a 'name' — the name it has in Application Insights"),
        ({"metric": "a", "by": ["b"]}, f"needs an 'aggregate' for its 'by' or 'without' — {AGGREGATE}"),
        (
            {"metric": "a", "mode": "value", "without": ["b"]},
            f"needs an 'aggregate' for its 'by' or 'without' — {AGGREGATE}",
        ),
        (
            {"metric": "a", "mode": "rate", "by": ["b"], "without": ["c"]},
            "has both 'by' and 'without' — the labels to keep, or those to drop",
        ),
        ("right", "'right' is already published by customMetrics[0] — give one of them another 'name'"),
        (
            {"metric": "x", "name": "h_p50"},
            "'h_p50' is already published by customMetrics[1] — give one of them another 'name'",
        ),
        (
            {"query": "x", "name": "ri_ght"},
            "'ri_ght' is already published by customMetrics[2] — give one of them another 'name'",
        ),
        ("g*", "'g*' stands at customMetrics[3] already, and of globs the first one counts — leave one of them out"),
    ],
)
def test_a_wrong_entry_is_named_with_a_remedy(entry: Any, expected: str) -> None:
    right = [
        "right",
        {"metric": "h", "mode": "histogram", "quantiles": [0.5]},
        "ri:ght",
        {"metric": "g*", "match": 'a="b"'},
    ]

    assert findings(json.dumps({"customMetrics": [*right, entry]})) == [f"metrics.json: customMetrics[4]: {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"customMetrics": [a]}', f"line 1 column 20: not JSON: Expecting value, and there stands 'a]}}' — {NO_JSON}"),
        (
            "{\n // a",
            f"line 2 column 2: not JSON: Expecting property name enclosed in double quotes, and there stands '// a' — {NO_JSON}",
        ),
        ("", f"line 1 column 1: not JSON: Expecting value, and there the line ends — {NO_JSON}"),
        ('{"customMetrics": []}', "customMetrics: is empty, so nothing would be sent — name a metric"),
        (
            '{"customMetrics": "a"}',
            """customMetrics: must be a list in square brackets, and is 'a' — for example ["nv_inference_request_success"]""",
        ),
        ('{"customMetrics": null}', "customMetrics: is null — write a value, or leave the field out"),
        ("{}", f"customMetrics: is missing — {SMALLEST} is the smallest file"),
        ('{"customMetrics": ["a"], "$schema": 1}', "$schema: must be a text in quotes, and is 1 — where the schema is"),
        (
            '{"customMetrics": ["a"], "labels": {"add": {"b": ""}}}',
            "labels.add.b: is empty — 1 to 8192 characters",
        ),
        (
            '{"customMetrics": ["a"], "labels": {"rename": {"b": "d", "c": "d"}}}',
            "labels.rename.c: makes the dimension 'd', as rename.b does — give one of them another name",
        ),
        (
            '{"customMetrics": [{"metric": "a", "metric": "b"}]}',
            "customMetrics[0]: the key 'metric' stands twice in one object — keep one",
        ),
        (
            r'{"customMetrics": ["\ud800"]}',
            "customMetrics[0]: holds half a character (a lone surrogate) — write the character itself",
        ),
        (
            '{"customMetrics": [{"metric": "a", "mode": %s}]}' % ("9" * 5000),
            f"customMetrics[0].mode: Infinity is no mode — {MODES}",
        ),
        ('{"customMetrics": ["a"], "a b": 1}', "['a b']: unknown field — known: $schema, labels, customMetrics"),
    ],
)
def test_a_wrong_file_is_told_its_place_and_a_remedy(text: str, expected: str) -> None:
    assert findings(text) == [f"metrics.json: {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", f"metrics.json: the file must hold one object — {SMALLEST}"),
        ("null", f"metrics.json: the file must hold one object — {SMALLEST}"),
        ('"a"', f"metrics.json: the file must hold one object — {SMALLEST}"),
        ("[" * 100_000, "metrics.json: is nested too deeply — it needs four levels"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_told_so(text: str, expected: str) -> None:
    assert findings(text) == [expected]


def test_a_misspelt_top_level_key_names_the_right_one() -> None:
    assert findings('{"customMetric": ["a"]}') == [
        f"metrics.json: customMetrics: is missing — {SMALLEST} is the smallest file",
        "metrics.json: customMetric: unknown field — did you mean 'customMetrics'?",
    ]


def test_all_errors_are_reported_at_once() -> None:
    found = findings(json.dumps({"customMetrics": ["a b", "c", {"query": "x"}, "c", {"metric": "d", "name": "é"}]}))

    assert [line.split(":")[1].strip() for line in found] == [
        "customMetrics[0]",
        "customMetrics[2]",
        "customMetrics[4].name",
        "customMetrics[3]",
    ]


def test_an_entry_of_a_wrong_shape_hides_no_other() -> None:
    found = findings(
        '{"customMetrics": ["a b", {"moed": 1}, 5, "c", "c", {"metric": "d", "metric": "e"}], "more": 1, "more": 2}'
    )

    assert [line.split(": ")[1] for line in found] == [
        "the key 'more' stands twice in one object — keep one",
        "customMetrics[5]",
        "more",
        "customMetrics[0]",
        "customMetrics[1].moed",
        "customMetrics[2]",
        "customMetrics[4]",
    ]


def test_all_that_is_wrong_with_one_entry_is_told() -> None:
    entry = {"metric": "2", "mode": "x", "by": ["a b", ""], "labels": {"add": {"a": "", "_MS.b": "c"}}, "z": None}

    assert [line.split(": ")[1].partition(".")[2] for line in findings(json.dumps({"customMetrics": [entry]}))] == [
        "metric",
        "mode",
        "by[0]",
        "by[1]",
        "labels.add.a",
        "labels.add['_MS.b']",
        "z",
    ]


# -- what a right one becomes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "aggregate"),
    [("increase", "sum"), ("rate", "sum"), ("irate", "sum"), ("stats", None), ("histogram", None)],
)
def test_gains_are_summed_where_nothing_is_said_and_samples_are_pooled(mode: str, aggregate: str | None) -> None:
    (entry,) = entries({"metric": "a", "mode": mode, "by": ["model"]})

    assert entry.grouping is not None
    assert entry.grouping.aggregate == aggregate


@pytest.mark.parametrize("aggregate", ["sum", "avg", "min", "max"])
@pytest.mark.parametrize("mode", ["value", "increase", "rate", "irate"])
def test_an_aggregate_that_is_named_is_taken(mode: str, aggregate: str) -> None:
    (entry,) = entries({"metric": "a", "mode": mode, "without": ["gpu"], "aggregate": aggregate})

    assert entry.grouping is not None
    assert entry.grouping.aggregate == aggregate


def test_by_keeps_the_labels_that_it_names_and_without_all_others() -> None:
    by, without, one = (
        entry.grouping
        for entry in entries(
            {"metric": "a", "mode": "rate", "by": ["m", "v"]},
            {"metric": "b", "mode": "rate", "without": ["m", "v"]},
            {"metric": "c", "mode": "rate", "by": []},
        )
    )

    labels = ["m", "v", "gpu"]
    assert [[label for label in labels if some and some.keeps(label)] for some in (by, without, one)] == [
        ["m", "v"],
        ["gpu"],
        [],
    ]


@pytest.mark.parametrize(
    ("top", "own", "rename", "add"),
    [
        ({}, {}, [], []),
        ({"rename": {"a": "b"}, "add": {"c": "d"}}, {}, [("a", "b")], [("c", "d")]),
        ({"rename": {"a": "b"}}, {"rename": {"a": "c"}}, [("a", "c")], []),
        ({"rename": {"a": "b", "z": "y"}}, {"rename": {"k": "b"}}, [("k", "b"), ("a", "b"), ("z", "y")], []),
        ({"add": {"team": "all", "site": "x"}}, {"add": {"team": "own"}}, [], [("site", "x"), ("team", "own")]),
        ({"rename": {"a": "team"}}, {"add": {"team": "own"}}, [], [("team", "own")]),
        ({"add": {"b": "x"}}, {"rename": {"a": "b"}}, [("a", "b")], [("b", "x")]),
    ],
)
def test_labels_of_an_entry_go_before_those_of_the_file(
    top: dict[str, Any], own: dict[str, Any], rename: list[tuple[str, str]], add: list[tuple[str, str]]
) -> None:
    entry, other = entries({"metric": "m", "labels": own}, "other", labels=top)

    assert (list(entry.labels.rename), list(entry.labels.add)) == (rename, add)
    assert dict(other.labels.rename) == top.get("rename", {})
    assert dict(other.labels.add) == top.get("add", {})


# -- the digest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{ "customMetrics":["a",{"metric":"b"}] }',
        '{"customMetrics": ["a", {"metric": "b", "mode": "value", "name": "b", "labels": {}}], "labels": {}, "$schema": "x"}',
        r'{"customMetrics": ["\u0061", {"match": "", "metric": "b", "labels": {"rename": {}, "add": {}}}]}',
    ],
)
def test_equal_content_has_an_equal_digest(text: str) -> None:
    assert parse(text, place="other.json").digest == parse('{"customMetrics": ["a", "b"]}').digest


def test_the_order_of_labels_and_quantiles_says_nothing() -> None:
    one = {
        "metric": "a",
        "mode": "histogram",
        "by": ["m", "n"],
        "quantiles": [0.5, 1],
        "labels": {"add": {"x": "y", "z": "z"}},
    }
    other = {
        "metric": "a",
        "mode": "histogram",
        "by": ["n", "m"],
        "quantiles": [1.0, 0.5],
        "labels": {"add": {"z": "z", "x": "y"}},
    }

    assert [parse(json.dumps({"customMetrics": [entry]})).digest for entry in (one, other)] == [
        parse(json.dumps({"customMetrics": [one]})).digest
    ] * 2


def test_all_that_is_asked_for_or_sent_otherwise_has_another_digest() -> None:
    files = [
        *({"customMetrics": metrics} for metrics in (["a", "b"], ["b", "a"], ["a"], ["a", "b", "c"], ["a", "b*"])),
        {"customMetrics": ["a"], "labels": {"add": {"x": "y"}}},
        {"customMetrics": ["a"], "labels": {"rename": {"x": "y"}}},
        *(
            {"customMetrics": [{"metric": "a", "mode": mode}]}
            for mode in ("increase", "rate", "irate", "stats", "histogram")
        ),
        *({"customMetrics": [{"metric": "a", "match": text}]} for text in ('x="y"', 'x="z"', 'x!="y"', 'x=~"y"')),
        *({"customMetrics": [{"metric": "a", "mode": "rate", key: ["x"]}]} for key in ("by", "without")),
        *({"customMetrics": [{"metric": "a", "mode": "rate", "by": by}]} for by in ([], ["y"], ["x", "y"])),
        {"customMetrics": [{"metric": "a", "mode": "rate", "by": ["x"], "aggregate": "avg"}]},
        *(
            {"customMetrics": [{"metric": "a", "mode": "histogram", "quantiles": some}]}
            for some in ([0.5], [0.9], [0.5, 0.9])
        ),
        {"customMetrics": [{"metric": "a", "name": "b"}]},
        *({"customMetrics": [{"query": query, "name": "a"}]} for query in ("a", "sum(a)")),
    ]

    assert len({parse(json.dumps(file)).digest for file in files}) == len(files)
