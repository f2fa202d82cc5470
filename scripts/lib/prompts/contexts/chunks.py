"""Chunks of the predecessor's context types: source files, law, logs, reports, manuals, minutes.

Each function gives chunks without end; the same dice give the same chunks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from scripts.lib.prompts.contexts import chunk_phrases as phrases
from scripts.lib.prompts.contexts.dice import Dice, capitalised, filled

_LOG_START = datetime(2024, 3, 15)
# Of ten lines.
_LOG_LEVELS = ("DEBUG", *["INFO"] * 6, *["WARN"] * 2, "ERROR")


def _text(dice: Dice, template: str) -> str:
    return capitalised(filled(template, dice, phrases.SLOTS))


def _texts(dice: Dice, templates: tuple[str, ...], least: int, most: int) -> list[str]:
    """From `least` to `most` texts, each of another template."""
    chosen = dice.pick_some(templates, least + dice.below(most - least + 1))
    return [_text(dice, template) for template in chosen]


def _paragraph(dice: Dice, templates: tuple[str, ...], least: int, most: int) -> str:
    return " ".join(_texts(dice, templates, least, most))


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


# --- source files ---


def _methods(dice: Dice, templates: tuple[str, ...], thing: str, count: int) -> str:
    made = []
    for template in dice.pick_some(templates, count):
        names = {
            "$A": str(2 + dice.below(900)),
            "$B": str(2 + dice.below(60)),
            "$V": dice.pick(phrases.CODE_VERBS),
            "$T": thing,
            "$t": thing.lower(),
        }
        for name, value in names.items():
            template = template.replace(name, value)
        made.append(template)
    return "\n".join(made)


def _class_of(dice: Dice, thing: str) -> str:
    return f"{dice.pick(phrases.CODE_MANNERS)}{thing}{dice.pick(phrases.CODE_ROLES)}"


def _python_file(dice: Dice, number: int) -> str:
    thing = dice.pick(phrases.CODE_THINGS)
    return (
        f"```python\n# {thing.lower()}s/part_{number}.py\nimport logging\n\n"
        "log = logging.getLogger(__name__)\n\n\n"
        f"class {_class_of(dice, thing)}:\n"
        f'    """{_text(dice, dice.pick(phrases.CODE_REMARKS))}"""\n\n'
        f"    def __init__(self, limit={10 + dice.below(9000)}):\n"
        "        self.limit = limit\n        self.seen = 0\n"
        "        self.items = {}\n        self.times = {}\n\n"
        f"{_methods(dice, phrases.PYTHON_METHODS, thing, 4)}```"
    )


def _script_file(dice: Dice, number: int) -> str:
    thing = dice.pick(phrases.CODE_THINGS)
    name = _class_of(dice, thing)
    return (
        f"```javascript\n// {thing.lower()}s/part_{number}.js\n'use strict';\n\n"
        f"/** {_text(dice, dice.pick(phrases.CODE_REMARKS))} */\nclass {name} {{\n"
        f"  constructor(client, limit = {10 + dice.below(9000)}) {{\n"
        "    this.client = client;\n    this.limit = limit;\n"
        "    this.seen = 0;\n    this.times = new Map();\n  }\n\n"
        f"{_methods(dice, phrases.SCRIPT_METHODS, thing, 4)}}}\n\n"
        f"module.exports = {{ {name} }};\n```"
    )


def _json_file(dice: Dice, number: int) -> str:
    thing, service = dice.pick(phrases.CODE_THINGS).lower(), dice.pick(phrases.LOG_SERVICES)
    settings = {
        "file": f"config/{thing}s_{number}.json",
        "service": service,
        "version": f"{1 + dice.below(9)}.{dice.below(30)}.{dice.below(60)}",
        "listen": {
            "host": dice.pick(phrases.SLOTS["host"]),
            "port": 3000 + dice.below(6000),
            "tls": dice.below(2) == 1,
        },
        "database": {
            "url": f"postgres://{service}@{dice.pick(phrases.SLOTS['host'])}/{thing}s",
            "pool": {"least": 1 + dice.below(8), "most": 10 + dice.below(90)},
            "timeout_ms": 100 * (1 + dice.below(90)),
        },
        "cache": {
            "entries": 500 * (1 + dice.below(80)),
            "seconds": 15 * (1 + dice.below(240)),
            "shared": dice.below(2) == 1,
        },
        "retry": {
            "attempts": 1 + dice.below(9),
            "wait_ms": 50 * (1 + dice.below(60)),
            "jitter": dice.below(100) / 100,
        },
        "limits": {
            f"{verb}_per_minute": 10 * (1 + dice.below(500))
            for verb in dice.pick_some(phrases.CODE_VERBS, 4)
        },
        "features": {
            f"{verb}_{thing}s": dice.below(2) == 1 for verb in dice.pick_some(phrases.CODE_VERBS, 5)
        },
        "logging": {
            "level": dice.pick(_LOG_LEVELS),
            "file": f"/var/log/{service}.log",
            "keep_days": 3 + dice.below(60),
        },
        "peers": dice.pick_some(phrases.SLOTS["host"], 3),
    }
    return f"```json\n{json.dumps(settings, indent=2)}\n```"


_FILES = (_python_file, _script_file, _json_file)


def code_files(dice: Dice) -> Iterator[str]:
    """Fenced files of 1,000 to 1,400 characters: a Python or JavaScript class, or JSON settings."""
    number = 0
    while True:
        number += 1
        yield _FILES[dice.below(len(_FILES))](dice, number)


# --- law ---


def legal_sections(dice: Dice) -> Iterator[str]:
    """Numbered sections of three to six subsections, each of two to four paragraphs."""
    section = 0
    while True:
        section += 1
        parts = [f"## Section {section}. {_text(dice, dice.pick(phrases.LEGAL_HEADINGS))}"]
        for clause in range(1, 4 + dice.below(4)):
            parts.append(
                f"### {section}.{clause} {_text(dice, dice.pick(phrases.LEGAL_SUBHEADINGS))}"
            )
            parts += [
                _paragraph(dice, phrases.LEGAL_SENTENCES, 1, 3) for _ in range(2 + dice.below(3))
            ]
        yield "\n\n".join(parts)


# --- logs ---


def log_blocks(dice: Dice) -> Iterator[str]:
    """Blocks of 30 to 50 log lines; time goes on from block to block."""
    now = _LOG_START
    while True:
        lines = []
        for _ in range(30 + dice.below(21)):
            now += timedelta(seconds=1 + dice.below(14))
            level = dice.pick(_LOG_LEVELS)
            message = filled(dice.pick(phrases.LOG_MESSAGES[level]), dice, phrases.SLOTS)
            lines.append(
                f"[{now:%Y-%m-%d %H:%M:%S}] {level} [{dice.pick(phrases.LOG_SERVICES)}] {message}"
            )
        yield "\n".join(lines)


# --- business ---


def _quarterly_report(dice: Dice) -> str:
    company, quarter = (
        dice.pick(phrases.SLOTS["company"]),
        f"Q{1 + dice.below(4)} {dice.pick(phrases.SLOTS['year'])}",
    )
    measures = dice.pick_some(phrases.SLOTS["measure"], 4)
    figures = [
        _text(dice, f"{measure}: |millions| (|percent| against plan)") for measure in measures
    ]
    return "\n\n".join(
        (
            f"# {company}: quarterly report {quarter}",
            *("## Summary", _paragraph(dice, phrases.BUSINESS_LINES, 3, 5)),
            *("## Key figures", _bullets(figures)),
            *("## Segments", _paragraph(dice, phrases.BUSINESS_LINES, 3, 5)),
            *("## Outlook", _paragraph(dice, phrases.BUSINESS_LINES, 2, 4)),
        )
    )


def _market_analysis(dice: Dice) -> str:
    market, region = dice.pick(phrases.SLOTS["market"]), dice.pick(phrases.SLOTS["region"])
    shares = [
        _text(dice, f"{name}: |percent|") for name in dice.pick_some(phrases.SLOTS["company"], 4)
    ]
    return "\n\n".join(
        (
            f"# Market analysis: {market} in {region}",
            *("## Size and growth", _paragraph(dice, phrases.MARKET_LINES, 3, 5)),
            *("## Suppliers by share", _bullets(shares)),
            *("## Buyers and prices", _paragraph(dice, phrases.MARKET_LINES, 3, 5)),
            *("## Risks", _paragraph(dice, phrases.MARKET_LINES, 2, 4)),
        )
    )


def _competitor_assessment(dice: Dice) -> str:
    company = dice.pick(phrases.SLOTS["company"])
    return "\n\n".join(
        (
            f"# Competitor assessment: {company}",
            *("## Position", _paragraph(dice, phrases.RIVAL_LINES, 3, 5)),
            *(
                "## Strengths and weaknesses",
                _bullets(_texts(dice, phrases.RIVAL_LINES, 4, 6)),
            ),
            *("## Finance", _paragraph(dice, phrases.BUSINESS_LINES, 2, 4)),
            *("## What it may do next", _paragraph(dice, phrases.RIVAL_LINES, 2, 4)),
        )
    )


_REPORTS = (_quarterly_report, _market_analysis, _competitor_assessment)


def business_reports(dice: Dice) -> Iterator[str]:
    """A quarterly report, a market analysis or a competitor assessment, with figures."""
    while True:
        yield _REPORTS[dice.below(len(_REPORTS))](dice)


# --- technology, meetings ---


def technical_topics(dice: Dice) -> Iterator[str]:
    """Topics with four subtopics of three to five paragraphs."""
    while True:
        parts = [f"# The {filled('|component| and the |component|', dice, phrases.SLOTS)}"]
        for aspect in dice.pick_some(phrases.SLOTS["aspect"], 4):
            parts.append(f"## {aspect}")
            parts += [
                _paragraph(dice, phrases.TECHNICAL_SENTENCES, 2, 4)
                for _ in range(3 + dice.below(3))
            ]
        yield "\n\n".join(parts)


def meeting_notes(dice: Dice) -> Iterator[str]:
    """Minutes: who was there, what was said and decided, who does what by when."""
    while True:
        people = dice.pick_some(phrases.SLOTS["person"], 3 + dice.below(4))
        actions = [
            f"{dice.pick(tuple(people))}: "
            f"{filled('|task| for |subject|, by |date|', dice, phrases.SLOTS)}"
            for _ in range(3 + dice.below(3))
        ]
        yield "\n\n".join(
            (
                f"# {_text(dice, '|group|')}, {_text(dice, '|date|')}",
                f"Attendees: {', '.join(people)}",
                *("## Points", _bullets(_texts(dice, phrases.MEETING_POINTS, 3, 6))),
                *("## Decisions", _bullets(_texts(dice, phrases.MEETING_DECISIONS, 2, 4))),
                *("## Action items", _bullets(actions)),
            )
        )
