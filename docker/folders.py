"""Takes what is to run, gives the folders that it runs from: s6's scan directory, configuration, data.

    /tmp/triton-bridge/scan/          what s6-svscan keeps running; its programs are links into the image
                       prometheus/    Prometheus' configuration; all but the targets are links
                       data/          Prometheus' data, only where the volume cannot hold them
                       models/        an empty repository, only where there is none
                       health         what the health check asks, a URL

All of it is made anew at each start. Standard library only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import targets

# A root file system may be read-only, and /tmp with it; /dev/shm is there wherever Triton can run.
RUNTIMES = (Path("/tmp/triton-bridge"), Path("/dev/shm/triton-bridge"))  # ours alone, 0700
SERVICES = Path(__file__).resolve().parent / "services"
CONFIGURATION = Path("/etc/prometheus")
ENOUGH_BYTES = 100_000_000
_MOST_BYTES_INSTEAD = 1_000_000_000


@dataclass(frozen=True)
class Service:
    """A program that s6 runs, whether each line of it gets its name, and whether its failure to start is the end."""

    command: Sequence[str]
    named: bool = True
    required: bool = False


def make_runtime(candidates: Sequence[Path] = RUNTIMES) -> Path | None:
    """The first of the folders that can be made, 0700; what an earlier run of this container left there is removed."""
    for folder in candidates:
        try:
            if os.path.lexists(folder):
                shutil.rmtree(folder)  # refuses a link, and what another user owns
            folder.mkdir(mode=0o700)
        except OSError:
            continue
        return folder
    return None


def make_data(wanted: Path, instead: Path, enough: int = ENOUGH_BYTES) -> tuple[Path, int | None, str]:
    """Where Prometheus keeps its data, 0700, how many bytes at most (None: as it likes), and what is the matter.

    That is ``wanted`` if it can be written and has room, else ``instead``, which may well be in memory.
    """
    try:
        wanted.mkdir(mode=0o700, exist_ok=True)
        free = shutil.disk_usage(wanted).free
        if not os.access(wanted, os.W_OK | os.X_OK):
            problem = f"user {os.geteuid()} may not write there"
        elif free < enough:
            problem = f"only {free // 1_000_000} MB are free there"
        else:
            return wanted, None, ""
    except OSError as error:
        problem = str(error.strerror)
    instead.mkdir(mode=0o700)
    room = min(shutil.disk_usage(instead).free // 2, _MOST_BYTES_INSTEAD)
    return instead, room, f"{wanted} cannot be used ({problem}), and {instead} stands in for it"


def make_configuration(folder: Path, wanted: Mapping[str, targets.Document], shipped: Path = CONFIGURATION) -> Path:
    """Prometheus' configuration file, whose paths are relative to it: what is shipped or mounted, and our targets."""
    _link(shipped, folder)
    (folder / "targets").unlink(missing_ok=True)
    for name, document in wanted.items():
        targets.write(folder / "targets" / f"{name}.json", document)
    return folder / "prometheus.yml"


def make_scan(scan: Path, services: Mapping[str, Service], shipped: Path = SERVICES) -> None:
    """A scan directory. Its programs are links: a tmpfs may forbid that its files are executed."""
    _link(shipped / "scan", scan / ".s6-svscan")
    for name, service in services.items():
        for folder in (Path(name), Path(name, "log")):
            _link(shipped / folder, scan / folder)
        _write_command(scan / name, service.command)
        prefix = f"{name:<10} | " if service.named else ""
        # Whatever the bytes of a line, it is written whole and at once.
        _write_command(scan / name / "log", ["env", "LC_ALL=C", "stdbuf", "-oL", "sed", f"s/^/{prefix}/"])
        if service.required:
            (scan / name / "data" / "required").touch()


def _link(shipped: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in shipped.iterdir():
        if path.name != "log":
            (folder / path.name).symlink_to(path)


def _write_command(folder: Path, command: Sequence[str]) -> None:
    data = folder / "data"  # of all names, the one that s6 promises to leave alone
    data.mkdir()
    (data / "command").write_bytes(b"".join(os.fsencode(argument) + b"\0" for argument in command))
