"""Trains the character model of the tiny-shakespeare recipe in plain PyTorch.

    python Benchmarks/reference/character_model.py tinyshakespeare.txt

Two LSTM layers of 128 units, 50 lanes, windows of 50 characters, Adam on the mean loss of a token,
20 epochs; after the tenth, the rate is multiplied by 0.97 before each. First weights are PyTorch's
defaults unless --weights names a Lockstep checkpoint. Prints the validation loss after each epoch
and the test loss at the end, as mean nats of a character.

Tried with Python 3.11.7, PyTorch 2.15.0, NumPy 2.4.6 and h5py 3.16.0, on the CPU, a few steps.
"""

import argparse
import pathlib
import time

import torch
from common import LanguageModel, clip_gradients, cut_offsets, detached, load_weights, windows

LAYERS = 2
HIDDEN_SIZE = 128
LANES = 50
STEPS = 50
RATE = 0.002
CLIP = 5.0
EPOCHS = 20
FULL_EPOCHS = 10
RATE_FACTOR = 0.97
SPLIT = [0.9, 0.05, 0.05]
NO_TARGET = -1


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    (train, validation, test), vocabulary_size = read_tokens(arguments.text)
    model = LanguageModel(vocabulary_size, HIDDEN_SIZE, LAYERS)
    if arguments.weights:
        load_weights(model, arguments.weights)
    print(
        f"{len(train)} + {len(validation)} + {len(test)} characters, {vocabulary_size} different"
    )
    optimizer = torch.optim.Adam(model.learned(), lr=RATE)
    step = 0
    for epoch in range(1, arguments.epochs + 1):
        start = time.perf_counter()
        optimizer.param_groups[0]["lr"] = RATE * RATE_FACTOR ** max(0, epoch - FULL_EPOCHS)
        left = arguments.max_steps - step if arguments.max_steps else None
        losses = train_epoch(model, optimizer, train, left)
        step += len(losses)
        speed = len(losses) * LANES * STEPS / (time.perf_counter() - start)
        loss = evaluate(model, validation, arguments.evaluation_lanes)
        print(
            f"epoch {epoch}: step {step}, training loss {sum(losses) / len(losses):.4f}, "
            f"validation loss {loss:.4f}, {speed:.0f} tokens/s",
            flush=True,
        )
        if step == arguments.max_steps:
            break
    print(f"test loss {evaluate(model, test, arguments.evaluation_lanes):.4f}")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Trains a character model in plain PyTorch.")
    parser.add_argument("text", type=pathlib.Path, help="UTF-8 text")
    parser.add_argument("--weights", help="HDF5 checkpoint to begin with; else PyTorch's defaults")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--max-steps", type=int, help="end after so many steps")
    parser.add_argument("--evaluation-lanes", type=int, default=16, metavar="LANES",
                        help="stretches a text is cut into for evaluation, each from zero state")
    parser.add_argument("--seed", type=int, default=1, help="of the first weights")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def read_tokens(path):
    """The tokens of training, validation and test part, and the number of different characters.

    Characters are numbered by code point. Cuts are at byte offsets, between two characters.
    """
    text = path.read_bytes()
    first, second = cut_offsets(text, SPLIT, lambda text, offset: text[offset] & 0xC0 != 0x80)
    parts = [part.decode() for part in (text[:first], text[first:second], text[second:])]
    ids = {character: index for index, character in enumerate(sorted(set("".join(parts))))}
    tokens = [torch.tensor([ids[character] for character in part]) for part in parts]
    return tokens, len(ids)


def train_epoch(model, optimizer, tokens, max_steps):
    """Goes once over the training part, from zero state; returns the loss of each step."""
    state = None
    losses = []
    for inputs, targets in windows(tokens, LANES, STEPS):
        logits, state = model(inputs, state)
        state = detached(state)
        loss = torch.nn.functional.cross_entropy(logits, targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.learned(), CLIP)
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == max_steps:
            break
    return losses


@torch.no_grad()
def evaluate(model, tokens, lanes):
    """The mean loss of all predictions but the first token's, dealt to lanes in equal stretches.

    Sizes differ by at most one, the longer stretches first; every prediction is made once.
    """
    predictions = len(tokens) - 1
    size, longer = divmod(predictions, lanes)
    lane = torch.arange(lanes)
    starts = lane * size + lane.clamp(max=longer)
    sizes = size + (lane < longer).long()
    state = None
    total = 0.0
    for first in range(0, int(sizes.max()), STEPS):
        times = first + torch.arange(STEPS).unsqueeze(1)
        ended = times >= sizes
        places = (starts + times).masked_fill(ended, 0)
        logits, state = model(tokens[places], state)
        total += torch.nn.functional.cross_entropy(
            logits,
            tokens[places + 1].masked_fill(ended, NO_TARGET).flatten(),
            ignore_index=NO_TARGET,
            reduction="sum",
        ).item()
    return total / predictions


if __name__ == "__main__":
    main()
