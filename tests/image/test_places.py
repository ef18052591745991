"""Where a container may write, and where it may not: any user, a read-only root, a volume that is another's or is full."""

from __future__ import annotations

from pathlib import Path

from tests.image.azure import FAST, MODELS, Azure, counted, mounted, send, wait_scraped
from tests.image.conftest import Images
from tests.image.engine import FILLER, Engine, environment, fill, small_volume

HARDENED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=12345:12345"]


def test_hardened_it_serves_sends_and_closes_its_account(engine: Engine, images: Images, azure: Azure) -> None:
    """What it sends is the image's own preset, with a mean that the image's own rules derive."""
    with engine.volume() as state:
        places = ["--tmpfs=/tmp", f"--volume={state}:/var/lib/bridge", MODELS]
        preset = environment(BRIDGE_METRICS_FILE="/etc/bridge/presets/serving.json")
        with engine.container(images.bundle, options=[*azure.options, *FAST, *HARDENED, *places, *preset]) as bundle:
            bundle.wait_ready()
            wait_scraped(bundle)
            sent = send(bundle, 30)
            azure.wait_shown(sent, bundle)
            azure.wait_row("nv_inference_request_duration_us_per_request")
            written = bundle.exec("find", "/var/lib/bridge", "-mindepth", "1", "-printf", r"%d %m %U:%G %f\n")
            sent += send(bundle, 5)

            assert bundle.stop() < 10
            assert (bundle.exit_code(), azure.shown()) == (0, sent)
    folders = sorted(line[2:] for line in written.splitlines() if line.startswith("1 "))
    assert folders == ["700 12345:12345 bridge", "700 12345:12345 prometheus"]
    assert {line.split()[2] for line in written.splitlines()} == {"12345:12345"}


def test_with_nothing_to_write_to_it_works_from_memory_and_says_so(
    engine: Engine, images: Images, azure: Azure, tmp_path: Path
) -> None:
    """No models: the backend of the example's ones needs a /tmp of its own."""
    unwritable = "--mount=type=volume,destination=/var/lib/bridge,volume-nocopy"  # root's, 0755
    options = [*azure.options, *FAST, *HARDENED, unwritable, mounted(tmp_path)]
    with engine.container(images.bundle, options=options) as bundle:
        bundle.wait_ready()
        azure.wait_row("nv_cpu_utilization")

        assert bundle.exec("find", "/var/lib/bridge", "-printf", r"%m %U %p\n") == "755 0 /var/lib/bridge"
        assert bundle.exec("stat", "--format=%a %u", "/dev/shm/triton-bridge") == "700 12345"
        assert bundle.stop() < 10
        assert bundle.exit_code() == 0
        log = bundle.log
    assert "/var/lib/bridge/prometheus cannot be used (Permission denied), and /dev/shm/triton-bridge/data" in log
    assert "/var/lib/bridge/bridge: Permission denied; nothing is kept over a restart" in log
    assert "the last interval is not posted" in log


def test_with_a_full_volume_it_works_from_memory_and_says_so(
    engine: Engine, images: Images, azure: Azure, tmp_path: Path
) -> None:
    with small_volume(engine, images.sidecar, "1m") as (volume, holder):
        fill(holder)
        options = [*azure.options, *FAST, MODELS, mounted(tmp_path), f"--volume={volume}:/var/lib/bridge"]
        with engine.container(images.bundle, options=options) as bundle:
            bundle.wait_ready()
            wait_scraped(bundle)
            sent = send(bundle, 30)
            azure.wait_shown(sent, bundle)
            send(bundle, 5)

            assert bundle.stop() < 10
            assert bundle.exit_code() == 0
            log = bundle.log
    assert "/var/lib/bridge/prometheus cannot be used (only 0 MB are free there), and /tmp/triton-bridge/data" in log
    assert "/var/lib/bridge/bridge: No space left on device; nothing is kept over a restart" in log
    assert "the last interval is not posted" in log
    assert azure.shown() == sent, "a restart would count it again"


def test_a_volume_that_fills_up_costs_nothing_once_there_is_room(
    engine: Engine, images: Images, azure: Azure, tmp_path: Path
) -> None:
    with small_volume(engine, images.sidecar, "150m") as (volume, holder):
        options = [*azure.options, *FAST, MODELS, mounted(tmp_path), f"--volume={volume}:/var/lib/bridge"]
        with engine.container(images.bundle, options=options) as bundle:
            bundle.wait_ready()
            wait_scraped(bundle)
            sent = send(bundle, 30)
            azure.wait_shown(sent, bundle)
            fill(holder)
            sent += send(bundle, 7)
            bundle.wait("no space left on device")
            sent += send(bundle, 6)
            holder.exec("rm", FILLER)
            sent += send(bundle, 4)
            azure.wait_shown(sent, bundle)

            assert azure.shown() == sent == counted(bundle)
            assert "started again" not in bundle.log
