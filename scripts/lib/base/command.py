"""What commands share: the parser, common options, and how a command starts and ends."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import run_cli
from scripts.lib.base.process_lifetime import die_with_starter

# The engines that a shard can be run by.
ENGINES = ("embedded", "server")

# Where the files of a `--configfile` after a subcommand are kept.
_AFTER = "configfile_after"

Main = Callable[[argparse.Namespace], int | None]
# How the examples of a command begin, in its description.
EXAMPLE = "  python -m "


class Parser(argparse.ArgumentParser):
    """A parser that keeps its description's lines, and lists its subcommands. `main` is run."""

    def __init__(self, module: str, doc: str | None, main: Main | None = None, **options: Any):
        options.setdefault("prog", f"python -m {module}")
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(description=doc, formatter_class=form, **options)
        self.set_defaults(main=main)
        self.subcommands: dict[str, Parser] = {}
        self._has_configfile = False

    @property
    def examples(self) -> list[str]:
        """The lines of the description that show a call of the command."""
        return [line for line in (self.description or "").splitlines() if line.startswith(EXAMPLE)]

    def add_subcommand(self, name: str, main: Main, words: str) -> Parser:
        """Add a subcommand and return its parser; `words` describe it.

        Its help shows those of the command's examples that call it. A `--configfile` of the command
        may be given before and after the subcommand.
        """
        if not self.subcommands:
            self._commands = self.add_subparsers(required=True, metavar="COMMAND")
        own = [line for line in self.examples if name in line.split()]
        doc = "\n".join([f"{words[0].upper()}{words[1:]}.", "", "for example:", *own])
        made: Parser = self._commands.add_parser(name, help=words, module=name, doc=doc, main=main)
        self.subcommands[name] = made
        if self._has_configfile:
            made.add_configfile(_AFTER)
        return made

    def add_configfile(self, dest: str = "configfile") -> None:
        """Add the option whose files override config/config.yaml."""
        self._has_configfile = True
        self.add_argument(
            "--configfile",
            dest=dest,
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="settings that override config/config.yaml; repeatable, the last one wins",
        )

    def add_engine(self) -> None:
        """Add the option that chooses one of the configuration's engines."""
        words = "default: the first engine of the configuration"
        self.add_argument("--engine", choices=ENGINES, help=words)

    def add_model_and_mode(self) -> None:
        """Add the options that name one shard."""
        self.add_argument(
            "--model", required=True, metavar="KEY", help="a key under roles: in the registry"
        )
        self.add_argument(
            "--mode",
            default="baseline",
            help="a decoding mode; python -m scripts.plan lists them (default: baseline)",
        )

    def add_format(self, *forms: str) -> None:
        """Add the option for the form of the output; the first form is the default."""
        words = f"how to print (default: {forms[0]})"
        self.add_argument("--format", choices=forms, default=forms[0], help=words)


def positive(kind: type[int] | type[float], below: float = math.inf) -> Callable[[str], float]:
    """The `type` of an option that is a number above 0 and below a limit."""

    def parse(text: str) -> float:
        value = kind(text)
        if not 0 < value < below:
            raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
        return value

    # argparse names it in its message: "invalid float value".
    parse.__name__ = kind.__name__
    return parse


def run_command(parser: Parser) -> None:
    """Parse the command line and run the command; errors and Ctrl-C become exit codes."""
    run_cli(lambda: _parse_and_run(parser))


def run_job(parser: Parser) -> None:
    """Run a command that rules start: it ends with the Snakemake that started it."""

    def main() -> int | None:
        die_with_starter()
        return _parse_and_run(parser)

    run_cli(main)


def parsed(parser: Parser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of a command line (default: the process's)."""
    arguments = parser.parse_args(argv)
    # argparse would drop the files before a subcommand if both had one name.
    if after := vars(arguments).pop(_AFTER, None):
        arguments.configfile = [*arguments.configfile, *after]
    return arguments


def _parse_and_run(parser: Parser) -> int | None:
    arguments = parsed(parser)
    main: Main = arguments.main
    return main(arguments)
