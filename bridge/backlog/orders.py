"""Takes what a process without the lock wants done, gives it to the one that has it: a small file each, in the folder."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bridge.backlog.files import Files
from bridge.backlog.journal import line, lines
from bridge.backlog.store import ORDER
from bridge.errors import BridgeError

log = logging.getLogger(__name__)


class Order(NamedTuple):
    """(start, end] in epoch s shall fall due again; ``repeat``: what was settled of it too."""

    start: float
    end: float
    repeat: bool


def leave(folder: Path, files: Files, order: Order) -> None:
    """Write an order; it is durable when this returns. Raises BridgeError where it cannot be."""
    name = f"order-{uuid.uuid4().hex}"
    beside = folder / f"{name}.new"
    try:
        files.write(beside, line(0, order))
        files.rename(beside, folder / name)
        files.sync_folder(folder)
    except OSError as error:
        for path in (beside, folder / name):
            with suppress(OSError):
                files.unlink(path)
        raise BridgeError(
            f"{folder} cannot be written ({error.strerror or error}), so the triton-bridge that works with it cannot be"
            " asked — free space there, or run this as the user that runs it"
        ) from error


def left(folder: Path, files: Files) -> Iterator[tuple[str, Order | None]]:
    """The orders that wait, by the names of their files; None for a damaged one."""
    try:
        names = sorted(filter(ORDER.fullmatch, files.names(folder)))
    except OSError:
        return
    for name in names:
        try:
            data = files.read(folder / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.error("%s cannot be read, and is not done: %s", folder / name, error.strerror)  # noqa: TRY400
            continue
        yield name, _order(data)


def _order(data: bytes) -> Order | None:
    with suppress(ValueError, TypeError):
        (found,) = lines(data)
        return Order(*found.document) if found else None
    return None
