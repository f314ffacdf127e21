#!/usr/bin/env python3
"""How fast PyTorch trains stacked LSTM language models: with DistributedDataParallel over gloo, or as one process.

Starts a process for each rank, of one thread, bound to a core of its own, and trains on random tokens in 32 bits:
forward, cross-entropy, backward, all-reduce, clipping by the global norm, a step of plain SGD. State is carried from
window to window, without its history. Prints one JSON object:

    venv/bin/python Benchmarks/reference/ddp.py --shape 2x200,10000,10,35 --seconds 4
    venv/bin/python Benchmarks/reference/ddp.py --shape 2x200,10000,20,35 --ranks 1 --threads 2

One rank is a plain process without DistributedDataParallel. --unbound lets the system move ranks between cores, which is
better where other programs run.

The settings are those that were fastest on a CPU: nn.LSTM goes through oneDNN, gradients lie in the buckets that are
exchanged, that of an embedding of many rows is sparse, and glibc keeps freed memory (a fused optimizer, or one over
lists of tensors, was no faster). --as-it-comes leaves all of them out but nn.LSTM, which PyTorch gives to oneDNN by
itself: the ways of DistributedDataParallel and glibc when nothing is set. It makes --steps, or as many as take about --seconds, after a warm-up that is not
counted. `Benchmarks/training.py` compares with Lockstep.
"""

import argparse
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

WINDOWS = 16  # different ones, over and over
CLIP = 5.0
RATE = 0.1
WARM_UP_SECONDS = 0.7  # at least; the first steps find memory and lay out the buckets
RANKS_SECONDS = 300  # a measurement that takes longer is given up


def main():
    arguments = parse()
    if arguments.rank is not None:
        return train(arguments)
    cores = whole_cores()
    needed = arguments.ranks * arguments.threads
    if len(cores) < needed:
        sys.exit(f"ddp.py: expected a core for each of {needed} threads, found {len(cores)}: give fewer --ranks or "
                 "--threads, or start it with a wider affinity")
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ddp.py: asked to end"))  # not without ending the ranks
    with tempfile.TemporaryDirectory(prefix="lockstep-ddp-") as folder:
        ranks = []
        try:
            for rank in range(arguments.ranks):
                own = cores[rank * arguments.threads:][:arguments.threads]
                ranks.append(start(arguments, rank, cores if arguments.unbound else own, folder, begun))
            wait(ranks)
            told = [json.load(process.stdout) for process in ranks]
        finally:
            for process in ranks:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    print(json.dumps(summary(arguments, told)))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=Shape, required=True, metavar="LAYERSxHIDDEN,VOCABULARY,LANES,STEPS",
                        help="of the model and of a rank's window: lanes of so many steps")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each rank")
    parser.add_argument("--unbound", action="store_true", help="do not bind ranks to cores")
    parser.add_argument("--steps", type=int, help="how many to measure")
    parser.add_argument("--seconds", type=float, default=4, help="without --steps: about how long to measure")
    parser.add_argument("--plain-malloc", action="store_true",
                        help="let glibc give large blocks back to the system, which clears them again at each step: "
                        "as PyTorch behaves when nothing is set, 6 to 28 %% slower")
    parser.add_argument("--as-it-comes", action="store_true",
                        help="--plain-malloc, gradients copied to the buckets and back, a dense gradient of the "
                        "embedding, subnormal numbers kept: no setting but that of one thread")
    for name, kind in (("--rank", int), ("--cores", str), ("--folder", str), ("--begun", float)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)  # what a rank is told
    arguments = parser.parse_args()
    arguments.plain_malloc |= arguments.as_it_comes
    return arguments


def whole_cores():
    """One processor of each core: on two of the same core ranks would slow each other down."""
    chosen, taken = [], set()
    for processor in sorted(os.sched_getaffinity(0)):
        if processor not in taken:
            chosen.append(processor)
            with open(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list") as file:
                for part in file.read().strip().split(","):
                    first, _, last = part.partition("-")
                    taken.update(range(int(first), int(last or first) + 1))
    return chosen


class Shape:
    """Sizes of a model and of the windows it is trained on; the embedding is as wide as a layer."""

    def __init__(self, text):
        match = re.fullmatch(r"(\d+)x(\d+),(\d+),(\d+),(\d+)", text)
        if not match or "0" in match.groups():
            raise argparse.ArgumentTypeError(
                f"'{text}': expected LAYERSxHIDDEN,VOCABULARY,LANES,STEPS, as in 2x200,10000,10,35")
        self.text = text
        self.layers, self.hidden, self.vocabulary, self.lanes, self.steps = map(int, match.groups())

    def operations(self):
        """Of a step of one rank: three products of each matrix, two operations a product, biases and cells left out."""
        weights = self.layers * 8 * self.hidden**2 + self.hidden * self.vocabulary
        return 6 * weights * self.lanes * self.steps


def start(arguments, rank, cores, folder, begun):
    """This program again, as one rank. The parent stays small: what it has resident would count as the rank's."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), GLOO_SOCKET_IFNAME="lo")
    if not arguments.plain_malloc:
        environment.update(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40))
    command = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--rank", str(rank),
               "--cores", ",".join(map(str, cores)), "--folder", folder, "--begun", repr(begun)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)


def wait(ranks):
    """Until all have ended; not after one has failed, since the others would wait for it."""
    deadline = time.monotonic() + RANKS_SECONDS
    while True:
        states = [process.poll() for process in ranks]
        for rank, state in enumerate(states):
            if state:
                sys.exit(f"ddp.py: rank {rank} ended with status {state}: see above; it needs PyTorch with gloo "
                         "(reference/requirements.txt)")
        if None not in states:
            return
        if time.monotonic() > deadline:
            sys.exit(f"ddp.py: the ranks were not finished after {RANKS_SECONDS} s: measure fewer --steps")
        time.sleep(0.05)


def summary(arguments, ranks):
    shape, first = arguments.shape, ranks[0]  # all wait for each other at every step: one's times are everyone's
    gflops = arguments.ranks * shape.operations() / first["stepSeconds"] / 1e9
    peak = sum(rank["peakGflops"] for rank in ranks)
    return {
        "shape": shape.text,
        "ranks": arguments.ranks,
        "threads": arguments.threads,
        "pytorch": first["pytorch"],
        "steps": first["steps"],
        "stepSeconds": first["stepSeconds"],
        "meanStepSeconds": first["meanStepSeconds"],
        "tokensPerSecond": arguments.ranks * shape.lanes * shape.steps / first["stepSeconds"],
        "gflops": gflops,
        "peakGflops": peak,  # of matrix products, right before and right after
        "shareOfPeak": gflops / peak,
        "peakResidentBytes": [rank["peakResidentBytes"] for rank in ranks],
        "importedResidentBytes": [rank["importedResidentBytes"] for rank in ranks],  # PyTorch alone, before the model
        "firstStepSeconds": max(rank["firstStepSeconds"] for rank in ranks),
    }


def train(arguments):
    """What one rank does; it prints what it found."""
    os.sched_setaffinity(0, set(map(int, arguments.cores.split(","))))  # before PyTorch counts cores
    import torch
    from torch import distributed

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(not arguments.as_it_comes)
    torch.manual_seed(1)
    imported = peak_resident()
    distributed.init_process_group("gloo", init_method=f"file://{arguments.folder}/ranks", rank=arguments.rank,
                                   world_size=arguments.ranks)
    step = make_step(torch, arguments)
    step()
    first = time.monotonic() - arguments.begun
    distributed.barrier()
    rates = product_rates(torch)
    step()
    seconds = min(timed(step) for _ in range(2))
    # The first rank decides, so that all make as many.
    counts = torch.tensor([int(WARM_UP_SECONDS / seconds), arguments.steps or max(3, int(arguments.seconds / seconds))])
    distributed.broadcast(counts, src=0)
    for _ in range(int(counts[0])):
        step()
    times = [timed(step) for _ in range(int(counts[1]))]
    resident = peak_resident()
    distributed.barrier()
    peak = max(statistics.median(before + after) for before, after in zip(rates, product_rates(torch)))
    print(json.dumps({
        "pytorch": torch.__version__, "steps": len(times), "stepSeconds": statistics.median(times),
        "meanStepSeconds": statistics.mean(times), "firstStepSeconds": first, "peakResidentBytes": resident,
        "importedResidentBytes": imported, "peakGflops": peak,
    }), flush=True)
    os._exit(0)  # PyTorch's own way out was seen to abort after a quarter of short runs


def timed(step):
    """Seconds a step takes."""
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def product_rates(torch):
    """GFLOP/s of some turns of products of each size, on this rank while the others do the same."""
    rates = {size: [] for size in (256, 512, 768, 1024)}
    for _ in range(5):  # in turns: all meet the same clock
        for size, found in rates.items():
            left, right, product = (torch.ones(size, size) for _ in range(3))
            begun = time.perf_counter()
            count = 0
            while (seconds := time.perf_counter() - begun) < 0.05:
                torch.mm(left, right, out=product)
                count += 1
            found.append(2 * size**3 * count / seconds / 1e9)
    return list(rates.values())


def peak_resident():
    """Bytes, of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_step(torch, arguments):
    """A function that goes one window on: forward, backward with the exchange, update."""
    from torch.nn.functional import cross_entropy
    from torch.nn.parallel import DistributedDataParallel
    from torch.nn.utils import clip_grad_norm_

    shape = arguments.shape
    # Faster than to clear, exchange and add rows of zeros.
    sparse = not arguments.as_it_comes and shape.vocabulary > shape.lanes * shape.steps

    class LanguageModel(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(shape.vocabulary, shape.hidden, sparse=sparse)
            self.lstm = torch.nn.LSTM(shape.hidden, shape.hidden, shape.layers)
            self.output = torch.nn.Linear(shape.hidden, shape.vocabulary)

        def forward(self, inputs, state):
            vectors, state = self.lstm(self.embedding(inputs), state)
            return self.output(vectors), state

    model = LanguageModel()
    if arguments.ranks > 1:
        model = DistributedDataParallel(model, gradient_as_bucket_view=not arguments.as_it_comes)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    generator = torch.Generator().manual_seed(arguments.rank + 1)
    tokens = torch.randint(shape.vocabulary, (WINDOWS, shape.steps + 1, shape.lanes), generator=generator)
    state = tuple(torch.zeros(shape.layers, shape.lanes, shape.hidden) for _ in range(2))
    made = 0

    def step():
        nonlocal state, made
        window = tokens[made % WINDOWS]
        logits, after = model(window[:-1], state)
        state = tuple(part.detach() for part in after)
        loss = cross_entropy(logits.flatten(0, 1), window[1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        made += 1

    return step


if __name__ == "__main__":
    main()
