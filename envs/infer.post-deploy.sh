#!/usr/bin/env bash
# Run by Snakemake in the environment that infer.yaml has just made: llama.cpp from its pinned source (cached per CPU).
set -euo pipefail
exec python -m scripts.build_engine
