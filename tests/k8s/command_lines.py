"""Command lines on pages and in manifests: finding them, and having click read those of `seamline`."""

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

BETWEEN = "|<>;&()\n"  # commands end at these
INLINE = ("gcloud", "kubectl")  # whose whole command lines stand in sentences, too


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def calls(page: Path, program: str, values: Mapping[str, str]) -> Iterator[list[str]]:
    """Every call of a program in a page's shell blocks and sentences, as the words after its name; variables filled."""
    for block in (*blocks(page, "sh"), *_inline(page)):
        text = re.sub(r"\$\{?([A-Z_]+)\}?", lambda found: values.get(found[1], found[0]), block.replace("\\\n", " "))
        reader = shlex.shlex(text, posix=True, punctuation_chars=BETWEEN)
        reader.whitespace, reader.whitespace_split = " \t", True
        words = list(reader)
        ends = [-1, *(n for n, word in enumerate(words) if word == "do" or set(word) <= set(BETWEEN)), len(words)]
        parts = [words[start + 1 : end] for start, end in itertools.pairwise(ends)]
        yield from (part[1:] for part in parts if part[:1] == [program])


def _inline(page: Path) -> list[str]:
    """The commands that stand in a page's sentences."""
    found = re.findall(rf"(?<!`)`((?:{'|'.join(INLINE)}) [^`]+)`", page.read_text(encoding="utf-8"))
    return [" ".join(command.split("\n")) for command in found]


def understood(command: click.Command, words: list[str]) -> str:
    """Has click read a command line, options of subcommands included; the name of the command that it calls.

    Raises:
        click.UsageError: it does not understand it.
    """
    if isinstance(command, click.Group):
        return understood(command.commands[words[0]], words[1:])
    return str(command.make_context(command.name, list(words)).command.name)
