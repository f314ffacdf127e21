#!/usr/bin/env python3
"""How fast Lockstep trains, beside PyTorch.

Lockstep has two ranks of one thread, as `launch/train` starts them. PyTorch has the same lanes twice over: as two ranks of
one thread, each on a core of its own, with DistributedDataParallel over gloo, and as what a user of one machine would
start, one process of two threads. 32 bits, random tokens; clipping and a step of plain SGD are part of a step. The programs
take turns, whose order alternates; all make as many steps. PyTorch is started by reference/ddp.py, Lockstep with
`mpirun lockstepd benchmark`. Prints a table with medians over the turns:

    Benchmarks/training.py --python venv/bin/python --pairs 5
    Benchmarks/training.py --python venv/bin/python --rows 1,3 --format json > training.json

Operations are counted as 6 (L 8 H^2 + H V) B T for a step of a rank: L layers of H, V tokens, B lanes of T steps. The
ratio is that of the median steps of a turn, to the way of PyTorch that is the faster one at this shape. The peak is that of
matrix products on both cores at once, which each program measures in the same run with its own library. Memory is the peak
resident memory of the larger rank. Needs PyTorch (reference/requirements.txt) and lockstepd (launch/build); takes fifteen
minutes when nothing else runs, and tells little when something does: busy.py measures that.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time

RANKS = 2
RUN_SECONDS = 400  # a run that takes longer has failed
SHAPES = [  # layers x hidden size, vocabulary, lanes of a rank, steps of a window
    "2x128,65,16,64",
    "2x200,10000,10,35",
    "2x200,10000,20,35",
    "2x650,10000,10,35",
    "2x512,65,32,64",
    "2x1500,10000,10,35",
]
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = os.path.basename(sys.argv[0])
PROGRAMS = ("ddp", "alone", "lockstep")
HEADER = """\
| layers x hidden, vocabulary, lanes of a rank, steps | PyTorch on two ranks, GFLOP/s (of the peak) \
| PyTorch as one process | Lockstep | ratio to the faster (of the turns) \
| PyTorch, MB of a rank | Lockstep, MB of a rank | ratio |
|---|---|---|---|---|---|---|---|"""


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"{NAME}: asked to end"))  # not without ending what runs
    progress = Progress(len(arguments.rows) * arguments.pairs * len(PROGRAMS))
    rows = []
    for number in arguments.rows:
        row = measure(arguments, SHAPES[number - 1], progress)
        if arguments.format == "text":
            if not rows:
                print(f"PyTorch {row['ddp'][0]['pytorch']}; medians of {arguments.pairs} turns\n\n{HEADER}")
            print(line(row), flush=True)
        rows.append(row)
    if arguments.format == "json":
        print(json.dumps({"ranks": RANKS, "pairs": arguments.pairs, "rows": rows}, indent=1))


def parse():
    parser = parser_of_programs(__doc__)
    parser.add_argument("--rows", type=row_numbers, default=list(range(1, len(SHAPES) + 1)),
                        help="of the table, as in 1,3; all without it")
    return checked(parser)


def parser_of_programs(description):
    """Options that say which programs are measured, and how long."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=positive, default=5, help="runs of each program")
    parser.add_argument("--seconds", type=float, default=4, help="about how long PyTorch's steps of a run take")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--lockstepd", default=f"{TOP}/.build/release/lockstepd", help="the program")
    parser.add_argument("--plain-malloc", action="store_true", help="as reference/ddp.py has it")
    parser.add_argument("--as-it-comes", action="store_true", help="PyTorch without settings, as reference/ddp.py has it")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser


def checked(parser):
    """The arguments, if the machine has what they need."""
    arguments = parser.parse_args()
    if not os.access(arguments.lockstepd, os.X_OK):
        parser.error(f"there is no program {arguments.lockstepd}: build it (launch/build) or name it (--lockstepd)")
    if len(os.sched_getaffinity(0)) < RANKS:
        parser.error(f"expected {RANKS} cores, found {len(os.sched_getaffinity(0))}: the ranks would share one")
    return arguments


def positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}': expected a whole number from 1 on")
    return int(text)


def row_numbers(text):
    numbers = [positive(part) for part in text.split(",")]
    if max(numbers) > len(SHAPES) or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"'{text}': expected different rows of 1 to {len(SHAPES)}, as in 1,3")
    return numbers


def measure(arguments, shape, progress):
    """What all programs say of a shape, run by run."""
    steps = None  # the first run of PyTorch says how many make the seconds asked for
    runs = {program: [] for program in PROGRAMS}
    for pair in range(arguments.pairs):
        for program in PROGRAMS if pair % 2 == 0 else PROGRAMS[::-1]:
            progress.tell(f"{shape}, turn {pair + 1} of {arguments.pairs}, {program}")
            run = measure_once(program, arguments, shape, steps)
            steps = steps or run["steps"]
            runs[program].append(run)
            progress.done += 1
    faster = min(("ddp", "alone"), key=lambda program: statistics.median(run["stepSeconds"] for run in runs[program]))
    ratios = [theirs["stepSeconds"] / ours["stepSeconds"] for theirs, ours in zip(runs[faster], runs["lockstep"])]
    return {"shape": shape, "faster": faster, "ratios": ratios, **runs}


def measure_once(program, arguments, shape, steps, bound=True):
    """A run of a program; `steps` None: as many as take the seconds asked for. Lanes of `shape` are those of a rank, of two."""
    if program == "lockstep":
        return lockstep(arguments, shape, steps)
    if program == "ddp":
        return pytorch(arguments, shape, steps, RANKS, 1, bound)
    return pytorch(arguments, with_lanes(shape, RANKS), steps, 1, RANKS, bound)


def with_lanes(shape, times):
    """The shape with so many times as many lanes."""
    sizes, vocabulary, lanes, steps = shape.split(",")
    return f"{sizes},{vocabulary},{int(lanes) * times},{steps}"


def pytorch(arguments, shape, steps, ranks, threads, bound):
    command = [arguments.python, f"{TOP}/Benchmarks/reference/ddp.py", "--shape", shape, "--ranks", str(ranks),
               "--threads", str(threads)]
    command += ["--steps", str(steps)] if steps else ["--seconds", str(arguments.seconds)]
    command += [option for option, asked in (("--plain-malloc", arguments.plain_malloc),
                                             ("--as-it-comes", arguments.as_it_comes), ("--unbound", not bound)) if asked]
    return answer(command, threads, tries=2)  # PyTorch 2.15 was seen to damage its heap


def lockstep(arguments, shape, steps, ranks=RANKS, threads=1):
    # The environment of launch/ is what lets mpirun start ranks everywhere.
    command = ["bash", "-c", 'source "$0" && exec "$@"', f"{TOP}/launch/environment.sh",
               "mpirun", "-n", str(ranks), "--map-by", f"slot:PE={threads}",
               arguments.lockstepd, "benchmark", "--shape", shape, "--steps", str(steps), "--format", "json"]
    told = answer(command, threads)
    keys = ("ranks", "threads", "steps", "stepSeconds", "meanStepSeconds", "gflops", "shareOfPeak", "peakResidentBytes")
    if not isinstance(told, list) or len(told) != 1 or any(key not in told[0] for key in keys):
        fail(command, f"expected a list of one object with {', '.join(keys)}, found {json.dumps(told)[:300]}: "
             "build the program again (launch/build)")
    if (told[0]["ranks"], told[0]["threads"]) != (ranks, threads):
        fail(command, f"expected {ranks} ranks, threads each: {threads}; found {told[0]['ranks']} of {told[0]['threads']}: "
             "is the program linked with another MPI than the mpirun on PATH?")
    return told[0]


def answer(command, threads, tries=1):
    """What a program prints, as JSON; its complaints are shown as they come. One that fails is tried so often."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
    try:
        told, _ = process.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        fail(command, f"was not finished after {RUN_SECONDS} s: expected about --seconds {RUN_SECONDS // 100}; "
             "measure less, or see what else runs on this machine")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0 and tries > 1:
        print(f"{NAME}: {' '.join(command)}\nended with status {process.returncode}: once more", file=sys.stderr)
        return answer(command, threads, tries - 1)
    if process.returncode != 0:
        fail(command, f"ended with status {process.returncode}: what it says of it is above")
    try:
        return json.loads(told)
    except ValueError:
        fail(command, f"expected JSON, found {told[:300]!r}")


def fail(command, what):
    sys.exit(f"{NAME}: {' '.join(command)}\n{what}")


def line(row):
    """A row of the table."""
    def median(program, value):
        return statistics.median(value(run) for run in row[program])

    def speed(program):
        share = 100 * median(program, lambda run: run["shareOfPeak"])
        return f"{median(program, lambda run: run['gflops']):.0f} ({share:.0f} %)"

    def memory(program):
        return median(program, lambda run: max(run["peakResidentBytes"]) / 1e6)

    ratios = row["ratios"]
    return (f"| {row['shape'].replace('x', ' x ').replace(',', ', ')} "
            f"| {speed('ddp')} | {speed('alone')} | {speed('lockstep')} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {memory('ddp'):.0f} | {memory('lockstep'):.0f} | {memory('lockstep') / memory('ddp'):.2f} |")


class Progress:
    """Says on standard error what is being done and about how long the rest takes."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.begun = time.monotonic()

    def tell(self, what):
        passed = time.monotonic() - self.begun
        left = ""
        if self.done:
            minutes, seconds = divmod(round(passed / self.done * (self.total - self.done)), 60)
            left = f", about {minutes}m{seconds:02}s left"
        print(f"{what} (run {self.done + 1} of {self.total}{left})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
