"""Every error that the bridge raises on purpose, and the finding: one thing wrong, its place and its remedy.

    BridgeError                       base of all; its text is fit for a person to read
    ├── ConfigurationError            the user's input is wrong: all findings at once      exit code 2
    └── PrometheusError               the question could not be answered now               exit code 1
        ├── PrometheusUnreachable     no connection, no answer in time
        ├── PrometheusRefused         it answered, and said no (status and text kept)
        └── PartialAnswer             it answered with warnings: part of the data may be missing

What Application Insights says is never an exception: a reply becomes a ``points.Receipt``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How much a finding matters. An error is the input's fault (exit code 2), a failure the world's (1)."""

    ERROR = "error"
    FAILURE = "failure"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing wrong: where, what, and what mends it. ``str()`` gives the one line that a user sees."""

    place: str
    problem: str
    remedy: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        line = f"{self.place}: {self.problem}" if self.place else self.problem
        return f"{line} — {self.remedy}" if self.remedy else line


class BridgeError(Exception):
    """Base of all errors that the bridge raises on purpose."""


class ConfigurationError(BridgeError):
    """The user's input is wrong. ``findings`` holds everything that is, never only the first."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


class PrometheusError(BridgeError):
    """Prometheus did not give an answer that can be used; the same question may be asked again."""


class PrometheusUnreachable(PrometheusError):
    """No connection to Prometheus, or no answer within the time-out."""


class PrometheusRefused(PrometheusError):
    """Prometheus answered with an error: ``status`` is its HTTP status, the text its reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(f"Prometheus answered {status}: {reason}")


class PartialAnswer(PrometheusError):
    """Prometheus answered with warnings; part of the data may be missing, so the answer counts as none."""
