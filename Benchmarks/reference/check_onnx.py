"""Compares an exported ONNX file, in onnxruntime, with the model that it was exported from.

    lockstep export checkpoints/words --output words.onnx
    python Benchmarks/reference/check_onnx.py --lockstep .build/release/lockstep \\
        --onnx words.onnx --model checkpoints/words --text wikitext2-test.txt

The file must be valid for onnx. Compared are the logits after the beginnings of some lines, each
read from zero state, with those of `lockstep complete`, by the norm of the difference over the
norm; logits and states of one batch and length with those of others, likewise; and the perplexity
of the whole text, read from zero state in one stretch, with that of `lockstep evaluate`. The exit
status is 1 if a difference is larger than its bar.

Tried with Python 3.11.7, onnx 1.23.2, onnxruntime 1.31.1, PyTorch 2.15.0 (which only the reading
of words needs) and NumPy 2.4.6, on the CPU.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from common import ask, report
from word_model import read_words

BAR = 1e-5  # of logits and states
PERPLEXITY_BAR = 5e-5  # the largest that is no difference in four digits, whatever they are
STEPS = 256  # tokens of a text that are read at once


def main():
    arguments = parse_arguments()
    onnx.checker.check_model(arguments.onnx, full_check=True)
    model = Model(arguments.onnx, arguments.threads)
    print(f"{arguments.onnx} is valid; opset {model.opset}, {len(model.states)} states")
    text = arguments.text.read_bytes()
    tokens = model.encode(text)
    print(f"{len(tokens)} tokens, {model.vocabulary_size} different")
    kept = [*check_logits(arguments, model, text), *check_shapes(model, tokens)]
    kept.append(check_perplexity(arguments, model, tokens))
    sys.exit(0 if all(kept) else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compares an exported model with its origin.")
    parser.add_argument("--lockstep", required=True, help="the program")
    parser.add_argument("--onnx", required=True, help="the file it exported")
    parser.add_argument("--model", required=True, help="what it was exported from")
    parser.add_argument("--text", required=True, type=pathlib.Path, help="UTF-8 text")
    parser.add_argument("--prompts", type=int, default=5, help="how many, cut from the text")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


class Model:
    """An exported model in onnxruntime."""

    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.opset = onnx.load(path).opset_import[0].version
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.tokenizer = metadata["lockstep.tokenizer"]
        entries = json.loads(metadata["lockstep.vocabulary"])
        self.ids = {entry: index for index, entry in enumerate(entries)}
        self.states = {
            value.name: value.shape[1]
            for value in self.session.get_inputs() if value.name != "tokens"
        }
        self.vocabulary_size = self.session.get_outputs()[0].shape[2]

    def zero_states(self, batch):
        """Where a text begins."""
        return {
            name: numpy.zeros((batch, size), numpy.float32) for name, size in self.states.items()
        }

    def run(self, tokens, states):
        """Logits [length, batch, vocabulary] and the states after tokens [length, batch]."""
        names = ["logits"] + [f"{name}.next" for name in self.states]
        logits, *following = self.session.run(names, {"tokens": tokens, **states})
        return logits, dict(zip(self.states, following, strict=True))

    def encode(self, text):
        """The tokens of a text's bytes, as lockstep has them."""
        if self.tokenizer == "bytes":
            return numpy.frombuffer(text, numpy.uint8).astype(numpy.int64)
        if self.tokenizer == "characters":
            text = text.decode("utf-8-sig")
            return numpy.array([self.ids[character] for character in text], numpy.int64)
        return numpy.array([self.ids.get(word, 0) for word in read_words(text)], numpy.int64)

    def known(self, line):
        """What is left of a line without what the vocabulary lacks, which no prompt may hold."""
        if self.tokenizer == "words":
            return " ".join(word for word in line.split() if self.ids.get(word, 0) != 0)
        return "".join(char for char in line if self.tokenizer == "bytes" or char in self.ids)


def check_logits(arguments, model, text):
    """Whether both programs give the same logits after the beginnings of some lines."""
    lines = [line for line in text.decode("utf-8-sig").split("\n") if len(line.split()) >= 8]
    for index in range(arguments.prompts):
        line = lines[len(lines) * index // arguments.prompts]
        prompt = " ".join(model.known(line).split()[: 2 + 3 * index])
        answer = ask(arguments, "complete", "--count", "0", "--", arguments.model, prompt)
        logits = {token["id"]: token["logit"] for token in answer["next"]}
        expected = [logits[index] for index in range(model.vocabulary_size)]
        tokens = model.encode(prompt.encode())
        found = model.run(tokens[:, None], model.zero_states(1))[0][-1, 0]
        yield report(f"logits after {len(tokens)} tokens", relative(found, expected), BAR)


def check_shapes(model, tokens):
    """Whether the same tokens give the same in batches of 1 and 3, all at once and one by one."""
    steps, lanes = 20, 3
    if len(tokens) < steps * lanes:
        sys.exit(f"expected a text of at least {steps * lanes} tokens, found {len(tokens)}")
    batch = tokens[: steps * lanes].reshape(lanes, steps).T.copy()
    logits, states = model.run(batch, model.zero_states(lanes))
    alone = [model.run(batch[:, [lane]], model.zero_states(1)) for lane in range(lanes)]
    found = numpy.concatenate([logits for logits, _ in alone], axis=1)
    yield report("batches of 1 against 3: logits", relative(found, logits), BAR)
    found = numpy.concatenate([flat(states) for _, states in alone])
    yield report("batches of 1 against 3: states", relative(found, flat(states)), BAR)
    rows = []
    following = model.zero_states(lanes)
    for step in range(steps):
        row, following = model.run(batch[[step]], following)
        rows.append(row)
    yield report("lengths of 1 against 20: logits", relative(numpy.concatenate(rows), logits), BAR)
    yield report("lengths of 1 against 20: states", relative(flat(following), flat(states)), BAR)


def check_perplexity(arguments, model, tokens):
    """Whether both programs find the same perplexity."""
    answer = ask(arguments, "evaluate", "--", arguments.model, str(arguments.text))
    expected = float(answer["perplexity"])
    states = model.zero_states(1)
    nats = 0.0
    for start in range(0, len(tokens) - 1, STEPS):
        targets = tokens[start + 1 : start + 1 + STEPS]
        logits, states = model.run(tokens[start : start + len(targets), None], states)
        rows = logits[:, 0].astype(numpy.float64)
        rows -= rows.max(axis=1, keepdims=True)
        nats += numpy.log(numpy.exp(rows).sum(axis=1)).sum()
        nats -= rows[numpy.arange(len(targets)), targets].sum()
    found = math.exp(nats / (len(tokens) - 1))
    print(f"perplexity {expected:.6f}, in onnxruntime {found:.6f}")
    return report("perplexity", abs(found - expected) / expected, PERPLEXITY_BAR)


def relative(found, expected):
    """The norm of the difference by that of what was expected."""
    difference = numpy.asarray(found, numpy.float64) - numpy.asarray(expected, numpy.float64)
    return numpy.linalg.norm(difference) / numpy.linalg.norm(expected)


def flat(states):
    """The states of each lane, [batch, units]."""
    return numpy.concatenate(list(states.values()), axis=1)


if __name__ == "__main__":
    main()
