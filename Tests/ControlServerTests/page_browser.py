"""A headless Chromium and one page in it, driven over the DevTools protocol.

The browser reads commands from a pipe and writes answers and events to another (--remote-debugging-pipe): JSON
messages that end in a zero byte. So nothing but Python's own library is needed, and no port is opened.
"""

import base64
import contextlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time


class Browser:
    """One Chromium with a profile of its own; a context manager that ends it."""

    def __init__(self, program="chromium"):
        self.profile = tempfile.mkdtemp(prefix="lockstep-page-")
        commands, self._to_browser = os.pipe()
        self._from_browser, answers = os.pipe()
        self.process = subprocess.Popen(
            [
                # The browser expects the pipes as 3 and 4, which may be taken here.
                "bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "chromium", program,
                "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run",
                "--disable-extensions", "--disable-background-networking", "--disable-component-update",
                "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={self.profile}", "about:blank",
            ],
            pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._answers = {}
        self._pages = {}
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, RuntimeError):
            self.call("Browser.close", seconds=5)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, seconds=90, **parameters):
        """The result of a command; RuntimeError if the browser refuses it or says nothing."""
        self._number += 1
        number = self._number
        answer = self._answers[number] = queue.Queue()
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        try:
            result = answer.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"{method}: no answer from the browser in {seconds} s") from None
        finally:
            del self._answers[number]
        if "error" in result:
            raise RuntimeError(f"{method}: {result['error']['message']}")
        return result["result"]

    def page(self):
        """A new page, in front of the others."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ["Page", "Runtime", "Network", "Log", "Accessibility"]:
            page.call(f"{domain}.enable")
        return page

    def _read(self):
        rest = b""
        while chunk := os.read(self._from_browser, 1 << 20):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    if answer := self._answers.get(message["id"]):
                        answer.put(message)
                elif page := self._pages.get(message.get("sessionId")):
                    page.notice(message["method"], message["params"])


class Page:
    """What a person does with a page and sees on it, and what the browser tells about it."""

    KEYS = {
        "Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
        "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    }  # fmt: skip

    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target
        # Addresses asked for; errors as (time, source, text), as the browser's console shows them.
        self.requests = []
        self.errors = []

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def notice(self, event, details):
        if event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif event == "Log.entryAdded" and details["entry"]["level"] == "error":
            entry = details["entry"]
            self.errors.append((time.time(), entry["source"], f"{entry['text']} {entry.get('url', '')}"))
        elif event == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            text = thrown.get("exception", {}).get("description", thrown["text"])
            self.errors.append((time.time(), "exception", text))
        elif event == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
            text = " ".join(str(value.get("value", value.get("description"))) for value in details["args"])
            self.errors.append((time.time(), "console", text))

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'", "the page is loaded")

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def value(self, expression):
        """What a JavaScript expression gives, awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['exception']['description']}")
        return answer["result"].get("value")

    def text(self, selector):
        return self.value(f"document.querySelector({json.dumps(selector)}).textContent")

    def wait(self, condition, meaning, seconds=60):
        """Until a JavaScript condition holds; AssertionError if it does not in time."""
        deadline = time.monotonic() + seconds
        # An element would come as an empty dictionary, and seem false.
        while not self.value(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                raise AssertionError(f"expected within {seconds} s that {meaning}: {condition}")
            time.sleep(0.1)

    def press(self, key, shift=False):
        details = {"key": key, "code": key, "windowsVirtualKeyCode": self.KEYS[key], "modifiers": 8 if shift else 0}
        if key in ("Enter", " "):
            details["text"] = "\r" if key == "Enter" else " "
        self.call("Input.dispatchKeyEvent", type="keyDown", **details)
        details.pop("text", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **details)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def point(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screen(self, width, height, scheme="light", is_phone=False):
        """Sets the size in CSS pixels and the colour scheme."""
        self._screen = (width, height, scheme, is_phone)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if is_phone else 1, mobile=is_phone,
        )  # fmt: skip
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path, whole=True):
        """Writes what is seen, or the whole page, as PNG."""
        if whole:
            # As tall as the page, because the page does not draw what cannot be seen.
            width, _, *rest = self._screen
            height = self.value("document.documentElement.scrollHeight")
            with self._on_screen(width, height, *rest):
                time.sleep(0.5)
                self.picture(path, whole=False)
            return
        answer = self.call("Page.captureScreenshot")
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))

    @contextlib.contextmanager
    def _on_screen(self, *screen):
        before = self._screen
        self.screen(*screen)
        try:
            yield
        finally:
            self.screen(*before)
