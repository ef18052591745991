"""Takes Prometheus' raw samples and what the bridge saw itself, gives both as one; pure.

A sighting is one more raw sample of each series. Where Triton's port was seen closed it is a zero, for the series that
have a sample afterwards: they begin to count there, and what they gained before their first scrape is not lost.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Mapping

from bridge.points import Identity, Series, Sighting, identity

Sample = tuple[float, str]  # as in a Series


def joined(answer: Iterable[Series], sightings: Iterable[Sighting], *, after: float, until: float) -> list[Series]:
    """The answer with the sightings of (after, until] among its samples, and with the series that were only seen."""
    series = list(answer)
    seen = [sighting for sighting in sightings if after < sighting.time <= until]
    if not seen:
        return series
    labels = {identity(one.labels): one.labels for one in series}
    samples: dict[Identity, list[Sample]] = {
        key: [(time, value) for time, value in one.samples] for key, one in zip(labels, series, strict=True)
    }
    # Values before zeros: a series that was only seen begins at zero too.
    for sighting in sorted(seen, key=lambda sighting: sighting.samples is None):
        for key, value in (sighting.samples or {}).items():
            insort(samples.setdefault(key, []), (sighting.time, value))
            labels.setdefault(key, dict(key))
        if sighting.samples is None:
            for key, known in samples.items():
                if labels[key].get("instance") == sighting.instance and known[-1][0] > sighting.time:
                    insort(known, (sighting.time, "0"))
    return [Series(labels[key], known) for key, known in samples.items()]


def before(
    asked: Iterable[Mapping[str, str]], sightings: Iterable[Sighting], start: float, *, after: float
) -> dict[Identity, Sample]:
    """The last value that was seen in (after, start] of each of the series that have these labels."""
    series = [(identity(labels), labels.get("instance")) for labels in asked]
    last: dict[Identity, Sample] = {}
    for sighting in sorted(sightings, key=lambda sighting: sighting.time):
        if after < sighting.time <= start:
            for key, instance in series:
                if sighting.samples is None and instance == sighting.instance:
                    last[key] = sighting.time, "0"
                elif value := (sighting.samples or {}).get(key):
                    last[key] = sighting.time, value
    return last


def replaced(answer: Iterable[Series], sighting: Sighting, names: Collection[str]) -> list[Series]:
    """The values of ``names`` as they were seen, and the answer for all that was not."""
    values = sighting.samples or {}
    kept = [one for one in answer if identity(one.labels) not in values]
    seen = [(dict(key), value) for key, value in values.items()]
    return kept + [Series(labels, [(sighting.time, text)]) for labels, text in seen if labels["__name__"] in names]
