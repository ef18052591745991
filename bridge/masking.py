"""Takes secrets, gives a function that blots them out of any text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_SHORTEST = 4  # a shorter one would blot out parts of any word or number, and hide little


def masking(secrets: Iterable[str | None]) -> Callable[[str], str]:
    """Put ``***`` in the place of each secret, whatever its case, from 4 characters on. None is no secret."""
    longest_first = sorted({secret for secret in secrets if secret and len(secret) >= _SHORTEST}, key=len, reverse=True)
    if not longest_first:
        return str
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return lambda text: pattern.sub("***", text)
