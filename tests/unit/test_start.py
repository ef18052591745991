"""What a container's arguments and environment lead to, and the files that s6 runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from examples.stack import ROOT

# In the image they lie side by side.
sys.path[:0] = [str(ROOT / "docker"), str(ROOT / "tools")]

import folders  # noqa: E402 — found by the line above
import healthcheck  # noqa: E402
import start  # noqa: E402
import targets  # noqa: E402

ADDRESSES = {
    "": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",
    "::": "[::1]",
    "[::]": "[::1]",
    "10.1.2.3": "10.1.2.3",
    "::1": "[::1]",
    "triton.prod": "triton.prod",
}
NOTHING = dict.fromkeys(start._SETTINGS, "")

arguments = st.lists(st.binary(max_size=20).filter(lambda text: b"\0" not in text).map(os.fsdecode), max_size=5)
ports = st.integers(1, 65_535)


def uptime() -> int:
    """The clock that the run files use, s."""
    return int(float(Path("/proc/uptime").read_text().split()[0]))


@contextmanager
def scan(command: Sequence[str], *, named: bool = True, required: bool = False) -> Iterator[Path]:
    """The folder of a bridge that is this command, in a scan directory."""
    with TemporaryDirectory() as made:
        folders.make_scan(Path(made), {"bridge": folders.Service(command, named, required)})
        yield Path(made) / "bridge"


@contextmanager
def answering(status: int | None, body: bytes = b"") -> Iterator[str]:
    """A URL that answers with this status; None: nobody does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status or 0)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/v2/health/live"
        if status is None:
            server.server_close()
            yield url
            return
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield url
        thread.join()


# -- run forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_arguments", "expected"),
    [
        ([], ["tritonserver", "--model-repository=/m"]),
        (["--log-verbose=1"], ["tritonserver", "--model-repository=/m", "--log-verbose=1"]),
        (["--model-repository=/a"], ["tritonserver", "--model-repository=/a"]),
        (["--model-store", "/a"], ["tritonserver", "--model-store", "/a"]),
        (["--id=x", "--model-repository", "/a"], ["tritonserver", "--id=x", "--model-repository", "/a"]),
        (["tritonserver"], ["tritonserver"]),
        (["tritonserver", "--id", "a b", ""], ["tritonserver", "--id", "a b", ""]),
        (["/opt/tritonserver/bin/tritonserver", "-x"], ["/opt/tritonserver/bin/tritonserver", "-x"]),
    ],
)
def test_what_is_run_as_triton(given_arguments: list[str], expected: list[str]) -> None:
    found = start.triton(given_arguments, "/m")

    assert found is not None
    assert list(found.command) == expected


@pytest.mark.parametrize("command", ["bash", "/bin/echo", "tritonserver2", "", "triton-bridge"])
def test_any_other_command_is_not_triton(command: str) -> None:
    assert start.triton([command, "--model-repository=/a"]) is None


@given(arguments.filter(lambda given_arguments: given_arguments[:1] != ["tritonserver"]))
def test_dashed_arguments_reach_triton_unchanged_and_last(given_arguments: list[str]) -> None:
    found = start.triton(["--first", *given_arguments])

    assert found is not None
    assert list(found.command)[-len(given_arguments) - 1 :] == ["--first", *given_arguments]


@given(arguments)
def test_a_tritonserver_command_is_taken_as_it_is(given_arguments: list[str]) -> None:
    found = start.triton(["tritonserver", *given_arguments])

    assert found == start.Triton(["tritonserver", *given_arguments])


# -- where Triton answers ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(ports, st.booleans()), min_size=1, max_size=3))
def test_the_last_metrics_port_wins_in_either_notation(written: list[tuple[int, bool]]) -> None:
    options = [
        part
        for port, joined in written
        for part in ([f"--metrics-port={port}"] if joined else ["--metrics-port", str(port)])
    ]

    assert start.Triton(["tritonserver", *options]).metrics == f"127.0.0.1:{written[-1][0]}"


@pytest.mark.parametrize("option", ["--metrics-address", "--http-address"])
@pytest.mark.parametrize(("address", "host"), ADDRESSES.items())
def test_metrics_are_asked_where_triton_listens(option: str, address: str, host: str) -> None:
    assert start.Triton(["tritonserver", f"{option}={address}"]).metrics == f"{host}:8002"


def test_the_metrics_address_wins_over_that_of_http() -> None:
    server = start.Triton(["tritonserver", "--metrics-address=10.0.0.1", "--http-address=10.0.0.2"])

    assert server.metrics == "10.0.0.1:8002"


@pytest.mark.parametrize("off", ["false", "False", "0"])
def test_metrics_that_are_switched_off_are_nowhere_and_told(off: str) -> None:
    server = start.Triton(["tritonserver", f"--allow-metrics={off}"])

    assert server.metrics == ""
    assert [doubt for doubt in start.doubts(server) if "--allow-metrics" in doubt]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "http://127.0.0.1:8000/v2/health/live"),
        (["--http-port=80", "--http-address=::1"], "http://[::1]:80/v2/health/live"),
        (["--allow-http=false"], "http://127.0.0.1:8002/metrics"),
        (["--allow-http=0", "--metrics-port", "9"], "http://127.0.0.1:9/metrics"),
        (["--allow-http=false", "--allow-metrics=false"], ""),
    ],
)
def test_health_is_asked_of_what_triton_serves(options: list[str], expected: str) -> None:
    assert start.Triton(["tritonserver", *options]).health == expected


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (403, 0), (400, 1), (500, 1), (None, 1)])
def test_the_health_check_takes_an_answer_for_life(
    status: int | None,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(status) as url:
        (tmp_path / "health").write_text(url)
        monkeypatch.setattr(folders, "RUNTIMES", (tmp_path / "missing", tmp_path))

        assert healthcheck.main() == expected
    assert url in capsys.readouterr().out


def test_the_health_check_says_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(503, b"the loop has made no progress for 250 s: start the bridge again\n") as url:
        (tmp_path / "health").write_text(url)
        monkeypatch.setattr(folders, "RUNTIMES", (tmp_path,))
        healthcheck.main()

    assert capsys.readouterr().out == f"{url}: the loop has made no progress for 250 s: start the bridge again\n"


@pytest.mark.parametrize("written", [None, ""])
def test_where_nothing_can_be_asked_all_is_well(
    written: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if written is not None:
        (tmp_path / "health").write_text(written)
    monkeypatch.setattr(folders, "RUNTIMES", (tmp_path,))

    assert healthcheck.main() == 0


# -- what Prometheus scrapes, and which one ----------------------------------------------------------------------------


def test_prometheus_scrapes_what_triton_listens_on() -> None:
    assert start.scrape(NOTHING, "127.0.0.1:18002") == (
        {"triton": targets.document("127.0.0.1:18002"), "bridge": targets.bridge()},
        "",
    )


def test_a_target_that_is_given_wins() -> None:
    given_settings = {**NOTHING, "BRIDGE_TRITON_TARGET": "triton:8002", "BRIDGE_SCRAPE_INTERVAL": "5s"}

    assert start.scrape(given_settings, "127.0.0.1:18002") == (
        {"triton": targets.document("triton:8002", "5s"), "bridge": targets.bridge(interval="5s")},
        "",
    )


@pytest.mark.parametrize(
    ("name", "value"), [("BRIDGE_TRITON_TARGET", "http://triton"), ("BRIDGE_SCRAPE_INTERVAL", "1h")]
)
def test_a_wrong_setting_is_told_and_scraping_goes_on_without_it(name: str, value: str) -> None:
    documents, problem = start.scrape({**NOTHING, name: value}, "127.0.0.1:18002")

    assert documents == {"triton": targets.document("127.0.0.1:18002"), "bridge": targets.bridge()}
    assert problem.startswith(f"{name}: {value!r}")
    assert problem.endswith("; scraped is 127.0.0.1:18002 every 15s")
    assert "\n" not in problem


def test_a_port_that_triton_refuses_is_not_scraped() -> None:
    documents, problem = start.scrape(NOTHING, "127.0.0.1:none")

    assert documents["triton"] == targets.document()
    assert "'127.0.0.1:none'" in problem


def test_the_bridge_is_scraped_where_it_listens() -> None:
    documents, problem = start.scrape({**NOTHING, "BRIDGE_LISTEN": "0.0.0.0:9999"}, "")

    assert (documents["bridge"], problem) == (targets.bridge("127.0.0.1:9999"), "")


@pytest.mark.parametrize("wrong", [{"BRIDGE_LISTEN": "nowhere"}, {"AML_APP_INSIGHTS_ENABLED": "false"}])
def test_a_bridge_that_does_not_run_is_not_scraped(wrong: dict[str, str]) -> None:
    assert start.scrape({**NOTHING, **wrong}, "") == ({"triton": targets.document()}, "")


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("", 9090),
        ("http://127.0.0.1:9090", 9090),
        ("http://localhost:19090/", 19090),
        ("http://[::1]:9091", 9091),
        ("http://127.0.0.1", 80),
        ("https://127.0.0.1:9090", None),
        ("http://prometheus:9090", None),
        ("http://10.0.0.1:9090", None),
        ("http://127.0.0.1:nine", None),
        ("9090", None),
    ],
)
def test_our_prometheus_runs_where_the_url_is_loopback(url: str, port: int | None) -> None:
    assert start.prometheus_port(url) == port


def test_prometheus_keeps_what_there_is_room_for() -> None:
    flags = ["--storage.tsdb.retention.time=49h", "--storage.tsdb.retention.size=2GB"]

    as_shipped = start.prometheus(9090, Path("/c.yml"), Path("/d"), flags, None)
    bounded = start.prometheus(9090, Path("/c.yml"), Path("/d"), flags, 30_000_000)

    assert as_shipped[-2:] == flags
    assert bounded[-2:] == ["--storage.tsdb.retention.time=49h", "--storage.tsdb.retention.size=30000000B"]


# -- settings ----------------------------------------------------------------------------------------------------------


def test_a_setting_comes_from_the_environment_or_else_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "BRIDGE_TRITON_TARGET").write_text("from-file:1\n")
    (tmp_path / "bridge_scrape_interval").write_text("\ufeff5s\r\n", encoding="utf-8")
    (tmp_path / "OTHER").write_text("x")

    found = start.settings({"BRIDGE_TRITON_TARGET": " from-environment:1 ", "BRIDGE_REQUIRED": "  "}, tmp_path)

    wanted = {"BRIDGE_TRITON_TARGET": "from-environment:1", "BRIDGE_SCRAPE_INTERVAL": "5s"}
    assert found == {**NOTHING, **wanted}


def test_without_a_folder_of_secrets_there_is_the_environment(tmp_path: Path) -> None:
    assert start.settings({}, tmp_path / "missing") == NOTHING


# -- what runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of an image; what start.py makes is in ``run`` there."""
    for folder in ("state", "etc/rules", "etc/targets", "run"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc" / "flags").write_text("--a\n--b\n")
    (tmp_path / "etc" / "prometheus.yml").touch()
    monkeypatch.setattr(start, "STATE", tmp_path / "state")
    monkeypatch.setattr(folders, "CONFIGURATION", tmp_path / "etc")
    return tmp_path


def test_the_bundle_runs_three_programs(image: Path) -> None:
    services = start.prepare(start.Triton(["tritonserver", "--id=x y"]), NOTHING, image / "run")

    assert list(services) == ["triton", "prometheus", "bridge"]
    assert services["triton"].command == ["tritonserver", "--id=x y"]
    assert services["bridge"] == folders.Service(start.BRIDGE)
    assert (image / "run" / "health").read_text() == "http://127.0.0.1:8000/v2/health/live"


@pytest.mark.parametrize(("listen", "address"), [("0.0.0.0:9999", "127.0.0.1:9999"), ("", targets.LISTEN)])
def test_the_sidecar_runs_two_and_lives_with_the_bridge(listen: str, address: str, image: Path) -> None:
    services = start.prepare(None, {**NOTHING, "BRIDGE_LISTEN": listen}, image / "run")

    assert list(services) == ["prometheus", "bridge"]
    assert (image / "run" / "health").read_text() == f"http://{address}/livez"


def test_a_prometheus_elsewhere_takes_the_place_of_ours(image: Path) -> None:
    given_settings = {**NOTHING, "BRIDGE_PROMETHEUS_URL": "http://prometheus:9090"}

    assert list(start.prepare(start.Triton(["tritonserver"]), given_settings, image / "run")) == ["triton", "bridge"]


@pytest.mark.parametrize("off", ["false", "False", "0", "no"])
def test_azure_ml_can_switch_the_bridge_off(off: str, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given_settings = {**NOTHING, "AML_APP_INSIGHTS_ENABLED": off}

    assert list(start.prepare(None, given_settings, image / "run")) == ["prometheus"]
    assert (image / "run" / "health").read_text() == "", "nobody is there to be asked"
    assert "AML_APP_INSIGHTS_ENABLED" in capsys.readouterr().err


@pytest.mark.parametrize("on", ["1", "true", "YES", "on"])
def test_the_bridge_may_be_required(on: str, image: Path) -> None:
    services = start.prepare(None, {**NOTHING, "BRIDGE_REQUIRED": on}, image / "run")

    assert services["bridge"].required is True


def test_json_lines_stay_json(image: Path) -> None:
    services = start.prepare(None, {**NOTHING, "BRIDGE_LOG_FORMAT": "JSON"}, image / "run")

    assert services["bridge"].named is False


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read"), ([], "holds no model"), (["ident"], None)])
def test_a_model_repository_without_models_is_told(content: list[str] | None, told: str | None, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    for name in content if content is not None else ():
        (repository / name).mkdir(parents=True)
    if content == []:
        repository.mkdir()

    doubts = list(start.doubts(start.Triton(["tritonserver", f"--model-repository={repository}"])))

    assert [told is not None and told in doubt and str(repository) in doubt for doubt in doubts] == [True] * bool(told)


def test_a_bucket_is_not_looked_into() -> None:
    assert list(start.doubts(start.Triton(["tritonserver", "--model-repository=s3://bucket/models"]))) == []


# -- folders -----------------------------------------------------------------------------------------------------------


def test_the_runtime_folder_is_new_and_private(tmp_path: Path) -> None:
    left = tmp_path / "runtime" / "scan"
    left.mkdir(parents=True)

    assert folders.make_runtime([tmp_path / "runtime"]) == tmp_path / "runtime"
    assert not left.exists()
    assert (tmp_path / "runtime").stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_cannot_be_made_is_made_elsewhere(tmp_path: Path) -> None:
    """A link, which might lead anywhere, is left alone; so is a place that is none."""
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "kept").touch()

    found = folders.make_runtime([tmp_path / "kept" / "no", tmp_path / "link", tmp_path / "runtime"])

    assert found == tmp_path / "runtime"
    assert {path.name for path in tmp_path.iterdir()} == {"link", "kept", "runtime"}


def test_where_nothing_can_be_written_there_is_no_runtime_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert folders.make_runtime([tmp_path / "file" / "a"]) is None


def test_data_lie_on_the_volume(tmp_path: Path) -> None:
    assert folders.make_data(tmp_path / "data", tmp_path / "instead", enough=1) == (tmp_path / "data", None, "")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("why", ["full", "missing"])
def test_data_that_the_volume_cannot_hold_lie_elsewhere_in_bounds(why: str, tmp_path: Path) -> None:
    wanted = tmp_path / "data" if why == "full" else tmp_path / "missing" / "data"

    data, room, problem = folders.make_data(wanted, tmp_path / "instead", enough=10**18)

    assert data == tmp_path / "instead"
    assert room is not None
    assert 0 < room <= 1_000_000_000
    assert problem.startswith(f"{wanted} cannot be used (")


def test_configuration_is_linked_and_the_targets_are_ours(tmp_path: Path) -> None:
    shipped = tmp_path / "etc"
    for folder in ("rules", "targets", "extra"):
        (shipped / folder).mkdir(parents=True)
    (shipped / "prometheus.yml").write_text("global: {}")

    documents = {"triton": targets.document("t:1"), "bridge": targets.bridge()}

    file = folders.make_configuration(tmp_path / "run", documents, shipped)

    assert file.read_text() == "global: {}"
    assert (tmp_path / "run" / "rules").resolve() == shipped / "rules"
    written = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "run" / "targets").iterdir()}
    assert written == documents
    assert list((shipped / "targets").iterdir()) == [], "what is shipped is not written to"


# -- what s6 runs ------------------------------------------------------------------------------------------------------


@hypothesis_settings(max_examples=25)
@given(arguments)
def test_arguments_reach_a_program_as_they_were_given(given_arguments: list[str]) -> None:
    """Spaces, quotes, new lines, empty ones, and bytes that are no text."""
    with scan(["printf", "%s\\0", "first", *given_arguments]) as folder:
        done = subprocess.run([folder / "run", "x"], cwd=folder, capture_output=True, check=True)

    assert done.stdout.split(b"\0")[:-1] == [b"first", *map(os.fsencode, given_arguments)]


def test_both_streams_of_a_program_go_one_way() -> None:
    with scan(["sh", "-c", "echo out; echo err >&2"]) as folder:
        done = subprocess.run([folder / "run", "x"], cwd=folder, capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"out\nerr\n", b"")


@pytest.mark.parametrize(("named", "prefix"), [(True, b"bridge     | "), (False, b"")])
def test_each_line_gets_the_name_of_its_program(named: bool, prefix: bytes) -> None:
    lines = [b"one", b"", b"\xff\xfe not text", b"x" * 100_000, b"no end"]

    with scan(["true"], named=named) as folder:
        done = subprocess.run(
            [folder / "log" / "run", "x"], cwd=folder / "log", input=b"\n".join(lines), capture_output=True, check=True
        )

    assert done.stdout.split(b"\n") == [prefix + line for line in lines]


def test_the_bridges_own_signal_does_not_end_it_before_it_listens() -> None:
    with scan(["sh", "-c", "kill -USR1 $$; echo still here"]) as folder:
        done = subprocess.run([folder / "run", "bridge"], cwd=folder, capture_output=True, check=True)

    assert done.stdout == b"still here\n"


def finish(folder: Path, *given_arguments: str) -> subprocess.CompletedProcess[str]:
    """What s6-supervise does when the bridge has ended."""
    return subprocess.run(
        [folder / "finish", *given_arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_wait_doubles_while_a_program_dies_young() -> None:
    with scan(["true"]) as folder:
        waits = []
        for _ in range(7):
            (folder / "data" / "started").write_text(f"{uptime() - 5}\n")
            done = finish(folder, "256", "9", "bridge")
            waits.append((folder / "data" / "backoff").read_text())

    assert waits == [f"{wait}\n" for wait in (1, 2, 4, 8, 15, 15, 15)]
    assert done.stderr == "start      | bridge ended by signal 9; it is started again in 15 s\n"


def test_a_program_that_lived_a_minute_is_started_again_at_once() -> None:
    with scan(["true"]) as folder:
        (folder / "data" / "backoff").write_text("15\n")
        (folder / "data" / "started").write_text(f"{uptime() - 61}\n")
        finish(folder, "1", "0", "bridge")

        assert (folder / "data" / "backoff").read_text() == "1\n"


def test_a_bridge_that_cannot_start_is_tried_again_after_a_minute() -> None:
    with scan(["true"]) as folder:
        done = finish(folder, "2", "0", "bridge")

        assert (folder / "data" / "backoff").read_text() == "60\n"
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "start      | bridge ended with exit code 2; it is started again in 60 s\n"


def test_a_required_bridge_that_cannot_start_ends_the_container_with_its_code() -> None:
    with scan(["true"], required=True) as folder:
        done = finish(folder, "2", "0", "bridge")

        assert (folder.parent / ".s6-svscan" / "code").read_text() == "2\n"
    assert done.returncode == 125, "s6-supervise does not start it again"
    assert "BRIDGE_REQUIRED" in done.stderr


def test_at_the_end_nothing_is_said_or_started_again() -> None:
    with scan(["true"]) as folder:
        (folder.parent / ".s6-svscan" / "stopping").touch()
        done = finish(folder, "1", "0", "bridge")

        assert not (folder / "data" / "backoff").exists()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("written", "expected"), [(None, 0), ("37\n", 37)])
def test_the_recorded_code_is_the_containers(written: str | None, expected: int) -> None:
    with scan(["true"]) as folder:
        if written:
            (folder.parent / ".s6-svscan" / "code").write_text(written)
        done = subprocess.run([".s6-svscan/finish"], cwd=folder.parent, check=False)

    assert done.returncode == expected


@pytest.mark.parametrize(
    ("files", "served"),
    [
        (["ident/config.pbtxt"], ""),  # the registered folder is one model
        (["ident/1/model.onnx"], ""),
        (["models/ident/config.pbtxt", "models/scorer/1/model.py"], "models"),  # it is a repository
        (["models/ident/config.pbtxt", "other/1/model.py"], ""),
        (["models/README.md"], ""),
        ([], ""),
    ],
)
def test_what_azure_ml_mounts_is_served_at_the_level_where_the_models_are(
    files: list[str], served: str, tmp_path: Path
) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    assert start.served(tmp_path) == str(tmp_path / served)
    assert start.served(tmp_path / "absent") == str(tmp_path / "absent")
