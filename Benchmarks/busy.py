#!/usr/bin/env python3
"""How much of its quiet speed Lockstep keeps beside other programs, and how much PyTorch keeps of its own.

The other programs are loops of the shell that never wait, one for each of 0, 1, 2 and 4. Three ways to train are measured: on
two ranks, as in training.py; and both programs as one process of two threads. Then `lockstep score`, `evaluate` and
`generate`, from their start to their end, with a small model that is trained before. All take turns: within each round every
program runs once beside each number of loops. Prints, for each, the quiet speed and the medians of what it keeps:

    Benchmarks/busy.py --python venv/bin/python --pairs 3
    Benchmarks/busy.py --python venv/bin/python --pairs 1 --seconds 2 --rows 1 --without-commands

The speed of training is that of the mean step: the median would not see the steps that a busy core delays. A process that
computes on one core of C, beside K others on the same machine, has a fair share of min(1, C / (K + 1)); one that has all C
cores, of C / (K + C). PyTorch's ranks are not bound to cores here, which is better for them beside others. Needs PyTorch
(reference/requirements.txt), lockstep and lockstepd (launch/build). Takes half an hour, on a machine where nothing else runs.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from training import PROGRAMS, RANKS, SHAPES, TOP, Progress, checked, fail, lockstep, measure_once, parser_of_programs
from training import row_numbers, with_lanes

LOOPS = (0, 1, 2, 4)
WAYS = {  # of training; "lockstep-alone" is one process of two threads, as `lockstep train` is
    "ddp": "PyTorch on two ranks", "lockstep": "Lockstep on two ranks",
    "alone": "PyTorch, one process", "lockstep-alone": "Lockstep, one process",
}
COMMAND_SECONDS = 300  # one that takes longer has failed
LINES = 300  # to score


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("busy.py: asked to end"))  # not without ending what runs
    commands = {} if arguments.without_commands else COMMANDS
    progress = Progress(arguments.pairs * len(LOOPS) * (len(arguments.rows) * len(WAYS) + len(commands)))
    told = []
    with tempfile.TemporaryDirectory(prefix="lockstep-busy-") as folder:
        for number in arguments.rows:
            told.append(measure_training(arguments, SHAPES[number - 1], progress))
        if commands:
            told.append(measure_commands(arguments, prepare(arguments, folder), commands, progress))
    if arguments.format == "json":
        print(json.dumps({"loops": LOOPS, "pairs": arguments.pairs, "rows": told}, indent=1))


def parse():
    parser = parser_of_programs(__doc__)
    parser.set_defaults(pairs=3, seconds=2)
    parser.add_argument("--rows", type=row_numbers, default=[1, 2, 4], help="shapes of training.py, as in 1,2,4")
    parser.add_argument("--lockstep", help="the program; without it, the one beside lockstepd")
    parser.add_argument("--bound", action="store_true", help="bind PyTorch's ranks to a core each")
    parser.add_argument("--without-commands", action="store_true", help="measure training alone")
    arguments = checked(parser)
    arguments.lockstep = arguments.lockstep or os.path.join(os.path.dirname(arguments.lockstepd), "lockstep")
    return arguments


@contextlib.contextmanager
def loops(count):
    """Programs that compute all the time, for as long as the block lasts."""
    processes = []
    try:
        for _ in range(count):
            processes.append(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
        time.sleep(0.2 if count else 0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


# MARK: Training


def measure_training(arguments, shape, progress):
    speeds = {way: {count: [] for count in LOOPS} for way in WAYS}
    for pair in range(arguments.pairs):
        for count in LOOPS:
            for way in WAYS if pair % 2 == 0 else list(WAYS)[::-1]:
                progress.tell(f"{shape}, round {pair + 1} of {arguments.pairs}, {count} loops, {WAYS[way]}")
                with loops(count):
                    speeds[way][count].append(1 / train(arguments, way, shape)["meanStepSeconds"])
                progress.done += 1
    show(arguments, f"{shape.replace('x', ' x ').replace(',', ', ')}: steps a second", WAYS, speeds)
    return {"shape": shape, "speeds": speeds}


def train(arguments, way, shape):
    """As many steps as take some seconds: beside others, fewer."""
    if way in PROGRAMS:
        return measure_once(way, arguments, shape, 0, arguments.bound)
    return lockstep(arguments, with_lanes(shape, RANKS), 0, 1, RANKS)


# MARK: Other commands


def prepare(arguments, folder):
    """A model and what it is to read, in the folder."""
    settings = ["name=busy", "corpus.sampleLines=3000", "training.epochs=1", "model.hiddenSizes=[200, 200]",
                "model.embeddingSize=200", "generation.length=10"]
    run(arguments, folder, ["train", f"{TOP}/configs/default.yaml"] + [part for each in settings for part in ("--set", each)])
    text = run(arguments, folder, ["generate", "checkpoints/busy", "--length", "6000", "--temperature", "1"])
    lines = (text.strip() + "\n").splitlines(keepends=True)
    for name, content in (("lines.txt", (lines * LINES)[:LINES]), ("text.txt", lines * 2)):
        with open(os.path.join(folder, name), "w") as file:
            file.writelines(content)
    return folder


COMMANDS = {
    "score": ["score", "checkpoints/busy", "lines.txt"],
    "evaluate": ["evaluate", "checkpoints/busy", "text.txt"],
    "generate": ["generate", "checkpoints/busy", "--length", "6000"],
}


def measure_commands(arguments, folder, commands, progress):
    speeds = {name: {count: [] for count in LOOPS} for name in commands}
    for pair in range(arguments.pairs):
        for count in LOOPS:
            for name, command in commands.items():
                progress.tell(f"round {pair + 1} of {arguments.pairs}, {count} loops, lockstep {name}")
                with loops(count):
                    begun = time.monotonic()
                    run(arguments, folder, command)
                    speeds[name][count].append(1 / (time.monotonic() - begun))
                progress.done += 1
    show(arguments, "commands: times a second", {name: f"lockstep {name}" for name in commands}, speeds)
    return {"shape": "commands", "speeds": speeds}


def run(arguments, folder, command):
    """What `lockstep` writes."""
    command = [arguments.lockstep] + command
    # Its own choice of threads is measured.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        fail(command, f"was not finished after {COMMAND_SECONDS} s")
    if done.returncode != 0:
        fail(command, f"ended with status {done.returncode}: {done.stderr}")
    return done.stdout


# MARK: Output


def show(arguments, title, names, speeds):
    if arguments.format != "text":
        return
    print(f"| {title} | quiet |" + "".join(f" beside {count} |" for count in LOOPS[1:]))
    print("|---" * (len(LOOPS) + 1) + "|")
    for key, name in names.items():
        quiet = speeds[key][0]
        # Of each round, what it kept of that round's own quiet speed.
        kept = [statistics.median(busy / alone for busy, alone in zip(speeds[key][count], quiet)) for count in LOOPS[1:]]
        print(f"| {name} | {statistics.median(quiet):.3g} |" + "".join(f" {100 * share:.0f} % |" for share in kept))
    print(flush=True)


if __name__ == "__main__":
    main()
