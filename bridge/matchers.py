"""Takes label matchers as PromQL writes them, gives a test of labels that agrees with Prometheus'.

``model=~"bert.*",pod!="x"``: matchers narrow the questions, and what the bridge saw itself by the same rule. Prometheus
reads regular expressions as RE2 (https://github.com/google/re2/wiki/Syntax), Python as its own: taken is only what both
read alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

# PromQL strings know Go's escapes and no others, so that a regular expression's backslash is written twice.
_ESCAPE = r'\\(?:[abfnrtv\\"]|[0-7]{3}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})'
_BLANK = r"[ \t\r\n]*"
_ONE = re.compile(
    rf'{_BLANK}([A-Za-z_][A-Za-z0-9_]*){_BLANK}(=~|!~|!=|=){_BLANK}"((?:[^"\\\n\ufffd]|{_ESCAPE})*)"{_BLANK}'
)
_ESCAPES = re.compile(_ESCAPE)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}

# The next part of a regular expression that RE2 and Python read alike. Not among them: \s, where Python has one
# character more; \b; letters and digits behind a backslash; groups with flags or names; a second repetition.
_ESCAPED = r"\\[!-/:-@\[-`{-~]|\\[dDwW]"
_IN_CLASS = rf"(?!--|&&|\|\||~~)[^\\\[\]]|{_ESCAPED}"
_ATOM = rf"\)|[^\\*+?()|\[\]{{}}^$]|{_ESCAPED}|\[\^?(?!\^)(?:{_IN_CLASS})+\]"
_COUNT = r"(?:0|[1-9][0-9]{0,3})"
_PART = re.compile(
    rf"(?P<open>\((?:\?:|(?!\?)))|(?P<end>\$)|[|^]|(?:{_ATOM})(?P<repeat>[*+?]\??|\{{{_COUNT}(?:,{_COUNT}?)?\}}\??)?",
    re.DOTALL,
)
_MOST = 1000  # times that RE2 repeats anything, a repetition in a repetition multiplied
_DEEPEST = 50  # groups in one another; Go's RE2 takes some more


class NotMatchersError(ValueError):
    """A text that is no list of matchers: the problem, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class Matchers:
    """Matchers that all must hold. ``text`` is how PromQL writes them, empty for none: then all labels fit."""

    text: str
    # Of each: the label, a test of its value, and whether that must hold.
    tests: Sequence[tuple[str, Callable[[str], object], bool]] = field(default=(), compare=False, repr=False)

    def fit(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant. A label that is not there is an empty one, as in PromQL.

        A dot stands for a line break too, as in Prometheus 3; in 2 it does not.
        """
        return all(bool(test(labels.get(label, ""))) is wanted for label, test, wanted in self.tests)


ANY = Matchers("")


def read(text: str) -> Matchers:
    """Read matchers, with a comma between them. Raises NotMatchersError."""
    text = text.strip().removesuffix(",").rstrip()
    tests = []
    position = 0
    while position < len(text):
        found = _ONE.match(text, position)
        if not found or (found.end() < len(text) and text[found.end()] != ","):
            raise NotMatchersError(
                f"{_shown(text)} is no list of label matchers",
                'write name="value", with = != =~ or !~, commas between, a backslash twice, and no braces',
            )
        tests.append(_test(*found.groups()))
        position = found.end() + 1
        if position == len(text):  # two commas at the end
            raise NotMatchersError(f"{_shown(text)} ends in a comma too many", "take it away")
    return Matchers(text, tuple(tests))


def _test(label: str, operator: str, written: str) -> tuple[str, Callable[[str], object], bool]:
    if label == "__name__":
        raise NotMatchersError("__name__ cannot be matched here", "metrics.json names the metrics")
    value = _ESCAPES.sub(_unescaped, written)
    if operator in {"=", "!="}:
        return label, value.__eq__, operator == "="
    return label, _pattern(value).fullmatch, operator == "=~"


def _unescaped(escape: re.Match[str]) -> str:
    text = escape[0][1:]
    if text in _NAMED:
        return _NAMED[text]
    byte = text[0] not in "uU"
    code = int(text, 8) if text[0].isdigit() else int(text[1:], 16)
    if code > (0x7F if byte else 0x10FFFF) or 0xD800 <= code <= 0xDFFF:
        raise NotMatchersError(f"{escape[0]} is no character", "write the character itself")
    return chr(code)


def _pattern(value: str) -> re.Pattern[str]:
    """A regular expression of RE2 as Python's."""
    parts: list[str] = []
    repeated = [1]  # how often the most repeated part of each open group is
    position = 0
    while position < len(value):
        part = _PART.match(value, position)
        if part is None:
            _refuse(value, f"is not understood from {_shown(value[position:])} on")
        # Python's $ matches before a line break at the end as well.
        parts.append(r"\Z" if part["end"] else part[0])
        position = part.end()
        if part["open"]:
            repeated.append(1)
        times = repeated.pop() if part[0].startswith(")") and len(repeated) > 1 else 1
        times *= max([1, *map(int, re.findall(r"\d+", part["repeat"] or ""))])
        repeated[-1] = max(repeated[-1], times)
        if times > _MOST or len(repeated) > _DEEPEST:
            _refuse(value, f"repeats a part more than {_MOST} times, or has groups deep within others")
    try:
        return re.compile("".join(parts), re.ASCII | re.DOTALL)
    except re.error as error:
        raise NotMatchersError(f"{_shown(value)} is no regular expression: {error}", "RE2, as in PromQL") from None


def _shown(text: str) -> str:
    """As it was written, in quotes; what cannot be printed is escaped."""
    return "'" + "".join(one if one.isprintable() else repr(one)[1:-1] for one in text) + "'"


def _refuse(value: str, why: str) -> NoReturn:
    raise NotMatchersError(
        f"the regular expression {_shown(value)} {why}",
        r"use letters, . * + ? | ( ) [ ] { } ^ $ \d \w, and a backslash before other signs",
    )
