"""Takes what the bridge saw itself, gives it again after a restart: one small file in a folder.

``sightings`` are raw samples that the bridge took of Triton itself: at its opening, and while it drained. A gap of that
time is asked for with them, so the newest are kept: 500, and values of 100,000 series.

The file is replaced whole (written beside, fsync, rename). One that cannot be read is set aside and reported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from bridge.points import Sighting

log = logging.getLogger(__name__)

_FILE = "witness.json"
_KEPT = 500  # one start and one stop make three
_SERIES_KEPT = 100_000
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError)


class Witness:
    """Memory of one bridge. Nothing is written before ``saw``; without a folder it lasts as long as the process.

    ``durable`` tells whether the last write reached the disk.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.sightings: tuple[Sighting, ...] = ()
        self.durable = False
        self._path = folder / _FILE if folder else None
        if self._path:
            self._load(self._path)

    def saw(self, sighting: Sighting) -> None:
        """Keep a sighting; of too many the oldest go."""
        kept, room = [sighting], _SERIES_KEPT
        for earlier in reversed(self.sightings[-_KEPT + 1 :]):
            room -= len(earlier.samples or ())
            if room >= 0:
                kept.append(earlier)
        self.sightings = tuple(reversed(kept))
        self._save()

    def _load(self, path: Path) -> None:
        try:
            self.sightings = _read(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error.strerror)
        except _DAMAGED as error:
            aside = path.with_suffix(".damaged")
            log.error("%s is damaged, and set aside as %s: %s", path, aside.name, error)  # noqa: TRY400
            with suppress(OSError):
                path.replace(aside)

    def _save(self) -> None:
        self.durable = False
        if self._path is None:
            return
        document = {"sightings": [_written(one) for one in self.sightings]}
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(orjson.dumps(document))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            remedy = "BRIDGE_STATE_DIR must be writable"
            log.warning("%s: %s; nothing is kept over a restart — %s", self._path.parent, error.strerror, remedy)
        else:
            self.durable = True


def seen(folder: Path) -> tuple[Sighting, ...]:
    """What a bridge with this folder saw, where that can be read; changes nothing there, whatever it finds."""
    try:
        return _read(folder / _FILE)
    except (OSError, *_DAMAGED):
        return ()


def _read(path: Path) -> tuple[Sighting, ...]:
    return tuple(map(_sighting, orjson.loads(path.read_bytes())["sightings"]))


def _written(sighting: Sighting) -> dict[str, Any]:
    samples = sighting.samples
    return {
        "time": sighting.time,
        "instance": sighting.instance,
        "samples": None if samples is None else [[dict(sorted(key)), value] for key, value in samples.items()],
    }


def _sighting(document: Mapping[str, Any]) -> Sighting:
    samples = document["samples"]
    values = None if samples is None else {frozenset(labels.items()): str(value) for labels, value in samples}
    return Sighting(float(document["time"]), str(document["instance"]), values)
