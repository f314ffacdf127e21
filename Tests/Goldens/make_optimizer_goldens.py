"""Writes the reference values of the optimizers to optimizers.json, beside this script.

    python Tests/Goldens/make_optimizer_goldens.py

Ten steps of each of PyTorch's optimizers on a vector of seven numbers, with gradients that are
given rather than computed: 64-bit arithmetic on numbers rounded to 32-bit floats.

The committed file was made on a CPU with Python 3.11.7, PyTorch 2.15.0 and NumPy 2.4.6.

Weight decay is added to the gradient (L2), except with `adamw`, where it is taken off the
parameters. PyTorch adds epsilon after the square root; Adam's stands after the correction of bias.
"""

import pathlib

import numpy as np
import torch
from golden_files import tensor, write_json

STEPS = 10
# Elements differ in size so that a misplaced epsilon shows.
SCALES = np.array([1, 0.1, 1e-3, 1e-6, 1e-8, 3, 1])

# Lockstep's names for the settings; what a case does not set is this.
DEFAULTS = {
    "momentum": 0.9,
    "beta1": 0.9,
    "beta2": 0.999,
    "smoothing": 0.99,
    "epsilon": 1e-8,
    "weightDecay": 0.0,
}
CASES = {
    "sgd": {"kind": "sgd", "learningRate": 0.5},
    "sgd-decay": {"kind": "sgd", "learningRate": 0.5, "weightDecay": 0.01},
    "momentum": {"kind": "momentum", "learningRate": 0.1},
    "momentum-decay": {"kind": "momentum", "learningRate": 0.1, "weightDecay": 0.01},
    "nesterov": {"kind": "nesterov", "learningRate": 0.1},
    "nesterov-decay": {"kind": "nesterov", "learningRate": 0.1, "weightDecay": 0.01},
    "adam": {"kind": "adam", "learningRate": 0.01},
    "adam-decay": {"kind": "adam", "learningRate": 0.01, "weightDecay": 0.01},
    "adamw": {"kind": "adamw", "learningRate": 0.01, "weightDecay": 0.01},
    "rmsprop": {"kind": "rmsprop", "learningRate": 0.01},
    "adagrad": {"kind": "adagrad", "learningRate": 0.05, "epsilon": 1e-10},
}


def main():
    torch.set_num_threads(1)
    generator = np.random.default_rng(1)
    initial = float32(generator.uniform(-1, 1, len(SCALES)))
    gradients = float32(generator.normal(0, 1, (STEPS, len(SCALES))) * SCALES)
    gradients[:3, -1] = 0  # An element whose first gradients are zero.
    contents = {
        "initial": tensor(initial, 9),
        "gradients": tensor(gradients, 9),
        "cases": [golden(name, case, initial, gradients) for name, case in CASES.items()],
    }
    write_json(pathlib.Path(__file__).parent / "optimizers.json", contents)


def float32(values):
    """Rounds to 32-bit floats, held in 64 bits."""
    return values.astype(np.float32).astype(np.float64)


def golden(name, case, initial, gradients):
    """A case's entry in the file."""
    settings = case | {key: value for key, value in DEFAULTS.items() if key not in case}
    return {
        "name": name,
        "settings": settings,
        "parameters": tensor(run(settings, initial, gradients), 12),
    }


def run(settings, initial, gradients):
    """The parameters after each step."""
    parameters = torch.nn.Parameter(torch.from_numpy(initial.copy()))
    optimizer = make_optimizer(settings, parameters)
    after = []
    for gradient in gradients:
        parameters.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        after.append(parameters.detach().numpy().copy())
    return np.stack(after)


def make_optimizer(settings, parameters):
    """PyTorch's optimizer with these settings."""
    kind = settings["kind"]
    options = {"lr": settings["learningRate"], "weight_decay": settings["weightDecay"]}
    if kind == "sgd":
        return torch.optim.SGD([parameters], **options)
    if kind in ("momentum", "nesterov"):
        options |= {"momentum": settings["momentum"], "nesterov": kind == "nesterov"}
        return torch.optim.SGD([parameters], **options)
    options["eps"] = settings["epsilon"]
    if kind == "adagrad":
        return torch.optim.Adagrad([parameters], **options)
    if kind == "rmsprop":
        return torch.optim.RMSprop([parameters], alpha=settings["smoothing"], **options)
    adam = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    return adam([parameters], betas=(settings["beta1"], settings["beta2"]), **options)


if __name__ == "__main__":
    main()
