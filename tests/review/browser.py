"""Headless Chromium over its DevTools pipe: no driver, no port, no library."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PROGRAM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
_FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-extensions --disable-default-apps --disable-dev-shm-usage
--metrics-recording-only --mute-audio --no-default-browser-check --hide-scrollbars --remote-debugging-pipe""".split()  # noqa: SIM905
_WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
#: A machine under load may take long for anything; only a browser that is gone takes longer than this.
PATIENCE_S = 240.0
#: Chromium reads commands from descriptor 3 and answers on 4.
_PLUMBING = "import os,sys;os.dup2(int(sys.argv[1]),3);os.dup2(int(sys.argv[2]),4);os.execv(sys.argv[3],sys.argv[3:])"


class Browser:
    """One page in one fresh browser.

    Args:
        profile: An empty folder for the profile.
        webgl: Whether the page may use WebGL (drawn in software).
    """

    def __init__(self, profile: Path, *, webgl: bool = True, size: tuple[int, int] = (1280, 800)) -> None:
        assert PROGRAM is not None
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        os.close(theirs_in)
        os.close(theirs_out)
        flags = [*_FLAGS, *(_WEBGL if webgl else ["--disable-3d-apis"]), f"--window-size={size[0]},{size[1]}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PLUMBING, *map(str, high), PROGRAM, *flags, f"--user-data-dir={profile}"],
            pass_fds=high,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in high:
            os.close(end)
        self._in, self._out = ours_in, ours_out
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)
        self.send(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        answer = self._ask(method, **parameters)
        assert "error" not in answer, answer["error"]
        return dict(answer["result"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; a page that is just being left answers with an error."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(PATIENCE_S)
            if answer.get("id") == self._number:
                return answer

    def _read(self, timeout_s: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], timeout_s)
            chunk = os.read(self._in, 1 << 20) if ready else b""
            assert chunk, "the browser does not answer"
            self._buffer += chunk
        raw, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(raw)
        told = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"])[:500])
        if message.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"])
        return message

    def open(self, page: Path) -> float:
        """Open a file and wait until it is complete; the seconds that this took."""
        started = time.monotonic()
        address = page.resolve().as_uri()
        self._ask("Runtime.evaluate", expression="window.left = true")  # tells the page that is left from the next
        self.send("Page.navigate", url=address)
        self.wait(f"!window.left && location.href === {json.dumps(address)} && document.readyState === 'complete'")
        return time.monotonic() - started

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until an expression holds in the page."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            answer = self._ask("Runtime.evaluate", expression=f"Boolean({condition})", returnByValue=True)
            if answer.get("result", {}).get("result", {}).get("value"):
                return
            time.sleep(0.02)
        raise AssertionError(f"never came true: {condition}; {self.complaints}")

    def outside(self, page: Path) -> list[str]:
        """Requests for anything but the page itself and what it holds."""
        return [u for u in self.requests if u != page.resolve().as_uri() and not u.startswith(("data:", "blob:"))]

    def key(self, key: str) -> None:
        """Press and release a key."""
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": _CODES.get(key, 0)}
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **pressed, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def wait_coloured(self, selector: str, enough: Callable[[int], bool]) -> int:
        """Wait until so many pixels of an element as are wanted are not grey: painting comes when it comes."""
        end = time.monotonic() + PATIENCE_S
        while not enough(found := self._coloured(selector)):
            assert time.monotonic() < end, f"{selector} has {found} coloured pixels; {self.complaints}"
            time.sleep(0.05)
        return found

    def click(self, x: float, y: float) -> None:
        """Press and release the mouse's button at a place of the window."""
        at: dict[str, Any] = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def grey(self, selector: str) -> float:
        """Mean brightness of an element as painted, 0 to 255."""
        return float(self._painted(selector).mean())

    def _coloured(self, selector: str) -> int:
        """Pixels of an element, as painted, that are not grey."""
        picture = self._painted(selector).astype(int)
        return int((picture.max(axis=2) - picture.min(axis=2) > 40).sum())

    def _painted(self, selector: str) -> NDArray[np.uint8]:
        box = self.run(f"(({{x, y, width, height}}) => ({{x, y, width, height}}))({_BOX.format(selector)})")
        answer = self.send("Page.captureScreenshot", format="png", clip={**box, "scale": 1})
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB"))

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is to be seen, or the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


_BOX = "document.querySelector('{}').getBoundingClientRect()"
_CODES = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowUp": 38, "ArrowDown": 40, "Enter": 13, "Tab": 9}
