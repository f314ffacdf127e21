"""Writes the reference values of small models: one JSON file for each case, beside this script.

    python Tests/Goldens/make_goldens.py

Weights, initial states and tokens are drawn at random and rounded to 32-bit floats; from them
PyTorch computes loss, logits, final states and gradients in 64-bit floats. Before a file is
written, the forward pass is computed a second time in NumPy, from the equations, and the gradients
are compared with finite differences.

The committed files were made on a CPU with Python 3.11.7, PyTorch 2.15.0 and NumPy 2.4.6.

Parameters have Lockstep's names and layouts. Against PyTorch's (see `torch_weights`):

- `weightInput` [input, gates x hidden] and `weightHidden` [hidden, gates x hidden] are `weight_ih`
  and `weight_hh` transposed;
- there is one bias; PyTorch's second, `bias_hh`, is zero, but for the new gate of a `gru`, where
  it stands inside the reset and is the fourth part of Lockstep's;
- the gates of a `gru` are update, reset, new, where PyTorch has reset, update, new;
- a tied model has no `output.weight` and uses `embedding`.

Tokens, and what is computed for each of them, are time-major: step t of lane n is at
t * lanes + n. The loss is the sum of -ln p over all steps and lanes, and the gradients are of that
sum.
"""

import pathlib
from dataclasses import dataclass

import numpy as np
import torch
from golden_files import Number, tensor, write_json

GATES = {"lstm": 4, "gru": 3, "rnn-tanh": 1, "rnn-relu": 1}
BIASES = {"lstm": 4, "gru": 4, "rnn-tanh": 1, "rnn-relu": 1}


@dataclass
class Case:
    """A model and the window it is run over."""

    name: str
    cell: str
    embedding_size: int
    hidden_sizes: list
    vocabulary_size: int
    tied: bool
    steps: int
    lanes: int
    seed: int

    @property
    def family(self):
        """What the parameters of the layers are called."""
        return self.cell.split("-")[0]


CASES = [
    Case("lstm-1-untied", "lstm", 5, [7], 11, False, steps=6, lanes=3, seed=1),
    Case("lstm-1-tied", "lstm", 7, [7], 11, True, steps=5, lanes=3, seed=2),
    Case("lstm-2-untied", "lstm", 6, [10, 7], 13, False, steps=5, lanes=3, seed=3),
    Case("lstm-2-tied", "lstm", 9, [9, 9], 15, True, steps=7, lanes=2, seed=4),
    Case("gru-2-untied", "gru", 6, [9, 7], 13, False, steps=5, lanes=3, seed=5),
    Case("rnn-tanh-1-untied", "rnn-tanh", 5, [9], 11, False, steps=5, lanes=3, seed=6),
    Case("rnn-relu-1-untied", "rnn-relu", 5, [9], 11, False, steps=5, lanes=3, seed=7),
]


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).parent
    for case in CASES:
        generator = np.random.default_rng(case.seed)
        parameters = draw_parameters(case, generator)
        states = draw_states(case, generator)
        inputs, targets = draw_tokens(case, generator)
        expected = run(case, parameters, states, inputs, targets)
        check_equations(case, parameters, states, inputs, targets, expected)
        check_gradients(case, parameters, states, inputs, targets)
        contents = golden(case, parameters, states, inputs, targets, expected)
        write_json(folder / f"{case.name}.json", contents)


def draw_parameters(case, generator):
    """Parameters by Lockstep's names: 32-bit floats, held in 64 bits."""
    shapes = {"embedding": (case.vocabulary_size, case.embedding_size)}
    input_size = case.embedding_size
    for layer, hidden_size in enumerate(case.hidden_sizes):
        name = f"{case.family}.{layer}"
        shapes[f"{name}.weightInput"] = (input_size, GATES[case.cell] * hidden_size)
        shapes[f"{name}.weightHidden"] = (hidden_size, GATES[case.cell] * hidden_size)
        shapes[f"{name}.bias"] = (BIASES[case.cell] * hidden_size,)
        input_size = hidden_size
    if not case.tied:
        shapes["output.weight"] = (case.vocabulary_size, input_size)
    shapes["output.bias"] = (case.vocabulary_size,)
    return {name: draw(generator, shape, 0.6) for name, shape in shapes.items()}


def draw_states(case, generator):
    """The state each layer starts from: none of it zero."""
    states = []
    for hidden_size in case.hidden_sizes:
        state = {"hidden": draw(generator, (case.lanes, hidden_size), 0.9)}
        if case.cell == "lstm":
            state["cell"] = draw(generator, (case.lanes, hidden_size), 1.5)
        states.append(state)
    return states


def draw(generator, shape, bound):
    """Uniform numbers, rounded to 32-bit floats."""
    values = generator.uniform(-bound, bound, shape).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64)).requires_grad_()


def draw_tokens(case, generator):
    """Inputs and targets; the last token is never an input, and some other is one twice."""
    count = case.steps * case.lanes
    inputs = generator.integers(0, case.vocabulary_size - 1, count)
    targets = generator.integers(0, case.vocabulary_size, count)
    assert len(np.unique(inputs)) < count
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def run(case, parameters, states, inputs, targets):
    """Forward and back again in PyTorch: what a golden file expects."""
    result = forward(case, parameters, states, inputs, targets)
    leaves = list(parameters.values()) + [part for state in states for part in state.values()]
    gradients = iter(torch.autograd.grad(result["loss"], leaves))
    result["gradients"] = {name: next(gradients) for name in parameters}
    result["initialStateGradients"] = [
        {part: next(gradients) for part in state} for state in states
    ]
    return result


def forward(case, parameters, states, inputs, targets):
    """Loss, logits and final states, from PyTorch's own layers."""
    vectors = torch.nn.functional.embedding(inputs, parameters["embedding"])
    vectors = vectors.view(case.steps, case.lanes, case.embedding_size)
    final_states = []
    for layer, state in enumerate(states):
        name = f"{case.family}.{layer}"
        weights = torch_weights(
            case.cell,
            parameters[f"{name}.weightInput"],
            parameters[f"{name}.weightHidden"],
            parameters[f"{name}.bias"],
        )
        vectors, final_state = run_layer(case.cell, vectors, state, weights)
        final_states.append(final_state)
    output_weight = parameters["embedding" if case.tied else "output.weight"]
    logits = torch.nn.functional.linear(vectors, output_weight, parameters["output.bias"])
    logits = logits.view(case.steps * case.lanes, case.vocabulary_size)
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return {
        "loss": losses.sum(),
        "laneLosses": losses.view(case.steps, case.lanes).sum(dim=0),
        "logits": logits,
        "finalState": final_states,
    }


def torch_weights(cell, weight_input, weight_hidden, bias):
    """A layer's weights in PyTorch's layouts: weight_ih, weight_hh, bias_ih, bias_hh."""
    if cell != "gru":
        return weight_input.T, weight_hidden.T, bias, torch.zeros_like(bias)

    def reset_first(weight):
        update, reset, new = weight.chunk(3, dim=1)
        return torch.cat([reset, update, new], dim=1)

    update, reset, new, new_hidden = bias.chunk(4)
    zero = torch.zeros_like(update)
    return (
        reset_first(weight_input).T,
        reset_first(weight_hidden).T,
        torch.cat([reset, update, new]),
        torch.cat([zero, zero, new_hidden]),
    )


def run_layer(cell, vectors, state, weights):
    """One layer over the window: its outputs and its final state.

    The functions called are those that `torch.nn.LSTM`, `GRU` and `RNN` call themselves.
    """
    # Biases, one layer, no dropout, training, one direction, time-major.
    options = (True, 1, 0.0, True, False, False)
    hidden = state["hidden"].unsqueeze(0)
    if cell == "lstm":
        start = (hidden, state["cell"].unsqueeze(0))
        output, hidden, cell_state = torch.lstm(vectors, start, weights, *options)
        return output, {"hidden": hidden.squeeze(0), "cell": cell_state.squeeze(0)}
    function = {"gru": torch.gru, "rnn-tanh": torch.rnn_tanh, "rnn-relu": torch.rnn_relu}[cell]
    output, hidden = function(vectors, hidden, weights, *options)
    return output, {"hidden": hidden.squeeze(0)}


def check_equations(case, parameters, states, inputs, targets, expected):
    """Computes the forward pass again, from the equations of the cells in Lockstep's layouts."""
    values = {name: parameter.detach().numpy() for name, parameter in parameters.items()}
    vectors = values["embedding"][inputs.numpy()].reshape(case.steps, case.lanes, -1)
    for layer, state in enumerate(states):
        name = f"{case.family}.{layer}"
        weights = [values[f"{name}.{part}"] for part in ("weightInput", "weightHidden", "bias")]
        state = {part: value.detach().numpy() for part, value in state.items()}
        outputs = []
        for x in vectors:
            state = step(case.cell, x, state, *weights)
            outputs.append(state["hidden"])
        vectors = np.stack(outputs)
        for part, value in expected["finalState"][layer].items():
            assert_close(state[part], value)
    output_weight = values["embedding" if case.tied else "output.weight"]
    logits = vectors.reshape(case.steps * case.lanes, -1) @ output_weight.T + values["output.bias"]
    assert_close(logits, expected["logits"])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(probabilities[np.arange(len(targets)), targets.numpy()])
    assert_close(losses.sum(), expected["loss"])
    lane_losses = losses.reshape(case.steps, case.lanes).sum(axis=0)
    assert_close(lane_losses, expected["laneLosses"])


def step(cell, x, state, weight_input, weight_hidden, bias):
    """A step of one layer: the state after it."""
    h = state["hidden"]
    if cell == "lstm":
        gates = x @ weight_input + h @ weight_hidden + bias
        in_gate, forget, new, out_gate = np.split(gates, 4, axis=1)
        c = sigmoid(forget) * state["cell"] + sigmoid(in_gate) * np.tanh(new)
        return {"hidden": sigmoid(out_gate) * np.tanh(c), "cell": c}
    if cell == "gru":
        x_update, x_reset, x_new = np.split(x @ weight_input, 3, axis=1)
        h_update, h_reset, h_new = np.split(h @ weight_hidden, 3, axis=1)
        b_update, b_reset, b_new, b_new_hidden = np.split(bias, 4)
        update = sigmoid(x_update + h_update + b_update)
        reset = sigmoid(x_reset + h_reset + b_reset)
        new = np.tanh(x_new + b_new + reset * (h_new + b_new_hidden))
        return {"hidden": update * h + (1 - update) * new}
    sums = x @ weight_input + h @ weight_hidden + bias
    if cell == "rnn-tanh":
        return {"hidden": np.tanh(sums)}
    # Rounding must not move a sum over the rectifier's corner.
    assert np.abs(sums).min() > 1e-3, "a sum is too close to zero: take another seed"
    return {"hidden": np.maximum(sums, 0)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=1e-11, atol=1e-13)


def check_gradients(case, parameters, states, inputs, targets):
    """Compares every gradient with finite differences."""
    leaves = list(parameters.values()) + [part for state in states for part in state.values()]

    def loss(*leaves):
        left = iter(leaves)
        moved_parameters = {name: next(left) for name in parameters}
        moved_states = [{part: next(left) for part in state} for state in states]
        return forward(case, moved_parameters, moved_states, inputs, targets)["loss"]

    torch.autograd.gradcheck(loss, leaves, eps=1e-5, atol=1e-7, rtol=1e-6)


def golden(case, parameters, states, inputs, targets, expected):
    """The contents of a golden file."""

    def given(value):
        return tensor(value.detach().numpy(), 9)  # nine digits give a 32-bit float back exactly

    def computed(value):
        return tensor(value.detach().numpy(), 12)

    return {
        "configuration": {
            "cell": case.cell,
            "embeddingSize": case.embedding_size,
            "hiddenSizes": case.hidden_sizes,
            "vocabularySize": case.vocabulary_size,
            "tied": case.tied,
            "steps": case.steps,
            "lanes": case.lanes,
        },
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        "initialState": [each(given, state) for state in states],
        "parameters": each(given, parameters),
        "expected": {
            "loss": Number(expected["loss"].item(), 12),
            "laneLosses": computed(expected["laneLosses"]),
            "logits": computed(expected["logits"]),
            "finalState": [each(computed, state) for state in expected["finalState"]],
            "gradients": each(computed, expected["gradients"]),
            "initialStateGradients": [
                each(computed, state) for state in expected["initialStateGradients"]
            ],
        },
    }


def each(function, values):
    return {name: function(value) for name, value in values.items()}


if __name__ == "__main__":
    main()
