"""Takes a duration as Prometheus writes it (``1m30s``, ``500ms``; a bare number is seconds), gives seconds; and back."""

from __future__ import annotations

import re

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:(\d+){unit})?" for unit in _UNITS))
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError for what is no duration; units must fall, each at most once, as in Prometheus."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise ValueError(f"{text!r} is not a duration")
    return sum(float(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count)


def format_duration(seconds: float) -> str:
    """In hours at the most, exact to the millisecond: 90 → ``1m30s``, 0.5 → ``500ms``, 0 → ``0s``."""
    left = round(seconds * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
