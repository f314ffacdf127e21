#!/usr/bin/env python3
"""How long from mpirun's start to the first finished step of the default run, its corpus prepared.

Every round starts a new run of configs/default.yaml, on two ranks of one thread, takes the time at which each event of
its JSON log appears, the first step among them, and stops it. The same round times `mpirun` with a program that does
nothing, and the import of PyTorch, with which a training in it begins. Medians, and the fastest and the slowest:

    Benchmarks/start.py --python venv/bin/python --rounds 10

All of it runs with files in memory as earlier runs left them there. Needs both programs (launch/build), and for
--python a Python that has PyTorch (reference/requirements.txt).
"""

import argparse
import json
import os
import selectors
import signal
import statistics
import subprocess
import sys
import tempfile
import time

RANKS = 2
FIRST_STEP = "step"
EVENTS = {  # of the log, in their order, and what has been done when each is told
    "configuration": "MPI is up, the configuration read",
    "model": "the corpus opened, the model made, its first checkpoint begun",
    FIRST_STEP: "the first step finished",
}
RUN_SECONDS = 120  # what takes longer has failed
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The environment of launch/ is what lets mpirun start ranks everywhere.
MPIRUN = ["bash", "-c", 'source "$0" && exec "$@"', f"{TOP}/launch/environment.sh",
          "mpirun", "-n", str(RANKS), "--bind-to", "core"]
IMPORT = "import torch"


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="lockstep-start-") as folder:
        first_step(arguments, folder, "prepares-the-corpus")
        runs, bare, imports = [], [], []
        for number in range(arguments.rounds):
            runs.append(first_step(arguments, folder, f"run-{number}"))
            bare.append(seconds_of([*MPIRUN, "true"]))
            if arguments.python:
                imports.append(seconds_of([arguments.python, "-c", IMPORT]))
    rows = {f"mpirun -n {RANKS} true": bare}
    rows.update({what: [run[event] for run in runs] for event, what in EVENTS.items()})
    if imports:
        rows[f"python -c '{IMPORT}'"] = imports
    if arguments.format == "json":
        print(json.dumps(rows, indent=1))
        return
    print(f"medians of {arguments.rounds} rounds, {RANKS} ranks\n")
    print("| seconds from the start until | median | fastest to slowest |")
    print("|---|---|---|")
    for what, seconds in rows.items():
        print(f"| {what} | {statistics.median(seconds):.3f} | {min(seconds):.3f} to {max(seconds):.3f} |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--lockstepd", default=f"{TOP}/.build/release/lockstepd", help="the program")
    parser.add_argument("--python", help="a Python that has PyTorch")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: expected at least one")
    if not os.access(arguments.lockstepd, os.X_OK):
        parser.error(f"there is no program {arguments.lockstepd}: build it (launch/build) or name it (--lockstepd)")
    return arguments


def first_step(arguments, folder, name):
    """Trains a new run until its first step; seconds until each of EVENTS was told."""
    command = [*MPIRUN, os.path.abspath(arguments.lockstepd), "run", f"{TOP}/configs/default.yaml",
               "--log-format", "json", "--set", f"name={name}"]
    begun = time.perf_counter()
    # What mpirun says of runs that are stopped is of no interest; what is said of those that fail is.
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=complaints, env=environment())
        try:
            seen = {}
            for line in lines(process.stdout, begun + RUN_SECONDS):
                seen.setdefault(json.loads(line)["event"], time.perf_counter() - begun)
                if FIRST_STEP in seen:
                    break
        finally:
            stop(process)
        if any(event not in seen for event in EVENTS):
            complaints.seek(0)
            fail(command, f"expected the events {', '.join(EVENTS)} within {RUN_SECONDS} s, found "
                 f"{', '.join(seen) or 'none'} and status {process.returncode}:\n{complaints.read()}")
    return seen


def lines(pipe, deadline):
    """Lines as they come, until the end or the deadline."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0, deadline - time.perf_counter())):
            part = os.read(pipe.fileno(), 65536)
            if not part:
                return
            *whole, rest = (rest + part).split(b"\n")
            yield from whole


def stop(process):
    """Lets the training save and end, reading what it still says; ends it by force when it does not."""
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                pass


def seconds_of(command):
    """How long a command takes."""
    begun = time.perf_counter()
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment(),
                                timeout=RUN_SECONDS).returncode
    except FileNotFoundError:
        fail(command, f"there is no program {command[0]}: expected a Python with PyTorch")
    except subprocess.TimeoutExpired:
        fail(command, f"was not finished after {RUN_SECONDS} s: see what else runs on this machine")
    if status != 0:
        fail(command, f"ended with status {status}: what it says of it is above")
    return time.perf_counter() - begun


def environment():
    return dict(os.environ, OMP_NUM_THREADS="1")


def fail(command, what):
    sys.exit(f"start.py: {' '.join(command)}\n{what}")


if __name__ == "__main__":
    main()
