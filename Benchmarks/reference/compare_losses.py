"""Compares the losses of two trainings step by step.

    python Benchmarks/reference/compare_losses.py curves.h5 reference.csv --tolerance 1e-3

Each file is a CSV with the columns step and loss, or a Lockstep `curves.h5` (datasets
`/training/step` and `/training/loss`). Differences are relative to the second file. The exit
status is 1 if one is larger than the tolerance or not a number, or if no step is in both.

Tried with Python 3.11.7, NumPy 2.4.6 and h5py 3.16.0.
"""

import argparse
import csv
import math
import sys

import h5py


def main():
    arguments = parse_arguments()
    losses = read_losses(arguments.losses)
    reference = read_losses(arguments.reference)
    steps = sorted(losses.keys() & reference.keys())
    if not steps:
        sys.exit(f"{arguments.losses} and {arguments.reference} have no step in common")
    differences = {
        step: abs(losses[step] - reference[step]) / abs(reference[step]) for step in steps
    }
    # What is not a number counts as the largest.
    largest = max(steps, key=lambda step: (math.isnan(differences[step]), differences[step]))
    mean = sum(differences.values()) / len(steps)
    print(f"{len(steps)} steps in common, {steps[0]} to {steps[-1]}")
    print(
        f"largest relative difference {differences[largest]:.3g} at step {largest} "
        f"({losses[largest]:.9g} against {reference[largest]:.9g})"
    )
    print(f"mean relative difference {mean:.3g}")
    for step in steps:
        if not differences[step] <= arguments.tolerance:
            print(f"first above {arguments.tolerance:g}: {differences[step]:.3g} at step {step}")
            sys.exit(1)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compares two trainings' losses step by step.")
    parser.add_argument("losses", help="CSV or curves.h5")
    parser.add_argument("reference", help="CSV or curves.h5")
    parser.add_argument("--tolerance", type=float, default=1e-3,
                        help="largest relative difference that is no failure")
    return parser.parse_args()


def read_losses(path):
    """The loss of each step."""
    if path.endswith((".h5", ".hdf5")):
        with h5py.File(path) as file:
            steps, losses = file["training/step"][...], file["training/loss"][...]
        return {int(step): float(loss) for step, loss in zip(steps, losses, strict=True)}
    with open(path, encoding="utf-8", newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
