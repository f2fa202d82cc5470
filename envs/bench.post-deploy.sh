#!/usr/bin/env bash
# Snakemake runs this in the environment that it has just made from bench.yaml. It installs what no conda channel has,
# pinned by hash.
set -euo pipefail
# Snakemake hashes this script to name the environment: another sum here gives a new environment.
sha256sum --check --quiet <<'SUMS' || { echo "error: write what sha256sum says of these files into envs/bench.post-deploy.sh" >&2; exit 1; }
259123454d7070b4a5d218f0c3b891bb5cbe97554fdf8c2e460c7594ec606ddf  envs/conda-pip.lock
SUMS
python -m pip install --quiet --no-deps --require-hashes --requirement envs/conda-pip.lock
