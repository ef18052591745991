"""Takes Debian's Chromium and its driver, gives a browser without a window: any width, light or dark, with and without scripts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.wait import WebDriverWait

from examples.stack import tool

WITHIN_S = 10.0
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AUDIT = """
const done = arguments[arguments.length - 1];
axe.run({ runOnly: arguments[0] }).then(
  (found) => done(found.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html} ${node.failureSummary}`))),
  (error) => done([String(error)]),
);
"""


class Browser:
    """One window. ``close`` ends Chromium and its driver."""

    def __init__(self) -> None:
        programs = tool("chromium.sh")
        self._axe = (tool("axe.sh") / "axe.min.js").read_text(encoding="utf-8")
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs / "chromium")
        for flag in ("--headless=new", "--hide-scrollbars", "--disable-dev-shm-usage", "--force-color-profile=srgb"):
            options.add_argument(flag)
        options.add_argument("--no-sandbox")  # root can have none, nor can many containers; only our own page is shown
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(str(programs / "chromedriver")))
        self.driver.set_page_load_timeout(WITHIN_S)
        self.driver.set_script_timeout(3 * WITHIN_S)

    def open(self, url: str, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> None:
        """Show a page, as somebody with such a window and such wishes would see it."""
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.complaints()
        self.driver.get(url)

    @contextmanager
    def tab(self) -> Iterator[None]:
        """What is done in the block is done in a tab of its own: one whose time was moved stays strange."""
        before = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        yield
        self.driver.close()
        self.driver.switch_to.window(before)

    def tell(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def ask(self, script: str, *arguments: Any) -> Any:
        """What an expression of JavaScript is."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def look_again(self) -> None:
        """What the browser does when a tab is looked at again: the page fetches itself at once."""
        self.ask("document.dispatchEvent(new Event('visibilitychange'))")

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def wait(self, script: str, expected: object) -> None:
        """Until an expression is so; TimeoutException if it never is."""
        condition: Callable[[Any], bool] = lambda _: self.ask(script) == expected  # noqa: E731
        WebDriverWait(self.driver, WITHIN_S, poll_frequency=0.02).until(condition, f"{script} is not {expected!r}")

    def complaints(self) -> list[str]:
        """What stands on the console since it was read last: errors, warnings, breaches of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def audit(self) -> list[str]:
        """What axe-core finds."""
        self.tell("Emulation.setScriptExecutionDisabled", value=False)  # its own; those of the page are past
        self.driver.execute_script(self._axe)
        return self.driver.execute_async_script(_AUDIT, _RULES)

    def picture(self, path: Path, height: int = 0) -> None:
        """The page as PNG: all of it, or its upper part."""
        size = self.tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        found = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """End it."""
        self.driver.quit()
