"""The process that renders chat templates: a line of JSON in, a line of JSON out.

A template is code by the maker of the weights. This process limits its memory, its processor time
and its output, so that it cannot block the process that measures or fill its memory.
`chat_template` runs this file by its path; it imports nothing of the project.
"""

from __future__ import annotations

import datetime
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY_BYTES = 1 << 30
MOST_CHARACTERS = 8 << 20


class _GenerationTags(jinja2.ext.Extension):
    """Skips the `{% generation %}` tags of training templates."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> Any:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Message(dict[str, str]):
    """A message that notes whether a template looked at its content."""

    seen = False

    def __getitem__(self, key: str) -> str:
        self.seen = self.seen or key == "content"
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.seen = self.seen or key == "content"
        return super().get(key, default)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise_exception(message: str) -> None:
    raise ValueError(message)


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    # The settings of Transformers, which templates are written for.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTags, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    return environment.from_string(template)


def render(template: str, messages: Sequence[Any], date: str, variables: Mapping[str, Any]) -> str:
    """The prompt's text. Raises whatever the template does; MemoryError beyond the limits."""
    today = datetime.datetime.fromisoformat(date)
    given = {
        "messages": messages,
        "add_generation_prompt": True,
        "raise_exception": _raise_exception,
        "strftime_now": today.strftime,
        **dict.fromkeys(("functions", "function_call", "tools", "tool_choice")),
        **variables,
    }
    parts, length = [], 0
    for part in _compiled(template).generate(given):
        parts.append(part)
        length += len(part)
        if length > MOST_CHARACTERS:
            raise ValueError(f"it prints more than {MOST_CHARACTERS} characters")
    return "".join(parts)


def knows_system_role(template: str, date: str, variables: Mapping[str, Any]) -> bool:
    """True when the template reads or prints a system message's text, even if it then raises.

    llama-server decides in the same way (common/jinja/caps.cpp).
    """
    system = _Message(role="system", content="System message")
    try:
        text = render(
            template, [system, {"role": "user", "content": "User message"}], date, variables
        )
    except jinja2.TemplateSyntaxError:
        return True  # it is not known; each question fails with the reason
    except Exception:
        return system.seen
    return system.seen or "System message" in text


def _words(error: Exception) -> str:
    """The message of a template's failure."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"line {error.lineno}: {error.message}"
    if isinstance(error, MemoryError):
        return f"it wants more memory than {MEMORY_BYTES >> 20} MiB"
    return str(error) or type(error).__name__


def _answer(what: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return {"result": render(**question) if what == "render" else knows_system_role(**question)}
    except Exception as error:
        return {"error": _words(error)}


def main(processor_s: int) -> None:
    """Answer the requests on standard input, each within `processor_s` of processor time."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    for line in sys.stdin:
        # The kernel ends the process by SIGXCPU, even if its parent is gone.
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + processor_s, most))
        print(json.dumps(_answer(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
