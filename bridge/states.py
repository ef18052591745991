"""Takes the name of a state, gives its words: how the bridge is doing, and what to do about it. The one closed set."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(str, Enum):
    """How the bridge is doing, one word at a time: on the page, in ``status``, as a label of a metric."""

    STARTING = "starting"
    DELIVERING = "delivering"
    CATCHING_UP = "catching_up"
    NOTHING_TO_SEND = "nothing_to_send"
    NO_DATA = "no_data"
    PROMETHEUS_UNREACHABLE = "prometheus_unreachable"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    QUOTA = "quota"
    MISCONFIGURED = "misconfigured"
    CLOCK = "clock"
    REJECTED = "rejected"
    REFUSED = "refused"
    INTERCEPTED = "intercepted"
    SELECTION_UNREADABLE = "selection_unreadable"
    FAULT = "fault"

    @property
    def words(self) -> str:
        """The state for a person."""
        return _WORDS[self][0]

    @property
    def remedy(self) -> str:
        """What to do about it; empty where nothing is to be done."""
        return _WORDS[self][1]

    @property
    def good(self) -> bool:
        """Whether points arrive."""
        return self in {State.DELIVERING, State.CATCHING_UP}


_WORDS: Mapping[State, tuple[str, str]] = {
    State.STARTING: ("starting", "the first cycle is not done yet: wait an interval"),
    State.DELIVERING: ("delivering", ""),
    State.CATCHING_UP: ("catching up", "nothing: what waits is posted after each newest cycle, oldest first"),
    State.NOTHING_TO_SEND: (
        "nothing to send",
        "none of the selected metrics has a series now: is Triton up? triton-bridge check says more",
    ),
    State.NO_DATA: ("no data", "Prometheus scraped nothing in the last interval: was it down, or has it no targets?"),
    State.PROMETHEUS_UNREACHABLE: (
        "Prometheus unreachable",
        "is it running, and BRIDGE_PROMETHEUS_URL right? What it holds meanwhile is asked for later",
    ),
    State.UNREACHABLE: (
        "Azure not available",
        "where it does not answer, look at DNS, firewall and HTTPS_PROXY; what is read meanwhile is posted later",
    ),
    State.THROTTLED: ("throttled", "nothing: Azure said when to go on"),
    State.QUOTA: ("quota reached", "raise the daily cap of Application Insights, or wait for the next day"),
    State.MISCONFIGURED: (
        "misconfigured",
        "look at the connection string and, with Entra ID, at the role Monitoring Metrics Publisher",
    ),
    State.CLOCK: ("clock ahead", "Azure says that our points are of the future: keep this clock by NTP"),
    State.REJECTED: (
        "all points rejected",
        "triton-bridge explain NAME --rejected shows them, and Azure's words: they are not posted again",
    ),
    State.REFUSED: ("refused", "every part of a batch gets the same answer: please report it with the detail"),
    State.INTERCEPTED: (
        "intercepted",
        "let the host that is named through the proxy or log-in page, or set HTTPS_PROXY",
    ),
    State.SELECTION_UNREADABLE: (
        "selection unreadable",
        "this version cannot read what another one kept: start that one until nothing waits",
    ),
    State.FAULT: ("fault of the bridge", "see the log, and please report it"),
}
