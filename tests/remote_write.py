"""Takes series with times of one's own choice, gives a real Prometheus that holds them.

    with receiver(folder) as prometheus:
        write(prometheus, [({"__name__": "m", "job": "triton"}, [(T - 15, 1.0), (T, STALE)])])

By Prometheus' remote write protocol 1.0: a ``WriteRequest`` in protocol buffers, as one snappy block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from examples import stack

STALE: float = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]
"""The NaN by which Prometheus marks the end of a series; no query shows it as a sample."""

Written = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""A series: its labels, ``__name__`` among them, and times (epoch s) with values, oldest first."""


@contextmanager
def receiver(workdir: Path, **options: Any) -> Iterator[stack.PrometheusServer]:
    """A running Prometheus that takes what is written; its options are those of ``stack.prometheus``.

    It scrapes nothing of its own unless ``targets`` say so. No sample may be 12 hours older than the newest of all.
    """
    day = [f"--storage.tsdb.{bound}-block-duration=1d" for bound in ("min", "max")]
    flags = ["--web.enable-remote-write-receiver", *day, *options.pop("extra_flags", ())]
    with stack.prometheus(workdir, targets=options.pop("targets", ()), extra_flags=flags, **options) as running:
        yield running


def write(prometheus: stack.PrometheusServer, series: Iterable[Written]) -> None:
    """Write all of these in one request; they can be asked for when this returns. AssertionError if it is refused."""
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    body = b"".join(_field(1, _series(labels, samples)) for labels, samples in series)
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{prometheus.url}/api/v1/write", _snappy(body), headers=headers, timeout=60)
    assert answer.status_code == 204, answer.text


def _series(labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    """TimeSeries: labels (1), which must be in the order of their names, and samples (2)."""
    pairs = (_field(1, name.encode()) + _field(2, text.encode()) for name, text in sorted(labels.items()))
    return b"".join([*(_field(1, pair) for pair in pairs), *(_field(2, _sample(*sample)) for sample in samples)])


def _sample(time: float, value: float) -> bytes:
    """Sample: a double (1), and milliseconds since the epoch (2)."""
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(time * 1000))


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, a text or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _snappy(content: bytes) -> bytes:
    """One literal, whose length stands in four bytes: snappy need not compress."""
    return _varint(len(content)) + b"\xfc" + (len(content) - 1).to_bytes(4, "little") + content
