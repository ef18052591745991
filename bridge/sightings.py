"""Takes Prometheus' raw samples and what the bridge saw itself, gives both as one; pure.

A sighting is one more raw sample of each series. Where Triton's port was seen closed it is a zero, for the series that
have a sample afterwards: they begin to count there, and what they gained before their first scrape is not lost.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Mapping

from bridge.points import Identity, Series, Sighting, identity

Sample = tuple[float, str]  # as in a Series


def joined(
    answer: Iterable[Series],
    sightings: Iterable[Sighting],
    *,
    after: float,
    until: float,
    up: Iterable[Series] = (),
) -> list[Series]:
    """The answer with the sightings of (after, until] among its samples, and with the series that were only seen.

    ``up`` are the samples of ``up``.
    """
    series = list(answer)
    seen = [sighting for sighting in sightings if after < sighting.time <= until]
    if not seen:
        return series
    scrapes = list(up)
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
                first = next((time for time, _ in known if time > sighting.time), None)
                if first is not None and _begins(labels[key], sighting, first, scrapes):
                    insort(known, (sighting.time, "0"))
    return [Series(labels[key], known) for key, known in samples.items()]


def before(
    asked: Iterable[Series],
    sightings: Iterable[Sighting],
    start: float,
    *,
    after: float,
    up: Iterable[Series] = (),
) -> dict[Identity, Sample]:
    """The last value that was seen in (after, start] of each of the series, which have their first samples later."""
    series = [(identity(one.labels), one) for one in asked]
    scrapes = list(up)
    last: dict[Identity, Sample] = {}
    for sighting in sorted(sightings, key=lambda sighting: sighting.time):
        if after < sighting.time <= start:
            for key, one in series:
                if sighting.samples is None and _begins(one.labels, sighting, one.samples[0][0], scrapes):
                    last[key] = sighting.time, "0"
                elif value := (sighting.samples or {}).get(key):
                    last[key] = sighting.time, value
    return last


def _begins(labels: Mapping[str, str], closed: Sighting, first: float, up: Iterable[Series]) -> bool:
    """Whether a series begins where the port was seen closed; not if the target was scraped without it since."""
    if labels.get("instance") != closed.instance:
        return False
    return not any(
        closed.time < time < first and float(value) == 1
        for one in up
        if one.labels.get("instance") == closed.instance and one.labels.get("job") == labels.get("job")
        for time, value in one.samples
    )


def replaced(answer: Iterable[Series], sighting: Sighting, names: Collection[str]) -> list[Series]:
    """The values of ``names`` as they were seen, and the answer for all that was not."""
    values = sighting.samples or {}
    kept = [one for one in answer if identity(one.labels) not in values]
    seen = [(dict(key), value) for key, value in values.items()]
    return kept + [Series(labels, [(sighting.time, text)]) for labels, text in seen if labels["__name__"] in names]
