"""Takes a Triton and a number, gives that many inference requests at a steady pace, and counts those that succeeded.

    python3 examples/traffic.py --http http://127.0.0.1:8000 --grpc grpc://127.0.0.1:8001 --rate 5 --count 300

HTTP needs the standard library alone (KServe v2 JSON); gRPC needs tritonclient[grpc], and is left out, with a word,
where that is missing. Bounded in number and in time. The requests are for the models beside this file: IN, FP32 [4].
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit

ROW = [0.1, 0.2, 0.3, 0.4]
TIMEOUT_S = 10.0


class Tally(NamedTuple):
    """How many requests were sent, and how many of them succeeded."""

    sent: int
    succeeded: int


def send(
    url: str,
    model: str,
    count: int,
    *,
    batch: int = 1,
    rate: float | None = None,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send up to ``count`` requests of ``batch`` rows to ``url`` (``http://…`` or ``grpc://…``); how many succeeded.

    ``rate`` is per second, as fast as answers come without it. Nothing is begun after ``seconds``.
    """
    with opened(url, model, batch) as infer:
        return paced([infer], count, rate=rate, seconds=seconds, clock=clock, sleep=sleep).succeeded


def paced(
    requests: Sequence[Callable[[], bool]],
    count: int,
    *,
    rate: float | None = None,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Tally:
    """Call the ``requests`` in turn, ``count`` times in all. A late one does not delay those after it."""
    start = clock()
    sent = succeeded = 0
    for turn, infer in zip(range(count), itertools.cycle(requests), strict=False):
        wait = start + turn / rate - clock() if rate else 0.0
        if clock() + wait - start >= seconds:
            break
        if wait > 0:
            sleep(wait)
        sent += 1
        succeeded += infer()
    return Tally(sent, succeeded)


@contextmanager
def opened(url: str, model: str, batch: int = 1) -> Iterator[Callable[[], bool]]:
    """One connection: a function that sends one request and tells whether it succeeded."""
    if urlsplit(url).scheme == "grpc":
        with _grpc(url, model, batch) as infer:
            yield infer
    else:
        with _http(url, model, batch) as infer:
            yield infer


@contextmanager
def _http(url: str, model: str, batch: int) -> Iterator[Callable[[], bool]]:
    tensor = {"name": "IN", "shape": [batch, len(ROW)], "datatype": "FP32", "data": ROW * batch}
    body = json.dumps({"inputs": [tensor]})
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)

    def infer() -> bool:
        try:
            connection.request("POST", f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})
            with connection.getresponse() as reply:
                reply.read()
                return reply.status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            return False

    try:
        yield infer
    finally:
        connection.close()


@contextmanager
def _grpc(url: str, model: str, batch: int) -> Iterator[Callable[[], bool]]:
    import numpy as np  # noqa: PLC0415 - these three come with tritonclient, which HTTP does without
    from tritonclient.grpc import InferenceServerClient, InferInput  # noqa: PLC0415
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415

    tensor = InferInput("IN", [batch, len(ROW)], "FP32")
    tensor.set_data_from_numpy(np.array([ROW] * batch, dtype=np.float32))
    with InferenceServerClient(urlsplit(url).netloc) as client:

        def infer() -> bool:
            try:
                client.infer(model, [tensor], client_timeout=TIMEOUT_S)
            except InferenceServerException:
                return False
            return True

        yield infer


def main(arguments: Sequence[str] | None = None) -> int:
    """Send to every address and model in turn. Exit code 1 if a request failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="Sends a trickle of inference requests to Triton.")
    parser.add_argument("--http", metavar="URL", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--grpc", metavar="URL", help="such as grpc://127.0.0.1:8001; default: HTTP only")
    parser.add_argument("--model", action="append", help="may be repeated; default: ident and scorer")
    parser.add_argument("--batch", type=int, default=1, help="rows a request; default: %(default)s")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second in all; default: %(default)s")
    parser.add_argument("--count", type=int, default=300, help="requests in all; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin nothing after; default: %(default)s")
    options = parser.parse_args(arguments)

    urls = [options.http]
    if options.grpc and not (find_spec("tritonclient") and find_spec("grpc")):
        print("traffic.py: tritonclient[grpc] is not installed: HTTP only", file=sys.stderr)
    elif options.grpc:
        urls.append(options.grpc)
    with ExitStack() as stack:
        requests = [
            stack.enter_context(opened(url, model, options.batch))
            for url in urls
            for model in options.model or ("ident", "scorer")
        ]
        tally = paced(requests, options.count, rate=options.rate, seconds=options.seconds)
    print(f"{tally.sent} sent, {tally.succeeded} succeeded")
    return 0 if tally.sent == tally.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
