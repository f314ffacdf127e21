#!/usr/bin/env python3
"""Perplexities of n-gram models of every smoothing and order on a validation text, as a table.

    Benchmarks/smoothing.py --lockstep .build/release/lockstep TRAIN VALIDATION

Words of the validation text that the training text lacks count as <unk>. A model that gives some word no probability has
no perplexity: it is "inf". Scores of stupid backoff do not sum to 1, so what is told of them is no perplexity.
"""

import argparse
import json
import os
import subprocess
import tempfile

KINDS = [
    ("none", []),
    ("add-delta", ["--delta", "1"]),
    ("add-delta", ["--delta", "0.01"]),
    ("stupid-backoff", []),
    ("katz", []),
    ("witten-bell", ["--no-interpolate"]),
    ("witten-bell", []),
    ("absolute-discounting", ["--no-interpolate"]),
    ("absolute-discounting", []),
    ("kneser-ney", ["--no-interpolate"]),
    ("kneser-ney", []),
    ("modified-kneser-ney", ["--no-interpolate"]),
    ("modified-kneser-ney", []),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", required=True, help="the program")
    parser.add_argument("--orders", type=int, default=6, help="orders from 1 to this")
    parser.add_argument("train")
    parser.add_argument("validation")
    options = parser.parse_args()
    orders = range(1, options.orders + 1)
    print("| smoothing | " + " | ".join(map(str, orders)) + " |")
    print("|---|" + "---|" * len(orders))
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.ngrams")
        for kind, more in KINDS:
            row = []
            for order in orders:
                made = [options.lockstep, "ngram", options.train, "--order", str(order), "--smoothing", kind]
                subprocess.run(
                    made + more + ["--output", model], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                told = subprocess.run(
                    [options.lockstep, "evaluate", model, options.validation, "--format", "json"], check=True,
                    capture_output=True, text=True).stdout
                perplexity = json.loads(told)["perplexity"]
                row.append("inf" if perplexity > 1e6 else f"{perplexity:.2f}")
            name = kind.replace("-", " ") + "".join(
                f" {value}" for name, value in zip(more, more[1:]) if name == "--delta")
            name += ", backed off" if "--no-interpolate" in more else ""
            print(f"| {name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
