#!/usr/bin/env bash
# What it does to a model that gradients are rounded to half precision (bfloat16) on their way between machines: the same
# run with `training.exchange` single and half, from three seeds each, which show how much runs differ anyway. On two hosts
# made of namespaces, a rank each, since ranks of one machine send nothing. Needs root and both programs (launch/build).
#
#   sudo Benchmarks/half_precision.sh configs/ptb-small.yaml wikitext2-valid.txt training.epochs=2
#
# Arguments: a configuration, a text, which takes the place of the configuration's, and settings as for --set.
set -euo pipefail

if (($# < 2)); then
  sed -n '2,/^set/{/^#/p}' "$0" | sed 's/^# \{0,1\}//' >&2
  exit 2
fi
configuration=$1 text=$2
shift 2
top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/environment.sh
source "$top/launch/environment.sh"

cluster() { "$top/launch/simulate-cluster" --name half-precision "$@"; }
settings=(
  --set "corpus.text=$(basename -- "$text")" --set corpus.train=[] --set corpus.validation=[] --set corpus.test=[]
  --set corpus.distribute=true --set generation.temperatures=[] --set output.keep=0
)
for setting in "$@"; do settings+=(--set "$setting"); done

trap 'cluster down' EXIT
cluster up 2 --cores 1 >/dev/null
cluster copy "$top/.build/release/lockstepd" "$configuration" "$text"
echo "| exchange | seed | validation perplexity | test perplexity |"
echo "|---|---|---|---|"
for seed in 1 2 3; do
  for precision in single half; do
    name=$precision-$seed
    told=$(cluster run head mpirun --hostfile hosts -n 2 -x OMP_NUM_THREADS=1 ./lockstepd run \
      "$(basename -- "$configuration")" --set "name=$name" --set "seed=$seed" --set "training.exchange=$precision" \
      "${settings[@]}" </dev/null)
    value() { sed -n "s/^ *$1 perplexity \([0-9.]*\).*/\1/p" <<<"$told" | tail -n 1; }
    echo "| $precision | $seed | $(value validation) | $(value test) |"
  done
done
