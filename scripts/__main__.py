"""The project's commands: `python -m scripts COMMAND …`, or `python -m scripts` for the list of them."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import ast
import runpy
import sys
from pathlib import Path

from scripts.lib.base.errors import fail, suggest


def commands() -> dict[str, str]:
    """Name -> first line of what it says of itself, of every command of this folder."""
    files = sorted(
        file for file in Path(__file__).parent.glob("*.py") if not file.name.startswith("_")
    )
    docs = {
        file.stem: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        for file in files
    }
    return {name: doc.partition("\n")[0] for name, doc in docs.items()}


def main() -> None:
    known = commands()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m scripts COMMAND [options]; each command has --help\n")
        print("\n".join(f"  {name:18} {words}" for name, words in known.items()))
        return
    name = sys.argv[1]
    if name not in known:
        fail(f"no command '{name}'{suggest(name, known)}")
    sys.argv = [f"python -m scripts {name}", *sys.argv[2:]]
    runpy.run_module(f"scripts.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
