"""Writes reference values of networks that PyTorch has no layer for, and of packed sequences.

    python Tests/Goldens/make_network_goldens.py

`window-*.json`: the window network of Bengio et al. (2003) as torch.nn.functional has its parts. `gru-simple.json`,
`gru-vanilla.json`, `rnn-leaky-relu.json`, `rnn-sigmoid.json`: cells that PyTorch lacks, step by step, by their equations in
torch. `packed-lstm.json`: an LSTM of two layers over a
`PackedSequence`. Numbers are drawn and rounded as in make_goldens.py, and computed in 64-bit floats; gradients are compared
with finite differences before a file is written.

Layouts are Lockstep's: `dense.l.weight` [input, hidden]; the gates of `gru-simple` are update, candidate,
those of `gru-vanilla` update, reset, new. Of a window network,
`context` [lanes, window - 1] are the tokens before the window, oldest first, -1 where there is none. Tokens of a packed batch
stand step by step, at each step those of the sequences that have not ended, the longest first.
"""

import pathlib

import numpy as np
import torch
from golden_files import tensor, write_json
from make_goldens import draw, torch_weights

LENGTHS = [6, 4, 4, 1]


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).parent
    for name, make in [
        ("window-1-direct", lambda: window(11, 5, [7], 4, "tanh", direct=True, tied=False, seed=11)),
        ("window-2-tied", lambda: window(13, 6, [9, 6], 3, "sigmoid", direct=False, tied=True, seed=12)),
        ("gru-simple", lambda: stepped("gru-simple", 11, 5, 8, seed=13)),
        ("gru-vanilla", lambda: stepped("gru-vanilla", 11, 5, 8, seed=15)),
        ("rnn-leaky-relu", lambda: stepped("rnn-leaky-relu", 11, 5, 8, seed=16)),
        ("rnn-sigmoid", lambda: stepped("rnn-sigmoid", 11, 5, 8, seed=17)),
        ("packed-lstm", lambda: packed_lstm(12, 5, [8, 6], seed=14)),
    ]:
        given, parameters, forward = make()
        loss, results = forward(parameters)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        check(parameters, gradients, lambda: forward(parameters)[0])
        write_json(folder / f"{name}.json", {
            **given,
            "parameters": {key: tensor(value.detach(), 9) for key, value in parameters.items()},
            "expected": {
                "loss": loss.item(),
                **{key: tensor(value.detach(), 12) for key, value in results.items()},
                "gradients": {key: tensor(value, 12) for key, value in zip(parameters, gradients)},
            },
        })


def window(vocabulary, size, hidden, width, activation, direct, tied, seed, steps=5, lanes=3):
    generator = np.random.default_rng(seed)
    shapes = {"embedding": (vocabulary, size)}
    below = width * size
    for layer, units in enumerate(hidden):
        shapes[f"dense.{layer}.weight"], shapes[f"dense.{layer}.bias"] = (below, units), (units,)
        below = units
    if not tied:
        shapes["output.weight"] = (vocabulary, below + (width * size if direct else 0))
    shapes["output.bias"] = (vocabulary,)
    parameters = {name: draw(generator, shape, 0.6) for name, shape in shapes.items()}
    inputs = generator.integers(0, vocabulary - 1, steps * lanes)
    targets = torch.from_numpy(generator.integers(0, vocabulary, steps * lanes))
    context = generator.integers(0, vocabulary, (lanes, width - 1))
    context[0, 0] = context[1, :] = -1  # texts that have just begun
    function = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[activation]

    def forward(parameters):
        # Row 0 is that of no token.
        table = torch.cat([torch.zeros(1, size, dtype=torch.float64), parameters["embedding"]])
        history = np.concatenate([context.T, inputs.reshape(steps, lanes)]) + 1
        seen = np.stack([history[step:step + width].T for step in range(steps)]).reshape(steps * lanes, width)
        embedded = torch.nn.functional.embedding(torch.from_numpy(seen), table).reshape(steps * lanes, width * size)
        x = embedded
        for layer in range(len(hidden)):
            x = function(torch.nn.functional.linear(
                x, parameters[f"dense.{layer}.weight"].T, parameters[f"dense.{layer}.bias"]))
        if direct:
            x = torch.cat([x, embedded], dim=1)
        weight = parameters["embedding" if tied else "output.weight"]
        logits = torch.nn.functional.linear(x, weight, parameters["output.bias"])
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), {"logits": logits}

    given = {
        "configuration": {
            "kind": "window", "embeddingSize": size, "hiddenSizes": hidden, "window": width, "activation": activation,
            "direct": direct, "tied": tied, "vocabularySize": vocabulary,
        },
        "active": [lanes] * steps, "inputs": inputs.tolist(), "targets": targets.tolist(),
        "context": context.flatten().tolist(),
    }
    return given, parameters, forward


def gru_simple(x, h, wx, wh, b):
    update, candidate = (x @ wx + h @ wh + b).chunk(2, dim=1)
    update = torch.sigmoid(update)
    return update * torch.tanh(candidate) + (1 - update) * h


def gru_vanilla(x, h, wx, wh, b):
    """Cho et al. (2014): the reset comes before the product."""
    units = h.shape[1]
    update, reset = torch.sigmoid(x @ wx[:, :2 * units] + h @ wh[:, :2 * units] + b[:2 * units]).chunk(2, dim=1)
    new = torch.tanh(x @ wx[:, 2 * units:] + (reset * h) @ wh[:, 2 * units:] + b[2 * units:])
    return update * h + (1 - update) * new


def plain(function):
    return lambda x, h, wx, wh, b: function(x @ wx + h @ wh + b)


# Family of the parameters' names, gates, and the step from a state to the next.
CELLS = {
    "gru-simple": ("gru", 2, gru_simple),
    "gru-vanilla": ("gru", 3, gru_vanilla),
    "rnn-leaky-relu": ("rnn", 1, plain(lambda x: torch.nn.functional.leaky_relu(x, 0.01))),
    "rnn-sigmoid": ("rnn", 1, plain(torch.sigmoid)),
}


def stepped(cell, vocabulary, size, units, seed, steps=5, lanes=3):
    family, gates, step = CELLS[cell]
    generator = np.random.default_rng(seed)
    names = [f"{family}.0.{part}" for part in ("weightInput", "weightHidden", "bias")]
    shapes = {
        "embedding": (vocabulary, size), names[0]: (size, gates * units), names[1]: (units, gates * units),
        names[2]: (gates * units,), "output.weight": (vocabulary, units), "output.bias": (vocabulary,),
    }
    parameters = {name: draw(generator, shape, 0.6) for name, shape in shapes.items()}
    inputs = torch.from_numpy(generator.integers(0, vocabulary - 1, steps * lanes))
    targets = torch.from_numpy(generator.integers(0, vocabulary, steps * lanes))

    def forward(parameters):
        h = torch.zeros(lanes, units, dtype=torch.float64)
        outputs = []
        for x in parameters["embedding"][inputs].view(steps, lanes, size):
            h = step(x, h, *(parameters[name] for name in names))
            outputs.append(h)
        logits = torch.nn.functional.linear(
            torch.cat(outputs), parameters["output.weight"], parameters["output.bias"])
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), {"logits": logits}

    given = {
        "configuration": {
            "kind": "recurrent", "cell": cell, "embeddingSize": size, "hiddenSizes": [units], "tied": False,
            "vocabularySize": vocabulary,
        },
        "active": [lanes] * steps, "inputs": inputs.tolist(), "targets": targets.tolist(),
    }
    return given, parameters, forward


def packed_lstm(vocabulary, size, hidden, seed):
    generator = np.random.default_rng(seed)
    shapes, below = {"embedding": (vocabulary, size)}, size
    for layer, units in enumerate(hidden):
        shapes[f"lstm.{layer}.weightInput"] = (below, 4 * units)
        shapes[f"lstm.{layer}.weightHidden"] = (units, 4 * units)
        shapes[f"lstm.{layer}.bias"] = (4 * units,)
        below = units
    shapes["output.weight"], shapes["output.bias"] = (vocabulary, below), (vocabulary,)
    parameters = {name: draw(generator, shape, 0.6) for name, shape in shapes.items()}
    active = [sum(length > step for length in LENGTHS) for step in range(max(LENGTHS))]
    count = sum(LENGTHS)
    inputs = torch.from_numpy(generator.integers(0, vocabulary - 1, count))
    targets = torch.from_numpy(generator.integers(0, vocabulary, count))

    def forward(parameters):
        packed = torch.nn.utils.rnn.PackedSequence(parameters["embedding"][inputs], torch.tensor(active))
        data = packed.data
        for layer, units in enumerate(hidden):
            weights = torch_weights("lstm", *(parameters[f"lstm.{layer}.{part}"] for part in
                                              ("weightInput", "weightHidden", "bias")))
            zero = torch.zeros(1, len(LENGTHS), units, dtype=torch.float64)
            data, _, _ = torch.lstm(data, packed.batch_sizes, (zero, zero), weights, True, 1, 0.0, True, False)
        logits = torch.nn.functional.linear(data, parameters["output.weight"], parameters["output.bias"])
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), {"logits": logits}

    given = {
        "configuration": {
            "kind": "recurrent", "cell": "lstm", "embeddingSize": size, "hiddenSizes": hidden, "tied": False,
            "vocabularySize": vocabulary,
        },
        "active": active, "inputs": inputs.tolist(), "targets": targets.tolist(),
    }
    return given, parameters, forward


def check(parameters, gradients, loss, step=1e-6):
    """Compares some numbers of every gradient with finite differences."""
    for (name, parameter), gradient in zip(parameters.items(), gradients):
        flat, exact = parameter.data.view(-1), gradient.reshape(-1)
        for place in range(0, flat.numel(), 7):
            value = flat[place].item()
            flat[place] = value + step
            up = loss().item()
            flat[place] = value - step
            down = loss().item()
            flat[place] = value
            np.testing.assert_allclose((up - down) / (2 * step), exact[place].item(), rtol=1e-5, atol=1e-7, err_msg=name)


if __name__ == "__main__":
    main()
