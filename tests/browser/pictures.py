"""Takes the scenes, gives the pictures of the page in docs/: run it where the page looks different now.

.venv/bin/python -m tests.browser.pictures
"""

from __future__ import annotations

from contextlib import closing

from bridge.states import State
from examples.stack import ROOT
from tests.browser.driving import Browser
from tests.browser.scenes import Scene

PICTURES = {
    "status-delivering": (State.DELIVERING, 1280, "light"),
    "status-catching-up": (State.CATCHING_UP, 1280, "light"),
    "status-misconfigured": (State.MISCONFIGURED, 1280, "dark"),
}
_HEIGHT = 980  # px: the upper part says it all


def main() -> None:
    """Write them."""
    with closing(Browser()) as browser:
        for name, (state, width, scheme) in PICTURES.items():
            with closing(Scene(state)) as scene:
                browser.open(scene.url, width=width, scheme=scheme)
                browser.picture(ROOT / "docs" / f"{name}.png", _HEIGHT)


if __name__ == "__main__":
    main()
