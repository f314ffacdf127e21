#!/usr/bin/env python3
"""What a training step costs on many hosts: a model, fitted to measurements here and used for what is not here.

    sudo Benchmarks/scaling.py measure > scaling.json    # ten minutes; on hosts made by launch/simulate-cluster
    Benchmarks/scaling.py fit scaling.json               # constants, and every measurement beside its prediction
    Benchmarks/scaling.py predict                        # 64 to 1,024 ranks

The model. Going backward, a rank hands buckets of its gradient to the link, which takes one after the other, at a share
of its speed (`hidden`) while the rank computes; what has not arrived when the last layer is done is waited for. The sum
of b bytes over n hosts takes

    max(f (1 + wait log2 n) b / (payload rate), cpu 2 (n - 1) b / cores, cpu f b) + message rounds

with 2 log2 n rounds. f is how often a link carries the bytes: 2 (n - 1) / n where they are scattered by halves and
gathered again (Rabenseifner), 2 log2 n where they go up a tree and down again, which is what Open MPI does with a sum
in place unless told otherwise. In each level a rank waits for another one, which costs `wait` of the time. `cpu` is
what sending, receiving and adding a byte takes of a core, `message` what a message costs, `convert` what a number costs
that is exchanged in half precision. Buckets are on their way together, so that the latency of the rounds counts once a
step.

Where ranks exceed cores they take turns: compute takes ranks / cores times as long, and each round waits a `turn` for
each further rank of a core. `beside` is by how much ranks on different cores slow each other down. Few lanes wait for
the weights to be read, which takes as long as `fixed lanes` more would. Bytes: all parameters but the embedding's, and
of it the rows of different tokens, V (1 - (1 - 1/V)^N) of N drawn evenly.
"""

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLUSTER = "scaling"
RUN_SECONDS = 200  # a run that takes longer has failed
CORES = len(os.sched_getaffinity(0))
ALGORITHMS = {"tree": "0", "reduce-scatter": "3"}  # coll_libnbc_iallreduce_algorithm; 0: Open MPI's choice, a tree
SHAPE, BUCKET = "2x200,2000,10,35", 1 << 18  # small enough for slow links; buckets of 1 MB
OPTION_SHAPES = ("2x200,10000,10,35", "2x650,10000,10,35")
OPTIONS = [{}, {"overlap": "false"}, {"touchedRows": "false"}, {"exchange": "half"},
           {"bucketSize": str(1 << 14)}, {"bucketSize": str(1 << 17)}]
FITTED = {OPTION_SHAPES[0]: [{"exchange": "half"}], OPTION_SHAPES[1]: [{}, {"overlap": "false"}]}
LANES = ("2x650,10000,20,35", "2x650,10000,5,35", "2x650,10000,1,35")  # one rank, with ever fewer lanes
BYTES = 4  # of a number of the gradient; two travel with half precision, and are what the benchmark counts then


# --- Measuring. ---

def points():
    """What is measured: a benchmark's shape and settings, ranks of one host each, their link."""
    yield asked(1, "none", SHAPE)
    for shape in OPTION_SHAPES:
        yield asked(1, "none", shape)
    for shape in LANES:
        yield asked(1, "none", shape)
    for ranks in (2, 4, 8):
        for rate in ("none", "1gbit", "300mbit", "100mbit"):
            yield asked(ranks, rate, SHAPE, bucketSize=str(BUCKET))
        for rate in ("1gbit", "300mbit"):
            yield asked(ranks, rate, SHAPE, "tree", bucketSize=str(BUCKET))
    for rate in ("1gbit", "300mbit"):
        yield asked(2, rate, SHAPE, bucketSize=str(BUCKET), overlap="false")
    for bucket in (1 << 10, 1 << 14):
        yield asked(2, "1gbit", SHAPE, bucketSize=str(bucket))
    for shape in OPTION_SHAPES:
        for settings in OPTIONS:
            yield asked(2, "1gbit", shape, **settings)
        for settings in OPTIONS[:2]:
            yield asked(2, "1gbit", shape, "tree", **settings)


def asked(ranks, rate, shape, algorithm="reduce-scatter", **settings):
    return {"ranks": ranks, "rate": rate, "shape": shape, "algorithm": algorithm, "settings": settings}


def measure(arguments):
    if os.geteuid() != 0:
        sys.exit("scaling.py: measure makes hosts of namespaces, which takes root; use: sudo Benchmarks/scaling.py …")
    if not os.access(arguments.lockstepd, os.X_OK):
        sys.exit(f"scaling.py: there is no program {arguments.lockstepd}: build it (launch/build) or name it "
                 "(--lockstepd)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scaling.py: asked to end"))  # not without ending the hosts
    wanted = list(points())
    measured = []
    cluster("up", str(max(each["ranks"] for each in wanted)))
    try:
        cluster("copy", arguments.lockstepd)
        rate = "none"
        for number, each in enumerate(wanted):
            print(f"{number + 1} of {len(wanted)}: {json.dumps(each)}", file=sys.stderr, flush=True)
            if each["rate"] != rate:
                rate = each["rate"]
                cluster("link", "all", "--rate", rate)
            measured.append({**each, **benchmark(arguments, each)})
    finally:
        cluster("down")
    print(json.dumps({"cores": CORES, "points": measured}, indent=1))


def cluster(*words):
    """Output of a command of launch/simulate-cluster."""
    # The environment of launch/ is what lets mpirun start ranks everywhere.
    command = ["bash", "-c", 'source "$0" && exec "$@"', f"{TOP}/launch/environment.sh",
               f"{TOP}/launch/simulate-cluster", "--name", CLUSTER, *words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        sys.exit(f"scaling.py: {' '.join(words)}\nwas not finished after {RUN_SECONDS} s: see what else runs here")
    if done.returncode != 0:
        sys.exit(f"scaling.py: {' '.join(words)}\nended with status {done.returncode}: what it says of it is above")
    return done.stdout


def benchmark(arguments, each):
    # Ranks that wait let others have the core: hosts share them here, which mpirun cannot know.
    told = cluster(
        "run", "head", "mpirun", "--hostfile", "hosts", "-n", str(each["ranks"]), "-x", "OMP_NUM_THREADS=1",
        "--mca", "mpi_yield_when_idle", "1", "--mca", "coll_libnbc_iallreduce_algorithm", ALGORITHMS[each["algorithm"]],
        f"./{os.path.basename(arguments.lockstepd)}", "benchmark", "--shape", each["shape"], "--format", "json",
        "--steps", str(arguments.steps),
        *(word for key, value in each["settings"].items() for word in ("--set", f"training.{key}={value}")))
    run = json.loads(told)[0]
    if run["ranks"] != each["ranks"]:
        sys.exit(f"scaling.py: expected {each['ranks']} ranks, found {run['ranks']}: is the program linked with "
                 "another MPI than the mpirun on PATH?")
    return run


# --- The model. ---

class Shape:
    """A model and what a rank reads of a text in a step."""

    def __init__(self, text):
        size, vocabulary, lanes, steps = text.split(",")
        self.layers, self.hidden = map(int, size.split("x"))
        self.vocabulary, self.lanes, self.steps = int(vocabulary), int(lanes), int(steps)

    @property
    def layer(self):
        """Parameters of a recurrent layer: two matrices and a bias."""
        return 8 * self.hidden ** 2 + 4 * self.hidden

    @property
    def output(self):
        return self.vocabulary * (self.hidden + 1)

    @property
    def operations(self):
        """Of a step of a rank: recurrent, and of the output layer."""
        each = 6 * self.lanes * self.steps
        return each * self.layers * 8 * self.hidden ** 2, each * self.hidden * self.vocabulary

    def rows(self, ranks, draw, touched=True):
        """Rows of the embedding that are exchanged: those of different tokens of all ranks, where they are few."""
        tokens = ranks * self.lanes * self.steps
        return draw(self.vocabulary, tokens) if touched and 2 * tokens <= self.vocabulary else self.vocabulary


def even(vocabulary, tokens):
    """Different tokens among so many, each as probable."""
    return vocabulary * (1 - (1 - 1 / vocabulary) ** tokens)


def zipf(vocabulary, tokens):
    """Different tokens among so many of a text, in which the r-th most frequent is 1/r as frequent as the first."""
    whole = sum(1 / rank for rank in range(1, vocabulary + 1))
    return sum(1 - math.exp(-tokens / (rank * whole)) for rank in range(1, vocabulary + 1))


def levels(hosts):
    return math.ceil(math.log2(hosts))


def sum_seconds(size, hosts, algorithm, link):
    """For which the sum of so many bytes over all hosts keeps a link busy."""
    carried = 2 * (hosts - 1) / hosts if algorithm == "reduce-scatter" else 2 * levels(hosts)
    wire = carried * (1 + link["wait"] * levels(hosts)) * size * 8 / link["rate"] if link["rate"] else 0
    # All of it on all cores, and what passes through the busiest rank on one.
    busy = link["cpu"] * size * max(2 * (hosts - 1) / link["cores"], carried)
    return max(wire, busy) + 2 * levels(hosts) * link["message"]


def step_seconds(compute, buckets, hosts, algorithm, link, rest=0):
    """Seconds of a step. `compute`: until the output layer's gradient is there, of each recurrent layer from the top,
    of the update. `buckets`: for each of these but the last, the bytes of buckets that leave then. `rest`: what else
    is waited for before the update."""
    now, free, last = 0, 0, sum(compute[:-1])
    for seconds, leaving in zip(compute, buckets):
        now += seconds
        for size in leaving:
            begin, busy = max(now, free), sum_seconds(size, hosts, algorithm, link)
            if algorithm == "tree" and free == 0 and now < last:
                busy /= 2  # the first bucket that leaves early comes down while others go up
            beside = link["hidden"] * max(0, last - begin)  # as much of it is done when the last layer is
            free = begin + busy / link["hidden"] if busy <= beside else max(begin, last) + busy - beside
    return max(last, free) + 2 * levels(hosts) * link["latency"] + rest + compute[-1]


def departures(shape, row_bytes, bucket, overlap, number):
    """Bytes of the buckets that leave after the output layer and after each recurrent layer; `number` bytes each."""
    leaving, left = [], 0
    for count in [shape.output] + [shape.layer] * shape.layers:
        left += count
        full = left // bucket if overlap else 0
        leaving.append([bucket * number] * full)
        left -= full * bucket
    leaving[-1] += [bucket * number] * (left // bucket) + [left % bucket * number] * (left % bucket > 0)
    leaving[-1] += [row_bytes * number / BYTES] * (row_bytes > 0)
    return leaving


# --- Fitting. ---

PAYLOAD = 1448 / 1514  # of a packet of TCP over Ethernet
# As a fit has found them, and where the next begins.
CONSTANTS = {"cpu": 5.9e-10, "message": 4.8e-6, "turn": 2.7e-3, "wait": 0.034, "beside": 1.44, "hidden": 0.53,
             "convert": 1.7e-9}
HEADER = """\
| shape | hosts | link | sum | settings | MB of a rank (expected) | step, ms | predicted | error \
| exchange by itself, ms | predicted | error |
|---|---|---|---|---|---|---|---|---|---|---|---|"""
FAR_SHAPES = ("2x1500,10000,20,35", "2x2048,100000,20,35")  # ptb-large; a billion words
RATES = {"k": 1e3, "m": 1e6, "g": 1e9}


def bits(rate):
    return None if rate == "none" else int(rate[:-4]) * RATES[rate[-4]]


def predicted(point, alone, constants, cores):
    """Seconds of a step and of an exchange by itself, of a measured point, from one of the same shape on one rank."""
    shape, ranks, settings = Shape(point["shape"]), point["ranks"], point["settings"]
    turns = max(1, ranks / cores) * (constants["beside"] if ranks > 1 else 1)
    parts = alone["breakdown"]
    backward = parts["recurrentBackward"] / shape.layers
    before = alone["stepSeconds"] - parts["recurrentBackward"] - parts["update"]
    compute = [turns * seconds for seconds in [before] + [backward] * shape.layers + [parts["update"]]]
    dense = (shape.output + shape.layers * shape.layer) * BYTES
    rate = bits(point["rate"])
    link = {**constants, "rate": rate and rate * PAYLOAD, "cores": min(cores, ranks),
            "latency": constants["turn"] * max(0, ranks / cores - 1)}
    number = bytes_of_number(settings)
    count = point["exchange"]["bytesPerStep"] / number
    buckets = departures(
        shape, max(0, BYTES * count - dense), int(settings.get("bucketSize", 1 << 20)),
        settings.get("overlap") != "false", number)
    rest = constants["convert"] * count if number < BYTES else 0
    at_once = [[]] * shape.layers + [sum(buckets, [])]
    return (step_seconds(compute, buckets, ranks, point["algorithm"], link, rest),
            step_seconds([0] * len(compute), at_once, ranks, point["algorithm"], link, rest))


def bytes_of_number(settings):
    """Of a number of the gradient on its way."""
    return 2 if settings.get("exchange") == "half" else BYTES


def seen(point):
    return point["stepSeconds"], point["exchange"]["seconds"]


def is_fitted(point):
    """The others check the model."""
    if point["shape"] in OPTION_SHAPES:
        return point["algorithm"] == "reduce-scatter" and point["settings"] in FITTED[point["shape"]]
    return point["ranks"] == 2 or point["ranks"] == 4 and point["rate"] in ("none", "1gbit")


def fitted(points, alone, cores):
    """Constants with the least squares of the predictions' relative errors, found by turning one after the other."""
    def cost(constants):
        return sum(math.log(ours / theirs) ** 2 for each in points
                   for ours, theirs in zip(predicted(each, alone[each["shape"]], constants, cores), seen(each)))

    constants, factor = {**CONSTANTS, "beside": beside(points, alone)}, 2.0
    least = cost(constants)
    while factor > 1.0005:
        improved = False
        for name in sorted(constants.keys() - {"beside"}):
            for change in (factor, 1 / factor):
                changed = {**constants, name: constants[name] * change}
                changed["hidden"] = min(max(changed["hidden"], 0.01), 1)
                found = cost(changed)
                if found < least:
                    constants, least, improved = changed, found, True
        if not improved:
            factor = math.sqrt(factor)
    return constants


def beside(points, alone):
    """How much longer two ranks take than one for what is before the first bucket leaves."""
    parts = ("recurrentForward", "output")
    return statistics.median(
        sum(each["breakdown"][part] for part in parts) / sum(alone[each["shape"]]["breakdown"][part] for part in parts)
        for each in points if each["ranks"] == 2)


def fit(arguments):
    measured = [json.load(file) for file in arguments.measurements]
    cores = measured[0]["cores"]
    if any(each["cores"] != cores for each in measured):
        sys.exit("scaling.py: expected measurements of one machine, found different numbers of cores: give one file")
    middle = medians([point for each in measured for point in each["points"]])
    alone = {each["shape"]: each for each in middle if each["ranks"] == 1}
    several = [each for each in middle if each["ranks"] > 1]
    constants = fitted([each for each in several if is_fitted(each)], alone, cores)
    print(f"fixed lanes {fixed_lanes([alone[shape] for shape in LANES]):.2g}")
    for name, value in constants.items():
        print(f"{name} {value:.4g}")
    print(f"\n{HEADER}")
    errors = {True: [], False: []}
    for each in several:
        pairs = list(zip(seen(each), predicted(each, alone[each["shape"]], constants, cores)))
        errors[is_fitted(each)].append([abs(ours / theirs - 1) for theirs, ours in pairs])
        settings = ", ".join(map("=".join, each["settings"].items())) + (" (fitted)" if is_fitted(each) else "")
        cells = " | ".join(f"{1e3 * theirs:.1f} | {1e3 * ours:.1f} | {100 * (ours / theirs - 1):+.0f} %"
                           for theirs, ours in pairs)
        print(f"| {each['shape']} | {each['ranks']} | {each['rate']} | {each['algorithm']} | {settings} "
              f"| {each['exchange']['bytesPerStep'] / 1e6:.2f} ({expected_bytes(each) / 1e6:.2f}) | {cells} |")
    for is_used, what in ((True, "fitted"), (False, "others")):
        if errors[is_used]:
            steps, exchanges = ([100 * error for error in column] for column in zip(*errors[is_used]))
            print(f"\n{what}: {len(steps)} points; error of a step {statistics.median(steps):.0f} % in the median, "
                  f"{max(steps):.0f} % at most; of an exchange {statistics.median(exchanges):.0f} %, "
                  f"{max(exchanges):.0f} %")


def medians(points):
    """Of each point the run with the median step."""
    runs = {}
    for each in points:
        what = [each[key] for key in ("ranks", "rate", "shape", "algorithm", "settings")]
        runs.setdefault(json.dumps(what), []).append(each)
    return [sorted(same, key=lambda run: run["stepSeconds"])[(len(same) - 1) // 2] for same in runs.values()]


def fixed_lanes(runs):
    """Where the line of seconds, but for the update, over lanes cuts the axis of lanes; by least squares."""
    lanes = [run["lanesPerRank"] for run in runs]
    line = statistics.linear_regression(lanes, [run["stepSeconds"] - run["breakdown"]["update"] for run in runs])
    return line.intercept / line.slope


def expected_bytes(point):
    """Of gradient that a rank brings to a step's exchange, from the shape alone."""
    shape = Shape(point["shape"])
    rows = shape.rows(point["ranks"], even, point["settings"].get("touchedRows") != "false")
    return bytes_of_number(point["settings"]) * (shape.output + shape.layers * shape.layer + rows * shape.hidden)


# --- Predicting. ---

def predict(arguments):
    print(f"| model | Gbit/s | ranks of a host | sum | {' | '.join(f'{ranks} ranks' for ranks in arguments.ranks)} |")
    print("|---" * (4 + len(arguments.ranks)) + "|")
    for text in arguments.shape or FAR_SHAPES:
        shape = Shape(text)
        one = compute_seconds(arguments, shape, shape.lanes)
        for rate in arguments.rates:
            for per_host in arguments.ranks_per_host:
                for algorithm in ALGORITHMS:
                    cells = []
                    for ranks in arguments.ranks:
                        lanes = arguments.global_batch / ranks if arguments.global_batch else shape.lanes
                        seconds, size = far_step(arguments, shape, lanes, ranks, per_host, rate, algorithm)
                        share = (sum(one) / shape.lanes) / (seconds / lanes)
                        cells.append(f"{seconds:.2f} s, {100 * share:.0f} %, {size / 1e6:.0f} MB")
                    print(f"| {text} | {rate:g} | {per_host} | {algorithm} | {' | '.join(cells)} |")


def compute_seconds(arguments, shape, lanes):
    """Of a rank that trains alone: until the output layer's gradient is there, of each recurrent layer backward, of the
    update."""
    recurrent, output = shape.operations
    # Whatever their number, lanes wait for the weights to be read, which takes as long as some more would.
    part = (lanes + arguments.fixed_lanes) / (shape.lanes + arguments.fixed_lanes)
    whole = arguments.compute * part if arguments.compute else (recurrent + output) * part / (arguments.gflops * 1e9)
    backward = whole * recurrent * 2 / 3 / (recurrent + output)
    # Parameters and gradient are read, parameters written.
    size = BYTES * (shape.output + shape.layers * shape.layer + shape.rows(1, zipf) * shape.hidden)
    return [whole - backward] + [backward / shape.layers] * shape.layers + [3 * size / arguments.memory]


def far_step(arguments, shape, lanes, ranks, per_host, rate, algorithm):
    """Seconds of a step of so many ranks, and the bytes that each brings to the exchange."""
    tokens, hosts = ranks * lanes * shape.steps, math.ceil(ranks / per_host)
    is_sparse = 2 * tokens <= shape.vocabulary
    rows = zipf(shape.vocabulary, tokens) if is_sparse else shape.vocabulary
    number = 2 if arguments.half else BYTES
    link = {"rate": rate * 1e9 * PAYLOAD, "cores": hosts,
            **{name: getattr(arguments, name) for name in ("cpu", "message", "wait", "hidden", "latency")}}
    compute = compute_seconds(arguments, shape, lanes)
    size = BYTES * (shape.output + shape.layers * shape.layer + rows * shape.hidden)
    compute[-1] = 3 * size / arguments.memory
    # Of each lane its loss (8 bytes); of each rank its different tokens.
    rest = levels(ranks) * (arguments.latency + 8 * lanes * ranks * 8 / link["rate"])
    rest += arguments.half * arguments.convert * size / BYTES
    rest += is_sparse * (levels(ranks) * arguments.latency + BYTES * tokens * 8 / link["rate"])
    # Ranks of a host first sum in its memory (all read, one written) and then copy what has come (read and written).
    if per_host > 1:
        rest += (3 - 1 / per_host) * size / arguments.memory
    buckets = departures(shape, BYTES * rows * shape.hidden, 1 << 20, per_host == 1, number)
    return step_seconds(compute, buckets, hosts, algorithm, link, rest), size * number / BYTES


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    measuring = commands.add_parser("measure", help="prints measurements as JSON; takes root")
    measuring.add_argument("--lockstepd", default=f"{TOP}/.build/release/lockstepd", help="the program")
    measuring.add_argument("--steps", type=int, default=5, help="of a run")
    measuring.set_defaults(command=measure)
    fitting = commands.add_parser("fit", help="prints constants, and measurements beside predictions")
    fitting.add_argument("measurements", type=argparse.FileType(), nargs="+",
                         help="what measure printed; of several, the median step of each point counts")
    fitting.set_defaults(command=fit)
    predicting = commands.add_parser("predict", help="prints what 64 to 1,024 ranks would do")
    predicting.add_argument("--shape", action="append", help="LxH,V,B,T; may be repeated")
    predicting.add_argument("--compute", type=float, help="seconds of a step of one rank alone; else by --gflops")
    predicting.add_argument("--gflops", type=float, default=170,
                            help="of a rank alone but for its update, 10^9 operations a second")
    predicting.add_argument("--fixed-lanes", type=float, default=2, help="see fit")
    predicting.add_argument("--memory", type=float, default=10e9, help="bytes a second that a rank reads and writes")
    predicting.add_argument("--rates", type=numbers, default=[10, 100], help="of a host's link, Gbit/s")
    predicting.add_argument("--latency", type=float, default=30e-6, help="of a round between hosts, seconds")
    for name in ("cpu", "message", "wait", "hidden", "convert"):
        predicting.add_argument(f"--{name}", type=float, default=CONSTANTS[name], help=f"see fit ({CONSTANTS[name]:g})")
    predicting.add_argument("--ranks", type=numbers, default=[64, 128, 256, 512, 1024])
    predicting.add_argument("--ranks-per-host", type=numbers, default=[1, 16], help="one core each")
    predicting.add_argument("--global-batch", type=float, help="lanes of all ranks; else those of the shape for each")
    predicting.add_argument("--half", action="store_true", help="exchange 16 bits of each number")
    predicting.set_defaults(command=predict)
    return parser.parse_args()


def numbers(text):
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': expected whole numbers from 1 on, as in 64,1024")
    return found


def main():
    arguments = parse()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
