"""Takes the name and version of built images, gives what they cost: ``python -m bench.image NAME VERSION [SECONDS]``.

Size of what we add to the base images, seconds from ``docker run`` to Triton's readiness and to the first accepted row
(the interval is Azure's minute, so that waiting for the grid is in it), and what is resident after ``SECONDS`` (180).
"""

from __future__ import annotations

import sys
import time

from examples import stack
from tests.image.engine import Container, Engine, environment, rows, sandbox

_OURS = ("s6", "/usr/local/bin/", "/opt/bridge /opt/bridge", "COPY /image")


def main(name: str, version: str, seconds: float = 180.0) -> None:
    """Print the tables."""
    engine = Engine(str(stack.tool("docker.sh")))
    images = {"bundle": f"{name}:{version}", "sidecar": f"{name}:{version}-sidecar"}
    for kind, image in images.items():
        print(f"{kind}, by layer:")
        history = engine("history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", image)
        for line in history.splitlines():
            size, _, made = line.partition("\t")
            if int(size) and any(part in made for part in _OURS):
                print(f"  {int(size) / 1e6:7.1f} MB  {made[:70]}")
    with engine.network() as network, sandbox(engine, images["sidecar"], network) as (endpoint, string):
        options = [f"--network={network}", f"--volume={stack.MODELS}:/models:ro"]
        begun = time.monotonic()
        with engine.container(
            images["bundle"], options=[*options, *environment(APPLICATIONINSIGHTS_CONNECTION_STRING=string)]
        ) as bundle:
            bundle.wait_ready()
            print(f"docker run to ready:              {time.monotonic() - begun:6.1f} s")
            stack.wait(lambda: bool(rows(endpoint)), "no row", seconds=150)
            print(f"docker run to first accepted row: {time.monotonic() - begun:6.1f} s")
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            _resident(bundle)


def _resident(bundle: Container) -> None:
    print("resident:")
    for program, size in sorted(bundle.resident().items(), key=lambda item: -item[1]):
        print(f"  {size / 1000:7.1f} MB  {program}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:4]))
