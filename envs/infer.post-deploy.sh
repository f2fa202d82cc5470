#!/usr/bin/env bash
# Snakemake runs this in the environment that it has just made from infer.yaml. It installs what no conda channel has,
# pinned by hash, and compiles llama.cpp from its pinned source (cached per CPU). Progress is shown on the terminal.
set -euo pipefail
# Snakemake hashes this script to name the environment: another sum here gives a new environment.
sha256sum --check --quiet <<'SUMS' || { echo "error: write what sha256sum says of these files into envs/infer.post-deploy.sh" >&2; exit 1; }
ab35d42075054b664cac2013e78ac598f0af44d9944b4cc1dbd7acdcc97f707e  envs/engine.lock
259123454d7070b4a5d218f0c3b891bb5cbe97554fdf8c2e460c7594ec606ddf  envs/conda-pip.lock
SUMS
python -m pip install --quiet --no-deps --require-hashes --requirement envs/conda-pip.lock
exec python -m scripts.build_engine
