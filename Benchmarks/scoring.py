#!/usr/bin/env python3
"""Whether a model prefers real lines to the same words in another order.

Takes lines of a text at random, shuffles the words of each, lets `lockstep score` judge both, and tells how often the
real one is the more probable. Lines of fewer than five words, and those that shuffling leaves as they are, are not
taken. Needs nothing but Python.

    Benchmarks/scoring.py --lockstep .build/release/lockstep --model checkpoints/tiny-shakespeare --text test-part.txt
"""

import argparse
import json
import random
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", required=True, help="the program")
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--from-byte", type=int, default=0, help="lines before are not taken: what was trained on")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.95, help="exit with 1 below this share")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with open(arguments.text, "rb") as file:
        file.seek(arguments.from_byte)
        lines = file.read().decode(errors="replace").split("\n")[1:]
    pairs = []
    for line in rng.sample(lines, len(lines)):
        words = line.split()
        shuffled = rng.sample(words, len(words))
        if len(words) >= 5 and shuffled != words and len(pairs) < arguments.pairs:
            pairs.append((" ".join(words), " ".join(shuffled)))
    told = subprocess.run([arguments.lockstep, "score", arguments.model, "-", "--format", "json"], check=True,
                          input="".join(f"{real}\n{other}\n" for real, other in pairs), capture_output=True, text=True)
    # What is impossible is told as "-inf".
    scores = [float(json.loads(line)["logProbability"]) for line in told.stdout.splitlines()]
    preferred = sum(real > other for real, other in zip(scores[::2], scores[1::2]))
    share = preferred / len(pairs)
    print(f"{preferred} of {len(pairs)} real lines are more probable than the same words shuffled ({share:.1%})")
    sys.exit(0 if len(pairs) == arguments.pairs and share >= arguments.least else 1)


if __name__ == "__main__":
    main()
