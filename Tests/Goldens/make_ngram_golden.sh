#!/bin/sh
# Makes ngrams-kenlm-4.arpa.gz of ngrams.txt with KenLM's lmplz, whose path is the argument. The text is 100 lines of
# `lockstep corpus sample --lines 100 --seed 11`.
set -eu
lmplz=$1
cd "$(dirname "$0")"
"$lmplz" -o 4 -S 100M <ngrams.txt | gzip -9n >ngrams-kenlm-4.arpa.gz
