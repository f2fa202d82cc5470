"""Entries of a routing benchmark, with answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.lib.routing.rewards import ModelOutcome
from scripts.lib.settings.run_config import load_config

EVERYTHING = replace(
    load_config((Path("config/full.yaml"),)),
    models=("*",),
    engines=("server",),
    hardware="epyc-9655",
)


def made(action: str, rewards: list[float], suite: str = "math") -> list[ModelOutcome]:
    return [
        ModelOutcome(
            suite,
            f"q{n}",
            1,
            action,
            f"entry_{action}",
            reward > 0,
            reward,
            1.0,
            1.0,
            reward,
            cell_file=f"{action}{n}",
        )
        for n, reward in enumerate(rewards)
    ]
