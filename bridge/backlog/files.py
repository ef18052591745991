"""Takes a path and bytes, gives what the disk says: the few system calls of a backlog, so that a test can stand in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """What a backlog does to a disk. All methods raise OSError; those that write return when the bytes are durable.

    A name is durable only after ``sync_folder``.
    """

    def names(self, folder: Path) -> list[str]:
        """The names in a folder."""

    def read(self, path: Path) -> bytes:
        """All of a file."""

    def written(self, path: Path) -> float:
        """When it was last written to (epoch s)."""

    def make_folder(self, path: Path) -> None:
        """Make a folder for this user alone, where there is none."""

    def write(self, path: Path, data: bytes) -> None:
        """Make a file that holds just this."""

    def append(self, path: Path, data: bytes, *, sync: bool) -> None:
        """Add to a file that exists; without ``sync``, durable with the next one that has it."""

    def overwrite(self, path: Path, data: bytes) -> None:
        """Change the first bytes of a file that exists: a disk that is full still can."""

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file over another."""

    def unlink(self, path: Path) -> None:
        """Remove a file."""

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""

    def lock(self, path: Path) -> Callable[[], object]:
        """Take the lock at that path; what gives it back. Raises BlockingIOError where another process has it."""


class OsFiles:
    """The real disk."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder."""
        return [entry.name for entry in folder.iterdir()]

    def read(self, path: Path) -> bytes:
        """All of a file."""
        return path.read_bytes()

    def written(self, path: Path) -> float:
        """When it was last written to (epoch s)."""
        return path.stat().st_mtime

    def make_folder(self, path: Path) -> None:
        """Make a folder for this user alone, where there is none."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Make a file that holds just this."""
        _write(path, "wb", data, sync=True)

    def append(self, path: Path, data: bytes, *, sync: bool) -> None:
        """Add to a file that exists."""
        # Not "ab": it would make a file that somebody took away, and that one would begin without a ledger.
        _write(path, "r+b", data, sync=sync, whence=os.SEEK_END)

    def overwrite(self, path: Path, data: bytes) -> None:
        """Change the first bytes of a file that exists."""
        _write(path, "r+b", data, sync=True)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file over another."""
        old.replace(new)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> Callable[[], object]:
        """Take the lock at that path; the kernel gives it back where the process ends."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            descriptor = os.open(path, os.O_RDONLY)  # on a read-only disk
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return lambda: os.close(descriptor)


def _write(path: Path, mode: str, data: bytes, *, sync: bool, whence: int = os.SEEK_SET) -> None:
    with path.open(mode) as file:
        file.seek(0, whence)
        if mode == "wb":
            os.fchmod(file.fileno(), 0o644)  # whatever the umask: the folder alone is private, and has one user
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
