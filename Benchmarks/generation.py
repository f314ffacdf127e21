#!/usr/bin/env python3
"""How fast Lockstep writes text, beside PyTorch's nn.LSTM and beside the memory it has to read.

One stream, one thread, one core, to which everything here is pinned. Models of random weights are made in PyTorch and
imported. Rounds alternate: `lockstep generate` draws tokens; PyTorch does the same with nn.LSTM, a token at a time,
softmax and multinomial; and the weights that one token needs are read once, over and over, by the fastest of PyTorch's
reductions that read all of a tensor. Medians over the rounds are told.

    venv/bin/python Benchmarks/generation.py --lockstep .build/release/lockstep --rounds 5

Needs PyTorch and safetensors (reference/requirements.txt).
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import torch
from safetensors.torch import save_file

SHAPES = [(65, 128, "characters"), (65, 512, "characters"), (10000, 200, "words"), (10000, 650, "words")]
LAYERS = 2


class Model(torch.nn.Module):
    def __init__(self, tokens, size):
        super().__init__()
        self.encoder = torch.nn.Embedding(tokens, size)
        self.rnn = torch.nn.LSTM(size, size, LAYERS)
        self.decoder = torch.nn.Linear(size, tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", required=True, help="the program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="about how long each part of a round takes")
    parser.add_argument("--core", type=int, default=0)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    torch.set_num_threads(1)
    torch.manual_seed(1)
    print(f"PyTorch {torch.__version__}; medians of {arguments.rounds} rounds; tokens/s")
    print("| model | Lockstep | PyTorch | ratio | reading the weights | ratio |")
    print("|---|---|---|---|---|---|")
    for tokens, size, tokenizer in SHAPES:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            print(measure(arguments, folder, tokens, size, tokenizer), flush=True)


def measure(arguments, folder, tokens, size, tokenizer):
    model = Model(tokens, size).eval()
    path = make(arguments.lockstep, folder, model, tokens, tokenizer)
    weights = [p for name, p in model.named_parameters() if not name.startswith("encoder")]
    flat = torch.cat([p.reshape(-1) for p in weights])
    reader = min((lambda: flat.sum(), lambda: flat.max(), lambda: torch.dot(flat, flat)), key=lambda f: timed(f, 0.3))
    lockstep, pytorch, reading = [], [], []
    length = 200
    for number in range(arguments.rounds + 1):  # the first sets the lengths
        rate = generate(arguments.lockstep, path, length)
        length = max(50, int(rate * arguments.seconds))
        lockstep.append(rate)
        pytorch.append(sample(model, arguments.seconds))
        reading.append(1 / timed(reader, arguments.seconds))
    ours, theirs, memory = (statistics.median(rates[1:]) for rates in (lockstep, pytorch, reading))
    size_in_mb = flat.numel() * 4 / 1e6
    return (f"| {LAYERS} x {size}, {tokens} {tokenizer} ({size_in_mb:.1f} MB) | {ours:.0f} | {theirs:.0f} | {ours / theirs:.1f} "
            f"| {memory:.0f} ({memory * size_in_mb / 1e3:.1f} GB/s) | {ours / memory:.2f} |")


def make(program, folder, model, tokens, tokenizer):
    if tokenizer == "characters":
        names = ["\n"] + [chr(33 + i) for i in range(tokens - 1)]
    else:
        names = ["<unk>", "<eos>"] + [f"word{i}" for i in range(tokens - 2)]
    with open(f"{folder}/vocabulary.json", "w") as file:
        json.dump(names, file)
    save_file({name: p.detach().contiguous() for name, p in model.state_dict().items()}, f"{folder}/model.safetensors")
    subprocess.run([program, "import", f"{folder}/model.safetensors", "--vocabulary", f"{folder}/vocabulary.json",
                    "--tokenizer", tokenizer, "--output", f"{folder}/model.h5"], check=True, stdout=subprocess.DEVNULL)
    return f"{folder}/model.h5"


def generate(program, path, length):
    """Tokens a second, without the start of the program, which says itself how long it wrote."""
    told = subprocess.run([program, "generate", path, "--length", str(length), "--temperature", "1", "--format", "json"],
                          check=True, capture_output=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    return json.loads(told.stdout)["tokensPerSecond"]


def sample(model, seconds):
    token = torch.zeros(1, 1, dtype=torch.long)
    state = None
    count, begun = 0, time.perf_counter()
    while count < 20 or time.perf_counter() - begun < seconds:
        output, state = model.rnn(model.encoder(token), state)
        token = torch.multinomial(torch.softmax(model.decoder(output[0]), -1), 1)
        count += 1
    return count / (time.perf_counter() - begun)


def timed(function, seconds):
    """Seconds a call takes."""
    function()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for _ in range(10):
            function()
        count += 10
    return (time.perf_counter() - begun) / count


if __name__ == "__main__":
    main()
