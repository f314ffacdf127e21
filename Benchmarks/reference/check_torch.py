"""Compares an exported safetensors file, in PyTorch, with the model that it was exported from.

    lockstep export checkpoints/words --output words.safetensors
    python Benchmarks/reference/check_torch.py --lockstep .build/release/lockstep \\
        --safetensors words.safetensors --model checkpoints/words --text wikitext2-test.txt

`RNNModel`, with the names and layers of PyTorch's word_language_model example, takes the file's
tensors with load_state_dict(strict=True). Compared are the logits after some prompts, pieces of the
text each read from zero state, with those of `lockstep complete`, by the norm of the difference
over the norm; and the perplexity of the whole text, read from zero state in one stretch, with that
of `lockstep evaluate`. The exit status is 1 if a difference is larger than its bar.

Tried with Python 3.11.7, PyTorch 2.15.0, NumPy 2.4.6 and safetensors 0.8.0, on the CPU.
"""

import argparse
import json
import math
import pathlib
import re
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from common import ask, report
from word_model import read_words

RNN_TYPES = {"lstm": "LSTM", "gru": "GRU", "rnn-tanh": "RNN_TANH", "rnn-relu": "RNN_RELU"}
LOGITS_BAR = 1e-5
PERPLEXITY_BAR = 5e-5  # the largest that is no difference in four digits, whatever they are
STEPS = 500


class RNNModel(torch.nn.Module):
    """Embedding, recurrent layers of one size, output layer: names as in PyTorch's example."""

    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super().__init__()
        self.drop = torch.nn.Dropout(dropout)
        self.encoder = torch.nn.Embedding(ntoken, ninp)
        kind, _, nonlinearity = rnn_type.partition("_")
        options = {"nonlinearity": nonlinearity.lower()} if nonlinearity else {}
        layer = getattr(torch.nn, kind)
        self.rnn = layer(ninp, nhid, nlayers, dropout=dropout, **options)
        self.decoder = torch.nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight

    def logits(self, tokens, hidden=None):
        """Logits [steps x lanes, vocabulary], and the state, after tokens [steps, lanes]."""
        output, hidden = self.rnn(self.drop(self.encoder(tokens)), hidden)
        return self.decoder(self.drop(output)).flatten(0, 1), hidden

    def forward(self, tokens, hidden=None):
        logits, hidden = self.logits(tokens, hidden)
        return torch.log_softmax(logits, dim=1), hidden


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    model, tokenizer = load(arguments.safetensors)
    text = arguments.text.read_bytes()
    tokens = tokenizer.encode(text)
    print(f"{len(tokens)} tokens of {arguments.text}, vocabulary {model.encoder.num_embeddings}")
    kept = [check_logits(arguments, model, tokenizer, p) for p in tokenizer.prompts(text)]
    kept.append(check_perplexity(arguments, model, tokens))
    sys.exit(0 if all(kept) else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compares an exported model with its origin.")
    parser.add_argument("--lockstep", required=True, help="the program")
    parser.add_argument("--safetensors", required=True, help="the file it exported")
    parser.add_argument("--model", required=True, help="what it was exported from")
    parser.add_argument("--text", required=True, type=pathlib.Path, help="UTF-8 text")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def load(path):
    """The model and its tokenizer."""
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    cell = re.search(r"^\s+cell: (\S+)$", metadata["lockstep.configuration"], re.MULTILINE)[1]
    vocabulary_size, embedding_size = tensors["encoder.weight"].shape
    model = RNNModel(
        RNN_TYPES[cell], vocabulary_size, embedding_size, tensors["decoder.weight"].shape[1],
        nlayers=sum(name.startswith("rnn.weight_ih_l") for name in tensors),
        tie_weights=torch.equal(tensors["encoder.weight"], tensors["decoder.weight"]),
    )
    model.load_state_dict(tensors, strict=True)
    tokenizer = Tokenizer(metadata["lockstep.tokenizer"], metadata["lockstep.vocabulary"])
    return model.eval(), tokenizer


class Tokenizer:
    """What makes the tokens of a text, as bytes; the vocabulary is a JSON array."""

    def __init__(self, kind, vocabulary):
        self.kind = kind
        self.ids = {token: index for index, token in enumerate(json.loads(vocabulary))}

    def encode(self, text):
        if self.kind == "words":
            return torch.tensor([self.ids.get(word, 0) for word in read_words(text)])
        if self.kind == "characters":
            return torch.tensor([self.ids[character] for character in text.decode("utf-8-sig")])
        return torch.tensor(list(text))

    def prompts(self, text):
        """Pieces of a text, short and long, from several of its lines, and some lines at once.

        Words that are <unk> are left out: no prompt may have them.
        """
        lines = [self.known(line) for line in text.decode("utf-8-sig").split("\n")]
        lines = [line for line in lines if len(line) > 3]
        picked = lines[:: max(1, len(lines) // 6)][:6]
        pieces = [" ".join(line[: 3 + 4 * index]) for index, line in enumerate(picked)]
        return pieces + ["\n".join(" ".join(line[:40]) for line in lines[:5])]

    def known(self, line):
        """The words of a line but those that are <unk>."""
        return [word for word in line.split() if self.kind != "words" or self.ids.get(word, 0) > 0]


@torch.no_grad()
def check_logits(arguments, model, tokenizer, prompt):
    """Whether both programs give the same logits after a prompt."""
    answer = ask(arguments, "complete", "--count", "0", "--", arguments.model, prompt)
    logits = {token["id"]: token["logit"] for token in answer["next"]}
    found = torch.tensor([logits[index] for index in range(len(logits))], dtype=torch.float64)
    tokens = tokenizer.encode(prompt.encode())
    expected = model.logits(tokens.unsqueeze(1))[0][-1].double()
    difference = ((found - expected).norm() / expected.norm()).item()
    return report(f"logits after {len(tokens)} tokens", difference, LOGITS_BAR)


@torch.no_grad()
def check_perplexity(arguments, model, tokens):
    """Whether both programs find the same perplexity."""
    found = ask(arguments, "evaluate", "--", arguments.model, str(arguments.text))["perplexity"]
    state = None
    total = 0.0
    for start in range(0, len(tokens) - 1, STEPS):
        window = tokens[start : start + STEPS + 1]
        log_probabilities, state = model(window[:-1].unsqueeze(1), state)
        losses = torch.nn.functional.nll_loss(log_probabilities, window[1:], reduction="none")
        total += losses.double().sum().item()
    expected = math.exp(total / (len(tokens) - 1))
    print(f"perplexity {found:.6f}, in PyTorch {expected:.6f}")
    return report("perplexity", abs(found - expected) / expected, PERPLEXITY_BAR)


if __name__ == "__main__":
    main()
