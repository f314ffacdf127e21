#!/usr/bin/env bash
# Trains Zaremba's small word model with Lockstep on two ranks and with PyTorch, and compares the loss of every
# step. Every 25 steps PyTorch takes over Lockstep's weights and states: see word_model.py for why.
#
#   Benchmarks/reference/follow_words.sh TEXT [EPOCHS]
#
# Needs the programs (launch/build) and a Python with requirements.txt; PYTHON names it.
set -euo pipefail

text=$(realpath "${1:?usage: follow_words.sh TEXT [EPOCHS]}")
epochs=${2:-2}
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
# shellcheck source=launch/environment.sh
source "$top/launch/environment.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMP_NUM_THREADS=1

settings=(
  --set name=words --set "corpus.text=$text" --set corpus.train=[] --set corpus.validation=[] --set corpus.test=[]
  --set "training.epochs=$epochs" --set output.keep=0 --set generation.temperatures=[]
)
steps=25
while true; do
  mpirun -n 2 "$top/.build/release/lockstepd" run "$top/configs/ptb-small.yaml" "${settings[@]}" \
    --set "training.maximumSteps=$steps" >log
  if grep -q 'finished (epochs)' log; then break; fi
  steps=$((steps + 25))
done

# Checkpoints at ends of epochs that are no multiples of 25 would do no harm, but neither are they needed.
checkpoints=()
for ((step = 0; step < steps; step += 25)); do
  path=$(printf 'checkpoints/words/step-%08d.h5' "$step")
  if [[ -e $path ]]; then checkpoints+=("$path"); fi
done
"${PYTHON:-python3}" "$here/word_model.py" "$text" --weights "${checkpoints[@]}" --epochs "$epochs" --lanes 20 \
  --steps 20 --hidden 200 --layers 2 --clip 5 --rate 1 --output reference.csv
"${PYTHON:-python3}" "$here/compare_losses.py" checkpoints/words/curves.h5 reference.csv --tolerance 1e-2
