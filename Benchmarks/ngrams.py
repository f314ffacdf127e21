#!/usr/bin/env python3
"""Models of n-grams beside KenLM's lmplz: the same numbers, how long it takes and how much memory.

Both read the text and write an ARPA file, in turns. Medians over the rounds and their ratio are told, then how far log10 p and
backoffs of the last round are apart at most. Words that KenLM keeps for itself (<unk>, <s>, </s>) are not to be in the text.

    Benchmarks/ngrams.py --lockstep .build/release/lockstep --lmplz PATH/lmplz --order 5 --rounds 5 TEXT
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time


def run(command, stdin=None, stdout=subprocess.DEVNULL):
    """Seconds and peak of resident memory, in MB."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}: {error.decode(errors='replace')}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def ngrams(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) > 1:
                yield fields[1], (float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", required=True, help="the program")
    parser.add_argument("--lmplz", required=True, help="KenLM's program")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", default="1G", help="what lmplz may sort in")
    parser.add_argument("--compare", action="store_true", help="hold every n-gram against KenLM's")
    parser.add_argument("text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = os.path.join(folder, "ours.arpa"), os.path.join(folder, "theirs.arpa")
        rounds = []
        for _ in range(options.rounds):
            own = run([options.lockstep, "ngram", options.text, "--order", str(options.order), "--output", ours])
            with open(options.text, "rb") as text, open(theirs, "wb") as output:
                other = run(
                    [options.lmplz, "-o", str(options.order), "-S", options.memory, "-T", folder], text, output)
            rounds.append((own, other))
        seconds = [statistics.median(pair[side][0] for pair in rounds) for side in range(2)]
        memory = [max(pair[side][1] for pair in rounds) for side in range(2)]
        ratio = statistics.median(other[0] / own[0] for own, other in rounds)
        print(f"lockstep {seconds[0]:.2f} s, {memory[0]:.0f} MB; lmplz {seconds[1]:.2f} s, {memory[1]:.0f} MB; "
              f"lockstep is {ratio:.2f} times as fast")
        if options.compare:
            own, other = dict(ngrams(ours)), dict(ngrams(theirs))
            shared = own.keys() & other.keys()
            worst = [max(abs(own[ngram][side] - other[ngram][side]) for ngram in shared) for side in range(2)]
            print(f"{len(shared)} n-grams in both, {len(own) - len(shared)} and {len(other) - len(shared)} in one; "
                  f"log10 p differs by {worst[0]:.1e} at most, backoffs by {worst[1]:.1e}")


if __name__ == "__main__":
    main()
