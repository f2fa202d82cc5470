"""The predecessor's run files: one JSON per model and mode, or one log per answer.

Speeds are tokens per second and times are milliseconds, as reported: single measurements that this
project has not verified. Some answers still hold llama.cpp's own log; its speed is kept beside the
reported one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import median
from typing import Any

from scripts.lib.base.part_names import without_part
from scripts.lib.legacy.values import number, speed, suite_name, text, whole
from scripts.lib.planning.modes import Mode
from scripts.lib.results.symptoms import Symptom, is_echo
from scripts.lib.scoring.answer.cleaning import clean

SPEED_TEST = "speed_test"
# The date in a folder's name, with or without dashes, anywhere in the name.
_DATE = re.compile(
    r"(20\d\d)-?([01]\d)-?([0-3]\d)(?:[-_T ]?([0-2]\d)[-_:]?([0-5]\d)[-_:]?([0-5]\d))?"
)
# Tokens and tokens per second: of llama-speculative ("decoded 767 tokens in 20.440 seconds, speed:
# 37.525 t/s"), and of every llama.cpp tool.
_DECODED = re.compile(r"^decoded +(\d+) tokens in +[\d.]+ seconds, speed: +([\d.]+) t/s", re.M)
_EVALUATED = re.compile(
    r"(?<!prompt )eval time = +[\d.]+ ms / +(\d+) (?:runs|tokens).*?([\d.]+) tokens per second"
)
_PROMPT = re.compile(r"prompt eval time = +[\d.]+ ms / +(\d+) tokens")
_LOADED = re.compile(r"loaded meta data with .* from (\S+\.gguf)")
_LOG_NAME = re.compile(
    r"(?P<model>.+?)(?:_(?P<mode>baseline|moe\d.*?|spec_.*?|lookup_n\d.*?))?_(?P<question>t\d+_q\d+_.+)"
)
# Nine digits at most: Python refuses to convert thousands of them. The groups: experts, N of a
# lookup named first, draft, K, N of a lookup named last.
_MODE = re.compile(
    r"(?:moe(\d{1,9})(?:_|$))?(?:lookup_n(\d{1,9})(?:_|$))?"
    r"(?:spec(?:_(?:draft_)?(\w[\w.-]*?))?_k(\d{1,9})(?:_lookup(?:_n(\d{1,9}))?)?)?"
)


@dataclass(frozen=True, slots=True)
class LegacyAnswer:
    """One answer. `log_tokens_per_s`: the decoding speed in llama.cpp's log, if it holds one."""

    suite: str
    question: str
    tokens_per_s: float | None
    log_tokens_per_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_time_ms: float | None = None
    algorithmic_score: float | None = None
    score_reason: str = ""
    acceptance_rate: float | None = None
    response_characters: int = 0
    symptoms: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class LegacyRun:
    """One model in one mode in one run. `damage`: where the file is cut off, empty if it is whole.

    `reported_tokens_per_s` is the mean that the file states.
    """

    source: str
    run_id: str
    timestamp: str
    role: str
    model_path: str
    config: str
    mode: Mode
    answers: tuple[LegacyAnswer, ...]
    reported_tokens_per_s: float | None = None
    from_log: bool = False
    damage: str = ""

    @property
    def model(self) -> str:
        """The weights file's name without suffix and part number; the role if no file is named."""
        file = PurePosixPath(self.model_path.replace("\\", "/")).name
        return without_part(file.removesuffix(".gguf")) or self.role or "unknown"

    @property
    def review_name(self) -> str:
        """The stem that its review files share."""
        return PurePosixPath(self.source).stem

    @property
    def order(self) -> tuple[str, str]:
        """Sorts runs by time: the folder's date (else the file's own), then the file's time."""
        date = _DATE.search(self.run_id) or _DATE.search(self.timestamp)
        digits = date.groups(default="") if date is not None else ()
        return "".join(digits), self.timestamp

    @property
    def speeds(self) -> list[float]:
        """The answers' reported speeds; the 0 of a timeout is not a speed."""
        return [a.tokens_per_s for a in self.answers if a.tokens_per_s]

    @property
    def tokens_per_s(self) -> float | None:
        """Median of the answers' reported speeds, else the mean that the file states."""
        return median(self.speeds) if self.speeds else self.reported_tokens_per_s or None

    @property
    def logged_tokens_per_s(self) -> float | None:
        """Median of the speeds in the logs that the answers hold."""
        speeds = [a.log_tokens_per_s for a in self.answers if a.log_tokens_per_s]
        return median(speeds) if speeds else None


def parse_mode(config: str) -> Mode | None:
    """The decoding mode of a `config_name`; None if the name has another form."""
    if config in ("", "baseline"):
        return Mode("baseline")
    found = _MODE.fullmatch(config)
    if found is None or not any(found.groups()):
        return None
    experts, first, draft, k, last = found.groups()
    lookup = first or last
    if k and lookup is None and "_lookup" in config:
        # Its N is not stated; 0 keeps it a mode with lookup.
        lookup = "0"
    numbers = [int(n) if n is not None else None for n in (experts, k, lookup)]
    return Mode(config, numbers[0], (draft or "") if k else None, numbers[1], numbers[2])


def _decoding(log: str) -> tuple[str | None, float | None]:
    """Tokens and tokens per second of decoding in a llama.cpp log, best from llama-speculative."""
    found = _DECODED.findall(log) or _EVALUATED.findall(log)
    tokens, tokens_per_s = found[-1] if found else (None, None)
    return tokens, number(tokens_per_s)


def _symptoms(response: str, prompt: str) -> tuple[Symptom, ...]:
    # llama.cpp's tools print this mark at the end; it is not part of the answer.
    answer = clean(response.replace("[end of text]", ""), prompt)
    found = [] if answer else [Symptom.EMPTY]
    return tuple(found + ([Symptom.ECHO] if is_echo(response, prompt) else []))


def _answer(source: str, suite: str, question: str, raw: Mapping[str, Any]) -> LegacyAnswer:
    response, prompt = text(raw.get("response")), text(raw.get("prompt"))
    return LegacyAnswer(
        suite=suite,
        question=question,
        tokens_per_s=speed(raw.get("tokens_per_second")),
        log_tokens_per_s=_decoding(response)[1],
        prompt_tokens=whole(raw.get("prompt_tokens")),
        completion_tokens=whole(raw.get("completion_tokens")),
        total_time_ms=number(raw.get("total_time_ms")),
        algorithmic_score=number(raw.get("algorithmic_score")),
        score_reason=text(raw.get("score_reason")),
        acceptance_rate=number(raw.get("acceptance_rate")),
        response_characters=len(response),
        symptoms=() if suite == SPEED_TEST else _symptoms(response, prompt),
        source=source,
    )


def _answers(
    source: str, results: Mapping[str, Any], odd: list[tuple[str, str]]
) -> Iterator[LegacyAnswer]:
    for suite, questions in results.items():
        if not isinstance(questions, Mapping):
            found = type(questions).__name__
            odd.append((f"results.{suite}", f"expected answers by question, found {found}"))
            continue
        for question, raw in questions.items():
            if isinstance(raw, Mapping):
                yield _answer(source, suite_name(text(suite)), text(question), raw)
            else:
                place, found = f"results.{suite}.{question}", type(raw).__name__
                odd.append((place, f"expected an answer, found {found}"))


def is_run(value: Any) -> bool:
    """True if a JSON value has the least that a run file holds; it needs no `config_name`."""
    named = isinstance(value, Mapping) and any(
        key in value for key in ("config_name", "model_role", "model_path")
    )
    return named and isinstance(value.get("results"), Mapping)


def read_run(
    source: str, value: Mapping[str, Any], damage: str
) -> tuple[LegacyRun | str, list[tuple[str, str]]]:
    """A run file's content (see `is_run`), and (place, reason) of each part that could not be read.

    Instead of the run a text says why there is none.
    """
    odd: list[tuple[str, str]] = []
    answers = tuple(_answers(source, value["results"], odd))
    summary, config = value.get("summary"), text(value.get("config_name"))
    mode = parse_mode(config)
    if mode is None:
        odd.append(("config_name", f"unknown decoding mode: '{config}'"))
    if not answers:
        odd.append(("results", "has no answer"))
    if damage:
        reason = f"damaged from here on: {len(answers)} answers before it were read"
        odd.append((damage.partition(":")[0], reason))
    if not answers or mode is None:
        return f"unknown mode: '{config}'" if answers else "has no answer", odd
    stated = summary.get("avg_tokens_per_second") if isinstance(summary, Mapping) else None
    run = LegacyRun(
        source=source,
        run_id=text(value.get("run_id")) or PurePosixPath(source).parent.name,
        timestamp=text(value.get("timestamp")),
        role=text(value.get("model_role")),
        model_path=text(value.get("model_path")),
        config=config,
        mode=mode,
        answers=answers,
        reported_tokens_per_s=speed(stated),
        damage=damage,
    )
    return run, odd


def is_log(source: str, log: str) -> bool:
    """True for a text-only run's log of an answer: `…/{suite}/{model}_{mode}_{question}.txt`."""
    path = PurePosixPath(source)
    return (
        path.suffix == ".txt"
        and _LOG_NAME.fullmatch(path.stem) is not None
        and bool(_LOADED.search(log))
    )


def read_log(source: str, log: str) -> LegacyRun | str:
    """One answer's log (see `is_log`) as a run of one answer; a text says why there is none."""
    path = PurePosixPath(source)
    named, loaded = _LOG_NAME.fullmatch(path.stem), _LOADED.search(log)
    assert named is not None and loaded is not None
    config, prompt = named["mode"] or "baseline", _PROMPT.findall(log)
    mode, (tokens, tokens_per_s) = parse_mode(config), _decoding(log)
    if mode is None:
        return f"unknown mode: '{config}'"
    answer = LegacyAnswer(
        suite=path.parent.name,
        question=named["question"],
        tokens_per_s=tokens_per_s,
        log_tokens_per_s=tokens_per_s,
        prompt_tokens=whole(prompt[-1]) if prompt else None,
        completion_tokens=whole(tokens),
        response_characters=len(log),
        # A single token is the end of an answer that never began.
        symptoms=(Symptom.EMPTY,) if tokens in (None, "0", "1") else (),
        source=source,
    )
    return LegacyRun(
        source=source,
        run_id=path.parts[-3] if len(path.parts) > 2 else "",
        timestamp="",
        role=named["model"],
        model_path=loaded[1],
        config=config,
        mode=mode,
        answers=(answer,),
        from_log=True,
    )
