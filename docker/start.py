"""Takes a container's arguments and environment, gives a scan directory, and becomes s6-svscan on it.

    no arguments       tritonserver on AZUREML_MODEL_DIR, or else /models
    -…                 the same, with these arguments added
    tritonserver …     Triton with exactly these arguments
    anything else      that command, and nothing of ours

Triton runs by way of its own image's entry point, whose checks stay so. In an image without Triton, the sidecar, there
are Prometheus and the bridge alone. Standard library only: it runs before anything else does.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import folders
import targets
from folders import Service

BRIDGE = ("/opt/bridge/bin/python", "-I", "/opt/bridge/bin/triton-bridge", "run")
ENTRY_POINT = Path("/opt/nvidia/nvidia_entrypoint.sh")
MODELS = "/models"
PROMETHEUS = "/usr/local/bin/prometheus"
SECRETS = Path("/run/secrets")
STATE = Path("/var/lib/bridge")

_NO = {"0", "f", "false", "n", "no", "off"}
_YES = {"1", "t", "true", "y", "yes", "on"}
_RETENTION = "--storage.tsdb.retention.size="
_SETTINGS = (
    "AML_APP_INSIGHTS_ENABLED",
    "BRIDGE_LISTEN",
    "BRIDGE_LOG_FORMAT",
    "BRIDGE_PROMETHEUS_URL",
    "BRIDGE_REQUIRED",
    "BRIDGE_SCRAPE_INTERVAL",
    "BRIDGE_TRITON_TARGET",
)


@dataclass(frozen=True)
class Triton:
    """A command line of Triton, and where it answers as seen from inside the container."""

    command: Sequence[str]

    @property
    def metrics(self) -> str:
        """host:port of its metrics; empty where they are switched off."""
        if not self._allows("metrics"):
            return ""
        address = self._option("metrics-address", self._option("http-address", ""))
        return f"{targets.reachable(address)}:{self._option('metrics-port', '8002')}"

    @property
    def health(self) -> str:
        """What answers while Triton lives, a URL; empty where nothing does over HTTP."""
        if self._allows("http"):
            host = targets.reachable(self._option("http-address", ""))
            return f"http://{host}:{self._option('http-port', '8000')}/v2/health/live"
        return f"http://{self.metrics}/metrics" if self.metrics else ""

    @property
    def repositories(self) -> list[str]:
        """Its model repositories, in order."""
        return options(self.command, "model-repository", "model-store")

    def _option(self, name: str, default: str) -> str:
        return [default, *options(self.command, name)][-1]

    def _allows(self, what: str) -> bool:
        return self._option(f"allow-{what}", "true").lower() not in _NO


def options(arguments: Sequence[str], *names: str) -> list[str]:
    """The values of ``--NAME=value`` and ``--NAME value``, in order; Triton takes the last."""
    found, rest = [], iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in {f"--{name}" for name in names}:
            found.append(value if equals else next(rest, ""))
    return found


def triton(arguments: Sequence[str], repository: str = MODELS) -> Triton | None:
    """The Triton that the arguments ask for, on ``repository`` if they name none; None where they ask for another."""
    if arguments and not arguments[0].startswith("-"):
        return Triton(arguments) if Path(arguments[0]).name == "tritonserver" else None
    default = [] if Triton(arguments).repositories else [f"--model-repository={repository}"]
    return Triton(["tritonserver", *default, *arguments])


def served(folder: Path) -> str:
    """The model repository in what Azure Machine Learning mounts: the registered folder, or one level further down.

    A registered folder that is one model lies in AZUREML_MODEL_DIR, which is then the repository. One that is a
    repository itself, of several models, lies there too, alone.
    """
    try:
        inside = [path for path in folder.iterdir() if path.is_dir()]
        if len(inside) == 1 and not _is_model(inside[0]) and any(map(_is_model, inside[0].iterdir())):
            return str(inside[0])
    except OSError:
        pass  # of which ``doubts`` tells
    return str(folder)


def _is_model(folder: Path) -> bool:
    """Whether Triton would take the folder for a model: it has a configuration, or a version."""
    return folder.is_dir() and any(path.name == "config.pbtxt" or path.name.isdecimal() for path in folder.iterdir())


def doubts(server: Triton) -> Iterator[str]:
    """What a person should know of this Triton before it starts, a sentence each."""
    if not server.metrics:
        yield "--allow-metrics=false: Triton shows no metrics, so that there is nothing to send"
    for repository in server.repositories:
        if "://" in repository:  # a bucket
            continue
        try:
            if any(Path(repository).iterdir()):
                continue
            problem = "holds no model"
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        yield f"the model repository {repository} {problem}; mount yours: -v /path/to/models:{MODELS}:ro"


def settings(environ: Mapping[str, str], secrets: Path = SECRETS) -> dict[str, str]:
    """What matters before the bridge starts: from the environment, else from a file, as the bridge reads its settings."""
    found = {name: environ.get(name, "").strip() for name in _SETTINGS}
    for path in secrets.iterdir() if os.access(secrets, os.R_OK) else ():
        if found.get(path.name.upper()) == "" and os.access(path, os.R_OK):
            found[path.name.upper()] = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    return found


def scrape(given: Mapping[str, str], metrics: str) -> tuple[dict[str, targets.Document], str]:
    """The file_sd documents by name, and what is wrong with the settings for Triton's, if anything.

    Then that one is made without them. Of a wrong BRIDGE_LISTEN the bridge tells itself: it does not start.
    """
    default, interval = metrics or targets.TARGET, given["BRIDGE_SCRAPE_INTERVAL"] or targets.INTERVAL
    problem = ""
    try:
        wanted = {"triton": targets.document(given["BRIDGE_TRITON_TARGET"] or default, interval)}
    except ValueError as error:
        problem, interval = str(error), targets.INTERVAL
        try:
            wanted = {"triton": targets.document(default)}
            problem += f"; scraped is {default} every {interval}"
        except ValueError:  # Triton's own arguments, of which it tells itself
            wanted = {"triton": targets.document()}
    if runs_bridge(given):
        with suppress(ValueError):
            wanted["bridge"] = targets.bridge(given["BRIDGE_LISTEN"] or targets.LISTEN, interval)
    return wanted, problem


def runs_bridge(given: Mapping[str, str]) -> bool:
    """Whether Azure Machine Learning leaves it on."""
    return given["AML_APP_INSIGHTS_ENABLED"].lower() not in _NO


def prometheus_port(url: str) -> int | None:
    """Where our own Prometheus listens to be found at the URL; None where that is another one."""
    try:
        parts = urlsplit(url or "http://127.0.0.1:9090")
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
        port = parts.port or 80
    except ValueError:  # a name, or nothing that makes sense, of which the bridge tells
        return None
    return port if loopback and parts.scheme == "http" else None


def prometheus(port: int, configuration: Path, data: Path, flags: Sequence[str], room: int | None) -> list[str]:
    """The command line of our Prometheus, which keeps ``room`` bytes at most; None: what the flags say."""
    if room is not None:
        flags = [*(flag for flag in flags if not flag.startswith(_RETENTION)), f"{_RETENTION}{room}B"]
    return [
        PROMETHEUS,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=:{port}",
        # It reserves a whole segment for each block, 512 MB by default: with less room it never compacts anything.
        "--storage.tsdb.max-block-chunk-segment-size=16MB",
        *flags,
    ]


def say(text: str) -> None:
    """One line to the container's log."""
    print(f"start      | {text}", file=sys.stderr, flush=True)


def become(command: Sequence[str]) -> NoReturn:
    """Go on as this command; where that cannot be, end as a shell would."""
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        say(f"{command[0]}: {error.strerror}")
        sys.exit(126 if isinstance(error, PermissionError) else 127)


def entered(command: Sequence[str]) -> list[str]:
    """The command by way of the base image's own entry point, where it has one."""
    return [*([str(ENTRY_POINT)] if ENTRY_POINT.exists() else []), *command]


def keep_terminal() -> None:
    """Let Ctrl-C at a terminal end the container in order.

    The terminal sends it to its whole foreground group, and s6-supervise then leaves its service at once. So another
    group becomes that one: a shell which hands the signal on to s6-svscan.
    """
    if not os.isatty(0) or os.fork():
        return
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what a process in the background gets for the next line
    os.tcsetpgrp(0, os.getpid())
    become(["sh", "-c", f"trap 'kill -s TERM {os.getppid()}' INT QUIT; while :; do sleep 86400 & wait; done"])


def prepare(server: Triton | None, given: Mapping[str, str], runtime: Path) -> dict[str, Service]:
    """All that runs, by name, with the folders that it needs; says what a person should know."""
    services = {"triton": Service(entered(server.command))} if server else {}
    documents, problem = scrape(given, server.metrics if server else "")
    if problem:
        say(problem)

    port = prometheus_port(given["BRIDGE_PROMETHEUS_URL"])
    if port is not None:
        data, room, problem = folders.make_data(STATE / "prometheus", runtime / "data")
        if problem:
            say(f"{problem}: what Prometheus records is lost with the container; mount a volume at {STATE}")
        configuration = folders.make_configuration(runtime / "prometheus", documents)
        flags = (folders.CONFIGURATION / "flags").read_text().split()
        services["prometheus"] = Service(prometheus(port, configuration, data, flags, room))

    if runs_bridge(given):
        named, required = given["BRIDGE_LOG_FORMAT"].lower() != "json", given["BRIDGE_REQUIRED"].lower() in _YES
        services["bridge"] = Service(BRIDGE, named, required)
    else:
        say("AML_APP_INSIGHTS_ENABLED is off: the bridge is not started, and nothing is sent")

    host, _, bridge_port = (given["BRIDGE_LISTEN"] or targets.LISTEN).rpartition(":")
    bridge = f"http://{targets.reachable(host)}:{bridge_port}/livez" if "bridge" in services else ""
    (runtime / "health").write_text(server.health if server else bridge)
    return services


def main(arguments: Sequence[str]) -> NoReturn:
    """Become what the arguments ask for."""
    sidecar = not (folders.SERVICES / "triton").is_dir()
    mounted = os.environ.get("AZUREML_MODEL_DIR")
    repository = served(Path(mounted)) if mounted else MODELS
    server = None if sidecar else triton(arguments, repository)
    if sidecar and arguments and arguments[0].startswith("-"):
        say(f"{arguments[0]}: this image has no Triton to take arguments; settings are environment variables")
        sys.exit(2)
    if arguments and not server:
        become(entered(arguments))

    runtime = folders.make_runtime()
    if runtime is None:
        where = " nor ".join(str(folder.parent) for folder in folders.RUNTIMES)
        say(f"neither {where} can be written, so that nothing can be supervised: add --tmpfs /tmp")
        if server:
            become(entered(server.command))  # at least Triton serves
        sys.exit(1)
    if server:
        for doubt in doubts(server):
            say(doubt)
        if repository in server.repositories and not Path(repository).exists():
            (runtime / "models").mkdir()
            server = triton(arguments, str(runtime / "models"))
    given = settings(os.environ)
    if server and not given["BRIDGE_TRITON_TARGET"]:
        os.environ["BRIDGE_TRITON_TARGET"] = server.metrics or targets.TARGET
        # Triton may be quicker than the bridge, which then does not see its port closed.
        os.environ["BRIDGE_TRITON_SINCE"] = f"{time.time():.3f}"
    folders.make_scan(runtime / "scan", prepare(server, given, runtime))
    keep_terminal()
    become(["s6-svscan", str(runtime / "scan")])


if __name__ == "__main__":
    main(sys.argv[1:])
