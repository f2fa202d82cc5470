"""The predecessor's run files: one JSON per model and mode, and before that one log of llama.cpp per answer.

Speeds are tokens per second and times milliseconds, as reported: single measurements that nothing
here has verified. Where an answer still holds llama.cpp's own log, the speed that the log names
stands beside the reported one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from scripts.lib.base.part_names import without_part
from scripts.lib.legacy.values import number, speed, suite_name, text, whole
from scripts.lib.planning.modes import Mode
from scripts.lib.results.symptoms import Symptom, is_echo
from scripts.lib.scoring.answer.cleaning import clean

SPEED_TEST = "speed_test"
# A folder's name holds its date with or without dashes, anywhere; what else is a number in it is no
# date.
_DATE = re.compile(
    r"(20\d\d)-?([01]\d)-?([0-3]\d)(?:[-_T ]?([0-2]\d)[-_:]?([0-5]\d)[-_:]?([0-5]\d))?"
)
# Of llama-speculative ("decoded 767 tokens in 20.440 seconds, speed: 37.525 t/s"), and of every
# llama.cpp tool.
_DECODED = re.compile(r"^decoded +(\d+) tokens in +[\d.]+ seconds, speed: +([\d.]+) t/s", re.M)
_EVALUATED = re.compile(
    r"(?<!prompt )eval time = +([\d.]+) ms / +(\d+) (?:runs|tokens).*?([\d.]+) tokens per second"
)
_PROMPT = re.compile(r"prompt eval time = +[\d.]+ ms / +(\d+) tokens")
_LOADED = re.compile(r"loaded meta data with .* from (\S+\.gguf)")
_LOG_NAME = re.compile(
    r"(?P<model>.+?)(?:_(?P<mode>baseline|moe\d.*?|spec_.*?|lookup_n\d.*?))?_(?P<question>t\d+_q\d+_.+)"
)
# Nine digits at most: Python refuses to convert thousands of them.
_MODE = re.compile(
    r"(?:moe(?P<experts>\d{1,9})(?:_|$))?(?:lookup_n(?P<before>\d{1,9})(?:_|$))?"
    r"(?:spec(?:_(?:draft_)?(?P<draft>\w[\w.-]*?))?_k(?P<k>\d{1,9})(?:_lookup(?:_n(?P<after>\d{1,9}))?)?)?"
)


@dataclass(frozen=True, slots=True)
class LegacyAnswer:
    """One answer. `log_tokens_per_s`: what llama.cpp's log, where the answer holds it, says of decoding."""

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
    """One model in one mode in one run. `mode` is None where its name is of no known form; `damage` where the file is cut.

    `reported_tokens_per_s` is the file's own mean.
    """

    source: str
    run_id: str
    timestamp: str
    role: str
    model_path: str
    config: str
    mode: Mode | None
    answers: tuple[LegacyAnswer, ...]
    reported_tokens_per_s: float | None = None
    from_log: bool = False
    damage: str = ""

    @property
    def model(self) -> str:
        """The weights file's name without its ending and split number; the role where no file is named."""
        file = PurePosixPath(self.model_path.replace("\\", "/")).name
        return without_part(file.removesuffix(".gguf")) or self.role or "unknown"

    @property
    def review_name(self) -> str:
        """The stem that its review files share."""
        return PurePosixPath(self.source).stem

    @property
    def order(self) -> tuple[str, str]:
        """What makes a run the latest: its folder's date (the file's own where the folder has none), then the file's time."""
        date = _DATE.search(self.run_id) or _DATE.search(self.timestamp)
        return "".join(
            part or "" for part in date.groups()
        ) if date is not None else "", self.timestamp


def parse_mode(config: str) -> Mode | None:
    """The decoding mode that a `config_name` means; None for a name of another form."""
    if config in ("", "baseline"):
        return Mode("baseline")
    found = _MODE.fullmatch(config)
    if found is None or not any(found.groupdict().values()):
        return None
    lookup = found["before"] or found["after"]
    draft = (found["draft"] or "") if found["k"] else None
    if found["k"] and lookup is None and "_lookup" in config:
        # Its n is not said; 0 keeps it a mode with lookup.
        lookup = "0"
    numbers = [int(n) if n is not None else None for n in (found["experts"], found["k"], lookup)]
    return Mode(config, numbers[0], draft, numbers[1], numbers[2])


def log_speed(log: str) -> float | None:
    """Tokens per second of decoding as a llama.cpp log names it: speculation's own line before any model's timing."""
    decoded = _DECODED.findall(log)
    if decoded:
        return number(decoded[-1][1])
    evaluated = _EVALUATED.findall(log)
    return number(evaluated[-1][2]) if evaluated else None


def _symptoms(response: str, prompt: str) -> tuple[Symptom, ...]:
    # The word that llama.cpp's tools print at the end is no answer.
    answer = clean(response.replace("[end of text]", ""), prompt)
    found = [] if answer else [Symptom.EMPTY]
    return tuple(found + ([Symptom.ECHO] if is_echo(response, prompt) else []))


def _answer(source: str, suite: str, question: str, raw: Mapping[str, Any]) -> LegacyAnswer:
    response, prompt = text(raw.get("response")), text(raw.get("prompt"))
    return LegacyAnswer(
        suite=suite,
        question=question,
        tokens_per_s=speed(raw.get("tokens_per_second")),
        log_tokens_per_s=log_speed(response),
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
            odd.append(
                (
                    f"results.{suite}",
                    f"expected answers by question, found {type(questions).__name__}",
                )
            )
            continue
        for question, raw in questions.items():
            if isinstance(raw, Mapping):
                yield _answer(source, suite_name(text(suite)), text(question), raw)
            else:
                odd.append(
                    (
                        f"results.{suite}.{question}",
                        f"expected an answer, found {type(raw).__name__}",
                    )
                )


def is_run(value: Any) -> bool:
    """True for what a run file holds at the least. Without a `config_name` it is a baseline, as it was there."""
    named = isinstance(value, Mapping) and any(
        key in value for key in ("config_name", "model_role", "model_path")
    )
    return named and isinstance(value.get("results"), Mapping)


def read_run(
    source: str, value: Mapping[str, Any], damage: str
) -> tuple[LegacyRun, list[tuple[str, str]]]:
    """A run file's content (see `is_run`), and (place, reason) of each part that is no answer."""
    odd: list[tuple[str, str]] = []
    answers = tuple(_answers(source, value["results"], odd))
    summary = value.get("summary")
    config = text(value.get("config_name"))
    run = LegacyRun(
        source=source,
        run_id=text(value.get("run_id")) or PurePosixPath(source).parent.name,
        timestamp=text(value.get("timestamp")),
        role=text(value.get("model_role")),
        model_path=text(value.get("model_path")),
        config=config,
        mode=parse_mode(config),
        answers=answers,
        reported_tokens_per_s=speed(summary.get("avg_tokens_per_second"))
        if isinstance(summary, Mapping)
        else None,
        damage=damage,
    )
    if run.mode is None:
        odd.append(("config_name", f"is no decoding mode that is known here: '{config}'"))
    if not answers:
        odd.append(("results", "holds no answer"))
    return run, odd


def is_log(source: str, log: str) -> bool:
    """True for one answer's log of the text-only runs: `…/{suite}/{model}_{mode}_{question}.txt`."""
    path = PurePosixPath(source)
    return (
        path.suffix == ".txt"
        and _LOG_NAME.fullmatch(path.stem) is not None
        and bool(_LOADED.search(log))
    )


def read_log(source: str, log: str) -> LegacyRun:
    """One answer out of a llama.cpp log (see `is_log`), as a run of one answer; the caller joins those of a run."""
    path = PurePosixPath(source)
    named, loaded = _LOG_NAME.fullmatch(path.stem), _LOADED.search(log)
    assert named is not None and loaded is not None
    evaluated, prompt = _EVALUATED.findall(log), _PROMPT.findall(log)
    decoded = _DECODED.findall(log)
    tokens = decoded[-1][0] if decoded else evaluated[-1][1] if evaluated else None
    tokens_per_s = log_speed(log)
    config = named["mode"] or "baseline"
    return LegacyRun(
        source=source,
        run_id=path.parts[-3] if len(path.parts) > 2 else "",
        timestamp="",
        role=named["model"],
        model_path=loaded[1],
        config=config,
        mode=parse_mode(config),
        answers=(
            LegacyAnswer(
                suite=path.parent.name,
                question=named["question"],
                tokens_per_s=tokens_per_s,
                log_tokens_per_s=tokens_per_s,
                prompt_tokens=whole(prompt[-1]) if prompt else None,
                completion_tokens=whole(tokens),
                response_characters=len(log),
                # One token is the end of an answer that never began.
                symptoms=(Symptom.EMPTY,) if tokens in (None, "0", "1") else (),
                source=source,
            ),
        ),
        from_log=True,
    )
