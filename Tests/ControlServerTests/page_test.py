"""Looks at the live page of a daemon with a browser, as a person would.

    python3 page_test.py "lockstep view --no-open" --restart ./restart --screenshots pictures

Needs Debian's package `chromium` and nothing beyond Python. The daemon has a run under way that lasts some minutes
longer. The first command prints a login link; it is run when the browser is there, since a link is good for a minute and a
browser may take longer to start on a busy machine. The restart command ends the daemon and starts it again at the same
address, and may print a new link.
Prints a line for each check and ends with status 1 at the first that fails.
"""

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from page_browser import Browser
from page_tunnel import Tunnel

# What can be reached with Tab, where it can be seen.
FOCUSABLE = """
[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((element) => !element.closest('dialog') && element.checkVisibility())
"""

# How an element is known in messages.
NAME = """
((element) => element === document.body ? 'the page' :
  element.id || element.name || element.getAttribute('aria-label') || element.textContent.trim())
"""


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


class PageTest:
    def __init__(self, browser, link, restart, screenshots):
        self.browser, self.restart, self.screenshots = browser, restart, screenshots
        address = urlsplit(link)
        self.daemon = address.netloc
        self.tunnel = Tunnel(address.hostname, address.port)
        self.origin = f"http://127.0.0.1:{self.tunnel.port}"
        self.link = self.through_tunnel(link)
        # While the daemon is away, the browser may say so.
        self.away = []
        self.page = browser.page()
        self.page.call(
            "Page.addScriptToEvaluateOnNewDocument",
            source="""
              window.shifted = [];
              new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted.push(entry.value);
              }).observe({ type: 'layout-shift', buffered: true });
            """,
        )
        self.page.screen(1360, 900)

    def run(self):
        self.opens()
        self.curves_move()
        self.long_runs_stay_small()
        self.nothing_jumps()
        self.values_are_shown_where_one_points()
        self.tab_reaches_everything()
        self.everything_has_a_name()
        self.buttons_answer()
        self.stop_asks_first()
        self.text_is_written_token_by_token()
        self.queue_takes_a_run()
        self.pictures()
        self.catches_up_after_an_interruption()
        if self.restart:
            self.comes_back_after_a_restart()
        self.logged_out_is_told()
        self.no_errors_and_no_strangers()

    def through_tunnel(self, link):
        address = urlsplit(link)
        expect(address.netloc == self.daemon, f"expected a link to {self.daemon}, found {link}")
        return f"{self.origin}{address.path}?{address.query}"

    # MARK: Opening and following

    def opens(self):
        self.page.open(self.link)
        self.is_live()
        expect(urlsplit(self.page.value("location.href")).path == "/", "a login link leads to the page at /")
        self.page.wait("document.getElementById('step').textContent !== '–'", "a step is shown")
        passed(f"opens: {self.page.value('document.title')}")

    def is_live(self):
        self.page.wait("document.body.dataset.connection === 'live'", "the page is connected", 90)

    def curves_move(self):
        count, picture = self.rows(), self.curve_picture()
        self.page.wait(f"curves.training.lastStep > {self.last_step()}", "curves grow", 60)
        expect(self.rows() > count, f"expected more than the {count} rows there were, found {self.rows()}")
        expect(self.curve_picture() != picture, "the curves have grown, but their picture is the same")
        passed(f"curves move: {count} rows, then {self.rows()}")

    def rows(self):
        return self.page.value("curves.training.count")

    def last_step(self):
        return self.page.value("curves.training.lastStep")

    def curve_picture(self):
        # Over two frames, so that what has just come is drawn.
        data = self.page.value("""
            new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() =>
              resolve(document.querySelector('#perplexity canvas').toDataURL()))))
        """)
        return hashlib.sha256(data.encode()).hexdigest()

    def long_runs_stay_small(self):
        steps = self.page.value("""
            (() => {
              const table = new Table(['step'], 100);
              for (let step = 1; step < 10000; step += 10) {
                table.append({ step: Array.from({ length: 10 }, (_, index) => step + index) });
              }
              table.append({ step: [5000, 5001] });
              return table.steps;
            })()
        """)
        gaps = [b - a for a, b in zip(steps, steps[1:], strict=False)]
        expect(20 <= len(steps) <= 100, f"expected at most 100 rows, and half of the run in half of those: {steps}")
        expect(steps[0] == 1 and steps[-2:] == [5000, 5001], f"expected the run to have gone back to 5000: {steps}")
        expect(min(gaps) > 0 and max(gaps) <= 512, f"expected steps in order and evenly: {steps}")
        passed(f"long runs stay small: {len(steps)} rows for 5001 steps")

    def nothing_jumps(self):
        shifted = self.page.value("shifted.reduce((sum, value) => sum + value, 0)")
        expect(shifted < 0.1, f"expected a layout that stays (cumulative shift below 0.1), found {shifted}")
        passed(f"nothing jumps: cumulative layout shift {shifted:.4f}")

    # MARK: Values

    def values_are_shown_where_one_points(self):
        left, top, width, height = self.page.value("""
            (({ left, top, width, height }) => [left, top, width, height])(
              document.querySelector('#perplexity .plot').getBoundingClientRect())
        """)
        # While the curves grow.
        least = 0.45 * self.last_step() - 5
        self.page.point(left + width / 2, top + height / 2)
        shown = "Number(document.querySelector('[data-value=step]').textContent.replaceAll(',', ''))"
        self.page.wait(
            f"{shown} > {least} && {shown} < 0.55 * curves.training.lastStep + 5",
            "pointing at the middle of the curves shows the step there",
        )
        self.page.point(1, 1)
        self.page.value("document.querySelector('#perplexity .plot').focus()")
        said = []
        for key in ["Home", "ArrowRight", "End"]:
            self.page.press(key)
            said.append(self.said())
        expect(len(set(said)) == 3, f"expected each key to say other values, heard {said}")
        for word in ["step", "epoch", "loss", "perplexity"]:
            expect(word in said[1], f"expected the {word} among the values, heard {said[1]}")
        self.page.press("Escape")
        passed(f"values are shown and said: {said[1]}")

    def said(self):
        return self.page.value("document.activeElement.getAttribute('aria-valuetext')")

    # MARK: Keyboard

    def tab_reaches_everything(self):
        wanted = self.page.value(f"{FOCUSABLE}.map({NAME})")
        self.page.value("document.activeElement.blur(), scrollTo(0, 0)")
        reached = []
        for _ in range(3 * len(wanted)):
            self.page.press("Tab")
            reached.append(self.page.value(f"{NAME}(document.activeElement)"))
            # The file chooser is not to be seen: its label is what has the outline.
            outline = self.page.value(
                "getComputedStyle(document.activeElement.closest('.file') ?? document.activeElement).outlineStyle"
            )
            expect(
                outline != "none" or reached[-1] == "the page",
                f"expected an outline around {reached[-1]}, which has the focus",
            )
            if set(wanted) <= set(reached):
                break
        missed = sorted(set(wanted) - set(reached))
        expect(not missed, f"expected Tab to reach everything, it misses {missed}")
        passed(f"Tab reaches all {len(wanted)} controls")

    def everything_has_a_name(self):
        nodes = self.page.call("Accessibility.getFullAXTree")["nodes"]
        nameless = [
            node["role"]["value"]
            for node in nodes
            if not node["ignored"]
            and node["role"]["value"] != "RootWebArea"
            and any(each["name"] == "focusable" and each["value"].get("value") for each in node.get("properties", []))
            and not node.get("name", {}).get("value")
        ]
        expect(not nameless, f"expected a name on all that takes the focus, found none on: {nameless}")
        passed("everything that takes the focus has a name")

    def press_button(self, selector, key="Enter"):
        """By keyboard alone: Tab until it has the focus, then the key."""
        for _ in range(200):
            if self.page.value(f"document.activeElement.matches({selector!r})"):
                break
            self.page.press("Tab")
        else:
            raise AssertionError(f"expected Tab to reach {selector}")
        self.is_answered(selector)
        self.page.press(key)

    def is_answered(self, selector):
        """Waits for the answer to the last press: what it does is often seen before, for events come by themselves."""
        self.page.wait(f"document.querySelector({selector!r}).ariaDisabled !== 'true'", f"{selector} is answered")

    # MARK: Buttons

    def buttons_answer(self):
        for selector, words in [("#checkpoint", "saved in"), ("#evaluate", "perplexity")]:
            self.clear_messages()
            self.press_button(selector)
            passed(f"{selector} answers: {self.answer(words)}")
        self.clear_messages()
        self.press_button("#pause", " ")
        self.page.wait("document.getElementById('activity').textContent === 'paused'", "training pauses")
        self.page.wait("document.getElementById('pause').textContent === 'Resume'", "the button resumes")
        self.press_button("#pause", " ")
        self.page.wait("document.getElementById('activity').textContent === 'training'", "training goes on")
        self.is_answered("#pause")
        passed("pause and resume")
        self.clear_messages()

    def clear_messages(self):
        self.page.value("document.querySelectorAll('#messages button').forEach((button) => button.click())")

    def answer(self, words):
        self.page.wait("document.querySelector('.message p')", "the button is answered", 120)
        text = self.page.text(".message p")
        expect(words in text, f"expected an answer with '{words}', found: {text}")
        return text

    def stop_asks_first(self):
        self.press_button("#stop")
        self.page.wait("document.querySelector('dialog[open]')", "stopping asks first")
        self.page.press("Escape")
        self.page.wait("!document.querySelector('dialog[open]')", "Escape closes the question")
        self.is_answered("#stop")
        expect(self.page.value("document.activeElement.id") == "stop", "the focus returns to the button")
        expect(self.page.value("document.querySelector('.message') === null"), "nothing was stopped")
        passed("stop asks first")

    def text_is_written_token_by_token(self):
        prompt = "<img src=x onerror=alert(1)>"
        self.fill("prompt", prompt)
        self.fill("length", "40")
        # One more than a JavaScript number can tell from its neighbour.
        self.fill("seed", "9007199254740993")
        self.press_button("#generate .primary")
        self.writing_ends()
        if self.page.value("document.querySelector('.message') !== null"):
            # A model of words knows only its own.
            refusal = self.answer("'<img'")
            self.clear_messages()
            passed(f"a prompt of other words is refused: {refusal}")
            prompt = ""
            self.fill("prompt", prompt)
            self.press_button("#generate .primary")
            self.writing_ends()
        end = self.page.text("#written-end")
        expect("9007199254740993" in end, f"expected the seed as it was given, found: {end}")
        first = self.page.text("#written")
        expect(first.startswith(prompt) and len(first) > len(prompt), f"expected the prompt and more, found: {first}")
        self.fill("length", "10000")
        # So that it takes longer than to press the button.
        self.tunnel.bytes_per_second = 10000
        self.press_button("#generate .primary")
        self.page.wait("document.getElementById('written').textContent.length > 60", "tokens come one by one")
        self.press_button("#generate-stop")
        self.page.wait("document.getElementById('written-end').textContent === 'Stopped.'", "writing can be stopped")
        self.tunnel.bytes_per_second = None
        passed(f"text is written: {end}")

    def writing_ends(self):
        self.page.wait(
            "writing === null && (document.getElementById('written-end').textContent"
            " || document.querySelector('.message'))",
            "the text ends, or is refused",
            120,
        )
        expect(self.page.value("document.querySelector('img[src=x]') === null"), "text is never taken for HTML")

    def fill(self, name, text):
        field = f"document.getElementById('generate').elements.namedItem({name!r})"
        self.page.value(f"{field}.focus(), {field}.select()")
        self.page.type(text)

    def queue_takes_a_run(self):
        if self.page.value("document.getElementById('queue').hidden"):
            return passed("the queue is not shown: this daemon has one run alone")
        running = "document.querySelector('.pill[data-state=running]').closest('.job')"
        shown = f"{running}.querySelector('.facts').textContent"
        facts = self.page.value(shown)
        expect("step" in facts, f"expected the step of the job that runs, found: {facts}")
        self.page.wait(f"{shown} !== {facts!r}", "the job that runs is seen to get on", 60)
        count = self.jobs()
        for name in ["page-test-1", "page-test-2"]:
            self.page.value("document.querySelector('#submit [name=configuration]').focus()")
            self.page.type(f"name: {name}\ncorpus: {{sampleLines: 2000}}\n")
            self.press_button("#submit .primary")
            # Pressed twice, it is sent once.
            self.page.press("Enter")
            count += 1
            self.page.wait(f"document.querySelectorAll('.job').length === {count}", f"{name} is in the queue")
            # The answer empties the form.
            self.is_answered("#submit .primary")
            expect(self.jobs() == count, f"expected {count} jobs, found {self.jobs()}")
        mine = "[...document.querySelectorAll('.job')].filter((job) => job.textContent.includes('page-test-'))"
        order = f"{mine}.map((job) => job.querySelector('.title').textContent.split('page-')[1]).join()"
        expect(self.page.value(order) == "test-1,test-2", f"expected the order of submission: {self.page.value(order)}")
        self.press_button("[aria-label='Move up page-test-2']")
        self.page.wait(f"{order} === 'test-2,test-1'", "a run moves up in the queue")
        focused = self.page.value("document.activeElement.getAttribute('aria-label')")
        expect(focused == "Move up page-test-2", f"expected the focus to stay on the button, it is on {focused}")
        for name in ["page-test-1", "page-test-2"]:
            self.press_button(f"[aria-label='Cancel {name}']")
            self.page.wait("document.querySelector('dialog[open]')", "cancelling asks first")
            self.press_button("dialog [value=yes]")
            self.page.wait(
                f"{mine}.find((job) => job.textContent.includes({name!r})).textContent.includes('cancelled')",
                f"{name} is cancelled",
            )
        self.clear_messages()
        passed("the queue takes, moves and cancels runs")

    def jobs(self):
        return self.page.value("document.querySelectorAll('.job').length")

    # MARK: How it looks

    def pictures(self):
        self.page.value("document.activeElement.blur(), scrollTo(0, 0)")
        for name, screen in {
            "desktop-light": (1360, 900, "light"), "desktop-dark": (1360, 900, "dark"),
            "wide": (1920, 1080, "light"), "phone-light": (390, 844, "light", True),
            "phone-dark": (390, 844, "dark", True), "narrow": (320, 640, "dark", True),
        }.items():  # fmt: skip
            self.page.screen(*screen)
            time.sleep(0.5)
            width = self.page.value("document.documentElement.scrollWidth")
            expect(width <= screen[0], f"expected nothing wider than {screen[0]} pixels, found {width}")
            self.picture(name)
        self.page.screen(1360, 900)
        passed("fits screens from 320 to 1920 pixels, light and dark")

    def picture(self, name):
        if self.screenshots:
            self.page.picture(self.screenshots / f"{name}.png")

    # MARK: Losing the daemon

    def catches_up_after_an_interruption(self):
        step = self.last_step()
        begin = time.time()
        self.tunnel.cut()
        self.page.wait("document.body.dataset.connection === 'lost'", "the loss of the connection is told")
        self.picture("lost")
        # Long enough for rows to be missed.
        time.sleep(4)
        self.tunnel.mend()
        self.is_live()
        self.away.append((begin, time.time()))
        shown = self.page.value(f"curves.training.steps.filter((step) => step > {step})")
        there = self.page.value(f"ask('GET', '/v1/curves?points=20000&after={step}').then((all) => all.training.step)")
        expect(len(shown) > 0 and shown == there[: len(shown)], f"expected the rows {there}, the page has {shown}")
        passed(f"catches up after an interruption: {len(shown)} rows")

    def comes_back_after_a_restart(self):
        step = self.last_step()
        begin = time.time()
        self.page.value("""
            window.connections = [];
            new MutationObserver(() => connections.push(document.body.dataset.connection))
              .observe(document.body, { attributes: true })
        """)
        output = subprocess.run(self.restart, shell=True, check=True, timeout=120, stdout=subprocess.PIPE, text=True)
        self.page.wait("connections.includes('lost')", "the loss of the daemon is told")
        links = [word for word in output.stdout.split() if "/login?" in word]
        if links:
            # The login is all browser's: the page, which is not told of it, goes on by itself.
            other = self.browser.page()
            other.open(self.through_tunnel(links[-1]))
            other.wait("document.body.dataset.connection === 'live'", "the new login is good")
        self.is_live()
        self.away.append((begin, time.time()))
        if links:
            other.close()
        self.page.wait(f"curves.training.lastStep > {step}", "curves go on where they were", 120)
        steps = self.page.value("curves.training.steps")
        expect(all(a < b for a, b in zip(steps, steps[1:], strict=False)), "each step is in the curves once, in order")
        passed(f"comes back after a restart: step {step} before, {steps[-1]} now")

    def logged_out_is_told(self):
        begin = time.time()
        self.page.call("Network.clearBrowserCookies")
        self.page.value("document.getElementById('checkpoint').click()")
        text = self.answer("lockstep view")
        self.away.append((begin, time.time() + 1))
        passed(f"a login that is gone is told: {text}")

    # MARK: The whole time

    def no_errors_and_no_strangers(self):
        time.sleep(1)
        errors = [
            error
            for error in self.page.errors
            if not (error[1] == "network" and any(begin <= error[0] <= end for begin, end in self.away))
        ]
        expect(not errors, f"expected no errors in the console, found {errors}")
        strangers = [each for each in self.page.requests if not each.startswith(("data:", self.origin + "/"))]
        expect(not strangers, f"expected requests to {self.origin} alone, found {strangers}")
        passed(f"no errors; {len(self.page.requests)} requests, all to {self.origin}")


def link(command):
    """The first login link that a command prints."""
    told = subprocess.run(command, shell=True, check=True, timeout=120, stdout=subprocess.PIPE, text=True).stdout
    links = [word for word in told.split() if "/login?" in word]
    expect(links, f"expected a login link of {command}, found: {told}")
    return links[0]


def passed(text):
    print(f"ok  {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("view", help="shell command that prints a login link of a daemon with a run under way")
    parser.add_argument("--restart", help="shell command that restarts the daemon at the same address")
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the page")
    parser.add_argument("--browser", default="chromium", help="the program (default: chromium)")
    parser.add_argument("--seconds", type=int, default=600, help="limit for everything (default: 600)")
    options = parser.parse_args()
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    if shutil.which(options.browser) is None:
        sys.exit(f"page_test.py: expected {options.browser} on PATH; on Debian its package is chromium")

    def too_late(*_):
        raise AssertionError(f"expected everything within {options.seconds} s")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(options.seconds)
    with Browser(options.browser) as browser:
        test = PageTest(browser, link(options.view), options.restart, options.screenshots)
        try:
            test.run()
        except (AssertionError, RuntimeError) as error:
            test.picture("failure")
            sys.exit(f"FAILED  {error}")


if __name__ == "__main__":
    main()
