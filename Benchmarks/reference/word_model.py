"""Trains Zaremba's word model in plain PyTorch and writes the loss of each step.

    python Benchmarks/reference/word_model.py text.txt --weights initial.h5 --max-steps 200 \\
        --output reference.csv

Begun with the first weights of a Lockstep run, it makes the same steps, for `compare_losses.py`. Given
more of that run's checkpoints, it takes over weights and states at each of them: a rate of 1 makes this
recipe chaotic, so that two runs that differ in the last bit of one number part after fifty steps, and
only from common points can every step be compared.
The recipe is that of Zaremba et al. 2014 without dropout: plain gradient descent, at a constant
rate, on the loss summed over a window and averaged over lanes, the gradient clipped by its norm.
Reported is the mean loss of a token in nats, before the step's update; steps count from 1.

Tried with Python 3.11.7, PyTorch 2.15.0, NumPy 2.4.6 and h5py 3.16.0, on the CPU.
"""

import argparse
import collections
import contextlib
import pathlib
import re
import sys
import time

import torch
from common import (
    LanguageModel, checkpoint_step, clip_gradients, cut_offsets, detached, load_states, load_weights,
    windows,
)

WHITE_SPACE = re.compile("[\t-\r \u00a0\u1680\u2000-\u200a\u202f\u205f\u2060\u3000]+")
SPECIALS = ["<unk>", "<eos>"]


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    tokens, vocabulary_size = read_tokens(arguments)
    model = LanguageModel(vocabulary_size, arguments.hidden, arguments.layers)
    checkpoints = {checkpoint_step(path): path for path in arguments.weights}
    if 0 not in checkpoints:
        for parameter in model.learned():
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    note(f"{len(tokens)} tokens, {vocabulary_size} words in the vocabulary")
    with open_output(arguments.output) as output:
        print("step,loss", file=output)
        train(model, tokens, checkpoints, arguments, output)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Trains Zaremba's word model in plain PyTorch.")
    parser.add_argument("text", type=pathlib.Path, help="UTF-8 text; its first part is trained on")
    parser.add_argument("--weights", nargs="+", default=[], metavar="CHECKPOINT",
                        help="checkpoints to begin with, and to go on from when their step is reached;"
                        " else weights begin uniform in ±0.1")
    parser.add_argument("--split", type=float, nargs=3, default=[0.9, 0.05, 0.05],
                        metavar=("TRAIN", "VALIDATION", "TEST"), help="fractions of its bytes")
    parser.add_argument("--vocabulary", type=int, default=10000,
                        help="the most words it may have, <unk> and <eos> included")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=20)
    parser.add_argument("--steps", type=int, default=35, help="tokens of a window")
    parser.add_argument("--hidden", type=int, default=200, help="units of each layer")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--clip", type=float, default=5.0, help="largest norm of the gradient")
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--max-steps", type=int, help="end after so many steps")
    parser.add_argument("--seed", type=int, default=1, help="of the first weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", help="CSV file with a row for each step; else standard output")
    return parser.parse_args()


def read_tokens(arguments):
    """The tokens of the training part, and the size of its vocabulary."""
    text = arguments.text.read_bytes()
    end, _ = cut_offsets(text, arguments.split, lambda text, offset: text[offset - 1] == ord("\n"))
    words = read_words(text[:end])
    counts = collections.Counter(word for word in words if word not in SPECIALS)
    # Python compares strings by code points, which is the order of their UTF-8 bytes.
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    vocabulary = SPECIALS + ranked[: arguments.vocabulary - len(SPECIALS)]
    ids = {word: index for index, word in enumerate(vocabulary)}
    return torch.tensor([ids.get(word, 0) for word in words]), len(vocabulary)


def read_words(text):
    """The words of a text, with <eos> at each line end."""
    words = []
    for line in text.decode("utf-8-sig").split("\n"):
        words += filter(None, WHITE_SPACE.split(line))
        words.append("<eos>")
    return words[:-1]  # no line end after the last piece


def train(model, tokens, checkpoints, arguments, output):
    """Trains epoch by epoch; writes the loss of each step."""
    learned = model.learned()
    step = 0
    for epoch in range(1, arguments.epochs + 1):
        start = time.perf_counter()
        state = None
        losses = []
        for inputs, targets in windows(tokens, arguments.lanes, arguments.steps):
            if step in checkpoints:
                load_weights(model, checkpoints[step])
                state = load_states(model, checkpoints[step])
            logits, state = model(inputs, state)
            state = detached(state)
            loss = torch.nn.functional.cross_entropy(logits, targets.flatten(), reduction="sum")
            for parameter in learned:
                parameter.grad = None
            (loss / arguments.lanes).backward()
            clip_gradients(learned, arguments.clip)
            with torch.no_grad():
                for parameter in learned:
                    parameter.sub_(arguments.rate * parameter.grad)
            step += 1
            losses.append(loss.item() / targets.numel())
            print(f"{step},{losses[-1]:.9g}", file=output, flush=True)
            if step == arguments.max_steps:
                break
        report(epoch, losses, arguments, time.perf_counter() - start)
        if step == arguments.max_steps:
            break


def report(epoch, losses, arguments, seconds):
    """Prints an epoch's mean loss and speed."""
    speed = len(losses) * arguments.lanes * arguments.steps / seconds
    mean = sum(losses) / max(len(losses), 1)
    note(f"epoch {epoch}: {len(losses)} steps, loss {mean:.4f}, {speed:.0f} tokens/s")


def note(text):
    """Prints beside the rows."""
    print(text, file=sys.stderr)


def open_output(path):
    """The file the rows go to."""
    return open(path, "w", encoding="utf-8") if path else contextlib.nullcontext(sys.stdout)


if __name__ == "__main__":
    main()
