"""Makes pages from Jinja2 templates. Pages are deterministic: no time, path or host name."""

from __future__ import annotations

from pathlib import Path

import jinja2

from scripts.lib.base.markdown import code, quoted, text
from scripts.lib.base.untrusted_text import json_in_html, one_line


def render(template: Path, **context: object) -> str:
    """Fill the template with the values of `context`. Undefined names are errors.

    In an HTML page, values are escaped. In a Markdown page, untrusted text needs one of the filters
    `text`, `code` and `quoted`.
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
