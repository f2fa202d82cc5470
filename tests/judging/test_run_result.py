"""The line that ends a run of a judge, and the options of the commands that print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.base.command import Parser, parsed
from scripts.lib.judging.run_result import Counts, RunResult, in_a_word, summary_line
from scripts.lib.settings.judge_config import NO_KEY
from tests.factories.commands import call


def line(stopped: str = "", **counts: object) -> str:
    result = RunResult(usd=0.25, stopped=stopped, counts=Counts(**counts))  # type: ignore[arg-type]
    said = summary_line("claude-x", result)
    assert "\n" not in said
    return said


def test_it_says_judged_unscored_quarantined_spent_and_what_to_do_next() -> None:
    said = line(
        asked=52,
        scored=40,
        new=12,
        later=8,
        unscored={"malformed reply": 5, "status 529": 3},
        quarantined={"2 references got less than 3": 4},
    )
    assert said == (
        "claude-x: judged 12 (in all 40 of 52 answers have a verdict), "
        "unscored 8 (5 × malformed reply; 3 × status 529), "
        "quarantined 4 (4 × 2 references got less than 3), spent $0.2500; "
        "next: run the same command again; it asks for 8 once more"
    )


@pytest.mark.parametrize(
    ("stopped", "help"),
    [
        (NO_KEY, "set ANTHROPIC_API_KEY"),
        ("max_usd: $4.99 of $5 are spent or bound", "raise judge.claude.max_usd"),
        ("10 requests in a row failed, the last one with: status 503", "run the same command"),
    ],
)
def test_the_next_step_follows_from_the_reason_to_stop(stopped: str, help: str) -> None:
    said = line(stopped, asked=3)
    assert f"stopped: {stopped}" in said and help in said.partition("next: ")[2]


def test_quarantined_answers_are_asked_again_only_on_demand() -> None:
    said = line(asked=4, quarantined={"x": 4})
    assert "judge run --again" in said.partition("next: ")[2]
    assert line(asked=4, scored=4).endswith("next: nothing")
    assert "judge.scope" in line()


def test_open_message_batches_are_part_of_what_is_told() -> None:
    result = RunResult(usd=0.0, open_usd=1.5)
    assert "at most $1.5000 for message batches that are still open" in summary_line("x", result)


def test_reasons_are_counted_by_their_kind() -> None:
    assert in_a_word("malformed reply: not JSON: x") == "malformed reply"
    name = "0123456789abcdef"
    assert in_a_word(f"batch {name} of the judge is not finished").startswith("a batch of")


@pytest.mark.parametrize(
    "argv",
    [
        ["--configfile", "a.yaml", "--configfile", "b.yaml", "run"],
        ["run", "--configfile", "a.yaml", "--configfile", "b.yaml"],
        ["--configfile", "a.yaml", "run", "--configfile", "b.yaml"],
    ],
)
def test_a_configfile_may_stand_before_and_after_the_subcommand(argv: list[str]) -> None:
    parser = Parser("scripts.x", "X.")
    parser.add_configfile()
    parser.add_subcommand("run", lambda arguments: None, "run it")
    assert parsed(parser, argv).configfile == [Path("a.yaml"), Path("b.yaml")]


def test_pairs_without_a_judge_are_one_clear_error() -> None:
    done = call("scripts.judge", "pairs")
    assert done.returncode == 1 and "add --scorer claude" in done.stderr
    assert "Traceback" not in done.stderr
