"""The predecessor's archive: nothing is lost, no file stops the import, its table is made again."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.legacy import PROFILE
from scripts.lib.legacy.history import Kind
from scripts.lib.legacy.runs import parse_mode
from scripts.lib.legacy.store import archive_root, replace, stage
from scripts.lib.legacy.tables import history_tables
from scripts.lib.legacy.text import decode, read_json
from tests.factories.checkout import ROOT
from tests.factories.commands import call
from tests.factories.legacy_archive import (
    CODER,
    LLAMA_LOG,
    PROMPT,
    RUN_ID,
    Archive,
    answer,
    run_file,
)
from tests.factories.legacy_runs import imported, page_of, row, unplaced

SAMPLE = Path("tests/data/legacy")
DECODED = "decoded 767 tokens in 20.440 seconds, speed:"


# --- the predecessor's own table ------------------------------------------------------------------


def test_the_samples_summary_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    theirs = (SAMPLE / "reviews/summary.csv").read_bytes()
    found = imported(SAMPLE)
    assert found.summary.encode() == theirs and found.differences == [] and found.unplaced == ()
    shutil.copytree(SAMPLE, tmp_path / "bare", ignore=shutil.ignore_patterns("summary.csv"))
    assert imported(tmp_path / "bare").summary.encode() == theirs


def test_every_k_is_shown_where_the_archives_own_table_shows_it(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "newer")
    own = tmp_path / "newer/reviews/summary.csv"
    own.write_bytes(
        own.read_bytes()
        .replace(b"k24:12.5", b"k24:12.5,k32:18.5,k48:9.4")
        .replace(b",14.8,", b",18.5,")
    )
    found = imported(tmp_path / "newer")
    assert found.summary.encode() == own.read_bytes()
    assert "k24:12.5,k32:18.5,k48:9.4" in found.summary


def test_the_latest_baseline_wins_and_a_cut_one_does_not(archive: Archive) -> None:
    archive.run(speed=8.0, run_id="20251101_000000")
    archive.run(speed=9.0, run_id="20251201_000000")
    assert (
        row(imported(archive.folder), "Qwen2.5-Coder-32B-Instruct-Q4_K_M").base.run_id
        == "20251201_000000"
    )  # type: ignore[union-attr]
    cut = json.dumps(run_file(speed=7.0, run_id="20260101_000000"))[:-180]
    archive.put("runs/20260101_000000/coder_escalation_baseline.json", cut)
    found = imported(archive.folder)
    assert found.summary.splitlines()[1].split(",")[10] == "9.0"
    assert any("damaged from here on" in reason for reason in unplaced(found).values())


def test_modes_attach_to_their_base_row(archive: Archive) -> None:
    for config, speed in (
        ("baseline", 7.3),
        ("spec_draft_qwen2_5_coder_0_5b_k8", 20.0),
        ("spec_draft_qwen2_5_coder_0_5b_k24", 37.84),
        ("spec_draft_other_k8", 21.0),
        ("lookup_n3", 10.75),
        ("moe4", 9.0),
        ("moe4_spec_draft_a_k8", 11.0),
        ("moe4_lookup_n5", 9.5),
        ("spec_draft_a_k8_lookup_n3", 39.44),
        ("lookup_n4_spec_draft_b_k16", 38.0),
    ):
        archive.run(config, speed)
    archive.review(
        "coder_escalation_baseline",
        "math,t1_q1,7.3,3,good",
        "coder,t2_q1,7.3,1,bad",
        "vl,t1_q9,7.0,2,half",
    )
    lines = list(csv.reader(imported(archive.folder).summary.splitlines()))
    assert lines[1] == [
        *(
            "Qwen2.5-Coder-32B-Instruct-Q4_K_M",
            "-",
            "-",
            "1/1",
            "-",
            "0/1",
            "-",
            "-",
            "1/1",
            "2/3",
            "67%",
            "7.3",
        ),
        *(
            "qwen2_5_coder_0_5b",
            "37.8",
            "k8:20.0,k24:37.8",
            "10.8",
            "n3:10.8",
            "39.4",
            "a_k8_n3:39.4,b_k16_n4:38.0",
        ),
    ]
    assert lines[2] == [
        *(
            "Qwen2.5-Coder-32B-Instruct-Q4_K_M_moe4",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "0/0",
            "0%",
            "9.0",
        ),
        *("a", "11.0", "k8:11.0", "9.5", "n5:9.5", "", ""),
    ]


def test_where_the_archives_own_table_differs_is_listed(archive: Archive) -> None:
    archive.run()
    archive.put(
        "reviews/summary.csv",
        "model,thinking\r\nQwen2.5-Coder-32B-Instruct-Q4_K_M,10/10\r\nORCHESTRATOR,1/1\r\n",
    )
    names = [difference.model for difference in imported(archive.folder).differences]
    assert names == ["Qwen2.5-Coder-32B-Instruct-Q4_K_M", "ORCHESTRATOR"]


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("", (None, None, None, None)),
        ("baseline", (None, None, None, None)),
        ("moe4", (4, None, None, None)),
        ("spec_k4", (None, "", 4, None)),
        ("spec_draft_pard_qwen_1_5b_q5_k_s_k24", (None, "pard_qwen_1_5b_q5_k_s", 24, None)),
        ("moe6_spec_draft_qwen3_coder_0_75b_k16_lookup", (6, "qwen3_coder_0_75b", 16, 0)),
        ("moe8_lookup_n5", (8, None, None, 5)),
    ],
)
def test_config_names_are_modes(config: str, parts: tuple[object, ...]) -> None:
    mode = parse_mode(config)
    assert mode is not None and (mode.experts, mode.draft, mode.k, mode.lookup_n) == parts


# --- physics --------------------------------------------------------------------------------------


def test_the_impossible_51x_is_struck_out_and_never_ranked(archive: Archive) -> None:
    archive.run(speed=3.4)
    archive.run("spec_draft_qwen25_k16", 174.6)
    archive.run("spec_draft_qwen25_k8", 12.0)
    found = imported(archive.folder)
    coder = row(found, "Qwen2.5-Coder-32B-Instruct-Q4_K_M")
    assert coder.fastest is not None and coder.fastest.run.config == "spec_draft_qwen25_k8"
    assert [way.struck for way in coder.ways] == ["", "51.35x passes K + 1 = 17"]
    shown = page_of(found)
    assert (
        "`spec_draft_qwen25_k16`: 51.35x passes K + 1 = 17" in shown
        and "~~174.6~~" in shown
        and "~~51.35x~~" in shown
    )
    assert found.summary.splitlines()[1].endswith(",3.4,qwen25,12.0,k8:12.0,,,,")
    struck = {
        r["mode"]: r["struck_out"]
        for r in csv.DictReader(history_tables(found)["runs.csv"].splitlines())
    }
    assert (
        struck["spec_draft_qwen25_k16"] == "51.35x passes K + 1 = 17" and struck["baseline"] == ""
    )


def test_a_baseline_beyond_the_memory_is_struck_out_and_nothing_is_compared_with_it(
    archive: Archive,
) -> None:
    archive.run(speed=16_406.0)
    archive.run("lookup_n3", 333_342.3)
    found = imported(archive.folder)
    coder = row(found, "Qwen2.5-Coder-32B-Instruct-Q4_K_M")
    assert "more than the memory's 538 GB/s" in coder.struck
    (way,) = coder.ways
    assert way.ratio is None and coder.fastest is None
    assert way.struck.startswith(
        "333342.3 t/s in steps of 17 tokens: 19608.4 t/s x 20.00 GB per token"
    )
    assert (
        "~~16406.0~~" in page_of(found)
        and ",16406" not in found.summary
        and "333342" not in found.summary
    )


def test_a_speed_that_the_answers_own_log_contradicts_is_struck_out(archive: Archive) -> None:
    log = "…\ndecoded 1025 tokens in   43.009 seconds, speed:   23.832 t/s\naccept    = 36.098%\n"
    archive.run(speed=20.0)
    archive.run("spec_k4", results={"math": {"t1_q1": answer(90.0, f"roses{log}")}})
    (way,) = row(imported(archive.folder), "Qwen2.5-Coder-32B-Instruct-Q4_K_M").ways
    assert way.struck == "90.0 t/s is reported, but the log in its own answers says 23.8 t/s"


def test_experts_whose_share_is_unknown_strike_nothing_out(archive: Archive) -> None:
    archive.run(
        speed=120.0, model_role="frontdoor", model_path="Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf"
    )
    (only,) = imported(archive.folder).rows
    assert only.entry is not None and only.entry.key == "frontdoor" and only.struck == ""


# --- damaged, doubled, foreign --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text", "said"),
    [
        ("Grüße".encode(), "Grüße", ""),
        (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße", "byte order mark"),
        (
            "Grüße – nein".encode("cp1252"),
            "Grüße – nein",
            "not UTF-8 (from byte 2 on): read as cp1252",
        ),
        (
            "Grüße ".encode() + b"\xff\xfe!",
            "Grüße ��!",
            "not UTF-8 (from byte 8 on): 2 characters replaced",
        ),
        ("Grüße".encode()[:-2], "Grü�", "not UTF-8 (from byte 4 on): 1 characters replaced"),
        ("Grüße".encode("utf-16"), "Grüße", "UTF-16"),
        (b"\x81\x8d", "��", "not UTF-8 (from byte 0 on): 2 characters replaced"),
        (b"", "", ""),
    ],
)
def test_encodings_are_named(data: bytes, text: str, said: str) -> None:
    assert decode(data) == (text, said)


@pytest.mark.parametrize(
    ("damaged", "value"),
    [
        (
            '{"r": {"a": {"q1": {"x": 1}, "q2": {"x": 2}, "q3": {"x": "cut he',
            {"r": {"a": {"q1": {"x": 1}, "q2": {"x": 2}}}},
        ),
        (
            '{"a": {"b": {"t": "}{\\" [" }}, "c": [{"d": 1}, {"e"',
            {"a": {"b": {"t": '}{" ['}}, "c": [{"d": 1}]},
        ),
        ('{"a": {}} and more', {"a": {}}),
        ('{"cut', None),
        ("no JSON", None),
    ],
)
def test_damaged_json_is_read_as_far_as_it_goes(damaged: str, value: object) -> None:
    found, damage, _ = read_json(damaged)
    assert found == value and damage.startswith("line 1, column ")


def test_odd_but_readable_json_is_read_with_a_remark() -> None:
    assert read_json('{"a": NaN, "b": "tab\there", "c": -Infinity}') == (
        {"a": None, "b": "tab\there", "c": None},
        "",
        "",
    )
    assert read_json('{"a": 1, "a": 2}')[2] == "repeated keys, the last one is used: a"
    long = "9" * 5000
    assert read_json(f'{{"a": {long}, "b": 1}}') == (
        {"a": None, "b": 1},
        "",
        "integers too long to read, left empty: 5000 digits",
    )
    assert read_json(f'{{"a": {{"b": {long}}}, "c')[0] == {"a": {"b": None}}


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x.json", json.dumps(run_file(run_id=1)).replace("1", "9" * 5000, 1), Kind.RUN),
        ("x.json", json.dumps(run_file(f"moe{'9' * 5000}")), Kind.UNPLACED),
        ("x.json", json.dumps(run_file(f"spec_k{'9' * 5000}")), Kind.UNPLACED),
        (
            "x.json",
            json.dumps(run_file(speed=1.7e308, summary=None, model_path="/m/Other.gguf")),
            Kind.RUN,
        ),
        (
            "x.json",
            json.dumps(run_file(results={"math": {"q": answer(1.0, f"{DECODED} 3.4.5 t/s")}})),
            Kind.RUN,
        ),
        (
            "math/A_t1_q1_x.txt",
            LLAMA_LOG.replace("511", "9" * 5000).replace(" 65 ", f" {'9' * 5000} "),
            Kind.LOG,
        ),
        ("math/A_t1_q1_x.txt", LLAMA_LOG.replace("20.80", "2.0.80"), Kind.LOG),
        ("math/A_lookup_n3foo_t1_q1_x.txt", LLAMA_LOG, Kind.UNPLACED),
        ("reviews/summary.csv", f"model\r\na,k{'9' * 5000}:1.0\r\n", Kind.SUMMARY),
    ],
    ids=range(9),
)
def test_no_number_and_no_name_stops_the_import(
    name: str, data: str, kind: Kind, archive: Archive
) -> None:
    archive.run()
    archive.put(f"runs/other/{name}", data)
    found = imported(archive.folder)
    assert history_tables(found) and page_of(found) and "Qwen2.5-Coder" in found.summary
    kinds = {source.file.rpartition("/")[2]: source.kind for source in found.history.sources}
    assert kinds[name.rpartition("/")[2]] is kind
    assert kind is not Kind.UNPLACED or "unknown mode: " in unplaced(found)[f"runs/other/{name}"]


def test_everything_odd_is_listed_with_file_and_place(archive: Archive) -> None:
    archive.run()
    archive.run(name="copy_of_it")
    archive.put(f"runs/{RUN_ID}/empty.json", "")
    archive.put(f"runs/{RUN_ID}/metadata.json", '{"run_id": "x", "system": {}}')
    archive.put(f"runs/{RUN_ID}/list.json", "[1, 2]")
    archive.put(f"runs/{RUN_ID}/notes.md", "# hand-made")
    archive.put(f"runs/{RUN_ID}/bytes.bin", bytes(range(256)))
    archive.run("turbo")
    archive.run(
        "moe2", results={"math": ["no mapping"], "coder": {"q": "no answer", "r": answer(None, "")}}
    )
    archive.review(
        "coder_escalation_baseline",
        "math,t1_q1,10,3,fine (3, 4), good",
        "math,t1_q1,10,2,again",
        "coder,t2_q1,,high,?",
    )
    archive.review(
        "coder_escalation_baseline_rescored",
        "gone,t9_q9,10,0,no such answer",
        "half,a",
        "math,t1_q1,10,1.5,x",
    )
    archive.review("backup/coder_escalation_baseline", "math,t1_q1,10,0,old")
    archive.review("nobody_baseline", "math,t1_q1,10,3,x")
    archive.put("reviews/relative.csv", "model,score\na,1\n")
    found = imported(archive.folder)
    said = unplaced(found)
    base, run = "reviews/coder_escalation_baseline", f"runs/{RUN_ID}/coder_escalation_baseline.json"
    moe2 = f"runs/{RUN_ID}/coder_escalation_moe2.json"
    assert said == {
        f"runs/{RUN_ID}/empty.json": "empty file",
        f"runs/{RUN_ID}/list.json": "not a run: expected results by suite and question",
        f"runs/{RUN_ID}/notes.md": "unknown format",
        f"runs/{RUN_ID}/bytes.bin": "unknown format",
        f"runs/{RUN_ID}/coder_escalation_turbo.json": "unknown mode: 'turbo'",
        f"runs/{RUN_ID}/coder_escalation_turbo.json: config_name": "unknown decoding mode: 'turbo'",
        f"{moe2}: results.math": "expected answers by question, found list",
        f"{moe2}: results.coder.q": "expected an answer, found str",
        "reviews/nobody_baseline.csv": "scores of an unknown run: there is no "
        "nobody_baseline.json, and 1 speeds above 0 are too few to find its run by: "
        "at least 10, or 3 that all equal those of a run with a similar name",
        "reviews/relative.csv": "a table of several models, not the scores of one run: "
        "columns model,score",
        f"{base}.csv: line 3": "appears twice with another value, "
        "the first one is used: math/t1_q1",
        f"{base}.csv: line 4": "expected a score from 0 to 3: coder/t2_q1 has 'high'",
        f"{base}_rescored.csv: line 3": "expected 5 fields: found 2",
        f"{base}_rescored.csv: line 4": "expected a score from 0 to 3: math/t1_q1 has '1.5'",
        f"{base}_rescored.csv: gone/t9_q9": f"scores an answer that is not in its run: {run}",
        "reviews/backup/coder_escalation_baseline.csv": f"another copy is used: {base}.csv",
    }
    kinds = {source.file.rpartition("/")[2]: source.kind for source in found.history.sources}
    assert kinds["copy_of_it.json"] is Kind.DUPLICATE and kinds["metadata.json"] is Kind.METADATA
    assert len(found.history.sources) == 14 and len(found.history.runs) == 2
    assert "fine (3, 4), good" in history_tables(found)["answers.csv"]


def test_an_unclosed_quote_swallows_no_row(archive: Archive) -> None:
    archive.run()
    archive.review(
        "coder_escalation_baseline", 'math,t1_q1,10,3,"never closed', "coder,t2_q1,10,2,fine"
    )
    found = imported(archive.folder)
    assert row(found, "Qwen2.5-Coder-32B-Instruct-Q4_K_M").passes == {
        "math": (1, 1),
        "coder": (1, 1),
    }
    assert "has an unclosed quote: read line by line" in unplaced(found).values()


@pytest.mark.parametrize("quote", ["", '"', 'unclosed "', '"unclosed '])
def test_a_reason_of_200000_characters_is_read(quote: str, archive: Archive) -> None:
    before, reason = csv.field_size_limit(), "word " * 40_000
    end = quote if quote == '"' else ""
    archive.run()
    archive.review(
        "coder_escalation_baseline",
        f"math,t1_q1,10,3,{quote}{reason}{end}",
        "coder,t2_q1,10,2,fine",
    )
    found = imported(archive.folder)
    (review,) = found.history.reviews
    assert (
        reason.strip() in review.scores["math", "t1_q1"].reason
        and ("coder", "t2_q1") in review.scores
    )
    assert csv.field_size_limit() == before and not any(
        "not CSV" in why for why in unplaced(found).values()
    )


def test_equal_bytes_under_another_name_are_another_review(archive: Archive) -> None:
    archive.run()
    archive.run("moe4")
    for name in (
        "coder_escalation_baseline",
        "coder_escalation_moe4",
        "backup/coder_escalation_moe4",
    ):
        archive.review(name, "math,t1_q1,10,3,good")
    found = imported(archive.folder)
    label = "Qwen2.5-Coder-32B-Instruct-Q4_K_M"
    assert row(found, label).passes == row(found, f"{label}_moe4").passes == {"math": (1, 1)}
    assert found.counts[Kind.DUPLICATE.value] == 1 and unplaced(found) == {}


def test_empty_answers_and_echoes_are_counted(archive: Archive) -> None:
    texts = {
        "q1": "",
        "q2": PROMPT,
        "q3": f"{PROMPT} B. [end of text]",
        "q4": " [end of text]",
        "q5": "B.",
    }
    archive.run(results={"math": {name: answer(response=text) for name, text in texts.items()}})
    counts = imported(archive.folder).counts
    assert (counts["answers"], counts["empty answer"], counts["prompt echo"]) == (5, 3, 2)


def test_logs_of_single_answers_are_runs_of_their_own(archive: Archive) -> None:
    for name in (
        "Qwen3-4B-Thinking-Q8_baseline_t1_q1_algorithm",
        "Qwen3-4B-Thinking-Q8_t2_q1_dict",
    ):
        archive.put(f"runs/20251216_190755/thinking/{name}.txt", LLAMA_LOG)
    archive.put("runs/copied/thinking/Qwen3-4B-Thinking-Q8_t2_q1_dict.txt", LLAMA_LOG)
    spec = LLAMA_LOG + "decoded  767 tokens in   20.440 seconds, speed:   37.525 t/s\n"
    archive.put(
        "runs/20251216_190755/thinking/Qwen3-4B-Thinking-Q8_spec_k8_t1_q1_algorithm.txt", spec
    )
    archive.put("runs/20251216_190755/thinking/benchmark_summary.txt", "no log")
    found = imported(archive.folder)
    (only,) = found.rows
    assert only.label == "Qwen3-4B-Thinking-2507-Q8_0" and only.base is not None
    answers = [(a.suite, a.question, a.tokens_per_s) for a in only.base.answers]
    assert answers == [("thinking", "t1_q1_algorithm", 20.8), ("thinking", "t2_q1_dict", 20.8)]
    assert [(way.run.config, way.run.tokens_per_s) for way in only.ways] == [("spec_k8", 37.525)]
    # A copy has the name too, equal bytes alone are another question's; the predecessor's table has
    # no text-only runs.
    assert found.counts[Kind.DUPLICATE.value] == 1 and len(found.summary.splitlines()) == 1
    assert (
        unplaced(found)["runs/20251216_190755/thinking/benchmark_summary.txt"] == "unknown format"
    )


def test_a_role_does_not_identify_the_weights(archive: Archive) -> None:
    archive.run(model_role="frontdoor", model_path="/old/Some-Other-7B-Q4.gguf")
    found = imported(archive.folder)
    assert found.rows[0].entry is None
    (reason,) = unplaced(found).values()
    assert reason.startswith(
        "no entry of the registry has these weights: Some-Other-7B-Q4 (1 runs)"
    )


def test_foreign_text_is_harmless_everywhere(archive: Archive) -> None:
    evil = "=HYPERLINK(1)<details><script>|*x*\ud800\x1b[31m\r\n"
    archive.run(
        model_path=f"/m/{evil}.gguf",
        results={evil: {evil: answer(response=evil)}},
        timestamp=evil,
        model_role=evil,
        name="evil",
    )
    archive.review("evil", f"math,q,1,2,{evil.replace(chr(0xD800), '')}")
    archive.put("runs/=cmd|x.md", "x")
    found = imported(archive.folder)
    tables, page = history_tables(found), page_of(found)
    page.encode()
    for name in ("runs.csv", "answers.csv", "sources.csv", "unplaced.csv", "summary.csv"):
        fields = [
            field
            for line in csv.reader(tables[name].encode().decode().splitlines())
            for field in line
        ]
        assert not any(
            field.startswith(("=", "+", "-", "@")) and field != "-" for field in fields
        ), name
    # What stands in backticks is code; everywhere else nothing may be markup.
    plain = re.sub("`[^`\n]*`", "", page)
    assert (
        evil[:10] in page
        and "<script>" not in plain
        and "HYPERLINK" not in plain
        and "\x1b" not in page
    )


# --- the command ----------------------------------------------------------------------------------


COMMAND = "scripts.benchmark.import_legacy_runs"


def scratch(folder: Path) -> Path:
    """The folder, with a checkout's files in it and no results."""
    for part in ("config", "orchestration", "docs/templates", "envs"):
        if not (folder / part).exists():
            shutil.copytree(ROOT / part, folder / part)
    return folder


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a scratch checkout."""
    with chdir(scratch(folder)):
        return call(COMMAND, *arguments)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_command_keeps_every_byte_and_changes_nothing_the_second_time(
    tmp_path: Path, archive: Archive
) -> None:
    shutil.copytree(SAMPLE, archive.folder)
    archive.put(
        "runs/x/cut.json", '{"config_name": "baseline", "results": {"a": {"q": {"response": "\xff'
    )
    archive.put("runs/x/raw.json", b"\xff\xfe\x00{")
    done = subprocess.run(
        [sys.executable, "-m", COMMAND, "archive"],
        cwd=scratch(tmp_path),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "15 files, 15 of them new" in done.stdout, done.stderr
    history = tmp_path / "benchmarks/results/legacy" / PROFILE
    assert contents(history / "sources") == contents(archive.folder)
    assert all(path.stat().st_mode & 0o222 == 0 for path in (history / "sources").rglob("*.json"))
    assert "differs in 0 lines" in done.stdout
    first = contents(tmp_path / "benchmarks") | contents(tmp_path / "docs")
    for arguments in (["archive"], []):
        again = command(tmp_path, *arguments)
        assert again.returncode == 0 and " 0 of them new, 0 changed" in again.stdout
        assert contents(tmp_path / "benchmarks") | contents(tmp_path / "docs") == first
    assert [path.name for path in history.parent.iterdir()] == [PROFILE]
    page = (tmp_path / "docs/reference/benchmarks/LEGACY.md").read_text()
    assert "| 48/61 (79 %, 67 %–87 %)†" in page and "| 9.4 (9.3–9.5) " in page


def test_a_file_that_changed_keeps_its_older_bytes(tmp_path: Path, archive: Archive) -> None:
    archive.run(speed=9.0)
    assert command(tmp_path, "archive").returncode == 0
    archive.run(speed=11.0)
    assert "0 of them new, 1 changed" in command(tmp_path, "archive").stdout
    history = tmp_path / "benchmarks/results/legacy" / PROFILE
    older = history / f"superseded/runs/{RUN_ID}/coder_escalation_baseline.json.1"
    assert json.loads(older.read_text())["summary"]["avg_tokens_per_second"] == 9.0
    assert (
        ",11.0," in (history / "summary.csv").read_text()
        and "older version" in (history / "sources.csv").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "error: nowhere: no such folder"),
        ([], "error: nothing was imported as 'legacy-epyc-9655' yet"),
        (["config"], "error: config: expected a folder with runs/ and reviews/"),
        (["archive", "--profile", "legacy"], "no profile 'legacy'"),
    ],
)
def test_mistakes_are_one_clear_message(
    tmp_path: Path, archive: Archive, arguments: list[str], said: str
) -> None:
    archive.run()
    done = command(tmp_path, *arguments)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


# --- nothing half-written -------------------------------------------------------------------------


def test_a_cut_import_leaves_the_old_history(archive: Archive, tmp_path: Path) -> None:
    history = tmp_path / "history"
    archive.run()
    staged, _ = stage(history, archive_root(archive.folder))
    replace(history, staged)
    before = contents(history)
    archive.run("moe4")
    stage(history, archive.folder)  # cut before `replace`
    assert contents(history) == before
    staged, taken = stage(history, archive.folder)
    assert (taken.new, taken.found) == (1, 2)
    history.rename(history.with_name(".history.old"))  # cut between the two renames
    staged, taken = stage(history, archive.folder)
    replace(history, staged)
    assert (
        len(contents(history)) == 2
        and [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    )


def test_links_are_not_followed_and_listed(archive: Archive, tmp_path: Path) -> None:
    archive.run()
    (archive.folder / "runs/secret.json").symlink_to("/etc/passwd")
    _, taken = stage(tmp_path / "history", archive.folder)
    assert taken.skipped == (("runs/secret.json", "a symbolic link is not followed"),)


def test_what_is_hidden_is_not_copied_and_listed(archive: Archive, tmp_path: Path) -> None:
    archive.run()
    for name in ("runs/.git/config", "runs/.git/objects/ab", "reviews/.A_baseline.csv.swp"):
        archive.put(name, "x")
    _, taken = stage(tmp_path / "history", archive.folder)
    assert taken.found == 1 and taken.skipped == (
        ("reviews/.A_baseline.csv.swp", "hidden"),
        ("runs/.git", "hidden: a folder of 2 files"),
    )


def test_a_checkout_of_the_predecessor_is_found(archive: Archive) -> None:
    inner = Archive(archive.folder / "benchmarks/results")
    inner.run()
    assert archive_root(archive.folder) == inner.folder
    with pytest.raises(BenchError, match="no such folder"):
        archive_root(archive.folder / "x")


def test_an_archive_of_717_files_is_read_in_seconds(archive: Archive) -> None:
    for number in range(716):
        archive.run(
            "baseline" if number % 9 == 0 else f"spec_draft_d{number % 7}_k{4 + number % 9}",
            5.0 + number % 5,
            model_path=CODER.replace("32B", f"{number // 9}B"),
            model_role=f"role_{number // 9}",
        )
    large = {f"q{n}": answer(response="wort " * 2000) for n in range(400)}
    assert len(json.dumps(large)) > 4_000_000
    archive.run(results={"long_context": large}, model_path="Large.gguf", name="large")
    found = imported(archive.folder)
    assert found.counts["run"] + found.counts["duplicate"] == 717
    assert len(found.summary.splitlines()) == 1 + len({row.label for row in found.rows})
