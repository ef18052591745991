"""What an outage costs a container: nothing. Azure away, the state volume full, the container killed, a volume for two."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.azure import (
    FAST,
    MODELS,
    Azure,
    counted,
    gained,
    gauge,
    mounted,
    samples,
    send,
    status,
    trickle,
    wait_for,
    wait_hurried,
)
from tests.image.conftest import Images
from tests.image.engine import FILLER, Engine, fill, small_volume

CYCLES = 3  # that an outage lasts
INTERVAL = 5  # seconds, as FAST has it


@pytest.fixture
def options(azure: Azure, tmp_path: Path) -> list[str]:
    """Those of docker run that all containers here have."""
    return [*azure.options, *FAST, MODELS, mounted(tmp_path)]


def test_a_network_that_is_away_for_three_cycles_costs_nothing(
    engine: Engine, images: Images, azure: Azure, options: list[str]
) -> None:
    with engine.container(images.bundle, options=options) as bundle:
        bundle.wait_ready()
        with trickle(bundle) as tally:
            azure.wait_shown(1, bundle)
            with azure.away():
                bundle.wait(" gap at ", times=CYCLES)
                found = status(bundle)
            bundle.wait("; nothing waits")
        azure.wait_delivered(counted(bundle), bundle)

        assert (tally.sent, counted(bundle)) == (tally.succeeded, tally.succeeded)
        assert azure.delivered()[1] <= status(bundle)["possibly_repeated"]
        times = azure.times("nv_cpu_utilization")
        assert times == [*range(times[0], times[-1] + 1, INTERVAL)]
        assert (found["state"], found["cycles"]["waiting"] >= CYCLES) == ("unreachable", True)


def test_a_state_volume_that_is_full_costs_nothing_once_there_is_room(
    engine: Engine, images: Images, azure: Azure, options: list[str]
) -> None:
    """From the start, and again. It is that of the bridge alone: Prometheus must go on for there to be any cycles."""
    folder = "/var/lib/bridge/bridge"
    with small_volume(engine, images.sidecar, "1m") as (volume, holder):
        fill(holder)
        options = [*options, f"--volume={volume}:{folder}"]
        with engine.container(images.bundle, options=options) as bundle:
            bundle.wait_ready()
            with trickle(bundle) as tally:
                for turn in range(2):
                    if turn:
                        fill(holder)
                    wait_for(lambda: status(bundle)["trouble"] != "", "it does not notice", bundle)
                    azure.wait_shown(azure.shown() + 1, bundle)
                    azure.wait_shown(azure.shown() + 1, bundle)
                    found = status(bundle)
                    assert gauge(bundle, "state_durable") == 0
                    for told in (found["trouble"], *found["troubles"]):
                        assert f"{folder} cannot be written (No space left on device)" in told
                        assert "free space there" in told
                    assert found["trouble"] in bundle.log
                    holder.exec("rm", FILLER)
                    wait_for(lambda: gauge(bundle, "state_durable") == 1, "it is not written again", bundle)
                    wait_for(lambda: status(bundle)["trouble"] == "", "it is still told", bundle)
                    assert bundle.log.count(f"{folder} is written again") == turn + 1
            assert bundle.stop() < 10
            engine("start", bundle.name)
            bundle.wait_ready()
            azure.wait_delivered(tally.succeeded + send(bundle, 7), bundle)
            assert azure.delivered()[1] == 0


def test_what_containers_that_were_killed_did_not_deliver_the_next_one_on_their_volume_does(
    engine: Engine, images: Images, azure: Azure, options: list[str]
) -> None:
    """Killed under traffic, and in an outage that swallows replies: Azure takes what it is sent, and says nothing.

    What Triton counted after its last scrape is unseen, so the raw samples are the truth. Its counts begin again at zero.
    """
    with engine.volume() as state:
        options = [*options, f"--volume={state}:/var/lib/bridge"]
        with engine.container(images.bundle, options=options) as killed:
            killed.wait_ready()
            with trickle(killed) as tally:
                azure.wait_shown(1, killed)
                shown = azure.shown()
                wait_for(lambda: samples(killed)[-1][1] > shown, "nothing is under way", killed)
                engine("kill", killed.name)
        with engine.container(images.bundle, options=options) as bundle:
            bundle.wait_ready()
            with azure.silent():
                sent = send(bundle, 11)
                wait_for(lambda: samples(bundle)[-1][1] == sent, "no scrape", bundle)
                bundle.wait(" gap at ", times=2)
                engine("kill", bundle.name)
            engine("start", bundle.name)
            bundle.wait_ready()
            last = send(bundle, 7)
            wait_for(lambda: samples(bundle)[-1][1] == last, "no scrape", bundle)
            truth = gained(samples(bundle))
            azure.wait_delivered(truth, bundle)

            assert shown < truth - sent - last <= tally.sent
            assert azure.delivered()[1] <= status(bundle)["possibly_repeated"]


def test_a_second_container_on_a_volume_serves_and_its_bridge_waits_its_turn(
    engine: Engine, images: Images, azure: Azure, options: list[str]
) -> None:
    with engine.volume() as state:
        options = [*options, f"--volume={state}:/var/lib/bridge"]
        with engine.container(images.bundle, options=options) as first:
            first.wait_ready()
            first.wait("status page at")
            with engine.container(images.bundle, options=options) as second:
                second.wait_ready()
                second.wait("bridge ended with exit code 2; it is started again in 60 s")
                sent = send(first, 30)
                assert send(second, 5) == counted(second)
                azure.wait_delivered(sent, first)
                told = [line for line in second.lines if "error:" in line]
                assert first.stop() < 10
                assert azure.delivered() == (sent, 0)
                wait_hurried(second, "status page at")

                assert counted(second) == 5
    assert len(told) == 1
    assert "/var/lib/bridge/bridge: another triton-bridge works with this folder" in told[0]
    assert "stop that one" in told[0]
