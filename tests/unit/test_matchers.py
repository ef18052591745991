"""Label matchers mean for the bridge what they mean for Prometheus: a real one is asked the same."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.matchers import ANY, NotMatchersError, read
from examples import stack

WORDS = [
    "",
    "a",
    "b",
    "ab",
    "aab",
    "ba",
    "bert-base",
    "bert--2",
    "a.b",
    "10.0.0.7:8002",
    "A",
    "aé",
    "é",
    "ß",
    "😀",
    "٣",
]
SIGNS = [
    " ",
    "\t",
    "\v",
    "\n",
    "a\n",
    "\na",
    "a\nb",
    "\r",
    "\0",
    "\x1c",
    "\x85",
    "\u2028",
    "\ufeff",
    "\\",
    "\\d",
    '"',
    "$",
]
VALUES = [
    *WORDS,
    *SIGNS,
    "a$",
    "^a",
    "a|b",
    "[a]",
    "(a)",
    "{a}",
    "a{,3}",
    "a*",
    "-",
    "--",
    "&&",
    "_",
    "]",
    "a+b",
    "a" * 9,
]
# a alone, b alone, both, none.
SERIES = [{"a": value} for value in VALUES] + [{"b": value} for value in VALUES]
SERIES += [{"a": a, "b": b} for a, b in zip(VALUES, [*VALUES[7:], *VALUES[:7]], strict=True)]

Chosen = Callable[[str], set[int]]


def quoted(value: str) -> str:
    """A PromQL string."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@pytest.fixture(scope="module")
def chosen(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chosen]:
    """Which of SERIES a real Prometheus chooses by matchers, as their numbers."""
    folder = tmp_path_factory.mktemp("prometheus")
    now = int(time.time())
    lines = [
        f"m{{{','.join(f'{k}={quoted(v)}' for k, v in {**labels, 'number': str(number)}.items())}}} 1 {now}\n"
        for number, labels in enumerate(SERIES)
    ]
    (folder / "samples").write_text("".join(lines) + "# EOF\n", encoding="utf-8", newline="")
    promtool = [prometheus_folder / "promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*promtool, folder / "samples", folder / "tsdb"], check=True, capture_output=True)
    with stack.prometheus(folder, targets=[], folder=prometheus_folder) as prometheus:

        def ask(matchers: str) -> set[int]:
            rows = prometheus.query(f'{{__name__="m",{matchers}}}', time=now)
            return {int(labels["number"]) for labels, _ in rows}

        assert ask("") == set(range(len(SERIES))), "not all series are there"
        yield ask


def fitting(matchers: str) -> set[int]:
    """Which of SERIES the bridge chooses."""
    wanted = read(matchers)
    return {number for number, labels in enumerate(SERIES) if wanted.fit(labels)}


def plain(numbers: set[int]) -> set[int]:
    """Without the series in which a dot of Prometheus 2 and of Prometheus 3 differ."""
    return {number for number in numbers if "\n" not in "".join(SERIES[number].values())}


@pytest.mark.parametrize(
    "matchers",
    [
        "",
        'a="a"',
        'a!="a"',
        'a=""',
        'a!=""',
        'b="é",a!="a"',
        'a="a",a="b"',
        'a=~"a|b"',
        'a!~"a|b"',
        'a=~""',
        'a=~".+"',
        'a=~"a.*",b!~".*b"',
        r'a=~"10\\.0\\.0\\.[0-9]+:\\d{4}"',
        r'a=~"\\w+"',
        r'a=~"\\W"',
        r'a=~"\\D"',
        'a=~"^a$"',
        'a=~"a$|b"',
        'a=~"(^a|b$)"',
        'a=~"a^b"',
        'a=~"bert--.*"',
        'a=~"a||b"',
        'a=~"(|a)b"',
        'a=~"[^a]"',
        'a=~"[a-]"',
        'a=~"[$-.]"',
        r'a=~"[\\[\\]^]"',
        r'a=~"[\\-^]"',
        r'a=~"\\$|\\\\|\\{a\\}"',
        'a=~"a{2}b|a{9}|a{0}"',
        'a=~"a*?b??"',
        'a=~"(?:a?b?)+"',
        r'a="\x61"',
        r'a="\141"',
        r'a=~"\u00e9|\U0001F600"',
        'a="😀"',
        r'a="\\"',
        r'a="\\d"',
        r'a="\""',
        r'a="\v"',
        'a="\r"',
        'a="\0"',
        ' a\t= "a"\n,\r\nb != "b" , ',
    ],
)
def test_a_matcher_chooses_what_prometheus_chooses(chosen: Chosen, matchers: str) -> None:
    text = read(matchers).text

    assert plain(fitting(text)) == plain(chosen(text))


def test_a_dot_takes_a_line_break_as_in_prometheus_3(
    chosen: Chosen, prometheus_folder: Path, prometheis: dict[str, Path | str]
) -> None:
    if prometheus_folder != prometheis["3"]:
        pytest.skip("in Prometheus 2 it takes none")
    dotted = ['a=~"a.*"', 'a=~".+"', 'a!~"a.b|."', 'a=~"a$[^b]"', r'a=~"a\\W"', 'a=~"^a.$"']

    assert {text: fitting(text) for text in dotted} == {text: chosen(text) for text in dotted}


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "(?i)a",
            "(?i:a)",
            "(?s).",
            "(?P<n>a)",
            "(?<n>a)",
            "(?P=n)",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?#a)",
            "(?>a)",
            "(a)\\1",
        ),
        *(
            r"\pL",
            r"\p{Greek}",
            r"\PN",
            r"[[:alpha:]]",
            r"[^[:digit:]]",
            r"[\pL]",
            r"[a[b]]",
            "[]a]",
            "[^]a]",
            "[]",
            "[^]",
        ),
        *(
            r"\Qa.b\E",
            r"\Aa",
            r"a\z",
            r"a\Z",
            r"\ba",
            r"a\B",
            r"\s",
            r"\S",
            r"[\s]",
            r"\x61",
            r"\141",
            r"\n",
            r"\t",
            r"\q",
        ),
        *(r"\C", r"\é", "\\\n", "\\\u2014", "\\"),
        *("a++", "a*+", "a?+", "a{2}+", "a**", "a{2}{3}", "a+*", "*a", "+", "?", "a|*", "(*a)", "^*", "$+", "(?:+)"),
        *(
            "a{,3}",
            "a{",
            "a{b}",
            "a{2",
            "{2}",
            "a{02}",
            "a{1001}",
            "a{2,1}",
            "(a{40}){40}",
            "((a{10}){20}b){30}",
            "a}",
            "a]",
        ),
        *("a[", "(a", "a)", "[z-a]", r"[\d-z]", r"[a-\d]", "[a--b]", "[a&&b]", "[a||b]", "[a~~b]", "(" * 99 + ")" * 99),
    ],
)
def test_what_re2_and_python_may_read_differently_is_refused(expression: str) -> None:
    with pytest.raises(NotMatchersError) as caught:
        read(f"a=~{quoted(expression)}")

    assert "regular expression" in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("matchers", "problem"),
    [
        ("a", "'a' is no list of label matchers"),
        ('{a="b"}', "is no list of label matchers"),
        ("a='b'", "is no list of label matchers"),
        ("a=`b`", "is no list of label matchers"),
        ('a=="b"', "is no list of label matchers"),
        ('a="b" b="c"', "is no list of label matchers"),
        ('a="b",,b="c"', "is no list of label matchers"),
        (',a="b"', "is no list of label matchers"),
        ('a="b"} or m{c="d"', "is no list of label matchers"),
        ('a="b" # c', "is no list of label matchers"),
        ('a="\n"', "is no list of label matchers"),
        ('a="\ufffd"', "is no list of label matchers"),
        ('a\u00a0="b"', "is no list of label matchers"),
        ('"a"="b"', "is no list of label matchers"),
        ('é="b"', "is no list of label matchers"),
        (r'a="\d"', r"""'a="\d"' is no list of label matchers"""),
        ('a="\n"', r"""'a="\n"' is no list of label matchers"""),
        (r'a=~"\\b"', r"the regular expression '\b' is not understood from '\b' on"),
        (r'a="\'"', "is no list of label matchers"),
        ('a="b",,', "ends in a comma too many"),
        (r'a="\xe9"', r"\xe9 is no character"),
        (r'a="\351"', r"\351 is no character"),
        (r'a="\ud800"', r"\ud800 is no character"),
        (r'a="\U00110000"', r"\U00110000 is no character"),
        ('__name__="a"', "__name__ cannot be matched here"),
    ],
)
def test_what_is_no_list_of_matchers_is_refused_with_a_remedy(matchers: str, problem: str) -> None:
    with pytest.raises(NotMatchersError) as caught:
        read(matchers)

    assert problem in caught.value.problem
    assert caught.value.remedy


def test_no_matchers_fit_everything() -> None:
    assert read("  , ") == ANY
    assert [labels for labels in SERIES if not ANY.fit(labels)] == []


letters = st.sampled_from(["a", "b", "é", "😀", " ", "-", "_", "\n", "\v", "\\.", "\\\\", "\\$", "\\[", '"', ",", "&"])
classes = st.tuples(
    st.sampled_from(["", "^"]),
    st.lists(
        letters | st.sampled_from(["a-z", "+-9", "\\d", "\\W", "\\w", "\\]", "|", ".", "$", "*"]),
        min_size=1,
        max_size=3,
    ),
).map(lambda parts: f"[{parts[0]}{''.join(parts[1])}]")
repeats = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}", "{0}", "{1,2}?"])
expressions = st.recursive(
    letters | classes | st.sampled_from(["", ".", "\\d", "\\D", "\\w", "\\W", "^", "$", ".*", ".+", "(a)"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map("|".join)
        | st.tuples(st.sampled_from(["(", "(?:"]), inner, repeats | st.just("")).map(lambda p: f"{p[0]}{p[1]}){p[2]}")
        | st.tuples(letters | classes, repeats).map("".join)
    ),
    max_leaves=6,
)
# Whatever might mean something to one of the two.
PIECES = [
    *"ab.*+?|()[]{}^$-&~,:=!<>#\\dsbzZQE123 \n\vé",
    "(?i)",
    "(?:",
    "[[:",
    ":]]",
    "\\p",
    "{2,",
    "&&",
    "--",
    "\\x4",
    "\\u00e9",
]
soup = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
operators = st.sampled_from(["=", "!=", "=~", "!~"])
matchers = st.lists(
    st.tuples(st.sampled_from("abc"), operators, (expressions | st.sampled_from(VALUES)).map(quoted)).map("".join),
    max_size=3,
).map(",".join)
texts = st.lists(
    st.sampled_from([*'ab"" =~!,{}#\\`', '="a"', '=~"', "\\x61", "\\303\\251", "\n", "\u00a0"]), max_size=8
).map("".join)


@given(matchers | soup.map(lambda text: f"a=~{quoted(text)}") | texts.map(lambda text: f'a="a"{text}'))
@example('a=~"(a|b*)*"')
@example('a=~"(?:a?)*?b"')
@settings(max_examples=1500)
def test_what_is_taken_chooses_what_prometheus_chooses(chosen: Chosen, text: str) -> None:
    try:
        taken = read(text).text
    except NotMatchersError:
        return

    assert plain(fitting(taken)) == plain(chosen(taken))
