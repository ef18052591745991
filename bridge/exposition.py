"""Takes the address of Triton's metrics port, gives the text that stands there now, and the samples in it.

Prometheus has no request that makes it scrape, and Triton's last counts stand on its port for a moment only, while it
drains. So the bridge looks itself where a scrape would come too late: when Triton opens and when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import requests
from prometheus_client.parser import text_string_to_metric_families

from bridge.errors import BridgeError


class Unreadable(BridgeError):
    """The port neither gave a complete exposition nor was closed."""


class MetricsPort:
    """Triton's metrics at ``target`` (host:port). ``timeout`` in seconds, for the connection and for each read."""

    def __init__(self, target: str, *, timeout: float = 1.0) -> None:
        self.target = target
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between a process and its neighbour

    def read(self) -> str | None:
        """The whole exposition; None where nothing listens. Raises Unreadable for all else."""
        try:
            answer = self._session.get(f"http://{self.target}/metrics", timeout=self._timeout)
            answer.raise_for_status()
        except requests.RequestException as error:
            if _refused(error):
                return None
            raise Unreadable(f"{self.target}: {type(error).__name__}") from error
        return answer.text


def _refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def samples(text: str) -> Iterator[tuple[dict[str, str], str]]:
    """Labels, ``__name__`` among them, and value of each sample, as Prometheus writes it. Raises Unreadable."""
    try:
        yield from _samples(text)
    except ValueError as error:
        raise Unreadable(f"what stands on Triton's metrics port is no exposition: {error}") from error


def _samples(text: str) -> Iterator[tuple[dict[str, str], str]]:
    # Without the TYPE lines no sample of a counter is renamed: the parser would add the _total of OpenMetrics.
    bare = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    for family in text_string_to_metric_families(bare):
        for sample in family.samples:
            value = "NaN" if math.isnan(sample.value) else repr(sample.value)
            # To Prometheus a label without a value is none.
            labels = {name: text for name, text in sample.labels.items() if text}
            yield {**labels, "__name__": sample.name}, value


def scraped_labels(labels: Mapping[str, str], target: Mapping[str, str]) -> dict[str, str]:
    """The labels that Prometheus gives a sample of a target: the target's own win (``honor_labels: false``)."""
    return {**{f"exported_{name}" if name in target else name: value for name, value in labels.items()}, **target}
