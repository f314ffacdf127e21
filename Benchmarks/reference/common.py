"""What the reference trainings share: the model, weights and states of checkpoints, cuts and windows of a text."""

import json
import subprocess

import h5py
import torch


class LanguageModel(torch.nn.Module):
    """Embedding, stacked LSTM, output layer; all layers, and the embedding, of one size.

    PyTorch's LSTM has two biases that are only ever added to each other. The second is kept at
    zero, so that rates and clipping act as on a model with one.
    """

    def __init__(self, vocabulary_size, hidden_size, layers):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, hidden_size)
        self.lstm = torch.nn.LSTM(hidden_size, hidden_size, layers)
        self.output = torch.nn.Linear(hidden_size, vocabulary_size)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                parameter.requires_grad_(False).zero_()

    def forward(self, inputs, state=None):
        """Logits [steps x lanes, vocabulary] and the state after tokens [steps, lanes]."""
        vectors, state = self.lstm(self.embedding(inputs), state)
        return self.output(vectors).flatten(0, 1), state

    def learned(self):
        """The parameters that learn."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def load_weights(model, path):
    """Takes over the parameters of a Lockstep checkpoint; its recurrent weights are transposed."""
    places = {
        "embedding": model.embedding.weight,
        "output.weight": model.output.weight,
        "output.bias": model.output.bias,
    }
    for layer in range(model.lstm.num_layers):
        places[f"lstm.{layer}.weightInput"] = getattr(model.lstm, f"weight_ih_l{layer}").T
        places[f"lstm.{layer}.weightHidden"] = getattr(model.lstm, f"weight_hh_l{layer}").T
        places[f"lstm.{layer}.bias"] = getattr(model.lstm, f"bias_ih_l{layer}")
    with h5py.File(path) as file, torch.no_grad():
        found = {name: values.shape for name, values in file["parameters"].items()}
        expected = {name: tuple(place.shape) for name, place in places.items()}
        if found != expected:
            raise SystemExit(f"{path}: expected parameters {expected}, found {found}")
        for name, place in places.items():
            place.copy_(torch.from_numpy(file["parameters"][name][...]))


def load_states(model, path):
    """The lanes' recurrent states of a Lockstep checkpoint, as PyTorch's LSTM takes them.

    A lane has its layers one after the other, hidden before cell state.
    """
    with h5py.File(path) as file:
        states = torch.from_numpy(file["lanes/state"][...])
    layers, size = model.lstm.num_layers, model.lstm.hidden_size
    states = states.reshape(len(states), layers, 2, size).permute(2, 1, 0, 3)
    return states[0].contiguous(), states[1].contiguous()


def checkpoint_step(path):
    """The number of steps a Lockstep checkpoint was made after."""
    with h5py.File(path) as file:
        return json.loads(file["progress"][()])["step"]


def cut_offsets(text, split, is_boundary):
    """The byte offsets where validation and test part of a text begin.

    `split` has three fractions. A cut moves forward to the first offset that is a boundary.
    """
    offsets = []
    for fraction in (split[0] / sum(split), (split[0] + split[1]) / sum(split)):
        offset = min(len(text), int(fraction * len(text)))
        while 0 < offset < len(text) and not is_boundary(text, offset):
            offset += 1
        offsets.append(offset)
    return offsets


def windows(tokens, lanes, steps):
    """Inputs and targets [steps, lanes] of each step of an epoch.

    Each lane reads a contiguous stretch of the text; what fills no whole window on every lane is
    left out.
    """
    per_lane = (len(tokens) - 1) // lanes
    starts = torch.arange(lanes) * per_lane + torch.arange(steps).unsqueeze(1)
    for window in range(per_lane // steps):
        places = starts + window * steps
        yield tokens[places], tokens[places + 1]


def detached(state):
    """The state without its history: where the way back ends."""
    return tuple(part.detach() for part in state)


def clip_gradients(parameters, limit):
    """Scales the gradients of all parameters down to a norm of `limit`, if theirs is larger.

    The norm is taken in 64 bits: in 32, PyTorch 2.15 on a CPU was seen to be wrong by 7e-4 of the
    norm of a large matrix, and the losses of the next steps with it.
    """
    norms = [torch.linalg.vector_norm(p.grad, dtype=torch.float64) for p in parameters]
    norm = torch.linalg.vector_norm(torch.stack(norms)).item()
    if norm > limit:
        for parameter in parameters:
            parameter.grad.mul_(limit / norm)


def ask(arguments, command, *rest):
    """What the program answers, as JSON."""
    call = [arguments.lockstep, command, "--format", "json", *rest]
    return json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)


def report(name, difference, bar):
    """Prints a relative difference; whether it is a number no larger than its bar."""
    kept = difference <= bar
    print(f"{name}: relative difference {difference:.2g}, {'within' if kept else 'ABOVE'} {bar:g}")
    return kept
