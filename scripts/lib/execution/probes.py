"""Probes: they check whether a known quirk is still there, once per engine version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.engines.protocol import EngineFailure, LoadSettings
from scripts.lib.engines.server_flags import probe
from scripts.lib.engines.server_reply import count, mapping
from scripts.lib.engines.server_start import start_server
from scripts.lib.executor import load_settings
from scripts.lib.planning.disk import for_model
from scripts.lib.planning.plan import Planner, find_shard, make_plan
from scripts.lib.registry.quirks import applies_to
from scripts.lib.registry_loader import Model, Quirk
from scripts.lib.results.probe_outcomes import FROM_CELLS, ProbeOutcome, engine, probe_file

READY_TIMEOUT_S = 300.0
_COMPLETION = "/completion"
_TEXT = "one two three one two three one two three one two"
_NO_SUCH_KEY = "no_such_architecture.expert_used_count"


def _targets(quirk: Quirk, planner: Planner) -> Iterator[Model]:
    for model in planner.registry.models.values():
        if (
            applies_to(quirk, model)
            and planner.weights[model.key].facts is not None
            and not model.deprecated
        ):
            yield model


def runnable(quirk: Quirk, planner: Planner) -> bool:
    """True if this machine has what the probe needs."""
    if quirk.probe is None or quirk.probe in FROM_CELLS:
        return False
    if quirk.probe == "flag_absent":
        return True
    weights = planner.weights.get(quirk.probe_argument or "")
    if weights is None or not weights.usable:
        return False
    return quirk.probe != "bos_matches" or any(True for _ in _targets(quirk, planner))


def planned_probes(planner: Planner) -> Mapping[str, Quirk]:
    """Outcome file -> quirk, for every probe that can run here."""
    return {
        str(probe_file(quirk)): quirk
        for quirk in planner.registry.quirks
        if runnable(quirk, planner)
    }


# --- the probes ---


@dataclass(frozen=True, slots=True)
class _Context:
    quirk: Quirk
    planner: Planner
    binary: Path
    log: Path

    @property
    def argument(self) -> str:
        return self.quirk.probe_argument or ""

    def settings(self) -> LoadSettings:
        """The baseline's load settings, for the entry that the probe names."""
        planner = for_model(self.planner, self.argument, "server")
        return load_settings(find_shard(make_plan(planner), self.argument, "baseline"))

    def answer(self, extra: list[str], settings: LoadSettings) -> tuple[Mapping[str, Any], str]:
        """The reply of a server started with extra flags, and the server's log."""
        with start_server(probe(self.binary), settings, self.log, READY_TIMEOUT_S, extra) as server:
            reply = server.call(_COMPLETION, {"prompt": _TEXT, "n_predict": 16, "temperature": 0})
            return reply, server.log_text()


def _answered(reply: Mapping[str, Any]) -> int:
    return count(reply, "tokens_predicted", _COMPLETION)


def _flag_absent(context: _Context) -> tuple[bool | None, str]:
    there = probe(context.binary).has(context.argument)
    return not there, f"--help {'lists' if there else 'does not list'} {context.argument} as usable"


def _draft_without_type(context: _Context) -> tuple[bool | None, str]:
    settings = context.settings()
    flag = probe(context.binary).first("--spec-draft-model", "--model-draft", "-md")
    if flag is None:
        return None, "the binary has no flag for a draft"
    reply, _ = context.answer([flag, str(settings.weights)], settings)
    drafted = count(mapping(reply, "timings", _COMPLETION), "draft_n", _COMPLETION)
    return (
        drafted == 0,
        f"{_answered(reply)} tokens answered with a draft loaded, {drafted} drafted",
    )


def _wrong_override(context: _Context) -> tuple[bool | None, str]:
    settings = context.settings()
    try:
        reply, log = context.answer(["--override-kv", f"{_NO_SUCH_KEY}=int:1"], settings)
    except EngineFailure as failure:
        return False, f"the server refuses the key: {str(failure)[:200]}"
    warned = any(_NO_SUCH_KEY in line and " W " in line for line in log.splitlines())
    how = "with a warning" if warned else "without a warning"
    return not warned, f"started {how} and answered {_answered(reply)} tokens with an unknown key"


def _bos_matches(context: _Context) -> tuple[bool | None, str]:
    """The quirk is still there if the draft's BOS differs from that of any of its targets."""
    draft = context.planner.weights[context.argument].facts
    if draft is None:
        return None, f"the header of {context.argument} is not known here"
    found = [
        (m.key, f.header.bos_id)
        for m in _targets(context.quirk, context.planner)
        if (f := context.planner.weights[m.key].facts)
    ]
    differ = any(bos != draft.header.bos_id for _, bos in found)
    listed = ", ".join(f"{key} {bos}" for key, bos in found)
    return differ, f"BOS of {context.argument}: {draft.header.bos_id}; of its targets: {listed}"


_RUN: Mapping[str, Callable[[_Context], tuple[bool | None, str]]] = {
    "flag_absent": _flag_absent,
    "draft_without_type_is_silent": _draft_without_type,
    "wrong_override_is_silent": _wrong_override,
    "bos_matches": _bos_matches,
}


def run_probe(quirk: Quirk, planner: Planner, binary: Path, log: Path) -> ProbeOutcome:
    """Run one probe. If the engine fails, the outcome is unknown.

    Raises BenchError for a missing binary.
    """
    assert quirk.probe is not None
    try:
        holds, evidence = _RUN[quirk.probe](_Context(quirk, planner, binary, log))
    except EngineFailure as failure:
        holds, evidence = None, f"the engine failed: {str(failure)[:300]}"
    return ProbeOutcome(
        quirk.id, quirk.probe, quirk.probe_argument, engine().version, holds, evidence
    )
