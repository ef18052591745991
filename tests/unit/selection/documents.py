"""Takes nothing, gives metrics.json documents to hypothesis: right ones, wrong ones of each kind, and anything at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

SURROGATE = "\ud800"

labels = st.sampled_from(["model", "version", "gpu_uuid", "_", "le", "A1"])
dimensions = st.sampled_from(["gpu", "Model name", "customDimensions.x", "é", "_ms.", "x" * 150])
label_changes = st.fixed_dictionaries(
    {},
    optional={
        "rename": st.dictionaries(labels, st.sampled_from(["gpu", "Modell", "b.c"]), max_size=1),
        "add": st.dictionaries(
            dimensions.filter(lambda name: name != "gpu"), st.sampled_from(["x", "é" * 8192]), max_size=2
        ),
    },
)
quantiles = st.lists(
    st.sampled_from([0, 0.0001, 0.5, 0.95, 0.999, 1.0]) | st.floats(0.001, 1), min_size=1, max_size=3, unique=True
)
matchers = st.sampled_from(["", 'model="a"', 'model=~"bert.*",gpu!="0"', r'a=~"\\d+"', 'a="é",'])


@st.composite
def right_entry(draw: Callable[..., Any], number: int) -> Any:
    """An entry that is right, and is published under names with that number."""
    name = draw(st.sampled_from(["nv_inference_count", "vllm:num_requests", "_a", "A9"])) + f"_{number}"
    kind = draw(st.sampled_from(["plain", "metric", "glob", "query"]))
    if kind == "plain":
        return name
    if kind == "query":
        entry = {"query": draw(st.sampled_from(["sum(a)", " a\n/ b"])), "name": f"Query.{number}"}
        return entry | draw(st.fixed_dictionaries({}, optional={"mode": st.just("value"), "labels": label_changes}))
    mode = draw(st.sampled_from(["value", "increase", "rate", "irate", "stats", "histogram", None]))
    entry = {"metric": name if kind == "metric" else name.replace("_", draw(st.sampled_from("*?")), 1)}
    entry |= draw(st.fixed_dictionaries({}, optional={"match": matchers, "labels": label_changes}))
    if mode:
        entry["mode"] = mode
    if kind == "metric" and draw(st.booleans()):
        entry["name"] = f"some-Name.{number}"
    grouping = draw(st.sampled_from([None, "by", "without"]))
    if grouping:
        entry[grouping] = draw(st.lists(labels, min_size=grouping == "without", max_size=3, unique=True))
        if mode in {None, "value"} or (mode not in {"stats", "histogram"} and draw(st.booleans())):
            entry["aggregate"] = draw(st.sampled_from(["sum", "avg", "min", "max"]))
    if mode == "histogram" and draw(st.booleans()):
        entry["quantiles"] = draw(quantiles)
    return entry


@st.composite
def right_documents(draw: Callable[..., Any], most: int = 5) -> dict[str, Any]:
    """A document without a fault."""
    size = draw(st.integers(1, most))
    document = {"customMetrics": [draw(right_entry(number)) for number in range(size)]}
    return document | draw(
        st.fixed_dictionaries({}, optional={"labels": label_changes, "$schema": st.just("./s.json")})
    )


# One fault each. What surrounds it would be right.
WRONG: list[Any] = [
    *(None, True, 7, 1.5, float("inf"), 10**30, [], ["a"], {}, {"name": "a"}),
    *("", "a b", "2a", "a-b", "é", "a\n", "\0", SURROGATE, "a" * 151, "a" * 150 + "*"),
    *({"metric": "a", "query": "b", "name": "c"}, {"metric": "a", "mdoe": "rate"}, {"metric": "a", "": 1}),
    *({"metric": value} for value in (None, 1, [], {}, "", "a b", "a" * 151, "a\n", SURROGATE)),
    *({"query": value, "name": "b"} for value in (None, 1, [], "", " \n", SURROGATE)),
    *({"metric": "a", "name": value} for value in (None, 1, {}, "", "a b", "é", "a:b", "a" * 151, "a\n", SURROGATE)),
    *({"metric": "a", "mode": value} for value in (None, 1, [], "", "Rate", "value ", SURROGATE)),
    *({"metric": "a", "match": value} for value in (None, 1, [], "a", "{}", 'a=~"("', 'a=~"\\\\bx"', "x" * 1001)),
    *(
        {"metric": "a", "mode": "rate", key: value}
        for key in ("by", "without")
        for value in (None, "a", {}, [1], ["a b"])
    ),
    *({"metric": "a", "mode": "rate", key: ["a", "a"]} for key in ("by", "without")),
    *({"metric": "a", "mode": "rate", "by": ["a"], "aggregate": value} for value in (None, 1, [], "median", "Sum")),
    *({"metric": "a", "mode": "histogram", "quantiles": value} for value in (None, 0.5, {}, [], [0.5, 0.5], [0, 0.0])),
    *(
        {"metric": "a", "mode": "histogram", "quantiles": [value]}
        for value in (None, "1", True, -0.1, 1.1, float("nan"), 10**400)
    ),
    *({"metric": "a", "labels": value} for value in (None, 1, "a", [], {"renam": {}}, {SURROGATE: 1})),
    *({"metric": "a", "labels": {key: value}} for key in ("rename", "add") for value in (None, 1, "a", [])),
    *({"metric": "a", "labels": {"rename": {key: "a"}}} for key in ("", "a b", "é", "2", "a\n", SURROGATE)),
    *(
        {"metric": "a", "labels": {"rename": {"a": value}}}
        for value in (None, 1, "", "\t", "a" * 151, "_MS.a", SURROGATE)
    ),
    *({"metric": "a", "labels": {"add": {key: "a"}}} for key in ("", "\n", "a" * 151, "_MS.a", SURROGATE)),
    *({"metric": "a", "labels": {"add": {"a": value}}} for value in (None, 1, "", "a" * 8193, SURROGATE)),
    {"metric": "a", "labels": {"rename": {"a": "b"}, "add": {"b": "c"}}},
    {"metric": "a", "labels": {"rename": {"a": "b", "c": "b"}}},
    *({"query": "a", "name": "b", "mode": mode} for mode in ("increase", "rate", "irate", "stats", "histogram")),
    *({"query": "a", "name": "b", "match": 'a="b"'}, {"query": "a", "name": "b", "by": ["a"]}, {"query": "a"}),
    *({"query": "a", "name": "b", "aggregate": "sum"}, {"query": "a", "name": "b", "without": ["a"]}),
    *(
        {"query": "a", "name": "b", "mode": "value", "quantiles": [0.5]},
        {"metric": "a*", "name": "b"},
        {"metric": "a" * 151 + "?"},
    ),
    *({"metric": "a", "quantiles": [0.5]}, {"metric": "a", "mode": "rate", "quantiles": [0.5]}),
    {"metric": "a", "mode": "histogram", "name": "b" * 147, "quantiles": [0.5]},
    *({"metric": "a", "by": ["a"], "without": ["b"], "aggregate": "sum"}, {"metric": "a", "aggregate": "sum"}),
    *({"metric": "a", "by": []}, {"metric": "a", "mode": "value", "without": ["a"]}),
    *({"metric": "a", "mode": mode, "by": ["a"], "aggregate": "max"} for mode in ("stats", "histogram")),
]

# Fields that fit one another only by chance: rules between fields.
mixed_entries = st.fixed_dictionaries(
    {},
    optional={
        "metric": st.sampled_from(["a", "b", "c", "a*", "?", "a" * 151, "a:b"]),
        "query": st.just("sum(a)"),
        "match": st.just('a="b"'),
        "name": st.sampled_from(["x", "y", "z", "x" * 150]),
        "mode": st.sampled_from(["value", "increase", "rate", "irate", "stats", "histogram"]),
        "by": st.lists(labels, max_size=2),
        "without": st.lists(labels, max_size=2),
        "aggregate": st.sampled_from(["sum", "avg", "min", "max"]),
        "labels": label_changes,
        "quantiles": st.lists(st.sampled_from([0, 0.5, 1, 2]), max_size=2),
    },
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8) | st.just(SURROGATE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
# What stands nowhere in a right document, or rarely.
ODDITIES = [
    *(
        None,
        True,
        0,
        -1,
        0.5,
        1e308,
        float("nan"),
        float("-inf"),
        10**25,
        [],
        {},
        [[]],
        [{}],
        {"": {}},
        {"a": [{"a": 1}]},
    ),
    *("", "a b", "a\n", "\0", "\x1b[31m", "\u2028", "\u202e", "é", "😀", SURROGATE, "x" * 9000),
    *("*", "_MS.a", "a: b", ".", "[0]", "a]", "'", "metrics.json"),
]
KEYS = ["x", "", "mode", "name", "a b", "labels", SURROGATE, "[key]", "rename", "it's", '"', "\ufffd", "\x85"]
# Every field, and each in its forms.
RIGHT: list[dict[str, Any]] = [
    {"customMetrics": ["nv_inference_count"]},
    {
        "customMetrics": [
            "vllm:num_requests",
            {"metric": "nv_gpu_*"},
            {"metric": "a", "mode": "increase", "name": "a.gain"},
        ]
    },
    {
        "$schema": "./s.json",
        "labels": {"rename": {"gpu_uuid": "gpu"}, "add": {"team": "é"}},
        "customMetrics": ["a", "b?"],
    },
    {
        "customMetrics": [
            {"query": "sum(a)", "name": "q", "mode": "value", "labels": {"add": {"a b": "c"}}},
            {"metric": "c"},
        ]
    },
    {
        "customMetrics": [
            {"metric": "h", "mode": "histogram", "quantiles": [0.5, 1, 0], "by": [], "match": 'model=~"a|b"'}
        ]
    },
    {
        "customMetrics": [
            {"metric": "a", "without": ["le", "a"], "aggregate": "max"},
            {"metric": "b", "mode": "rate", "by": ["a"]},
        ]
    },
    {
        "customMetrics": [
            {"metric": "s", "mode": "stats", "labels": {"rename": {"a": "b", "c": "d"}, "add": {"e": "f"}}}
        ]
    },
]


def places(part: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all parts of a document, itself first."""
    yield above
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        yield from places(value, (*above, key))


_places = st.sampled_from([(number, path) for number, document in enumerate(RIGHT) for path in places(document)])
# What is put in the place of something, or into it under a key.
_changes = st.sampled_from([(key, odd) for key in (None, *KEYS) for odd in ODDITIES])


@st.composite
def mutated_documents(draw: Callable[..., Any]) -> Any:
    """A right document in which one thing or two, at any place, are something else, or are new."""
    number, path = draw(_places)
    document = _changed(RIGHT[number], path, *draw(_changes))
    if draw(st.booleans()):
        path = draw(st.sampled_from(list(places(document))))
        document = _changed(document, path, *draw(_changes))
    return document


def _changed(part: Any, path: tuple[str | int, ...], key: str | None, odd: Any) -> Any:
    """A copy of a document with something odd at a place, or beneath it."""
    if path:
        copy = part.copy()
        copy[path[0]] = _changed(part[path[0]], path[1:], key, odd)
        return copy
    if key is None or not isinstance(part, dict | list):
        return odd
    return {**part, key: odd} if isinstance(part, dict) else [*part, odd]


INSERTED = [
    *("", ",", "}", "]", '"', "\\", "\0", "\n", "\ufeff", "é", "\\ud800", "//", "NaN"),
    *('"x":1,', '"metric":"b",', '{"a":1,"a":1}', '"customMetrics":[],'),
]
# Too deep for a reader of JSON, or nearly so; more digits than Python turns into a number.
HUGE = [*("[" * depth + "]" * depth for depth in (20_000, *range(900, 1000, 3)))]
HUGE += [
    '{"a":' * 990 + "1" + "}" * 990,
    "9" * 5000,
    "-" + "1" * 400 + ".5",
    '{"a":' * 900 + '{"b":1,"b":1}' + "}" * 900,
]


@st.composite
def texts(draw: Callable[..., Any]) -> str:
    """A document as text: whole, cut off, with something put in, with keys twice, too deep, with too many digits."""
    text = json.dumps(draw(mutated_documents()), indent=1)
    kind = draw(st.integers(0, 9))
    if kind < 4:
        return text
    at = draw(st.integers(0, len(text) - 1))
    if kind < 9:
        return text[:at] + draw(st.sampled_from(INSERTED)) + text[at + kind - 4 :] * (kind < 8)
    begin = text.find(": ", at) + 2
    return text[:begin] + draw(st.sampled_from(HUGE)) + (text[begin:] if draw(st.booleans()) else "}")
