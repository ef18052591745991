"""A disk in memory that fails when it is told to, and forgets what a real one may forget."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class Killed(BaseException):
    """The process ends here. Nothing of the program may catch it."""


@dataclass(eq=False)
class File:
    """What reads give, and what is left where the power fails."""

    data: bytes = b""
    durable: bytes = b""


class Disk:
    """One folder. Each method is one or two steps; ``step`` counts them, and anybody may add his own.

    ``kill_at`` is the step at which the process ends: before it is done, or half done. ``fails`` says of a step ("write",
    "sync", "rename", …) whether it raises an OSError of that number.
    """

    def __init__(self, seed: int = 0) -> None:
        self.steps = 0
        self.kill_at = 0
        self.fails: Callable[[str], int | None] = lambda _: None
        self.time = 0.0
        self.files: dict[str, File] = {}
        self._durable: dict[str, File] = {}
        self._changes: list[tuple[str, File | None]] = []  # of names, since the folder was synced
        self._random = random.Random(seed)

    def step(self, kind: str) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            raise Killed
        if number := self.fails(kind):
            raise OSError(number, os.strerror(number))

    def lose_power(self) -> None:
        """Keep what was made durable, and any part of the rest."""
        for name, file in self._changes:
            if self._random.random() < 0.5:
                self._set(self._durable, name, file)
        self.files = dict(self._durable)
        for file in self.files.values():
            if file.data.startswith(file.durable):
                file.data = file.data[: self._random.randint(len(file.durable), len(file.data))]
            else:
                file.data = self._random.choice([file.data, file.durable])
            file.durable = file.data
        self._changes = []

    def names(self, folder: Path) -> list[str]:
        self.step("read")
        return list(self.files)

    def read(self, path: Path) -> bytes:
        self.step("read")
        return self._file(path).data

    def written(self, path: Path) -> float:
        return self.time

    def make_folder(self, path: Path) -> None:
        self.step("folder")

    def write(self, path: Path, data: bytes) -> None:
        file = File()
        self._name(path.name, file)
        self._put(file, b"", data)
        self._sync(file)

    def append(self, path: Path, data: bytes, *, sync: bool) -> None:
        file = self._file(path)
        self._put(file, file.data, data)
        if sync:
            self._sync(file)

    def overwrite(self, path: Path, data: bytes) -> None:
        file = self._file(path)
        self.step("overwrite")
        file.data = data + file.data[len(data) :]
        self._sync(file)

    def rename(self, old: Path, new: Path) -> None:
        self.step("rename")
        file = self._file(old)
        self._name(old.name, None)
        self._name(new.name, file)

    def unlink(self, path: Path) -> None:
        self.step("unlink")
        self._file(path)
        self._name(path.name, None)

    def sync_folder(self, path: Path) -> None:
        self.step("sync")
        self._durable, self._changes = dict(self.files), []

    def lock(self, path: Path) -> Callable[[], object]:
        return lambda: None

    def _file(self, path: Path) -> File:
        if path.name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.files[path.name]

    def _put(self, file: File, before: bytes, data: bytes) -> None:
        try:
            self.step("write")
        except BaseException:
            file.data = before + data[: self._random.randint(0, len(data))]
            raise
        file.data = before + data

    def _sync(self, file: File) -> None:
        try:
            self.step("sync")
        except Killed:
            if self._random.random() < 0.5:
                file.durable = file.data
            raise
        file.durable = file.data

    def _name(self, name: str, file: File | None) -> None:
        self._set(self.files, name, file)
        self._changes.append((name, file))

    @staticmethod
    def _set(names: dict[str, File], name: str, file: File | None) -> None:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file
