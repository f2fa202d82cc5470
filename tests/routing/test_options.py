"""The options of the routing harness; options of other tools name what replaces them."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmark import seed_specialist_routing as command
from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import ROUTING
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.machine.process import StopRequest
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.plan import Planner, make_plan
from scripts.lib.registry.role_table import role_table
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import to_csv
from scripts.lib.routing.entries import Narrowing, draw_sample, named_suites
from scripts.lib.routing.options import REPLACED, Asked, asked_of
from scripts.lib.routing.report import outcome_lines, routes_of, routes_table
from scripts.lib.routing.rewards import rewarded
from scripts.lib.routing.session import Part, joined, outcomes_csv, read_outcomes
from scripts.lib.settings.run_config import parse_config
from tests.factories.routing import EVERYTHING, made
from tests.factories.sample_project import Behaviour, record
from tests.factories.tiny_project import make_project

pytestmark = pytest.mark.slow

ROLES = ("--roles", "tiny_a", "tiny_b")


@pytest.fixture(scope="module")
def planner() -> Planner:
    return load_planner(EVERYTHING, assume_present=True)


# --- who and what ---------------------------------------------------------------------------------


def narrowed(planner: Planner, suite: str, *entries: str) -> tuple[dict[str, str], list[str]]:
    """(action -> entry, what is missing) of a sample that is restricted to these entries."""
    sample = draw_sample(planner, (suite,), 3, 0, {}, Narrowing(entries))
    absent = [f"{item.suite}: no {item.action}: {item.reason}" for item in sample.absent]
    return {action: model.key for action, model in sample.routes[suite].items()}, absent


def test_named_roles_take_the_actions_that_fit_them_best(planner: Planner) -> None:
    found, absent = narrowed(planner, "coder", "coder_escalation", "architect_coding", "frontdoor")
    assert found == {
        "frontdoor": "frontdoor",
        "specialist": "coder_escalation",
        "architect": "architect_coding",
    }
    assert absent == []


def test_named_roles_that_fit_no_action_take_what_is_left_in_order(planner: Planner) -> None:
    found, absent = narrowed(planner, "general", "worker_general", "ingest_qwen2_5_coder_32b")
    # One is the best specialist of the suite; the other becomes frontdoor, the first action left.
    assert found == {"frontdoor": "ingest_qwen2_5_coder_32b", "specialist": "worker_general"}
    assert absent[0].startswith("general: no architect: ")


def test_a_named_role_without_an_action_has_a_reason(planner: Planner) -> None:
    roles = ("frontdoor", "coder_escalation", "architect_coding", "worker_vision", "worker_general")
    _, absent = narrowed(planner, "coder", *roles)
    shown = "\n".join(absent)
    assert "--roles: no action for worker_vision: worker_vision cannot be asked: " in shown
    assert "no action for worker_general: " in shown
    with pytest.raises(BenchError, match="no entry 'frontdor'; did you mean 'frontdoor'"):
        narrowed(planner, "coder", "frontdor")


def test_named_questions_are_all_asked_and_choose_their_suites(planner: Planner) -> None:
    names = [q.id for q in planner.suites["math"].questions][:4]
    full = f"coder/{planner.suites['coder'].questions[0].id}"
    suites = named_suites(planner, ("math", "coder", "vl"), [names[0], full])
    assert suites == ("math", "coder")
    sample = draw_sample(planner, ("math",), 1, 0, {}, Narrowing(questions=tuple(names)))
    assert [q.id for q in sample.questions["math"]] == names
    with pytest.raises(
        BenchError,
        match=rf"--question-ids: no question '{names[0]}x' in the suites math; did you mean",
    ):
        named_suites(planner, ("math",), [f"{names[0]}x"])


def test_a_sample_in_other_modes_has_another_name(planner: Planner) -> None:
    plain = draw_sample(planner, ("math",), 3, 0, {})
    assert plain.name == draw_sample(planner, ("math",), 3, 0, {}, Narrowing()).name
    assert plain.name != draw_sample(planner, ("math",), 3, 0, {}, Narrowing(modes=("moe4",))).name


# --- modes apart ----------------------------------------------------------------------------------


def test_modes_of_an_entry_are_routes_of_their_own() -> None:
    front = made("frontdoor", [1.0, 0.0] * 10)
    slow = [replace(o, mode="moe4", elapsed_s=3.0) for o in made("frontdoor", [1.0] * 20)]
    outcomes = rewarded([*slow, *front])
    routes = {r.mode: r for r in routes_of(outcomes)}
    assert routes["baseline"].default and routes["moe4"].paired == 20
    # The frontdoor's time in mode baseline is expected; three times that costs 0.3.
    assert {o.reward for o in outcomes if o.mode == "moe4"} == {0.7}
    assert "entry_frontdoor moe4" in routes_table(
        routes.values()
    ) and "entry_frontdoor moe4: " in "\n".join(outcome_lines(slow))


def test_modes_are_kept_and_older_samples_are_baseline(tmp_path: Path) -> None:
    outcomes = [
        *made("frontdoor", [1.0]),
        *(replace(o, mode="moe4") for o in made("frontdoor", [0.0])),
    ]
    for name, text in (
        ("a", outcomes_csv(outcomes, "")),
        ("b", outcomes_csv(outcomes[:1], "").replace(",mode", "").replace(",baseline", "")),
    ):
        write_atomic(tmp_path / name / "outcomes.csv", text)
    ((*found,),) = read_outcomes(tmp_path)
    assert sorted((o.mode, o.success) for o in found) == [("baseline", True), ("moe4", False)]


def test_rounds_are_joined_by_the_newest_outcome() -> None:
    first, again = made("frontdoor", [1.0, 1.0]), made("frontdoor", [0.0])
    assert [o.success for o in joined([first, again])] == [False, True]


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A project of two tiny models and two suites of two questions; cells are made up, not run.

    Gives the names of the parts in the order in which they are run.
    """
    make_project(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    ran: list[str] = []

    def run_part(part: Part, folder: Path, dry_run: bool, verbose: bool) -> bool:
        plan = make_plan(for_model(load_planner(parse_config(part.settings)), part.key))
        for cell in part.pending():
            made_up = record(part.shard, cell, Behaviour(), "0" * 12)
            write_atomic(Path(part.shard.folder) / cell.file_name, made_up.to_json())
            ran.append(f"{part.name} {cell.id.suite}/{cell.id.question}")
        write_atomic(Path(part.review), to_csv(review_shard(plan_review(plan, part.shard))))
        return True

    monkeypatch.setattr(command, "run_part", run_part)
    role_table.cache_clear()
    yield ran
    role_table.cache_clear()


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    project: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """The command with these arguments: (exit code, stdout, stderr)."""

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["seed_specialist_routing", *arguments])
        code = command.main()
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return called


def samples() -> list[Path]:
    return sorted(ROUTING.glob("*/*/outcomes.csv"))


def test_roles_and_question_ids_run_a_sample(call: Call, project: list[str]) -> None:
    code, out, err = call(*ROLES, "--question-ids", "one/q2", "two/q1")
    assert code == 0 and "frontdoor tiny_b, specialist tiny_a" in out and "no architect" in err
    assert project == [
        f"{key} {name}" for key in ("tiny_b", "tiny_a") for name in ("one/q2", "two/q1")
    ]
    with pytest.raises(
        BenchError,
        match=r"--question-ids names all questions.*--sample-size must be left out",
    ):
        call(*ROLES, "--question-ids", "one/q2", "--sample-size", "2")


def test_each_mode_is_run_and_modes_that_an_entry_lacks_are_named(
    call: Call, project: list[str]
) -> None:
    code, out, err = call(
        *ROLES, "--suites", "one", "--modes", "baseline", "lookup_n*", "moe4", "direct"
    )
    assert code == 0 and "tiny_a lookup_n3" in out
    parts = {name.partition(" ")[0] for name in project}
    assert {"tiny_a", "tiny_a.lookup_n3", "tiny_b", "tiny_b.lookup_n3"} <= parts
    # Modes for speed are asked all questions of the sample here, too.
    assert {name.partition(" ")[2] for name in project if name.startswith("tiny_a.lookup_n3 ")} == {
        "one/q1",
        "one/q2",
    }
    assert "--modes: no mode direct of tiny_a: it has no such decoding mode; known: baseline" in err
    assert "--modes: no mode moe4 of tiny_b: " in err
    with pytest.raises(
        BenchError, match="--modes: no entry of the sample has one of the decoding modes direct"
    ):
        call(*ROLES, "--modes", "direct")


def test_resume_continues_a_sample_with_its_own_options(call: Call, project: list[str]) -> None:
    asked = (*ROLES, "--suites", "one", "--sample-size", "1", "--seed", "3", "--timeout", "77")
    call(*asked)
    (file,) = samples()
    done, cell = list(project), next(Path("benchmarks/results/cells").rglob("*.json"))
    cell.unlink()
    for review in Path("benchmarks/results/reviews").rglob("*.csv"):
        review.unlink()
    for how in (("--resume",), ("--resume", file.parent.name)):
        code, out, _ = call(*how)
        assert code == 0 and f"written: {file.parent}" in out
    assert len(project) == len(done) + 1 and samples() == [file]
    assert json.loads((file.parent / "sample.json").read_text())["asked"]["timeout"] == 77.0


def test_resume_says_why_it_cannot_continue(call: Call) -> None:
    with pytest.raises(BenchError, match="--resume: there is no sample below "):
        call("--resume")
    call(*ROLES, "--suites", "one", "--sample-size", "1")
    (file,) = samples()
    name = file.parent.name
    with pytest.raises(BenchError, match=f"no sample '{name}x' below .*; did you mean '{name}'"):
        call("--resume", f"{name}x")
    with pytest.raises(BenchError, match=r"--resume continues .* --suites must be left out"):
        call("--resume", "--suites", "two")
    options = file.with_name("sample.json")
    text = options.read_text()
    for damage in (
        text[:-9],
        text.replace('"seed": 0', '"seed": "x"'),
        text.replace('"suites"', '"suits"'),
    ):
        options.write_text(damage)
        with pytest.raises(
            BenchError,
            match=r"sample.json: cannot read the options .*without --resume",
        ):
            call("--resume")
    options.write_text(text.replace('"seed": 0', '"seed": 4'))
    with pytest.raises(BenchError, match=f"have changed: '{name}' would be n1-seed4-"):
        call("--resume")


def test_timeout_applies_to_every_question(
    project: list[str], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    inner = command.run_part  # type: ignore[attr-defined]

    def looked_at(part: Part, folder: Path, dry_run: bool, verbose: bool) -> bool:
        seen.extend({cell.timeout_s for cell in part.shard.cells})
        return bool(inner(part, folder, dry_run, verbose))

    monkeypatch.setattr(command, "run_part", looked_at)
    call(*ROLES, "--suites", "one", "--timeout", "7.5")
    assert seen == [7.5, 7.5]
    for wrong in ("0", "-1", "nan", "inf"):
        with pytest.raises(BenchError, match="--timeout: expected seconds above 0, found"):
            call(*ROLES, "--timeout", wrong)


@pytest.mark.parametrize("name", ["found.csv", "found.json", "found.jsonl", "found.md", "a/folder"])
def test_output_is_written_in_the_form_of_its_suffix(call: Call, name: str) -> None:
    code, out, _ = call(*ROLES, "--suites", "one", "--output", name)
    text = {".json": json.loads, ".jsonl": lambda t: [json.loads(x) for x in t.splitlines()]}
    assert code == 0 and f"written: {name}" in out and len(samples()) == 1
    if name == "a/folder":
        assert sorted(p.name for p in Path(name).iterdir()) == [
            "outcomes.csv",
            "routes.csv",
            "summary.md",
        ]
    elif name == "found.md":
        assert Path(name).read_text().startswith("# Routing sample ")
    else:
        read = text.get(Path(name).suffix, lambda t: list(csv.DictReader(t.splitlines())))
        assert {(row["action"], row["question"]) for row in read(Path(name).read_text())} == {
            (action, question)
            for action in ("frontdoor", "specialist")
            for question in ("q1", "q2")
        }


def test_an_unknown_output_form_is_refused_before_anything_runs(
    call: Call, project: list[str]
) -> None:
    with pytest.raises(
        BenchError,
        match=r"--output: unknown file type '.jsn' .*; did you mean '.json'",
    ):
        call(*ROLES, "--output", "found.jsn")
    assert project == []


def test_preflight_only_checks_the_machine(
    call: Call, project: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "look", lambda: None)
    monkeypatch.setattr(command, "findings", lambda _: iter(()))
    monkeypatch.setattr(command, "shard_bytes", lambda _: 10**6)
    code, out, _ = call(*ROLES, "--suites", "one", "--preflight")
    assert (
        code == 0
        and "tiny_a: 2 of 2 cells to run" in out
        and "preflight: quiet; nothing was run" in out
    )
    monkeypatch.setattr(command, "shard_bytes", lambda _: 10**18)
    code, out, err = call(*ROLES, "--suites", "one", "--preflight")
    assert "preflight: noisy; nothing was run" in out and "larger than the free memory" in err
    Path("refuse.yaml").write_text("preflight: refuse\n")
    with pytest.raises(
        BenchError,
        match="preflight: this machine is not quiet enough to measure times: weights and KV cache",
    ):
        call(*ROLES, "--suites", "one", "--preflight", "--configfile", "refuse.yaml")
    assert project == [] and samples() == []


@pytest.mark.parametrize("what", ["--3way", "--continuous"])
def test_preflight_comes_before_a_run(
    call: Call, project: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The predecessor's command: --3way --continuous --suites all --sample-size 10 --preflight."""
    monkeypatch.setattr(command, "look", lambda: None)
    monkeypatch.setattr(command, "findings", lambda _: iter(()))
    monkeypatch.setattr(command, "shard_bytes", lambda _: 10**18)
    Path("refuse.yaml").write_text("preflight: refuse\n")
    with pytest.raises(BenchError, match="preflight: this machine is not quiet enough"):
        call(what, *ROLES, "--suites", "one", "--preflight", "--configfile", "refuse.yaml")
    code, out, _ = call(what, *ROLES, "--suites", "one", "--preflight", "--dry-run")
    assert code == 0 and "nothing was run" in out and project == []
    code, out, _ = call(what, *ROLES, "--suites", "one", "--preflight")
    assert code == 0 and "preflight: noisy\n" in out and len(project) == 4 and len(samples()) == 1


def test_cooldown_is_a_pause_between_entries(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(command, "_rest", lambda seconds, stop: rests.append(seconds))
    call(*ROLES, "--suites", "one", "--cooldown", "1.5")
    assert rests == [1.5]
    call(*ROLES, "--suites", "one", "--cooldown", "1.5")
    assert rests == [1.5]
    for wrong in ("-1", "nan"):
        with pytest.raises(BenchError, match="--cooldown: expected seconds, 0 or more, found"):
            call(*ROLES, "--cooldown", wrong)


def test_continuous_ends_when_every_question_has_been_asked(call: Call, project: list[str]) -> None:
    code, out, _ = call(*ROLES, "--continuous", "--sample-size", "1", "--output", "all.csv")
    assert code == 0 and out.rstrip().endswith("every question has been asked")
    assert {name.partition(" ")[2] for name in project} == {"one/q1", "one/q2", "two/q1", "two/q2"}
    assert len(project) == len(set(project)) == 8 and len(samples()) > 1
    assert (
        len(
            {
                (r["question"], r["suite"])
                for r in csv.DictReader(Path("all.csv").read_text().splitlines())
            }
        )
        == 4
    )


def test_a_question_that_no_sample_draws_ends_continuous(
    call: Call, project: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_BARREN_SEEDS", 3)
    monkeypatch.setattr(
        "scripts.lib.routing.entries.sample_questions",
        lambda questions, size, seed: questions[:size],
    )
    code, out, _ = call(*ROLES, "--suites", "one", "--continuous", "--sample-size", "1")
    assert (
        code == 0
        and out.rstrip().endswith("no sample has the questions one/q2")
        and len(samples()) == 1
    )


def test_ctrl_c_stops_after_the_current_cell_and_resume_continues(
    call: Call, project: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = command.run_part  # type: ignore[attr-defined]

    def interrupted(part: Part, folder: Path, dry_run: bool, verbose: bool) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return bool(inner(part, folder, dry_run, verbose))

    monkeypatch.setattr(command, "run_part", interrupted)
    code, _, err = call(
        *ROLES, "--suites", "one", "--continuous", "--sample-size", "1", "--cooldown", "600"
    )
    (file,) = samples()
    assert (
        code == 130
        and f"interrupted: continue with --resume {file.parent.name}" in err
        and len(project) == 1
    )
    assert "tiny_a: incomplete" in err
    monkeypatch.setattr(command, "run_part", inner)
    assert call("--resume")[0] == 0 and len(project) == 2


def test_a_request_to_stop_ends_a_rest() -> None:
    stop = StopRequest()
    timer = threading.Timer(0.3, setattr, (stop, "asked", True))
    timer.start()
    begin = time.monotonic()
    command._rest(600.0, stop)
    assert 0.1 < time.monotonic() - begin < 60.0


@pytest.mark.parametrize(
    ("option", "said"),
    [(name, by) for options, by in REPLACED.items() for name in options.split()]
    + [
        ("--no-such", "no option '--no-such'"),
        ("--rolse", "did you mean '--roles'"),
        ("--url=http://x", "no option '--url'; use instead: nothing"),
    ],
)
def test_options_of_other_tools_name_what_replaces_them(
    option: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["seed_specialist_routing", "--3way", option, "3"])
    with pytest.raises(BenchError) as caught:
        command.main()
    assert said in str(caught.value)


def test_named_options_become_fields() -> None:
    asked = asked_of(
        {
            "suites": ["math"],
            "frontdoor": ["f", "math=g"],
            "seed": 0,
            "roles": None,
            "sample_size": None,
        }
    )
    assert asked == Asked(suites=("math",), frontdoor=("f", "math=g"))
    assert asked.overrides == {"frontdoor": {"*": "f", "math": "g"}}
