#!/usr/bin/env bash
# Run by Snakemake in the environment that infer.yaml has just made: what no channel has, from its hash-pinned packages, then
# llama.cpp from its pinned source (cached per CPU). The compiling shows its progress on the terminal by itself.
set -euo pipefail
# Snakemake names the environment by this text: with another sum it is another environment.
sha256sum --check --quiet <<'SUMS' || { echo "error: write what sha256sum says of these files into envs/infer.post-deploy.sh" >&2; exit 1; }
ab35d42075054b664cac2013e78ac598f0af44d9944b4cc1dbd7acdcc97f707e  envs/engine.lock
259123454d7070b4a5d218f0c3b891bb5cbe97554fdf8c2e460c7594ec606ddf  envs/conda-pip.lock
SUMS
python -m pip install --quiet --no-deps --require-hashes --requirement envs/conda-pip.lock
exec python -m scripts.build_engine
