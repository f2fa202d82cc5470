"""Pages through Jinja2 templates. Deterministic: no clock, no path, no host name."""

from __future__ import annotations

from pathlib import Path

import jinja2

from scripts.lib.base.markdown import code, quoted, text
from scripts.lib.base.untrusted_text import json_in_html, one_line


def render(template: Path, **context: object) -> str:
    """Fill the template with what `context` names. Undefined names are errors.

    What goes into an HTML page is escaped; in a Markdown page foreign text goes through the filters
    `text`, `code` or `quoted`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=".html" in template.suffixes,
    )
    environment.filters |= {
        "text": text,
        "code": code,
        "quoted": quoted,
        "one_line": one_line,
        "json_in_html": json_in_html,
    }
    return environment.get_template(template.name).render(**context)
