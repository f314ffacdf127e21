#!/usr/bin/env bash
# Makes checkpoint-vN.h5 and curves-vN.h5, for the version N of the formats that the program writes now: a small run's last
# checkpoint and its curves. They are made once for each version and then kept: FormatTests read them for ever.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
top=$(cd ../.. && pwd)
version=${1:?usage: make_checkpoint.sh VERSION}
[[ ! -e checkpoint-v$version.h5 ]] || { echo "checkpoint-v$version.h5 is there: it must stay as it is" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/run.yaml" <<'END'
name: golden
seed: 42
corpus: {sampleLines: 40}
model: {embeddingSize: 3, hiddenSizes: [4, 3]}
training: {batchSize: 4, sequenceLength: 10, epochs: 2}
coordinator: {generate: [1 epoch]}
generation: {prompts: ["the"], length: 5, temperatures: [0.5]}
output: {curveSteps: 5, directory: runs}
END
(cd "$folder" && "$top/.build/release/lockstep" train run.yaml --set training.maximumSteps=14)
cp "$folder/runs/golden/step-00000014.h5" "checkpoint-v$version.h5"
cp "$folder/runs/golden/curves.h5" "curves-v$version.h5"
