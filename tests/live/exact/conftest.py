"""A real Prometheus for all examples of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.exact.machine import Ground
from tests.remote_write import receiver


@pytest.fixture(scope="module")
def ground(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with receiver(tmp_path_factory.mktemp("prometheus"), folder=prometheus_folder) as server:
        ground = Ground(server)
        yield ground
        ground.client.close()
