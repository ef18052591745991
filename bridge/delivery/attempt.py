"""Takes a batch and an endpoint, gives the receipt of one attempt: post, follow redirects, split what is refused.

Parts are posted level by level, so that a refusal of everything shows early and costs no point.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from bridge.delivery.endpoint import Endpoint, Silence
from bridge.delivery.replies import plain
from bridge.delivery.verdicts import Verdict, combine, judge
from bridge.points import Batch, Condition, Receipt

MAX_POSTS = 64
"""Posts an attempt; what is not settled by then waits in the parts that it has been split into."""
MAX_REDIRECTS = 10
_SYSTEMATIC = 3  # levels of halving that may be refused throughout before it is nobody's fault


class Attempt:
    """One attempt to post one batch, until a reply (or none) that speaks for all that is left of it.

    ``others_pass``: the service takes other points, and did since it first failed at these; so the fault is in here.
    ``suspect``: it has failed at them again and again meanwhile: split them, whatever it answers. ``until`` is a reading
    of ``monotonic``, ``post_deadline`` seconds. After ``run``, ``failed`` holds the batches that were posted in vain.
    """

    def __init__(
        self,
        batch: Batch,
        endpoint: Endpoint,
        *,
        others_pass: bool,
        suspect: bool,
        post_deadline: float,
        until: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.failed: list[Batch] = []
        self._batch = batch
        self._endpoint = endpoint
        self._others_pass = others_pass
        self._suspect = suspect
        self._post_deadline = post_deadline
        self._until = until
        self._clock = clock
        self._monotonic = monotonic
        self._parts = deque([(0, batch)])
        if suspect and batch.points > 1:
            self._parts = deque((1, half) for half in batch.halves())
        self._settled: list[Receipt] = []
        self._alone: list[tuple[Batch, Receipt]] = []  # points refused alone, and their rejections
        self._refusals: dict[int, str] = {}  # what was refused as a whole: statuses, and the words to them
        self._posts = self._sent_bytes = self._redirects = 0

    def run(self) -> Receipt:
        """Do it; the receipt holds every point of the batch."""
        going = True
        while going and self._parts and self._posts < MAX_POSTS and (left := self._until - self._monotonic()) > 0:
            level, part = self._parts.popleft()
            if level > _SYSTEMATIC and self._is_systematic():
                break
            going = self._post(level, part, min(self._post_deadline, left))
        everything = [self._refused((self._batch,))] if self._is_systematic() else [*self._settled, *self._close()]
        receipt = combine(everything)
        if receipt.condition is Condition.REFUSED:
            self.failed += receipt.waiting
        return replace(receipt, posts=self._posts, sent_bytes=self._sent_bytes)

    def _post(self, level: int, part: Batch, timeout: float) -> bool:
        """Post one part, and queue what comes of it; False if the reply speaks for the others too."""
        self._posts += 1
        self._sent_bytes += len(part.body)
        reply = self._endpoint.send(part.body, timeout)
        if isinstance(reply, Silence):
            self._settled.append(_silence(part, reply))
            self.failed.append(part)
            return False
        verdict = judge(reply, part, self._clock())
        if self._suspect and verdict.receipt.condition is Condition.UNREACHABLE and verdict.receipt.waiting == (part,):
            return self._isolate(level, part, verdict)
        if verdict.blunt:
            self._refusals[reply.status] = plain(reply.words)
            if part.points == 1:
                self._alone.append((part, verdict.receipt))
                return True
        elif verdict.receipt != Receipt():
            self._settled.append(verdict.receipt)
        if verdict.location:
            return self._redirect(level, verdict)
        self._parts.extend((level + 1, half) for half in verdict.again)
        if verdict.receipt.condition is Condition.UNREACHABLE:
            self.failed += verdict.receipt.waiting
        return verdict.receipt.condition is Condition.DELIVERING

    def _isolate(self, level: int, part: Batch, verdict: Verdict) -> bool:
        """The service stumbles over a part of a suspect batch: look for the culprit in it, and go on with the others."""
        if part.points > 1:
            self._parts.extend((level + 1, half) for half in part.halves())
        else:
            self._settled.append(verdict.receipt)
            self.failed.append(part)
        return True

    def _redirect(self, level: int, verdict: Verdict) -> bool:
        self._redirects += 1
        target = plain(verdict.location)
        if self._redirects > MAX_REDIRECTS:
            problem = f"Azure redirects in a circle, at last to {target}: copy the connection string anew"
        elif self._endpoint.redirect(verdict.location):
            self._parts.extendleft((level, batch) for batch in verdict.again)
            return True
        else:
            problem = (
                f"{self._endpoint.url} redirects to {target}, which is not of the same Azure cloud, so nothing"
                " is sent there: put the right IngestionEndpoint into the connection string"
            )
        self._settled.append(Receipt(waiting=verdict.again, condition=Condition.MISCONFIGURED, detail=problem))
        return False

    def _is_systematic(self) -> bool:
        """Whether nothing but the same unexplained 400 has come so far, and no other points ever passed meanwhile."""
        return self._refusals.keys() == {400} and not self._settled and not self._others_pass

    def _close(self) -> list[Receipt]:
        """What becomes of the points that no reply has settled."""
        rest = tuple(part for _, part in self._parts)
        taken = any(receipt.accepted for receipt in self._settled)
        if self._alone and (taken or self._others_pass):
            found = [rejection for _, rejection in self._alone]
        else:
            found = []
            rest += tuple(part for part, _ in self._alone)
        if not rest:
            return found
        if any(receipt.condition is not Condition.DELIVERING for receipt in self._settled):
            return [*found, Receipt(waiting=rest)]
        if taken or found:
            self.failed += rest  # as part of their batch; that others of it passed will speak against them
            return [
                *found,
                Receipt(waiting=rest, detail="points wait: the search for those that Azure refuses goes on"),
            ]
        if self._refusals:
            return [self._refused(rest)]
        return [Receipt(waiting=rest, condition=Condition.UNREACHABLE, detail="no time was left after a redirect")]

    def _refused(self, waiting: tuple[Batch, ...]) -> Receipt:
        said = " and ".join(f"{status} ({words})" if words else str(status) for status, words in self._refusals.items())
        problem = f"{self._endpoint.url} answers {said} to every part of a batch"
        return Receipt(
            waiting=waiting, condition=Condition.REFUSED, detail=f"{problem}, so it is not the points' fault: they wait"
        )


def _silence(part: Batch, silence: Silence) -> Receipt:
    return Receipt(
        waiting=(part,),
        condition=Condition.MISCONFIGURED if silence.misconfigured else Condition.UNREACHABLE,
        detail=silence.detail,
        possibly_repeated=part.points if silence.sent else 0,
    )
