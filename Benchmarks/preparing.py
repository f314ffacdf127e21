#!/usr/bin/env python3
"""How fast Lockstep makes token files of a text, beside a word-level model of HuggingFace's tokenizers.

One thread, one core, to which everything here is pinned. `lockstep corpus prepare` takes the text as characters and as
words, the peer as words: it splits at white space, counts, makes a vocabulary of 10,000, encodes, writes two bytes a
token. Rounds alternate; medians are told, of bytes of text a second by the clock and by the processor's time, of whole
programs from start to end.

    venv/bin/python Benchmarks/preparing.py --lockstep .build/release/lockstep --text wikitext2-valid.txt

The text is repeated to --megabytes, for the peer to --peer-megabytes, since it takes longer. The peer counts in Python,
which was faster than its own trainer (41 to 46 MB/s beside 17), and encodes in batches of 1,024 lines, which was faster
than longer pieces (12 beside 5.5) and words split in Python (2.6). It needs tokenizers and numpy
(reference/requirements.txt).
"""

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

VOCABULARY = 10000
BATCH = 1024  # lines
SPECIALS = ("<unk>", "<eos>")
PROGRAM_SECONDS = 600  # one that takes longer has failed


def main():
    arguments = parse()
    if arguments.peer:
        return prepare(arguments.text, arguments.peer)
    os.sched_setaffinity(0, {arguments.core})
    with tempfile.TemporaryDirectory(prefix="lockstep-preparing-", dir=arguments.folder) as folder:
        copies, peer_copies = (repeat(arguments.text, megabytes, f"{folder}/{name}") for megabytes, name in
                               ((arguments.megabytes, "text"), (arguments.peer_megabytes, "peer-text")))
        rounds = {"characters": [], "words": [], "tokenizers": []}
        for _ in range(arguments.rounds):
            for tokenizer in ("characters", "words"):
                rounds[tokenizer].append(lockstep(arguments.lockstep, tokenizer, folder))
            rounds["tokenizers"].append(peer(folder))
            # What both make of it has to be as much, or they did not do the same.
            ours, theirs = rounds["words"][-1].tokens / copies, rounds["tokenizers"][-1].tokens / peer_copies
            if ours != theirs:
                fail(f"expected as many words from both, found {ours:g} and {theirs:g} in {arguments.text}: "
                     "it has white space that they split at differently; take another text")
        report(arguments, rounds)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lockstep", help="the program")
    parser.add_argument("--text", required=True, help="UTF-8 text that ends with a line end")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--peer-megabytes", type=float, default=40)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir(),
                        help="for texts and tokens; without it, one in memory: a disk would be measured too")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--peer", help=argparse.SUPPRESS)  # this program again, as the peer: where tokens go
    arguments = parser.parse_args()
    if not arguments.peer and not arguments.lockstep:
        parser.error("name the program with --lockstep, as in .build/release/lockstep")
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: expected at least one")
    return arguments


def repeat(path, megabytes, to):
    """Writes a text over and over; returns how often."""
    with open(path, "rb") as file:
        text = file.read()
    if not text.endswith(b"\n"):
        fail(f"{path}: expected a line end at its end, where the text is repeated; add one")
    copies = max(1, round(megabytes * 1e6 / len(text)))
    with open(to, "wb") as file:
        for _ in range(copies):
            file.write(text)
    return copies


Run = collections.namedtuple("Run", "rate processor_rate tokens resident")  # MB/s by clock, by processor time; MB


def lockstep(program, tokenizer, folder):
    options = ["--maximum-vocabulary", str(VOCABULARY)] if tokenizer == "words" else []
    return run([program, "corpus", "prepare", "--tokenizer", tokenizer, *options, "--output", f"{folder}/tokens",
                "--format", "json", f"{folder}/text"], f"{folder}/text",
               lambda told: sum(part["tokens"] for part in told["parts"].values()))


def peer(folder):
    return run([sys.executable, os.path.abspath(__file__), "--text", f"{folder}/peer-text", "--peer",
                f"{folder}/peer-tokens"], f"{folder}/peer-text", lambda told: told["tokens"])


def run(command, text, count):
    """Runs a program that prepares a text; `count` finds the tokens in what it prints."""
    with tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env=dict(
            os.environ, OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false"))
        status, usage = wait(process, command)
        seconds = time.perf_counter() - begun
        if status:
            fail(f"{' '.join(command)}\nended with status {status}: what it says of it is above")
        output.seek(0)
        tokens = count(json.load(output))
    megabytes = os.path.getsize(text) / 1e6
    return Run(megabytes / seconds, megabytes / (usage.ru_utime + usage.ru_stime), tokens, usage.ru_maxrss * 1024 / 1e6)


def wait(process, command):
    """Its exit status and what it used; kills it when it takes too long."""
    deadline = time.monotonic() + PROGRAM_SECONDS
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            fail(f"{' '.join(command)}\nwas not finished after {PROGRAM_SECONDS} s: take fewer megabytes")
        time.sleep(0.005)


def report(arguments, rounds):
    medians = {name: Run(*map(statistics.median, zip(*runs))) for name, runs in rounds.items()}
    if arguments.format == "json":
        print(json.dumps({name: {"medians": medians[name]._asdict(), "rounds": [run._asdict() for run in runs]}
                          for name, runs in rounds.items()}, indent=1))
        return
    import tokenizers
    print(f"medians of {arguments.rounds} rounds; one core")
    print("| | MB/s | MB/s of processor time | peak memory |")
    print("|---|---|---|---|")
    for name, label in (("characters", "Lockstep, characters"), ("words", "Lockstep, words"),
                        ("tokenizers", f"tokenizers {tokenizers.__version__}, words")):
        median = medians[name]
        print(f"| {label} | {median.rate:.1f} | {median.processor_rate:.1f} | {median.resident:.0f} MB |")
    print(f"words: {medians['words'].rate / medians['tokenizers'].rate:.1f} times the peer")


def prepare(path, output):
    """The peer."""
    import array

    from tokenizers import Tokenizer, models, pre_tokenizers

    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")[:-1]
    counts = collections.Counter()
    for line in lines:
        counts.update(line.split())
    for special in SPECIALS:
        counts.pop(special, None)
    words = [*SPECIALS, *(word for word, _ in counts.most_common(VOCABULARY - len(SPECIALS)))]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=SPECIALS[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    end = SPECIALS.index("<eos>")
    written = 0
    with open(output, "wb") as file:
        for first in range(0, len(lines), BATCH):
            tokens = array.array("H")
            for encoding in tokenizer.encode_batch_fast(lines[first:first + BATCH], add_special_tokens=False):
                tokens.extend(encoding.ids)
                tokens.append(end)
            tokens.tofile(file)
            written += len(tokens)
    print(json.dumps({"tokens": written}))


def fail(what):
    sys.exit(f"preparing.py: {what}")


if __name__ == "__main__":
    main()
