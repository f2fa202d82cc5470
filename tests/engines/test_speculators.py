"""Every speculator in a real llama-server, on tiny F32 models: exact, counted, proved, emptied.

At temperature 0.8, too: llama-server samples from the target, and an equal seed gives equal tokens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scripts.lib import executor
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import Engine, LoadSettings, NotActive, Request
from scripts.lib.executor import Job
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.cell_record import Count, Counts, Failure, Measurement
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.modes import Mode, make_mode
from scripts.lib.planning.plan import Shard, find_shard, make_plan
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.settings import speculators
from scripts.lib.settings.speculators import NGRAMS, SIMPLE_DRAFT
from scripts.lib.weights.facts import facts
from tests.factories.cells import MEASURED
from tests.factories.engines import CONTEXT, HARDWARE, REQUEST, Recorder, engine_mode_spec
from tests.factories.plans import tiny_planner
from tests.factories.tiny_models import KINDS, write_model

pytestmark = pytest.mark.slow

# Small enough for answers of a hundred tokens.
KNOBS: Mapping[str, Mapping[str, int]] = {
    "ngram_map_k": {"size_n": 3, "size_m": 4, "min_hits": 1},
    "ngram_map_k4v": {"size_n": 3, "size_m": 4, "min_hits": 1},
    "ngram_mod": {"n_match": 3, "n_min": 2, "n_max": 8},
}
GREEDY = replace(REQUEST, max_tokens=100, seed=5)
SAMPLED = replace(GREEDY, temperature=0.8)
EXPERT_KEYS = {"moe": "qwen3moe.expert_used_count", "mtp_moe": "glm4moe.expert_used_count"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind. A sampled answer is no random text: some drafts are accepted."""
    folder = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        write_model(folder / f"{kind}.gguf", kind, sharpness=4.0)
    return folder


@contextmanager
def running(models: Path, kind: str, mode: Mode, binary: Path | None = None) -> Iterator[Engine]:
    """A loaded engine `server`. A mode's draft is the kind of the file, and of the speculator."""
    spec: dict[str, Any] = engine_mode_spec(
        mode, EXPERT_KEYS.get(kind), lookup_draft_tokens=8, **KNOBS.get(mode.ngram, {})
    )
    if mode.draft not in (None, SIMPLE_DRAFT):
        spec["draft_kind"] = mode.draft
    draft = models / f"{mode.draft}.gguf" if mode.draft else None
    settings = LoadSettings(models / f"{kind}.gguf", draft, mode, spec, CONTEXT, HARDWARE)
    log = models / "server.log"
    engine = make_engine("server", EngineSettings(binary or server_binary(), log, 60.0))
    try:
        engine.load(settings)
        yield engine
    finally:
        engine.unload()


Base = Callable[[str, int | None], tuple[Measurement, Measurement]]


@pytest.fixture(scope="module")
def base(models: Path) -> Base:
    """The greedy and the sampled answer of a kind without speculation, asked once."""
    known: dict[tuple[str, int | None], tuple[Measurement, Measurement]] = {}

    def answers(kind: str, experts: int | None) -> tuple[Measurement, Measurement]:
        if (kind, experts) not in known:
            with running(models, kind, make_mode(experts)) as engine:
                known[kind, experts] = engine.generate(GREEDY), engine.generate(SAMPLED)
            greedy, sampled = known[kind, experts]
            assert greedy.token_ids != sampled.token_ids
        return known[kind, experts]

    return answers


def check_counts(measured: Measurement, names: list[str], kind: str) -> None:
    """The counts of one answer add up, and every speculator was asked.

    llama.cpp rolls a hybrid's state back by at most K tokens, in modes with a head. Where it
    restores the whole state, its statistics of two speculators have a token more for each draft.
    """
    counts = measured.speculators
    assert list(counts) == names
    assert sum(count.drafted_tokens for count in counts.values()) == measured.drafted_tokens
    more = sum(count.accepted_tokens for count in counts.values()) - measured.accepted_tokens
    restored = kind == "hybrid" and len(names) == 2
    assert 0 <= more <= (measured.verify_steps if restored else 0)
    assert sum(measured.accepted_by_position) == measured.accepted_tokens
    by_position = [measured.verify_steps, *measured.accepted_by_position]
    assert by_position == sorted(by_position, reverse=True)
    assert sum(count.drafts for count in counts.values()) == measured.verify_steps
    left = None
    for count in counts.values():
        assert count.asked > 0 and count.drafts <= count.drafted_tokens
        assert left is None or count.asked == left  # asked where those before gave no draft
        left = count.asked - count.drafts


head = partial(make_mode, k=4, mtp=True)
WITH_HEAD = (head(), head(lookup_n=3), head(ngram="ngram_mod"))
DRAFTED = tuple(
    make_mode(draft="draft", k=4, lookup_n=lookup_n, ngram=ngram)
    for lookup_n, ngram in ((None, ""), (3, ""), (None, "ngram_mod"))
)
LOOKUP, NGRAM_MOD = make_mode(lookup_n=3), make_mode(ngram="ngram_mod")
CASES = [
    *(("dense", mode) for mode in (LOOKUP, *(make_mode(ngram=name) for name in NGRAMS), *DRAFTED)),
    *(("dense", make_mode(draft=kind, k=4)) for kind in ("eagle3", "dflash", "dspark")),
    *(("moe", replace(mode, experts=2)) for mode in (NGRAM_MOD, *DRAFTED)),
    *(("mtp", mode) for mode in (*WITH_HEAD, head(k=2), make_mode(draft="mtp_file", k=4))),
    *(("mtp_moe", mode) for mode in WITH_HEAD),
    *(("mtp_moe", replace(mode, experts=6)) for mode in WITH_HEAD),
    *(("hybrid", mode) for mode in (LOOKUP, NGRAM_MOD, *WITH_HEAD)),
    *((kind, mode) for kind in ("lfm2", "mamba2") for mode in (LOOKUP, NGRAM_MOD, DRAFTED[0])),
    ("lfm2", make_mode(draft="eagle3", k=4)),
]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [pytest.param(*case, id=f"{case[0]}-moe{case[1].experts}-{case[1].name}") for case in CASES],
)
def test_every_mode_is_exact_and_counted(models: Path, base: Base, kind: str, mode: Mode) -> None:
    names = list(reversed(mode.drafting.split(" + ")))  # n-grams are asked first
    with running(models, kind, mode) as engine:
        warm = engine.warm_up()
        assert list(warm) == names and all(count.drafts for count in warm.values())
        if mode.keeps_state:
            engine.renew()
        found = [engine.generate(request) for request in (GREEDY, SAMPLED)]
    for measured, plain in zip(found, base(kind, mode.experts), strict=True):
        assert measured.token_ids == plain.token_ids
        check_counts(measured, names, kind)


# --- what a speculator keeps from one request to the next ---

OTHERS = [replace(GREEDY, user=text) for text in ("Something else: x y z x y z x y", "Q", "Hello.")]


def drafted(engine: Engine, request: Request) -> tuple[int, int, tuple[int, ...]]:
    measured = engine.generate(request)
    return measured.drafted_tokens, measured.accepted_tokens, measured.accepted_by_position


@pytest.mark.parametrize("mode", [make_mode(ngram=name) for name in NGRAMS], ids=NGRAMS)
def test_a_renewed_engine_drafts_alike_whatever_came_before(models: Path, mode: Mode) -> None:
    assert mode.keeps_state
    found = []
    with running(models, "dense", mode) as engine:
        for earlier in (GREEDY, *OTHERS[:1]):
            engine.generate(earlier)
            engine.renew()
            found.append(drafted(engine, GREEDY))
    assert len(set(found)) == 1 and found[0][0] > 0


def test_what_ngram_mod_has_learnt_changes_its_drafts(models: Path) -> None:
    """So `renew` is needed, and the test above can fail."""
    with running(models, "dense", NGRAM_MOD) as engine:
        found = [drafted(engine, GREEDY) for _ in range(2)]
    assert found[0] != found[1]


@pytest.mark.parametrize("name", ["mtp", "mtp_file"])
@pytest.mark.parametrize("emptied", [True, False])
def test_a_head_drafts_alike_whatever_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, emptied: bool
) -> None:
    """llama.cpp's draft-mtp gives a prompt's first token the last state of the request before."""
    for kind in ("mtp", "mtp_file"):
        write_model(tmp_path / f"{kind}.gguf", kind, seed=3, residual=2.0, sharpness=4.0)
    if not emptied:
        rows = [replace(row, keeps_last=False) for row in speculators.SPECULATORS]
        monkeypatch.setattr(speculators, "SPECULATORS", tuple(rows))
    found = set()
    mode = head() if name == "mtp" else make_mode(draft=name, k=4)
    with running(tmp_path, "mtp", mode) as engine:
        for earlier in OTHERS:
            engine.generate(replace(earlier, max_tokens=5))
            found.add(drafted(engine, replace(GREEDY, user="abc abc abc", max_tokens=150)))
    assert (len(found) == 1) is emptied


# --- a speculator that is switched off behind our back ---

WRAPPER = """\
#!{python}
import os, sys
argv, changes = sys.argv[1:], {changes!r}
for flag, value in changes.items():
    if "--help" in argv or flag not in argv:
        continue
    at = argv.index(flag)
    argv[at:at + 2] = [flag, value] if value else []
os.execv({real!r}, [{real!r}, *argv])
"""


def wrapped(folder: Path, changes: Mapping[str, str]) -> Path:
    """A llama-server that gets other values of those flags; an empty value: without the flag."""
    binary = folder / "llama-server"
    real = str(server_binary())
    binary.write_text(WRAPPER.format(python=sys.executable, changes=dict(changes), real=real))
    binary.chmod(0o755)
    return binary


def planned(folder: Path, kind: str, mode: str, draft: str = "draft") -> Shard:
    """Three cells of a tiny model in that mode, as they are planned; its draft is `d`."""
    planner = tiny_planner(folder / "models")
    files = {
        "plain": write_model(folder / "plain.gguf", kind),
        "d": write_model(folder / "d.gguf", draft),
    }
    weights = {key: Weights(facts(file), file, True, False) for key, file in files.items()}
    known = planner.registry.models
    registered = {
        "plain": replace(known["plain"], path=str(files["plain"])),
        "d": replace(
            known["draft"],
            key="d", path=str(files["d"]), tier="D", compatible_targets=("plain_7b",),
        ),
    }  # fmt: skip
    config = planner.config.with_modes((mode,))
    config = replace(
        config,
        sampling=replace(config.sampling, max_tokens=16),
        decoding=replace(config.decoding, speculators=dict(config.decoding.speculators) | KNOBS),
    )
    made = replace(
        planner,
        config=config,
        hardware=HARDWARE,
        weights=planner.weights | weights,
        registry=replace(planner.registry, models=dict(known) | registered),
    )
    shard = find_shard(make_plan(made), "plain", mode)
    return replace(shard, cells=shard.cells[:3])


def run(folder: Path, shard: Shard, binary: Path) -> list[Any]:
    recorder = Recorder()
    root = folder / f"root{len(list(folder.glob('root*')))}"
    job = Job(shard, root, "run", lambda loaded: "", recorder, WeightsGuard(shard))
    engine = make_engine("server", EngineSettings(binary, folder / "server.log", 60.0))
    executor.run(job, engine, shard.cells)
    return recorder.records


NONE = {"--spec-type": ""}
NO_STATISTICS = "llama-server's log has no statistics of"
OFF = [
    ("dense", "lookup_n3", NONE, f"{NO_STATISTICS} ngram-simple"),
    ("dense", "ngram_map_k", NONE, f"{NO_STATISTICS} ngram-map-k"),
    ("dense", "spec_d_k4", NONE, f"{NO_STATISTICS} draft-simple"),
    ("dense", "spec_d_k8_lookup", {"--spec-type": "draft-simple"}, f"{NO_STATISTICS} ngram-simple"),
    ("dense", "spec_d_k8_lookup", {"--spec-type": "ngram-simple"}, f"{NO_STATISTICS} draft-simple"),
    ("mtp", "mtp_k4", NONE, f"{NO_STATISTICS} draft-mtp"),
    ("mtp", "mtp_k4_ngram_mod", {"--spec-type": "ngram-mod"}, f"{NO_STATISTICS} draft-mtp"),
    ("mtp", "mtp_k4_ngram_mod", {"--spec-type": "draft-mtp"}, f"{NO_STATISTICS} ngram-mod"),
    ("mtp", "mtp_k4_lookup", {"--spec-draft-n-min": "9"}, "mtp drafted nothing in the warm-up"),
    ("mtp", "mtp_k4", {"--spec-draft-n-min": "9"}, "nothing was drafted in the warm-up"),
]


def errors(folder: Path, shard: Shard, changes: Mapping[str, str]) -> str:
    """The error of the shard's cells (all have the same), with those flags changed."""
    records = run(folder, shard, wrapped(folder, changes))
    assert len(records) == 3
    assert {(record.status, record.measurement) for record in records} == {("error", None)}
    (error,) = {record.error for record in records}
    assert {record.failure for record in records} <= {Failure.GUARD, Failure.ENGINE}
    return f"{records[0].failure}: {error}"


@pytest.mark.parametrize(
    ("kind", "mode", "changes", "said"), OFF, ids=[f"{case[1]}-{case[2]}" for case in OFF]
)
def test_a_speculator_that_is_switched_off_is_the_cells_error(
    tmp_path: Path, kind: str, mode: str, changes: Mapping[str, str], said: str
) -> None:
    shard = planned(tmp_path, kind, mode)
    assert [record.error for record in run(tmp_path, shard, wrapped(tmp_path, {}))] == [None] * 3
    error = errors(tmp_path, shard, changes)
    assert error == f"{Failure.GUARD}: mode {mode} was not active: {said}"


def test_a_model_without_a_head_is_an_error_in_the_servers_words(
    tmp_path: Path, models: Path
) -> None:
    shard = planned(tmp_path, "mtp", "mtp_k4")
    error = errors(tmp_path, shard, {"--model": str(models / "dense.gguf")})
    assert "failed to create MTP context" in error


def test_a_draft_that_the_server_gives_up_on_is_an_error_in_its_words(
    tmp_path: Path, models: Path
) -> None:
    shard = planned(tmp_path, "dense", "spec_d_k4", draft="eagle3")
    error = errors(tmp_path, shard, {"--spec-draft-model": str(models / "draft.gguf")})
    assert error == (
        f"{Failure.GUARD}: mode spec_d_k4 was not active: llama-server: failed to initialize "
        "speculative decoding context: draft model is not eagle3 (expected 3 extract layers, got 0)"
    )


BOTH = head(ngram="ngram_mod")


@pytest.mark.parametrize(
    ("mode", "counts", "said"),
    [
        (BOTH, {"ngram_mod": Count(9), "mtp": Count()}, "10 tokens, mtp was not asked"),
        (BOTH, {"ngram_mod": Count(), "mtp": Count(9, 9, 36)}, "10 tokens, ngram_mod was not"),
        (BOTH, {"ngram_mod": Count(9, 9, 36), "mtp": Count()}, ""),
        (head(), {"mtp": Count(9)}, "10 tokens, none drafted"),
        (make_mode(k=4, mtp=True, p_min=0.5), {"mtp": Count(9)}, ""),
        (NGRAM_MOD, {"ngram_mod": Count(9)}, ""),
    ],
)
def test_a_cell_in_which_a_speculator_did_nothing(
    tmp_path: Path, mode: Mode, counts: Counts, said: str
) -> None:
    shard = replace(planned(tmp_path, "dense", "lookup_n3"), mode=mode)
    drafted = sum(count.drafted_tokens for count in counts.values())
    measured = replace(MEASURED, completion_tokens=10, drafted_tokens=drafted, speculators=counts)
    if not said:
        executor.guard_cell(shard, measured)
        return
    with pytest.raises(NotActive, match=f"mode {mode.name} was not active: {said}"):
        executor.guard_cell(shard, measured)
