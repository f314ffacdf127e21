#!/usr/bin/env python3
"""What a training step costs on many hosts: a model, fitted to measurements here and used for what is not here.

    sudo Benchmarks/scaling.py measure > scaling.json    # ten minutes; on hosts made by launch/simulate-cluster
    Benchmarks/scaling.py fit scaling.json               # constants, and every measurement beside its prediction
    Benchmarks/scaling.py predict                        # 64 to 1,024 ranks

The model. Going backward, a rank hands buckets of its gradient to the link, which takes one after the other; what has
not arrived when the last layer is done is waited for. The sum of b bytes over n hosts takes

    max(f b / (payload rate), cpu 2 (n - 1) b / cores) + rounds latency

where f is how often a link carries them: for reduce-scatter and allgather (Rabenseifner) 2 (n - 1) / n, in 2 log2 n
rounds. What Open MPI takes unasked for a sum in place is a tree up, f = log2 n, and a tree down whose nodes send to all
their children at once, f = log2 n (log2 n + 1) / 2. `cpu` is what sending, receiving and adding a byte takes of a core.
Where ranks exceed cores they take turns: compute takes ranks / cores times as long, and each round waits for them.
Bytes: all parameters but the embedding's, and of it the rows of different tokens, V (1 - (1 - 1/V)^N) of N drawn evenly.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLUSTER = "scale"
RUN_SECONDS = 200  # a run that takes longer has failed
CORES = len(os.sched_getaffinity(0))
ALGORITHMS = {"tree": "0", "reduce-scatter": "3"}  # coll_libnbc_iallreduce_algorithm; 0: Open MPI's choice, a tree
SHAPE, BUCKET = "2x200,2000,10,35", 1 << 18  # small enough for slow links; buckets of 1 MB
OPTION_SHAPES = ("2x200,10000,10,35", "2x650,10000,10,35")
OPTIONS = {"as it is": {}, "overlap off": {"overlap": "false"}, "all rows": {"touchedRows": "false"},
           "half precision": {"exchange": "half"}}
LANES = ("2x650,10000,20,35", "2x650,10000,5,35", "2x650,10000,1,35")  # one rank, with ever fewer lanes
BYTES = 4  # of a number of the gradient, as the benchmark counts them


# --- Measuring. ---

def points():
    """What is measured: a benchmark's shape and settings, ranks of one host each, their link."""
    yield point(1, "none", SHAPE)
    for shape in OPTION_SHAPES:
        yield point(1, "none", shape)
    for shape in LANES:
        yield point(1, "none", shape)
    for ranks in (2, 4, 8):
        for rate in ("none", "1gbit", "300mbit", "100mbit"):
            yield point(ranks, rate, SHAPE, bucketSize=str(BUCKET))
        for rate in ("1gbit", "300mbit"):
            yield point(ranks, rate, SHAPE, "tree", bucketSize=str(BUCKET))
    for rate in ("1gbit", "300mbit"):
        yield point(2, rate, SHAPE, bucketSize=str(BUCKET), overlap="false")
    yield point(2, "1gbit", SHAPE, bucketSize=str(BUCKET // 16))
    for shape in OPTION_SHAPES:
        for algorithm in ALGORITHMS:
            for settings in OPTIONS.values():
                yield point(2, "1gbit", shape, algorithm, **settings)


def point(ranks, rate, shape, algorithm="reduce-scatter", **settings):
    return {"ranks": ranks, "rate": rate, "shape": shape, "algorithm": algorithm, "settings": settings}


def measure(arguments):
    if os.geteuid() != 0:
        sys.exit("scaling.py: measure makes hosts of namespaces, which takes root; use: sudo Benchmarks/scaling.py measure")
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
            runs = [benchmark(arguments, each) for _ in range(arguments.runs)]
            measured.append({**each, **sorted(runs, key=lambda run: run["stepSeconds"])[len(runs) // 2]})
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
        sys.exit(f"scaling.py: expected {each['ranks']} ranks, found {run['ranks']}: is the program linked with another "
                 "MPI than the mpirun on PATH?")
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


def sum_seconds(size, hosts, algorithm, link):
    """Of one bucket of so many bytes over all hosts: what the link takes, and what is waited for in rounds."""
    levels = math.ceil(math.log2(hosts))
    carried = 2 * (hosts - 1) / hosts if algorithm == "reduce-scatter" else levels + levels * (levels + 1) / 2
    wire = size * carried * 8 / link["rate"] if link["rate"] else 0
    return max(wire, link["cpu"] * 2 * (hosts - 1) * size / link["cores"]) + 2 * levels * link["latency"]


def step_seconds(compute, buckets, hosts, algorithm, link, rest=0):
    """Seconds of a step. `compute`: until the output layer's gradient is there, of each recurrent layer from the top, of
    the update. `buckets`: for each of these times but the last, the bytes of buckets that leave then; the last leave
    with `rest`, which the tokens and losses add."""
    now = free = 0
    for seconds, leaving in zip(compute, buckets):
        now += seconds
        for size in leaving:
            free = max(now, free) + sum_seconds(size, hosts, algorithm, link)
    return max(now, free) + rest + compute[-1]


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

# Payload of the link's rate; seconds of a core for a byte; of a round; of a round for each further rank of a core;
# compute beside other ranks; share of a layer's time that its traffic gets.
CONSTANTS = {"payload": 0.95, "cpu": 1e-9, "latency": 1e-4, "turn": 1e-3, "beside": 1.1}
FAR_SHAPES = ("2x1500,10000,20,35", "2x2048,100000,20,35")  # ptb-large; a billion words
RATES = {"k": 1e3, "m": 1e6, "g": 1e9}


def bits(rate):
    return None if rate == "none" else int(rate[:-4]) * RATES[rate[-4]]


def predicted(point, alone, constants, cores):
    """Seconds of a step of a measured point, from one of the same shape on one rank."""
    shape, ranks, settings = Shape(point["shape"]), point["ranks"], point["settings"]
    turns = max(1, ranks / cores) * (constants["beside"] if ranks > 1 else 1)
    parts = alone["breakdown"]
    backward = parts["recurrentBackward"] / shape.layers
    before = alone["stepSeconds"] - parts["recurrentBackward"] - parts["update"]
    compute = [turns * seconds for seconds in [before] + [backward] * shape.layers + [parts["update"]]]
    dense = (shape.output + shape.layers * shape.layer) * BYTES
    rate = bits(point["rate"])
    link = {"rate": rate and rate * constants["payload"], "cpu": constants["cpu"], "cores": min(cores, ranks),
            "latency": constants["latency"] + constants["turn"] * max(0, ranks / cores - 1)}
    number = 2 if settings.get("exchange") == "half" else BYTES
    buckets = departures(shape, max(0, point["exchange"]["bytesPerStep"] - dense), int(settings.get("bucketSize", 1 << 20)),
                         settings.get("overlap") != "false", number)
    return step_seconds(compute, buckets, ranks, point["algorithm"], link)


def is_fitted(point):
    """The others check the model."""
    return point["shape"] == SHAPE and (point["ranks"] == 2 or point["ranks"] == 4 and point["rate"] in ("none", "1gbit"))


def fitted(points, alone, cores):
    """Constants with the least squares of the predictions' relative errors, found by turning one after the other."""
    def cost(constants):
        return sum(math.log(predicted(each, alone[each["shape"]], constants, cores) / each["stepSeconds"]) ** 2
                   for each in points)

    constants, factor = dict(CONSTANTS), 2.0
    least = cost(constants)
    while factor > 1.0005:
        improved = False
        for name in constants:
            for change in (factor, 1 / factor):
                changed = {**constants, name: constants[name] * change}
                changed["payload"] = min(changed["payload"], 1)
                changed["beside"] = max(changed["beside"], 1)
                found = cost(changed)
                if found < least:
                    constants, least, improved = changed, found, True
        if not improved:
            factor = math.sqrt(factor)
    return constants


def fit(arguments):
    measured = json.load(arguments.measurements)
    alone = {each["shape"]: each for each in measured["points"] if each["ranks"] == 1}
    several = [each for each in measured["points"] if each["ranks"] > 1]
    constants = fitted([each for each in several if is_fitted(each)], alone, measured["cores"])
    for name, value in constants.items():
        print(f"{name} {value:.4g}")
    print("\n| shape | hosts | link | sum | settings | MB of a rank (expected) | measured, ms | predicted, ms | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    errors = {True: [], False: []}
    for each in several:
        seconds = predicted(each, alone[each["shape"]], constants, measured["cores"])
        error = seconds / each["stepSeconds"] - 1
        errors[is_fitted(each)].append(abs(error))
        shape = Shape(each["shape"])
        rows = shape.rows(each["ranks"], even, each["settings"].get("touchedRows") != "false")
        expected = BYTES * (shape.output + shape.layers * shape.layer + rows * shape.hidden)
        print(f"| {each['shape']} | {each['ranks']} | {each['rate']} | {each['algorithm']} | "
              f"{', '.join('='.join(pair) for pair in each['settings'].items())}{' (fitted)' if is_fitted(each) else ''} | "
              f"{each['exchange']['bytesPerStep'] / 1e6:.2f} ({expected / 1e6:.2f}) | {1e3 * each['stepSeconds']:.1f} | "
              f"{1e3 * seconds:.1f} | {100 * error:+.0f} % |")
    for is_used, what in ((True, "fitted"), (False, "others")):
        if errors[is_used]:
            print(f"\n{what}: {len(errors[is_used])} points, error {100 * statistics.median(errors[is_used]):.0f} % in the "
                  f"median, {100 * max(errors[is_used]):.0f} % at most")


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
    update = 3 * BYTES * (shape.output + shape.layers * shape.layer + shape.rows(1, zipf) * shape.hidden) / arguments.memory
    return [whole - backward] + [backward / shape.layers] * shape.layers + [update]


def far_step(arguments, shape, lanes, ranks, per_host, rate, algorithm):
    """Seconds of a step of so many ranks, and the bytes that each brings to the exchange."""
    tokens, hosts = ranks * lanes * shape.steps, math.ceil(ranks / per_host)
    is_sparse = 2 * tokens <= shape.vocabulary
    rows = zipf(shape.vocabulary, tokens) if is_sparse else shape.vocabulary
    number = 2 if arguments.half else BYTES
    link = {"rate": rate * 1e9 * arguments.payload, "cpu": arguments.cpu, "cores": hosts, "latency": arguments.latency}
    compute = compute_seconds(arguments, shape, lanes)
    size = BYTES * (shape.output + shape.layers * shape.layer + rows * shape.hidden)
    compute[-1] = 3 * size / arguments.memory
    # Of each lane its loss (8 bytes); of each rank its different tokens.
    levels = math.ceil(math.log2(ranks))
    rest = levels * (arguments.latency + 8 * lanes * ranks * 8 / link["rate"])
    rest += is_sparse * (levels * arguments.latency + BYTES * tokens * 8 / link["rate"])
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
    measuring.add_argument("--runs", type=int, default=1, help="of each point; the median counts")
    measuring.set_defaults(command=measure)
    fitting = commands.add_parser("fit", help="prints constants, and measurements beside predictions")
    fitting.add_argument("measurements", type=argparse.FileType(), help="what measure printed")
    fitting.set_defaults(command=fit)
    predicting = commands.add_parser("predict", help="prints what 64 to 1,024 ranks would do")
    predicting.add_argument("--shape", action="append", help="LxH,V,B,T; may be repeated")
    predicting.add_argument("--compute", type=float, help="seconds of a step of one rank alone; else by --gflops")
    predicting.add_argument("--gflops", type=float, default=150, help="of a rank, 10^9 operations a second")
    predicting.add_argument("--fixed-lanes", type=float, default=1, help="lanes that reading the weights takes as long as")
    predicting.add_argument("--memory", type=float, default=10e9, help="bytes a second that a rank reads and writes")
    predicting.add_argument("--rates", type=numbers, default=[10, 100], help="of a host's link, Gbit/s")
    predicting.add_argument("--latency", type=float, default=30e-6, help="of a round between hosts, seconds")
    predicting.add_argument("--payload", type=float, default=0.95, help="share of the link's rate (see fit)")
    predicting.add_argument("--cpu", type=float, default=1e-9, help="seconds of a core for a byte sent (see fit)")
    predicting.add_argument("--ranks", type=numbers, default=[64, 128, 256, 512, 1024])
    predicting.add_argument("--ranks-per-host", type=numbers, default=[1, 16], help="one core each")
    predicting.add_argument("--global-batch", type=float, help="lanes of all ranks; else those of the shape for each")
    predicting.add_argument("--half", action="store_true", help="exchange 16 bits of each number")
    predicting.set_defaults(command=predict)
    return parser.parse_args()


def numbers(text):
    try:
        return [int(part) for part in text.split(",") if int(part) > 0]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}': expected whole numbers from 1 on, as in 64,1024") from None


def main():
    arguments = parse()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
