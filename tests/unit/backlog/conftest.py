"""For tests of the backlog on a disk of their own."""

import pytest

from tests.unit.backlog.disk import Disk


@pytest.fixture
def disk() -> Disk:
    return Disk()
