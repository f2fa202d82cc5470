"""Chat templates of weights: their features, their date, and rendering in a limited process.

Some templates print the date. A prompt must be the same every day. So both engines use one fixed
date, which is part of the spec.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.line_worker import LineWorker, WorkerLost
from scripts.lib.base.untrusted_text import one_line, valid_text

DATE = datetime(2026, 1, 1)
# The variable that templates look at; false means "do not think".
THINKING_SWITCH = "enable_thinking"
# Templates find the date under these names: a function, and two texts that llama-server gives to
# every template.
_DATE_FUNCTION = "strftime_now"
_DATE_TEXTS = {"date_string": "%d %b %Y", "datetime": "%b %d %Y"}
_DIRECTIVES = "aAbBcdDeFgGhHIjklmMnprRsStTuUVwWxXyYzZ"
PROCESSOR_SECONDS = 5
_WORKER = Path(__file__).with_name("template_worker.py")
_MOST_WORDS = 500


class TemplateError(Exception):
    """A template's failure, in its own words."""


def uses_date(template: str) -> bool:
    """True when the template may print the date."""
    return any(name in template for name in (_DATE_FUNCTION, *_DATE_TEXTS))


def date_variables() -> dict[str, str]:
    """The date as texts, for a template's variables."""
    return {name: DATE.strftime(form) for name, form in _DATE_TEXTS.items()}


def date_macro(template: str) -> str:
    """A macro `strftime_now` for the fixed date, to be put before a template that calls it.

    Empty for other templates. It is for llama-server: a template's own macro overrides a function
    of the renderer.
    """
    if _DATE_FUNCTION not in template:
        return ""
    directives = [f"%{flag}{letter}" for flag in ("-", "") for letter in _DIRECTIVES]
    used = [directive for directive in directives if directive in template]
    filters = "".join(
        f' | replace("{directive}", "{DATE.strftime(directive)}")' for directive in used
    )
    return f"{{%- macro {_DATE_FUNCTION}(format) -%}}{{{{ format{filters} }}}}{{%- endmacro %}}"


def with_prefill(prompt: str, prefill: str) -> str:
    """The prompt with the beginning of the answer. An open thought is not opened again."""
    opening = "<think>"
    if prefill.lstrip().startswith(opening) and prompt.rstrip().endswith(opening):
        prompt = prompt.rstrip().removesuffix(opening)
    return prompt + prefill


class Renderer(LineWorker):
    """The process that renders templates. It starts with the first question."""

    def arguments(self) -> list[str]:
        """The path of the worker's file, and its limit."""
        return ["-P", str(_WORKER), str(PROCESSOR_SECONDS)]

    def render(
        self, template: str, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any]
    ) -> str:
        """The prompt's text. Raises TemplateError in the template's words, or naming a limit."""
        asked = {
            "template": template,
            "messages": messages,
            "variables": {**date_variables(), **variables},
        }
        return valid_text(str(self._result("render", asked)))

    def knows_system_role(self, template: str) -> bool:
        """True when the template uses a system message. Raises TemplateError as `render` does."""
        variables = {**date_variables(), "bos_token": "", "eos_token": ""}
        asked = {"template": template, "variables": variables}
        return bool(self._result("knows_system_role", asked))

    def _result(self, what: str, question: Mapping[str, Any]) -> Any:
        try:
            reply = self.ask([what, {"date": DATE.isoformat(), **question}])
        except WorkerLost as lost:
            if lost.code == -signal.SIGXCPU:
                raise TemplateError(f"it computes for more than {PROCESSOR_SECONDS} s") from lost
            if lost.code in (-signal.SIGSEGV, -signal.SIGABRT):
                name = signal.Signals(-lost.code).name
                raise TemplateError(f"rendering it ended with {name}") from lost
            raise BenchError(f"{_WORKER}: ended with code {lost.code}") from lost
        if "error" in reply:
            raise TemplateError(one_line(reply["error"])[:_MOST_WORDS])
        return reply["result"]


@lru_cache(maxsize=256)
def knows_system_role(template: str) -> bool:
    """True when the template uses a system message, or fails before that is known.

    Cached: a process takes a fifth of a second, and many models share a template.
    """
    with Renderer() as renderer:
        try:
            return renderer.knows_system_role(template)
        except TemplateError:
            return True
