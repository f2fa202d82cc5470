"""List the project's commands, or run one: `python -m scripts COMMAND …`."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

from scripts.lib.base.errors import fail, suggest

FOLDER = Path(__file__).parent


def commands() -> dict[str, str]:
    """Name (`plan`, `benchmark.import_legacy_runs`) -> first line of the command's description."""
    files = [*sorted(FOLDER.glob("*.py")), *sorted(FOLDER.glob("benchmark/*.py"))]
    docs = {
        ".".join(file.relative_to(FOLDER).with_suffix("").parts): ast.get_docstring(
            ast.parse(file.read_text(encoding="utf-8"))
        )
        for file in files
        if not file.name.startswith("_") and file.name != "scripts.py"
    }
    return {name: (doc or "").partition("\n")[0] for name, doc in docs.items()}


def main() -> None:
    """Run the command that the command line names; without one, list them all."""
    known = commands()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m scripts COMMAND [options]; each command has --help\n")
        width = max(map(len, known))
        print("\n".join(f"  {name:{width}}  {words}" for name, words in known.items()))
        return
    name = sys.argv[1]
    if name not in known:
        fail(f"no command '{name}'{suggest(name, known)}")
    sys.argv = [f"python -m scripts.{name}", *sys.argv[2:]]
    runpy.run_module(f"scripts.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
