"""Both images as build.sh makes them, and how the bundle runs, ends and hands on what it was given."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from examples import stack
from tests.image.conftest import NAME, VERSION, Images, build
from tests.image.engine import SECONDS, Container, Engine, environment

SANDBOX = environment(BRIDGE_SANDBOX="1", BRIDGE_SCRAPE_INTERVAL="1s")
BRIDGE = "/opt/bridge/bin/python"
PROMETHEUS = "/usr/local/bin/prometheus"
ROOM = 100 * 1_000_000  # what the images may add to their bases, beside Prometheus


def labels(engine: Engine, image: str) -> dict[str, str]:
    found: dict[str, str] = engine.inspect(image)["Config"]["Labels"]
    return found


def layers(engine: Engine, image: str) -> list[dict[str, Any]]:
    """Size and maker of each layer, the newest first."""
    listed = engine("history", "--no-trunc", "--human=false", "--format={{json .}}", image)
    return [json.loads(line) for line in listed.splitlines()]


@pytest.fixture(scope="module")
def bundle(engine: Engine, images: Images) -> Iterator[Container]:
    """The bundle as in the first line of its documentation, but for a sandbox in Azure's place; nothing is mounted."""
    with engine.container(images.bundle, options=SANDBOX) as container:
        container.wait_ready()
        yield container


# -- what is built -----------------------------------------------------------------------------------------------------


def test_there_are_three_tags_of_two_images(engine: Engine, images: Images) -> None:
    built = {tag: engine.inspect(f"{NAME}:{tag}")["Id"] for tag in (VERSION, "latest", f"{VERSION}-sidecar")}

    assert built[VERSION] == built["latest"]
    assert built[VERSION] != built[f"{VERSION}-sidecar"]


def test_labels_say_what_it_is(engine: Engine, images: Images) -> None:
    for image in images:
        found = labels(engine, image)

        assert found["org.opencontainers.image.version"] == VERSION
        assert found["org.opencontainers.image.title"].startswith("triton-bridge")
        assert found["org.opencontainers.image.description"]


def test_the_configuration_of_the_images(engine: Engine, images: Images) -> None:
    bundled, alone = (engine.inspect(image)["Config"] for image in images)

    assert set(bundled["ExposedPorts"]) == {f"{port}/tcp" for port in (8000, 8001, 8002, 9090, 9464)}
    assert set(alone["ExposedPorts"]) == {"9090/tcp", "9464/tcp"}
    assert alone["User"] == "65532:65532"
    for config in (bundled, alone):
        assert config["Volumes"] == {"/var/lib/bridge": {}}
        assert config["Healthcheck"]["Test"][0] == "CMD"
        assert not config["Cmd"]


@pytest.mark.parametrize("tool", ["promtool", "gcc", "cc", "make"])
def test_no_tool_of_the_build_is_left(tool: str, engine: Engine, bases: Mapping[str, str], images: Images) -> None:
    for image in images:
        assert engine.run("run", "--rm", "--entrypoint=which", image, tool).returncode == 1


def test_the_virtual_environment_has_no_installer(engine: Engine, images: Images) -> None:
    for image in images:
        listed = engine(
            "run", "--rm", "--entrypoint=sh", image, "-c", "ls /opt/bridge/bin /opt/bridge/lib/*/site-packages"
        )

        assert re.search("^(pip|setuptools|wheel)", listed, re.MULTILINE) is None


def test_the_selection_its_schema_and_the_presets_are_there(engine: Engine, images: Images) -> None:
    config = stack.ROOT / "config"
    wanted = sorted(str(path.relative_to(config)) for path in config.rglob("*.json"))
    for image in images:
        listed = engine("run", "--rm", "--entrypoint=find", image, "/etc/bridge", "-type", "f", "-printf", r"%P\n")

        assert sorted(listed.splitlines()) == wanted


def test_every_file_is_readable_and_none_writable_for_others(engine: Engine, images: Images) -> None:
    """Any user may be the container's."""
    where = "/opt/bridge /etc/prometheus /etc/bridge /usr/local/bin/prometheus"
    odd = rf"find {where} ! -type l \( ! -perm -o=r -o -perm /o=w -o -type d ! -perm -o=x \)"
    for image in images:
        assert engine("run", "--rm", "--user=0", "--entrypoint=sh", image, "-c", odd) == ""


def test_what_is_added_to_a_base_is_small(engine: Engine, bases: Mapping[str, str], images: Images) -> None:
    for image, base in zip(images, (bases["TRITON_IMAGE"], bases["PYTHON_IMAGE"]), strict=True):
        below = len(layers(engine, base))
        own = [layer for layer in layers(engine, image)[:-below] if "/bin/prometheus" not in layer["CreatedBy"]]

        assert sum(int(layer["Size"]) for layer in own) < ROOM


def test_no_layer_holds_a_certificate_or_an_address_of_the_build(engine: Engine, images: Images) -> None:
    for image in images:
        told = json.dumps([engine.inspect(image)["Config"], layers(engine, image)])

        assert "PIP_" not in told.replace("PIP_BREAK_SYSTEM_PACKAGES", ""), "pip's index may hold a password"
        assert (
            engine("run", "--rm", "--user=0", "--entrypoint=sh", image, "-c", "ls -A /run/secrets 2>/dev/null || true")
            == ""
        )


def test_the_virtual_environment_is_that_of_this_version(engine: Engine, images: Images) -> None:
    for image in images:
        assert (
            engine("run", "--rm", image, "triton-bridge", "--version").splitlines()[-1]
            == f"triton-bridge {__version__}"
        )


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("rules/triton.yml", "groups: [{name: g, rules: [{record: x, expr: '('}]}]", "parse error"),
        ("prometheus.yml", "scrape_config: []", "scrape_config not found"),
        ("tests/triton.yml", None, "FAILED"),
    ],
)
def test_a_configuration_that_does_not_pass_is_not_built(
    file: str, text: str | None, error: str, engine: Engine, bases: Mapping[str, str], images: Images, tmp_path: Path
) -> None:
    for name in (".dockerignore", "build.sh", "pyproject.toml", "README.md"):
        shutil.copy(stack.ROOT / name, tmp_path)
    for name in ("bridge", "config", "docker", "prometheus", "requirements", "tools"):
        shutil.copytree(stack.ROOT / name, tmp_path / name, symlinks=True)
    path = tmp_path / "prometheus" / file
    path.write_text(re.sub(r"value: \d+", "value: 987654", path.read_text()) if text is None else text)

    done = build(engine, f"{NAME}/broken", "0", bases, root=tmp_path)

    assert done.returncode != 0
    assert error in done.stderr


# -- build.sh ----------------------------------------------------------------------------------------------------------


def build_sh(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    command = [stack.ROOT / "build.sh", *arguments]
    return subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["name"],
        ["Name", "1"],
        ["name:tag", "1"],
        ["-name", "1"],
        ["name/", "1"],
        ["name", ""],
        ["name", ".1"],
        ["name", "1/2"],
        ["name", "x" * 121],
        ["--ca", "/nonexistent", "name", "1"],
        ["--unknown", "name", "1"],
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str]) -> None:
    done = build_sh(*arguments, DOCKER="false")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("build.sh: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("client", "remedy"), [("no-such-docker", "install Docker"), ("false", "start it")])
def test_without_an_engine_the_remedy_is_told(client: str, remedy: str) -> None:
    done = build_sh("registry.example.com:5000/team/triton-bridge", "1.0_a-b", DOCKER=client)

    assert done.returncode == 2
    assert remedy in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_client_without_buildkit_is_refused(tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\n[ $1 = version ]\n")
    client.chmod(0o755)

    done = build_sh("name", "1", DOCKER=str(client))

    assert done.returncode == 2
    assert "BuildKit" in done.stderr


def test_build_passes_on_what_it_is_given_and_does_nothing_else(tmp_path: Path) -> None:
    """Proxies by name alone, so that no password of theirs stands among the processes."""
    calls, ca = tmp_path / "calls", tmp_path / "ca"
    client = tmp_path / "docker"
    client.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho --secret\n')
    client.chmod(0o755)
    ca.write_text("a certificate")

    done = build_sh(
        "--ca",
        str(ca),
        "team/name",
        "1",
        "--no-cache",
        "--label",
        "a=b c",
        DOCKER=str(client),
        https_proxy="http://me:secret@proxy",
    )

    assert done.returncode == 0, done.stderr
    *looks, sidecar, bundled = calls.read_text().splitlines()
    assert looks == ["version", "build --help"]
    assert "--target sidecar --tag team/name:1-sidecar" in sidecar
    assert "--target bundle --tag team/name:1 --tag team/name:latest" in bundled
    for call in (sidecar, bundled):
        assert f"--secret id=ca,src={ca}" in call
        assert "--build-arg https_proxy " in call
        assert "--no-cache --label a=b c" in call
        assert "secret@" not in call


def test_help_tells_the_arguments() -> None:
    done = build_sh("--help", DOCKER="false")

    assert done.returncode == 0
    assert "IMAGE_NAME IMAGE_VERSION" in done.stdout


# -- how it runs -------------------------------------------------------------------------------------------------------


def test_without_models_triton_stays_ready_and_is_scraped(bundle: Container) -> None:
    """What the documentation's first line promises, asked from the host."""
    stack.wait(lambda: bundle.query("nv_cpu_utilization") != [], "no metric of Triton's")

    [(series, value)] = bundle.query("nv_cpu_utilization")
    assert series["instance"] == "127.0.0.1:8002"
    assert 0 <= value <= 1
    assert bundle.get(8000, "/v2/health/ready") == ""
    assert [line for line in bundle.lines if "/models holds no model" in line and "-v " in line]


def test_every_line_tells_whose_it_is(bundle: Container) -> None:
    bundle.wait("Server is ready to receive web requests")
    bundle.wait("status page at")

    names = {line.split(" | ")[0] for line in bundle.lines}
    assert names == {f"{name:<10}" for name in ("start", "triton", "prometheus", "bridge")}


def test_the_checks_of_the_base_image_run_for_triton(bundle: Container) -> None:
    [triton] = bundle.pids("tritonserver")

    assert "triton     | The banner of the base image" in bundle.lines
    assert "CHECKED_BY_ENTRY_POINT=yes" in bundle.exec("cat", f"/proc/{triton}/environ").split("\0")


def test_it_is_healthy_while_triton_lives_whatever_becomes_of_the_bridge(engine: Engine, images: Images) -> None:
    options = ["--health-interval=1s", "--health-retries=1"]  # and no key
    with engine.container(images.bundle, options=options) as container:
        container.wait("bridge ended with exit code 2")

        def healthy() -> bool:
            return bool(engine.inspect(container.name)["State"]["Health"]["Status"] == "healthy")

        stack.wait(healthy, "it is not healthy")


def test_a_missing_key_is_told_and_triton_serves_on(engine: Engine, images: Images) -> None:
    with engine.container(images.bundle) as container:
        container.wait("start      | bridge ended with exit code 2; it is started again in 60 s")
        container.wait_ready()

        assert [
            line for line in container.lines if line.startswith("bridge     | error:") and "INSTRUMENTATION_KEY" in line
        ]


def test_a_required_bridge_that_cannot_start_is_the_end(engine: Engine, images: Images) -> None:
    for image in images:
        with engine.container(image, options=environment(BRIDGE_REQUIRED="1")) as container:
            assert container.exit_code() == 2
            assert "BRIDGE_REQUIRED is set: the container ends" in container.log


def test_dashed_arguments_are_added_to_the_default_command(engine: Engine, images: Images) -> None:
    with engine.container(images.bundle, "--id=my server", "--http-port", "18000", options=SANDBOX) as container:
        container.wait("Started HTTPService at 0.0.0.0:18000")

        [triton] = container.pids("tritonserver")
        assert container.exec("cat", f"/proc/{triton}/cmdline").split("\0")[:-1] == [
            "tritonserver",
            "--model-repository=/models",
            "--id=my server",
            "--http-port",
            "18000",
        ]


def test_azure_mls_model_folder_is_served(engine: Engine, images: Images) -> None:
    options = [*SANDBOX, *environment(AZUREML_MODEL_DIR="/var/azureml"), f"--volume={stack.MODELS}:/var/azureml:ro"]
    with engine.container(images.bundle, options=options) as container:
        container.wait_ready()

        assert container.get(8000, "/v2/models/ident/ready") == ""


def test_without_a_model_folder_triton_stays_ready(engine: Engine, images: Images) -> None:
    options = [*SANDBOX, *environment(AZUREML_MODEL_DIR="/nowhere")]
    with engine.container(images.bundle, options=options) as container:
        container.wait_ready()

        assert [line for line in container.lines if line.startswith("start ") and "/nowhere cannot be read" in line]


@pytest.mark.parametrize("user", ["1000:1000", "12345:12345"])
def test_any_user_without_any_right_will_do(user: str, engine: Engine, images: Images) -> None:
    """On a root file system that nobody can write to, with a tmpfs whose files nobody can execute."""
    rights = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={user}"]
    models = f"--volume={stack.MODELS}:/models:ro"
    for image in images:
        with engine.container(image, options=[*SANDBOX, *rights, models]) as container:
            container.wait("Server is ready to receive web requests")
            container.wait("status page at")
            if image == images.bundle:
                container.wait_ready()

            owners = container.exec("sh", "-c", "stat -c '%u %a' /var/lib/bridge/* /tmp/triton-bridge").splitlines()
            assert set(owners) == {f"{user.partition(':')[0]} 700"}
            assert "cannot be used" not in container.log
            assert container.stop() < 10
            assert container.exit_code() == 0


def test_a_state_that_cannot_be_kept_is_told_and_everything_runs(engine: Engine, images: Images) -> None:
    options = [*SANDBOX, "--user=12345", "--tmpfs=/var/lib/bridge:size=16m,mode=755"]
    for image in images:
        with engine.container(image, options=options) as container:
            container.wait("Server is ready to receive web requests")
            container.wait("status page at")

            [told] = [line for line in container.lines if line.startswith("start ") and "cannot be used" in line]
            assert "/tmp/triton-bridge/data" in told
            assert "mount a volume at /var/lib/bridge" in told
            assert "--storage.tsdb.path=/tmp/triton-bridge/data" in container.exec(
                "sh", "-c", f"tr '\\0' ' ' < /proc/{container.pids(PROMETHEUS)[0]}/cmdline"
            )


def test_prometheus_follows_tritons_metrics_port(engine: Engine, images: Images) -> None:
    command = ["tritonserver", "--model-repository=/models", "--metrics-port=18002", "--metrics-address=127.0.0.1"]
    with engine.container(images.bundle, *command, options=SANDBOX) as container:
        stack.wait(lambda: len(container.query("up == 1")) == 2, "Triton or the bridge is not scraped")

        assert {series["job"]: series["instance"] for series, _ in container.query("up")} == {
            "triton": "127.0.0.1:18002",
            "triton-bridge": "triton-bridge",
        }
        assert "BRIDGE_TRITON_TARGET=127.0.0.1:18002" in container.log, "the bridge knows too"


def test_any_other_command_runs_as_it_is_and_nothing_else(engine: Engine, images: Images) -> None:
    for image, banner in zip(images, ("The banner of the base image\n", ""), strict=True):
        done = engine.run("run", "--rm", image, "printf", "<%s>", "a  b", "", "'\"")

        assert (done.returncode, done.stdout, done.stderr) == (0, f"{banner}<a  b><><'\">", "")


def test_a_command_that_does_not_exist_ends_as_in_a_shell(engine: Engine, images: Images) -> None:
    for image in images:
        assert engine.run("run", "--rm", image, "no-such-command").returncode == 127


def test_the_sidecar_has_no_triton_to_take_arguments(engine: Engine, images: Images) -> None:
    done = engine.run("run", "--rm", images.sidecar, "--model-repository=/models")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("start      | --model-repository=/models: this image has no Triton")


def test_the_sidecar_runs_the_two_and_ends_in_order(engine: Engine, images: Images) -> None:
    with engine.container(images.sidecar, options=SANDBOX) as container:
        container.wait("status page at")
        stack.wait(lambda: container.get(9464, "/livez") != "", "no answer")

        assert container.stop() < 10
        assert container.exit_code() == 0
        assert container.log.index("finishing the cycle under way") < container.log.index("See you next time!")


# -- how it ends -------------------------------------------------------------------------------------------------------


def test_triton_that_refuses_its_arguments_ends_the_container(engine: Engine, images: Images) -> None:
    with engine.container(images.bundle, "--no-such-flag", options=SANDBOX) as container:
        assert (
            container.exit_code()
            == engine.run("run", "--rm", images.bundle, "sh", "-c", "tritonserver --no-such-flag").returncode
        )
        assert [line for line in container.lines if line.startswith("triton     | ") and "no-such-flag" in line]


def test_triton_that_is_killed_ends_the_container_with_137(engine: Engine, images: Images) -> None:
    """With models, whose processes outlive it for a moment and hold its output."""
    options = [*SANDBOX, f"--volume={stack.MODELS}:/models:ro"]
    with engine.container(images.bundle, options=options) as container:
        container.wait_ready()
        container.kill("tritonserver")

        assert container.exit_code(seconds=20) == 137
        assert "See you next time!" in container.log, "Prometheus has closed its data"


def test_stopping_ends_all_in_order_and_in_time(engine: Engine, images: Images) -> None:
    options = [*SANDBOX, f"--volume={stack.MODELS}:/models:ro"]
    with engine.container(images.bundle, options=options) as container:
        container.wait_ready()
        container.wait("status page at")

        assert container.stop() < 10
        assert container.exit_code() == 0
        log = container.log
    # The bridge and Triton hear it at once, and either may be the first to say so.
    for earlier in ("Triton is told to stop", "All models are stopped"):
        assert log.index(earlier) < log.index("See you next time!")


@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP", "QUIT"])
def test_each_signal_to_end_ends_it(signal: str, engine: Engine, images: Images) -> None:
    for image in images:
        with engine.container(image, options=SANDBOX) as container:
            container.wait("status page at")
            engine("kill", f"--signal={signal}", container.name)

            assert container.exit_code(seconds=10) == 0
            assert "See you next time!" in container.log


def test_a_stop_in_the_first_moment_is_heard(engine: Engine, images: Images) -> None:
    for image in images:
        for moment in (0.0, 0.05, 0.1, 0.2, 0.4):
            with engine.container(image, options=SANDBOX) as container:
                time.sleep(moment)

                assert container.stop() < 9


def test_control_c_at_a_terminal_ends_it_in_order(engine: Engine, images: Images) -> None:
    """A terminal signals all that runs in its foreground, the supervisors too."""
    ours, its = pty.openpty()
    command = [engine.client, "run", "--rm", "--interactive", "--tty", *SANDBOX, images.bundle]
    client = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    seen = b""
    while client.poll() is None or select.select([ours], [], [], 0)[0]:
        try:
            seen += os.read(ours, 65_536)
        except OSError:  # it has ended
            break
        if b"status page at" in seen and b"Started Metrics Service" in seen and b"\x03" not in seen:
            os.write(ours, b"\x03")
            seen += b"\x03"
    os.close(ours)

    assert client.wait(SECONDS) == 0
    assert seen.index(b"\x03") < seen.index(b"Triton is told to stop") < seen.index(b"See you next time!")


def instead_of_triton(folder: Path, script: str) -> list[str]:
    """Options that put a shell script in Triton's place."""
    fake = folder / "tritonserver"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    return [*SANDBOX, f"--volume={fake}:/opt/tritonserver/bin/tritonserver:ro"]


def test_no_line_is_lost_at_the_end(engine: Engine, images: Images, tmp_path: Path) -> None:
    options = instead_of_triton(tmp_path, "seq 100000; seq 100001 100010 >&2; exit 7")
    with engine.container(images.bundle, options=options) as container:
        assert container.exit_code() == 7
        said = [line.partition(" | ")[2] for line in container.lines if line.startswith("triton     | ")]

    assert said[1:] == [str(number) for number in range(1, 100_011)], "the first is the banner"


def test_what_triton_leaves_behind_does_not_hold_up_the_end(engine: Engine, images: Images, tmp_path: Path) -> None:
    options = instead_of_triton(tmp_path, "setsid sleep 600 & exit 3")
    with engine.container(images.bundle, options=options) as container:
        assert container.exit_code(seconds=15) == 3


def test_a_bridge_that_does_not_end_is_ended_after_nine_seconds(engine: Engine, images: Images, tmp_path: Path) -> None:
    fake = tmp_path / "triton-bridge"
    fake.write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\nwhile True: signal.pause()\n"
    )
    options = [*SANDBOX, f"--volume={fake}:/opt/bridge/bin/triton-bridge:ro"]
    with engine.container(images.bundle, options=options) as container:
        container.wait_ready()
        container.wait("bridge     | deaf")

        assert 8 < container.stop(seconds=20) < 12
        assert container.exit_code() == 0
        assert "See you next time!" in container.log


def test_what_dies_is_started_again_and_never_triton(engine: Engine, images: Images) -> None:
    with engine.container(images.bundle, options=SANDBOX) as container:
        container.wait_ready()
        [triton] = container.pids("tritonserver")
        for turn, (program, ready) in enumerate([(BRIDGE, "status page at"), (PROMETHEUS, "Server is ready")] * 2):
            container.wait(ready, times=turn // 2 + 1)
            container.kill(program)
            container.wait(ready, times=turn // 2 + 2)

        assert container.pids("tritonserver") == [triton]
        assert container.log.count("ended by signal 9; it is started again in") == 4
