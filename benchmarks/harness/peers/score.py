"""Score answers with the scorers of lm-evaluation-harness, inspect_ai and math-verify.

A filter of JSON lines, run in an environment of its own (requirements.lock beside it):
PYTHON benchmarks/harness/peers/score.py < rows.jsonl > scores.jsonl
A row {"id", "type", "params", "answer"} is a check of a suite and a model's raw answer. For each
scorer that has a counterpart of the check, it writes {"id", "scorer", "passed"}: null if the scorer
raised or took too long.

The tools' own code decides: filters and metrics come from lm-eval's task files, inspect_ai's
scorers and solver get a real TaskState. This file only does what a run would do around them:
- The text ends where a server would have stopped (TURN_ENDS).
- Thinking is removed as the tool does it: lm-eval removes all up to a `think_end_token` (that of
the answer's model), inspect_ai only a <think> block, math-verify nothing.
- A check of several texts is a scorer's verdict on each.
- Few-shot stop strings (`until`: a line's end, "Question:") are applied only by scorers named
"with until": the questions did not ask for answers in that form.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import re
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
os.environ["LOCAL_RANK"] = "1"  # else lm-eval's ifeval tries to download

import lm_eval.tasks
from inspect_ai.model import ChatMessageUser, ModelName, ModelOutput
from inspect_ai.scorer import CORRECT, Scorer, Target, choice, exact, f1, includes, match, math
from inspect_ai.scorer import answer as marked
from inspect_ai.solver import TaskState, multiple_choice
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_metric
from lm_eval.filters import build_filter_ensemble
from lm_eval.models.utils import postprocess_generated_text
from lm_eval.tasks._yaml_loader import (
    load_yaml,
)  # private, but lm-eval has no other reader of its task files
from lm_eval.tasks.ifeval.instructions import langdetect
from lm_eval.tasks.minerva_math.utils import normalize_final_answer
from lm_eval.tasks.ruler.common_utils import process_results as ruler
from lm_eval.tasks.squad_completion.task import contains_score
from math_verify import parse, verify

SCORER_SECONDS = 60.0
WORKER_BYTES = 16 * 2**30
TASKS = Path(lm_eval.tasks.__file__).parent
LETTERS = "ABCDEFGHIJ"
# Where a server would have stopped. Not gpt-oss's <|end|>, which also ends its thinking.
TURN_ENDS = [
    *(
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|return|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "</s>",
    ),
    *("<end_of_turn>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>", "<｜end▁of▁sentence｜>"),
]
# Where thinking ends -> where it begins (gpt-oss: anywhere).
THINK_ENDS = {
    **{
        f"</{name}>": f"<{name}>"
        for name in ("think", "thinking", "thought", "reasoning", "reason")
    },
    "</seed:think>": "<seed:think>",
    "[/THINK]": "[THINK]",
    "<|end_of_thought|>": "<|begin_of_thought|>",
    "<|END_THINKING|>": "<|START_THINKING|>",
    "◁/think▷": "◁think▷",
    "<|channel|>final<|message|>": "",
}


class NoCounterpart(Exception):
    """The tool has no counterpart of this check."""


def plain(value: Any) -> str:
    """A value as a data set would have it: a number without exponent and without a trailing .0."""
    return (
        format(Decimal(repr(value)), "f").removesuffix(".0")
        if isinstance(value, float)
        else str(value)
    )


@dataclass(frozen=True)
class Row:
    """A check's parameters and an answer."""

    params: Mapping[str, Any]
    answer: str

    @property
    def turn(self) -> str:
        """The answer up to the first end of a turn."""
        return str(postprocess_generated_text(self.answer, TURN_ENDS, None))

    @property
    def for_lm_eval(self) -> str:
        """What lm-eval's model classes give to a task."""
        ends = (end for end, begin in THINK_ENDS.items() if end in self.turn and self.begins(begin))
        return str(postprocess_generated_text(self.turn, None, next(ends, None)))

    def begins(self, mark: str) -> bool:
        """Whether a line begins with the mark, or the template wrote it outside the answer."""
        return (
            mark not in self.turn
            or re.search(rf"^\s*{re.escape(mark)}", self.turn, re.M) is not None
        )

    @property
    def for_inspect(self) -> str:
        """What inspect_ai's providers give to a scorer: no <think> block at its beginning."""
        return re.sub(r"\A\s*<think>.*?</think>", "", self.turn, count=1, flags=re.DOTALL).strip()

    def texts(self, name: str) -> list[str]:
        """A parameter's text or texts; none if it is absent."""
        value = self.params.get(name)
        if value is None:
            return []
        return [plain(item) for item in value] if isinstance(value, list) else [plain(value)]

    @property
    def wanted(self) -> list[str]:
        """Every text that is right."""
        return [*self.texts("value"), *self.texts("any_of")]

    @property
    def right(self) -> str:
        """The right choice's letter, counted from A."""
        letters = [str(letter).upper() for letter in self.params.get("choices") or LETTERS]
        return LETTERS[letters.index(str(self.params["value"]).strip().strip("().").upper())]

    @property
    def choices(self) -> list[str]:
        """The choices' texts; if the check has none, texts that no answer contains."""
        given = self.params.get("choices")
        return (
            list(map(str, given.values())) if given else [f"\0{letter}" for letter in LETTERS[:5]]
        )


Texts = Callable[[Row], list[str]]
Scored = Callable[[Row], float]


def reaches(scored: Scored, least: Callable[[Row], float] = lambda row: 1.0) -> Scored:
    """Whether a number is at least `least` (1 if not given)."""
    return lambda row: scored(row) >= least(row)


def each(scored: Callable[[Row, str], bool]) -> Scored:
    """Whether the scorer finds all of `all` or `value`, one of `any`, none of `none`."""

    def score(row: Row) -> bool:
        named = row.texts("any")
        return (
            all(scored(row, text) for text in [*row.texts("all"), *row.texts("value")])
            and (not named or any(scored(row, text) for text in named))
            and not any(scored(row, text) for text in row.texts("none"))
        )

    return score


# --- lm-evaluation-harness ------------------------------------------------------------------------


@cache
def task(file: str) -> dict[str, Any]:
    """A task file with what it includes and its functions."""
    return dict(load_yaml(TASKS / file))


def text_of(row: Row, config: Mapping[str, Any], until: bool) -> str:
    """The answer; with `until`, up to the task's own stop strings."""
    stops = config.get("generation_kwargs", {}).get("until") if until else None
    return str(postprocess_generated_text(row.for_lm_eval, stops, None))


def metric(config: Mapping[str, Any], given: str, targets: list[str]) -> bool:
    """A task's last metric, with any of the targets (as in lm-eval's process_results)."""
    options = dict((config.get("metric_list") or [{"metric": "exact_match"}])[-1])
    named = options.pop("metric")
    function = named if callable(named) else get_metric(named)
    options = {
        key: value
        for key, value in options.items()
        if key not in ("aggregation", "higher_is_better")
    }
    results = (function(references=[target], predictions=[given], **options) for target in targets)
    return any(float(r["exact_match"] if isinstance(r, dict) else r) == 1 for r in results)


def filtered(
    file: str,
    name: str,
    targets: Texts,
    doc: Callable[[Row], dict[str, Any]] = lambda row: {},
    until: bool = False,
) -> Scored:
    """A task's filter of that name, then its metric."""
    config = task(file)
    (steps,) = (found["filter"] for found in config["filter_list"] if found["name"] == name)
    parts = [
        (step["function"], {key: step[key] for key in step if key != "function"}) for step in steps
    ]
    ensemble = build_filter_ensemble(name, parts)

    def score(row: Row) -> bool:
        text = text_of(row, config, until)
        instance = Instance("generate_until", doc=doc(row), arguments=("", {}), idx=0, resps=[text])
        ensemble.apply([instance])
        return metric(config, instance.filtered_resps[name], targets(row))

    return score


def stripped(row: Row) -> bool:
    """lm-eval's default metric after its filter for white space."""
    instance = Instance(
        "generate_until", doc={}, arguments=("", {}), idx=0, resps=[row.for_lm_eval]
    )
    build_filter_ensemble("", [("remove_whitespace", None), ("take_first", None)]).apply([instance])
    return metric({}, instance.filtered_resps[""], row.wanted)


def processed(
    file: str, key: str, doc: Callable[[Row], dict[str, Any]], until: bool = False
) -> Scored:
    """A number of a task's own process_results."""
    config = task(file)

    def score(row: Row) -> float:
        found = config["process_results"](doc(row), [text_of(row, config, until)])[key]
        return float(found[-1] if isinstance(found, tuple) else found)

    return score


def choices(row: Row) -> dict[str, Any]:
    return {"choices": row.choices}


def word_list(row: Row) -> dict[str, Any]:
    """A record of BIG-bench's word sorting: its filter looks for single words."""
    words = row.texts("value")
    if not row.params.get("ordered") or not all(re.fullmatch(r"\w+", word) for word in words):
        raise NoCounterpart
    return {"input": f"List: {' '.join(words)}"}


def solved(row: Row) -> dict[str, Any]:
    """A record of the MATH data set with the expected value."""
    (value,) = row.texts("value")
    return {"solution": f"$\\boxed{{{value}}}$", "answer": value, "prompt_id": 0, "question_id": 0}


def minerva(row: Row) -> dict[str, Any]:
    """The same, as minerva_math prepares it."""
    return {**solved(row), "answer": normalize_final_answer(solved(row)["answer"])}


def spans(row: Row) -> dict[str, Any]:
    """A record of DROP: each text that is right is an annotator's answer."""
    return {"answers": [(text,) for text in row.wanted]}


def multiple(row: Row) -> dict[str, Any]:
    """A record of SCORE's MMLU-Pro."""
    keys = {"options_format": "letters", "question_id": 0, "category": ""}
    return {**keys, "answer_index": LETTERS.index(row.right)}


def score_mmlu_pro(row: Row) -> bool:
    config = task("score/mmlu_pro/score_non_greedy_robustness_mmlu_pro.yaml")
    ((_, found, right, _),) = config["process_results"](multiple(row), [row.for_lm_eval]).values()
    return bool(found == right)


def found_all(row: Row) -> float:
    """RULER's share of the expected texts that are in the answer."""
    return float(
        ruler({"max_length": 4096, "outputs": row.texts("value")}, [row.for_lm_eval])["4096"]
    )


def conforms(row: Row) -> bool:
    config = task("jsonschema_bench/jsonschema_bench_easy.yaml")
    return metric(config, row.for_lm_eval, [json.dumps(row.params["schema"])])


# A constraint without its limit -> IFEval's instruction, the names of its count and its relation.
COUNTED = {
    "words": ("length_constraints:number_words", "num_words", "relation"),
    "sentences": ("length_constraints:number_sentences", "num_sentences", "relation"),
    "capital_words": (
        "change_case:capital_word_frequency",
        "capital_frequency",
        "capital_relation",
    ),
    "keywords": ("keywords:frequency", "frequency", "relation"),
    "letters": ("keywords:letter_frequency", "let_frequency", "let_relation"),
}
# Parameters, each with the instruction that means the same and the name of its argument.
SAME = {
    "bullets": ("detectable_format:number_bullet_lists", "num_bullets"),
    "placeholders_min": ("detectable_content:number_placeholders", "num_placeholders"),
    "highlights_min": ("detectable_format:number_highlighted_sections", "num_highlights"),
    "postscript": ("detectable_content:postscript", "postscript_marker"),
    "ends_with": ("startend:end_checker", "end_phrase"),
}
FLAGS = {
    "all_lowercase": "change_case:english_lowercase",
    "all_uppercase": "change_case:english_capital",
    "no_commas": "punctuation:no_comma",
    "title": "detectable_format:title",
    "json": "detectable_format:json_format",
    "quoted": "startend:quotation",
}


def instructions(row: Row, name: str, wanted: Any) -> list[tuple[str, dict[str, Any]]]:
    """IFEval's instructions that ask what one parameter of a constraints check asks."""
    base, _, bound = name.rpartition("_") if name.endswith(("_min", "_max")) else (name, "", "")
    if base in COUNTED:
        instruction, count, relation = COUNTED[base]
        counts = (
            {str(k): v for k, v in wanted.items()} if isinstance(wanted, dict) else {"": wanted}
        )
        found = []
        if base == "letters" and not all(re.fullmatch("[A-Za-z]", letter) for letter in counts):
            raise NoCounterpart  # IFEval would draw a random letter
        for word, number in counts.items():
            named = {"keywords": {"keyword": re.escape(word)}, "letters": {"letter": word}}
            of: dict[str, Any] = dict(named.get(base, {}))
            if bound != "max" and number:
                found.append((instruction, {**of, count: number, relation: "at least"}))
            if bound != "min":
                found.append((instruction, {**of, count: number + 1, relation: "less than"}))
        return found
    if name in SAME and wanted:
        return [(SAME[name][0], {SAME[name][1]: wanted})]
    if name in FLAGS and wanted is True:
        return [(FLAGS[name], {})]
    if name == "forbidden_words":
        words = [re.escape(word) for word in row.texts(name)]
        return [("keywords:forbidden_words", {"forbidden_words": words})]
    raise NoCounterpart


def ifeval(row: Row) -> dict[str, Any]:
    """A record of IFEval."""
    found = [
        pair for name, wanted in row.params.items() for pair in instructions(row, name, wanted)
    ]
    names, arguments = [name for name, _ in found], [options for _, options in found]
    return {"key": 0, "prompt": "", "instruction_id_list": names, "kwargs": arguments}


# --- inspect_ai -----------------------------------------------------------------------------------


@cache
def runner() -> asyncio.Runner:
    return asyncio.Runner()


def state_of(row: Row, target: Target) -> TaskState:
    question = ChatMessageUser(content="?")
    text = ModelOutput.from_content("mockllm/model", row.for_inspect)
    return TaskState(
        model=ModelName("mockllm/model"),
        sample_id=0,
        epoch=1,
        input="?",
        messages=[question, text.message],
        target=target,
        choices=row.choices if "value" in row.params else None,
        output=text,
    )


def value_of(scored: Awaitable[Any]) -> float:
    async def wait() -> Any:
        return await scored

    value = runner().run(wait()).value
    return float(value) if isinstance(value, (int, float)) else float(value == CORRECT)


def inspected(scorer: Scorer, targets: Texts = lambda row: row.wanted) -> Scored:
    def score(row: Row) -> float:
        target = Target(targets(row))
        return value_of(scorer(state_of(row, target), target))

    return score


def included(row: Row, text: str) -> bool:
    return inspected(includes(), lambda row: [text])(row) == 1


def chosen(row: Row) -> float:
    """The solver multiple_choice() reads the answer's letter, choice() scores it."""

    async def generate(state: TaskState, **options: Any) -> TaskState:
        return state

    async def solve() -> Any:
        target = Target(row.right)
        return await choice()(await multiple_choice()(state_of(row, target), generate), target)

    return value_of(solve())


def percent(row: Row) -> list[str]:
    """A number and, as match() advises, the same with a percent sign."""
    return [row.texts("value")[0], f"{row.texts('value')[0]}%"]


# --- math-verify ----------------------------------------------------------------------------------


def verified(row: Row) -> bool:
    """The expected value as LaTeX; everything else as math-verify does it by default."""
    return bool(verify(parse(f"${row.texts('value')[0]}$"), parse(row.turn)))


# --- all of them ----------------------------------------------------------------------------------


def letter(row: Row) -> list[str]:
    return [row.right]


def bracketed(row: Row) -> list[str]:
    return [f"({row.right})"]


def wanted(row: Row) -> list[str]:
    return row.wanted


def listed(row: Row) -> list[str]:
    return [", ".join(row.texts("value"))]


def spaced(row: Row) -> list[str]:
    return [" ".join(row.texts("value"))]


def least(row: Row) -> float:
    return float(row.params.get("least", 0.5))


FLEXIBLE, STRICT = "flexible-extract", "strict-match"
MINERVA = "minerva_math/minerva_math_algebra.yaml"
COUNTING = "bbh/cot_zeroshot/object_counting.yaml"
FLAN = "mmlu/flan_cot_zeroshot/_mmlu_flan_cot_zeroshot_template_yaml"
SHOTS = "mmlu/flan_n_shot/generative/_mmlu_flan_generative_template_yaml"
SORTING = "bbh/cot_zeroshot/word_sorting.yaml"
MATH: dict[str, Scored] = {
    "lm-eval hendrycks_math": processed(
        "hendrycks_math/hendrycks_math_algebra.yaml", "exact_match", solved
    ),
    "lm-eval minerva_math exact_match": processed(MINERVA, "exact_match", minerva),
    "lm-eval minerva_math math_verify": processed(MINERVA, "math_verify", minerva),
    "lm-eval leaderboard_math": processed("leaderboard/math/_template_yaml", "exact_match", solved),
    "lm-eval aime": processed("aime/aime.yaml", "exact_match", solved),
    "lm-eval score_math": processed(
        "score/math/prompt_robustness_math_algebra.yaml", "0_accuracy", solved
    ),
    "inspect_ai math()": inspected(math()),
    "inspect_ai answer(line)": inspected(marked("line")),
    "math-verify": verified,
}
NUMBER: dict[str, Scored] = {
    "lm-eval gsm8k strict-match": filtered("gsm8k/gsm8k.yaml", STRICT, wanted),
    "lm-eval gsm8k flexible-extract": filtered("gsm8k/gsm8k.yaml", FLEXIBLE, wanted),
    "lm-eval gsm8k_cot strict-match": filtered("gsm8k/gsm8k-cot.yaml", STRICT, wanted),
    "lm-eval gsm8k_cot_llama strict-match": filtered("gsm8k/gsm8k-cot-llama.yaml", STRICT, wanted),
    "lm-eval mgsm flexible-extract": filtered("mgsm/en_cot/mgsm_en_cot_en.yaml", FLEXIBLE, wanted),
    "lm-eval bbh flexible-extract": filtered(COUNTING, FLEXIBLE, wanted),
    **MATH,
    "inspect_ai match(numeric)": inspected(match(numeric=True)),
    "inspect_ai match(numeric), n or n%": inspected(match(numeric=True), percent),
    "inspect_ai match(any, numeric)": inspected(match("any", numeric=True)),
}
SHORT: dict[str, Scored] = {
    "lm-eval triviaqa": filtered("triviaqa/default.yaml", "remove_whitespace", wanted),
    "lm-eval triviaqa with until": filtered(
        "triviaqa/default.yaml", "remove_whitespace", wanted, until=True
    ),
    "lm-eval nq_open": filtered("nq_open/nq_open.yaml", "remove_whitespace", wanted),
    "lm-eval nq_open with until": filtered(
        "nq_open/nq_open.yaml", "remove_whitespace", wanted, until=True
    ),
    "lm-eval drop em": reaches(processed("drop/default.yaml", "em", spans)),
    "lm-eval drop em with until": reaches(processed("drop/default.yaml", "em", spans, until=True)),
    "inspect_ai exact()": inspected(exact()),
    "inspect_ai match()": inspected(match()),
    "inspect_ai match(exact)": inspected(match("exact")),
    "inspect_ai answer(line)": inspected(marked("line")),
}
SCORERS: dict[str, dict[str, Scored]] = {
    "number": NUMBER,
    "math": {**MATH, "inspect_ai match()": inspected(match())},
    "multiple_choice": {
        "lm-eval mmlu_generative": filtered(
            "mmlu/generative/_default_template_yaml", "get_response", letter
        ),
        "lm-eval mmlu_redux": filtered(
            "mmlu-redux/generative/_default_template_yaml", "default", letter
        ),
        "lm-eval mmlu_flan_cot strict-match": filtered(FLAN, STRICT, bracketed, choices),
        "lm-eval mmlu_flan_cot flexible-extract": filtered(FLAN, FLEXIBLE, bracketed, choices),
        "lm-eval mmlu_flan_n_shot flexible-extract": filtered(SHOTS, FLEXIBLE, bracketed, choices),
        "lm-eval mmlu_pro": filtered("mmlu_pro/_default_template_yaml", "custom-extract", letter),
        "lm-eval mmlu_cot_llama": filtered(
            "llama3/instruct/mmlu_cot/_mmlu_cot_llama_template_yaml", "strict_match", letter
        ),
        "lm-eval score_mmlu_pro": score_mmlu_pro,
        "inspect_ai choice()": chosen,
        "inspect_ai answer(letter)": inspected(marked("letter"), letter),
        "inspect_ai match()": inspected(match(), letter),
    },
    "exact": {
        "lm-eval exact_match": lambda row: metric({}, row.for_lm_eval, row.wanted),
        "lm-eval exact_match, remove_whitespace": stripped,
        "lm-eval triviaqa": SHORT["lm-eval triviaqa"],
        "inspect_ai match(exact)": inspected(match("exact", ignore_case=False)),
        "inspect_ai exact()": SHORT["inspect_ai exact()"],
    },
    "normalized": SHORT,
    "em": SHORT,
    "f1": {
        "lm-eval drop f1": reaches(processed("drop/default.yaml", "f1", spans), least),
        "lm-eval drop f1 with until": reaches(
            processed("drop/default.yaml", "f1", spans, until=True), least
        ),
        "inspect_ai f1()": reaches(inspected(f1()), least),
    },
    "items": {
        "lm-eval ruler": reaches(found_all),
        "lm-eval bbh word_sorting flexible-extract": filtered(SORTING, FLEXIBLE, spaced, word_list),
        "lm-eval bbh word_sorting strict-match": filtered(SORTING, STRICT, spaced, word_list),
        "inspect_ai includes()": each(included),
        "inspect_ai f1() of 1": reaches(inspected(f1(), listed)),
        "inspect_ai match()": inspected(match(), listed),
        "inspect_ai answer(line)": inspected(marked("line"), listed),
    },
    "contains": {
        "lm-eval squad_completion": each(
            lambda row, text: bool(contains_score(row.for_lm_eval, [text]))
        ),
        "inspect_ai includes()": each(included),
    },
    "needle": {
        "lm-eval ruler": reaches(found_all),
        "inspect_ai includes()": each(included),
    },
    "json_schema": {"lm-eval jsonschema_bench": conforms},
    "constraints": {
        "lm-eval ifeval strict": processed("ifeval/ifeval.yaml", "prompt_level_strict_acc", ifeval),
        "lm-eval ifeval loose": processed("ifeval/ifeval.yaml", "prompt_level_loose_acc", ifeval),
    },
}


# --- the filter -----------------------------------------------------------------------------------

# What a scorer says of a row: passed, failed, None (raised), or nothing at all.
Verdict = tuple[bool | None] | None


def verdict(kind: str, scorer: str, row: Row) -> Verdict:
    try:
        return (bool(SCORERS[kind][scorer](row)),)
    except NoCounterpart:
        return None
    except Exception:
        return (None,)


def serve(connection: Connection) -> None:
    """Answer the questions to scorers, one after the other. What tools print goes to stderr."""
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_BYTES, WORKER_BYTES))
    with contextlib.redirect_stdout(sys.stderr):
        while True:
            connection.send(verdict(*connection.recv()))


class Worker:
    """A process that scores. If a scorer hangs, it starts again: alarms do not reach SymPy."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.connection, other = multiprocessing.get_context("fork").Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=serve, args=(other,), daemon=True
        )
        self.process.start()
        other.close()

    def ask(self, kind: str, scorer: str, row: Row) -> Verdict:
        try:
            self.connection.send((kind, scorer, row))
            if self.connection.poll(SCORER_SECONDS):
                said: Verdict = self.connection.recv()
                return said
        except (EOFError, OSError):
            pass
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.start()
        return (None,)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--list", action="store_true", help="print versions and each type's scorers instead"
    )
    if parser.parse_args().list:
        print(
            json.dumps({name: version(name) for name in ("lm-eval", "inspect-ai", "math-verify")})
        )
        for kind, scorers in SCORERS.items():
            print(json.dumps({"type": kind, "scorers": list(scorers)}))
        return 0
    logging.disable(logging.CRITICAL)
    langdetect.DetectorFactory.seed = 0
    worker = Worker()
    for line in sys.stdin:
        item = json.loads(line)
        row = Row(item["params"], item["answer"])
        for scorer in SCORERS.get(item["type"], {}):
            said = worker.ask(item["type"], scorer, row)
            if said is not None:
                print(
                    json.dumps({"id": item["id"], "scorer": scorer, "passed": said[0]}), flush=True
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
