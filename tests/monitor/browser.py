"""Headless Chromium by its DevTools protocol: pages with their texts, requests, errors and screenshots."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60.0

# All text of the page, also that within the shadow trees in which Bokeh draws.
TEXT = """(function read(node) {
  if (node.nodeType === 3) return node.data;
  if (['SCRIPT', 'STYLE'].includes(node.nodeName)) return '';
  return [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes].map(read).join('\\n');
})(document.body).replace(/\\n+/g, '\\n')"""


class BrowserPage:
    """One page.

    Attributes
    ----------
    requests
        Addresses that it has asked for, web sockets too.
    errors
        What its console has as errors: refused by the policy, exceptions.

    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.errors: list[str] = []
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(PATIENCE))).get("id") != number:
            self._note(message)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def _note(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(about["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(about["exceptionDetails"]))
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                self.errors.append(json.dumps(about["entry"]))

    def open(self, address: str, width: int, height: int) -> None:
        mobile = width < 500
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    @property
    def text(self) -> str:
        return str(self.value(TEXT))

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        """Text of the page as soon as `condition` holds for it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(text := self.text):
            assert time.monotonic() < deadline, f"waited too long: {text}\n{self.errors}"
            time.sleep(0.2)
        return text

    def screenshot(self, file: Path) -> None:
        """The page from its beginning to its end."""
        size = {"width": self.value("innerWidth"), "height": min(self.value("document.body.scrollHeight"), 6000)}
        whole = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "scale": 1, **size}}
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **whole)["data"]))


@contextmanager
def browser() -> Iterator[Callable[[], BrowserPage]]:
    """A browser without any profile; what it gives opens new pages."""
    # Of a short name: it holds a socket.
    with tempfile.TemporaryDirectory(prefix="c", ignore_cleanup_errors=True) as folder, _browser(folder) as new_page:
        yield new_page


@contextmanager
def _browser(folder: str) -> Iterator[Callable[[], BrowserPage]]:
    assert PROGRAM is not None
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
    command = [PROGRAM, *flags, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    environment = os.environ | {"TMPDIR": folder}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    assert process.stderr is not None
    line = next(line for line in process.stderr if "DevTools listening on" in line)
    place = line.split("ws://")[1].split("/")[0]
    sockets = ExitStack()

    def new_page() -> BrowserPage:
        with urlopen(Request(f"http://{place}/json/new?about:blank", method="PUT"), timeout=PATIENCE) as answer:
            target = json.load(answer)["webSocketDebuggerUrl"]
        return BrowserPage(sockets.enter_context(connect(target, max_size=None)))

    try:
        with sockets:
            yield new_page
    finally:
        process.kill()
        process.communicate()
