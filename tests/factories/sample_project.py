"""A small project with made-up results: ranked, tied, lossy, failed, missing, stale, hostile.

Nothing is run and no weights are there: the plan knows them from the lock, cells are written as an
engine would have left them. The same numbers come out every time. `fill` fills a plan of any size,
too (benchmarks/harness/rebuild.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import yaml

from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import canonical_json, digest
from scripts.lib.planning.cell_record import CellRecord, Count, Measurement
from scripts.lib.planning.disk import load_plans
from scripts.lib.planning.plan import Cell, Plan, Shard, seen_from_elsewhere
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import to_csv
from scripts.lib.settings.run_config import load_config
from scripts.lib.settings.speculators import speculations
from scripts.lib.weights.facts import WeightsFacts, WeightsLock
from scripts.lib.weights.gguf_header import Header
from tests.factories.checkout import copy_checkout
from tests.factories.hostile import HOSTILE

HARDWARE = "sample-96c"
TIE_TOKEN, LOSSY_TOKEN = 5, 2
WORDS = (
    "the",
    "model",
    "answers",
    "with",
    "plain",
    "words",
    "and",
    "a",
    "number",
    "such",
    "as",
    "seven",
    "because",
    "checked",
)


@dataclass(frozen=True)
class Behaviour:
    """What a made-up model does: the share of questions it passes, its speed, its speed-ups.

    `accepted`: mean drafted tokens kept a step; `speed_up` overrides what follows from it; `lossy`,
    `failing`: mode names; `words`: an answer's mean length.
    """

    passes: float = 0.5
    tokens_per_s: float = 20.0
    accepted: float = 1.0
    speed_up: Mapping[str, float] | None = None
    lossy: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    hostile: bool = False
    measured: float = 1.0
    stale: float = 0.0
    words: int = 40


MODELS: Mapping[str, tuple[dict[str, Any], Behaviour]] = {
    "big_dense": (
        {
            "name": "Sample-32B-Dense",
            "quant": "Q4_K_M",
            "size_gb": 20.0,
            "architecture": "dense",
            "roles": ["coder", "general"],
        },
        Behaviour(
            0.8, 15.0, 2.4, {"spec_little_draft_k16": 51.0}, lossy=("spec_little_draft_k8_lookup",)
        ),
    ),
    "big_moe": (
        {
            "name": "Sample-30B-MoE",
            "quant": "Q4_K_M",
            "size_gb": 17.5,
            "architecture": "qwen3moe",
            "baseline_experts": 8,
            "roles": ["architect", "coder", "general"],
        },
        Behaviour(0.85, 60.0, 1.2),
    ),
    "small": (
        {
            "name": "Other-3B",
            "quant": "Q8_0",
            "size_gb": 3.2,
            "architecture": "dense",
            "roles": ["general", "frontdoor"],
        },
        Behaviour(0.55, 95.0, 0.6, failing=("lookup_n4",)),
    ),
    "too_fast": (
        {
            "name": "Other-7B",
            "quant": "Q4_0",
            "size_gb": 4.1,
            "architecture": "dense",
            "roles": ["frontdoor"],
        },
        Behaviour(0.9, 400.0),
    ),
    "half_measured": (
        {
            "name": "Other-14B",
            "quant": "Q5_K_M",
            "size_gb": 10.0,
            "architecture": "dense",
            "roles": ["frontdoor"],
        },
        Behaviour(0.6, 30.0, measured=0.6, stale=0.3),
    ),
    "hostile": (
        {
            "name": "Hostile-1B",
            "quant": "F16",
            "size_gb": 2.0,
            "architecture": "dense",
            "roles": ["frontdoor"],
        },
        Behaviour(0.3, 120.0, hostile=True),
    ),
}
SUITES = {"general": 12, "coder": 12, "math": 12}
# Questions of suite `workload`, and what speculation gains on them.
WORKLOADS = {"code_editing": (6, 1.15), "prose": (4, 0.5), "chat": (1, 0.9)}
LEAST_TOKENS = 30
ENVIRONMENT = {
    "engine": {"name": "embedded", "version": "0.0.0", "source": "0" * 12},
    "hardware": {"name": HARDWARE},
    "cpu": {"model": "Sample CPU <b>|</b>", "physical_cores": 96, "logical_cpus": 192},
    "memory": {"total_bytes": 1_130 * 10**9},
    "system": {"kernel": "6.1.0", "compiler": None},
    "preflight": {"bandwidth_gb_per_s": 412.5},
}


def _number(*parts: object) -> Random:
    return Random("/".join(map(str, parts)))


# --- cells ---


def _base_tokens(shard: Shard, cell: Cell, behaviour: Behaviour) -> list[str]:
    rng = _number(
        shard.model.key, shard.mode.quality_row, cell.id.suite, cell.id.question, cell.id.repeat
    )
    ease = _number("ease", cell.id.suite, cell.id.question).random()
    experts = shard.mode.experts if shard.mode.quality_row != "baseline" else None
    chance = behaviour.passes - (0.25 if experts == 4 else 0.0)
    passed = 0.6 * ease + 0.4 * rng.random() < chance
    words = [
        rng.choice(WORDS)
        for _ in range(rng.randint(behaviour.words // 2, behaviour.words * 3 // 2))
    ]
    return [*words, "yes" if passed else "no"]


def _tokens(shard: Shard, cell: Cell, behaviour: Behaviour) -> list[str]:
    words = _base_tokens(shard, cell, behaviour)
    rng = _number("differs", shard.mode.name, shard.model.key, cell.id.suite, cell.id.question)
    if shard.mode.name in behaviour.lossy and rng.random() < 0.5:
        return [*words[:LOSSY_TOKEN], "otherwise", *words[LOSSY_TOKEN + 1 :]]
    if shard.mode.speculative and rng.random() < 0.2:
        return [*words[:TIE_TOKEN], "instead", *words[TIE_TOKEN + 1 :]]
    return words


def _speed(
    shard: Shard, cell: Cell, behaviour: Behaviour, rng: Random
) -> tuple[float, int, int, int]:
    """(tokens per second, drafted, accepted, steps)"""
    base = behaviour.tokens_per_s * (1.1 if shard.mode.experts == 4 else 1.0)
    if not shard.mode.speculative:
        return base * rng.uniform(0.97, 1.03), 0, 0, 0
    kept = behaviour.accepted * rng.uniform(0.8, 1.2) * (0.5 if shard.mode.draft is None else 1.0)
    gain = (behaviour.speed_up or {}).get(shard.mode.name, (1 + kept) * 0.8)
    gain *= WORKLOADS.get(cell.question.workload, (0, 1.0))[1]
    steps, width = 20, shard.mode.k or 16
    return base * gain * rng.uniform(0.95, 1.05), steps * width, round(steps * kept), steps


def _by_position(accepted: int, steps: int, width: int, rng: Random) -> tuple[int, ...]:
    """That many accepted tokens, spread over the verified batches by chance."""
    lengths = [0] * steps
    for _ in range(accepted):
        place = rng.choice([at for at, length in enumerate(lengths) if length < width])
        lengths[place] += 1
    return tuple(sum(length > at for length in lengths) for at in range(max(lengths, default=0)))


def _counts(cell: Cell, drafted: int, accepted: int, steps: int) -> dict[str, Count]:
    """The draft is asked where lookup, which is asked first, has nothing: in half of the steps."""
    names = [speculation.speculator.name for speculation in speculations(cell.spec["mode"])]
    if len(names) == 1:
        return {names[0]: Count(steps, steps, drafted, accepted)}
    half = steps // 2
    first = Count(steps, half, drafted // 2, accepted // 2)
    rest = Count(steps - half, steps - half, drafted - drafted // 2, accepted - accepted // 2)
    return dict(zip(names, (first, rest), strict=True))


def record(shard: Shard, cell: Cell, behaviour: Behaviour, environment: str) -> CellRecord:
    """One cell as an engine would have left it."""
    rng = _number(shard.name, cell.id.suite, cell.id.question, cell.id.repeat)
    words = _tokens(shard, cell, behaviour)
    answer = " ".join(words)
    failed = shard.mode.name in behaviour.failing
    error = "llama_decode returned -3: the KV cache is full" if failed else None
    if behaviour.hostile:
        place = int(sha256(f"{cell.id.suite}/{cell.id.question}".encode()).hexdigest(), 16)
        answer = [*HOSTILE.values()][place % len(HOSTILE)] + (" yes" if words[-1] == "yes" else "")
        failed = failed or place % 7 == 0
        error = [*HOSTILE.values()][(place + 1) % len(HOSTILE)] or "?"
    speed, drafted, accepted, steps = _speed(shard, cell, behaviour, rng)
    ttft = 40 / behaviour.tokens_per_s / 8
    # The hostile model's cells are older ones, without the positions.
    says_where = steps and not behaviour.hostile
    places = _number("positions", shard.name, cell.id.suite, cell.id.question, cell.id.repeat)
    measured = Measurement(
        answer=answer,
        finish_reason="stop",
        prompt_tokens=40,
        completion_tokens=len(words) + 1,
        ttft_s=round(ttft, 6),
        prefill_s=round(ttft * 0.95, 6),
        prefill_tokens_per_s=round(40 / ttft, 3),
        decode_s=round(len(words) / speed, 6),
        decode_tokens_per_s=round(speed, 4),
        drafted_tokens=drafted,
        accepted_tokens=accepted,
        verify_steps=steps,
        token_ids=tuple(int(sha256(word.encode()).hexdigest()[:4], 16) for word in words),
        close_calls=((TIE_TOKEN, 0.08),) if cell.certifies else (),
        accepted_by_position=(
            _by_position(accepted, steps, drafted // steps, places) if says_where else ()
        ),
        speculators=_counts(cell, drafted, accepted, steps) if says_where else {},
    )
    return CellRecord(
        cell=cell.id,
        digest=cell.digest,
        spec=cell.spec,
        status="error" if failed else "ok",
        error=error if failed else None,
        measurement=None if failed else measured,
        load_s=round(shard.model.size_gb / 2, 2),
        warm_up_s=1.5,
        peak_rss_bytes=int(shard.model.size_gb * 1.1e9),
        effective={},
        environment=environment,
        started_utc="2026-01-01T00:00:00+00:00",
        run_id="2026-01-01_000000",
    )


def _stored(
    shard: Shard, cell: Cell, behaviour: Behaviour, environment: str
) -> Iterator[CellRecord]:
    """The cell, or one of another temperature (stale), or nothing."""
    chance = _number("measured", shard.name, cell.id.suite, cell.id.question).random()
    made = record(shard, cell, behaviour, environment)
    if chance < behaviour.measured:
        yield made
    elif chance < behaviour.measured + behaviour.stale:
        spec = json.loads(canonical_json(cell.spec))
        spec["sampling"]["temperature"] = 0.7
        yield replace(made, spec=spec, digest=digest(spec))


def fill(plan: Plan, behaviours: Mapping[str, Behaviour], environment: str = "0" * 12) -> int:
    """Write the cells of a plan below the working directory; gives their number."""
    count = 0
    for shard in plan.shards:
        behaviour = behaviours.get(shard.model.key, Behaviour())
        for cell in shard.cells:
            for made in _stored(shard, cell, behaviour, environment):
                file = Path(shard.folder) / f"{cell.id.suite}/{cell.id.question}.{made.digest}.json"
                file.parent.mkdir(parents=True, exist_ok=True)
                # JSON's own escape for half a surrogate pair, as a careless program writes it.
                file.write_bytes(made.to_json().encode("utf-8", "backslashreplace"))
                count += 1
    return count


# --- the project around them ---


def _facts(key: str, model: Mapping[str, Any]) -> WeightsFacts:
    is_moe = "baseline_experts" in model
    header = Header(
        architecture=model["architecture"],
        name=model["name"],
        quant=model["quant"],
        vocab_type="gpt2",
        vocab_size=1000,
        bos_id=1,
        eos_id=2,
        tokens_digest="a" * 12,
        chat_template_digest=None,
        expert_count=128 if is_moe else None,
        expert_used_count=8 if is_moe else None,
        context_length=32768,
        block_count=40,
        split_count=1,
    )
    return WeightsFacts(
        sha256(key.encode()).hexdigest()[:16], (), int(model["size_gb"] * 1e9), header
    )


def _entry(model: Mapping[str, Any], file: str) -> dict[str, Any]:
    kept = {
        key: model[key]
        for key in ("name", "quant", "size_gb", "architecture", "baseline_experts")
        if key in model
    }
    return {
        "tier": "C",
        "description": "made up",
        "candidate_roles": model["roles"],
        "model": {**kept, "path": file},
    }


def _question(number: int) -> dict[str, Any]:
    prompts = list(HOSTILE.values())
    # A suite with NUL or half a surrogate pair in a prompt is refused when it is read.
    text = (
        prompts[number * 7 % len(prompts)][:300]
        .replace("\0", "")
        .encode("utf-8", "replace")
        .decode()
        .strip()
        or "?"
    )
    return {
        "tier": 1 + number % 3,
        "name": f"question {number}",
        "prompt": f"Question {number}: {text}",
        "reference_answer": "yes",
        "scoring": [
            {
                "criterion": "says yes",
                "weight": 100,
                "checks": [{"type": "contains", "any": ["yes"]}],
            }
        ],
    }


def _write_suite(folder: Path, name: str, questions: Mapping[str, Any], **more: Any) -> None:
    suite = {"version": "1", "domain": name, **more, "prompts": questions}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(suite))


def make_project(folder: Path) -> Path:
    """The project's inputs in `folder`: code of this checkout, registry, questions, profile."""
    copy_checkout(folder)
    draft = {"name": "Little-0.5B", "quant": "Q8_0", "size_gb": 0.5, "architecture": "dense"}
    roles = {key: _entry(model, f"{key}.gguf") for key, (model, _) in MODELS.items()}
    roles["little_draft"] = {
        "tier": "D", "description": "a draft", "compatible_targets": ["Sample"],
        "model": {**draft, "path": "little_draft.gguf"},
    }  # fmt: skip
    known = {f"{key}.gguf": _facts(key, model) for key, (model, _) in MODELS.items()}
    lock = WeightsLock(
        folder / "orchestration/weights.lock.json",
        {**known, "little_draft.gguf": _facts("draft", draft)},
    )
    lock.file.parent.mkdir(parents=True)
    lock.save()
    registry = {
        "runtime_defaults": {"temperature": 0.0, "model_base_path": "/nowhere"},
        "roles": roles,
    }
    (folder / "orchestration/model_registry.yaml").write_text(
        yaml.safe_dump(registry, sort_keys=False)
    )
    prompts = folder / "benchmarks/prompts/v1"
    prompts.mkdir(parents=True)
    for suite, count in SUITES.items():
        asked = {f"q{number:02}": _question(number) for number in range(count)}
        _write_suite(prompts, suite, asked)
    named = [name for name, (count, _) in WORKLOADS.items() for _ in range(count)]
    asked = {
        f"w{number:02}_{name}": {**_question(number), "tier": 1, "workload": name}
        for number, name in enumerate(named)
    }
    _write_suite(prompts, "workload", asked, inference_params={"min_tokens": LEAST_TOKENS})
    # Another engine version is no other page.
    (folder / "envs/engine.lock").write_text(f"llama-cpp-python==0.0.0 --hash=sha256:{'0' * 64}\n")
    for file in (folder / "config/hardware").glob("*.yaml"):
        file.unlink()
    profile = {
        "threads": 96,
        "batch_threads": 96,
        "cpus": "0-95",
        "numa": "interleave=all",
        "bandwidth_gb_per_s": 460,
    }
    (folder / f"config/hardware/{HARDWARE}.yaml").write_text(yaml.safe_dump(profile))
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    config |= {"hardware": HARDWARE, "models": [*MODELS], "tiers": [1, 2, 3]}
    config["suites"] = ["*", "workload"]
    config["decoding"] |= {
        "modes": ["*", "!*_k24*", "!*_k32", "!*_k48", "!moe4_*", "!moe6_*"],
        "speed_sample": 5,
    }
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def measure(folder: Path = Path()) -> None:
    """Fill the project's plan with cells and review them. `folder` is the working directory."""
    environment = digest(ENVIRONMENT)
    file = folder / f"benchmarks/results/environments/{environment}.json"
    write_atomic(file, canonical_json(ENVIRONMENT) + "\n")
    (plan,) = load_plans(load_config())
    fill(plan, {key: behaviour for key, (_, behaviour) in MODELS.items()}, environment)
    plan = seen_from_elsewhere(plan)
    for review in (plan_review(plan, shard) for shard in plan.shards):
        if review.cells:
            write_atomic(Path(review.file), to_csv(review_shard(review)))
