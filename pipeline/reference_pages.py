"""The generated parts of the documentation: text made from the code, between two marks of a hand-written page.

`python -m pipeline.reference_pages` (or `make docs`) rewrites them; a test compares the committed pages with what the
code says. Everything but `main` is pure.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

import click

from components import knobs
from pipeline import placement, recipe_steps, recipe_tables

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100
RUN_WIDE = ("data_root", "seed")
TOML_WORDS = {str: "string", int: "integer", float: "float", bool: "boolean", list: "array", dict: "table"}
TABLE_TITLES = {
    "Top of the recipe": recipe_tables.Head,
    "`[data]`": recipe_tables.Data,
    "`[generations]`": recipe_tables.Generations,
    "`[placement]`": recipe_tables.Placement,
    "`[attributes.NAME]`": recipe_tables.Attribute,
}
_IMAGE = re.compile(r"images\.(CPU|GPU)\b")


def pages(command: click.Group) -> dict[str, dict[str, str]]:
    """Path of a page, from the root of the project, to its generated parts by name."""
    return {
        "docs/cli.md": {"commands": commands(command)},
        "docs/settings.md": {
            "recipe tables": tables_of_no_step(),
            "groups": groups(),
            "own tables": own_tables(),
            "steps": settings_of_steps(),
        },
        "components/README.md": {"steps": table_of_steps()},
    }


def filled(page: str, parts: Mapping[str, str]) -> str:
    """A page with its generated parts replaced.

    Args:
        page: text with `<!-- generated: NAME -->` and `<!-- end: NAME -->` around every part.
        parts: name to text.

    Raises:
        ValueError: a part without its marks, or marks without a part.
    """
    found = re.findall(r"^<!-- generated: (.+) -->$", page, re.MULTILINE)
    if sorted(found) != sorted(parts):
        raise ValueError(f"the page has marks for {sorted(found)}; expected {sorted(parts)}")
    for name, text in parts.items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = page.partition(begin)
        _, mark, after = rest.partition(end)
        if not mark:
            raise ValueError(f"the part {name!r} has no end; expected {end}")
        page = f"{before}{begin}\n{text.strip()}\n\n{end}{after}"
    return page


def commands(command: click.Group) -> str:
    """Every command of `seamline` with what its `--help` prints."""
    top = command.make_context("seamline", [], resilient_parsing=True, terminal_width=WIDTH)
    parts = [_help("seamline", command, top)]
    for name, one in sorted(command.commands.items()):
        context = one.make_context(name, [], parent=top, resilient_parsing=True, terminal_width=WIDTH)
        parts.append(_help(f"seamline {name}", one, context))
    return "\n\n".join(parts)


def _help(title: str, command: click.Command, context: click.Context) -> str:
    lines = [f"## {title}", "", "```text", *(line.rstrip() for line in command.get_help(context).splitlines()), "```"]
    for option in command.params:
        if option.envvar:
            lines += ["", f"The environment variable `{option.envvar}` stands for `{option.opts[0]}`."]
    return "\n".join(lines)


def tables_of_no_step() -> str:
    """The tables of a recipe that belong to no step."""
    return "\n\n".join(f"### {title}\n\n{_knob_table(cls)}" for title, cls in TABLE_TITLES.items())


def groups() -> str:
    """Which table of a recipe sets the knobs of which step."""
    rows = [
        [f"`[{group}]`", f"`{step}`", ", ".join(_pipelines_with(group)), _only_if(group)]
        for group, step in recipe_steps.GROUPS.items()
    ]
    return _table(["table", "step", "`pipeline`", "left out when"], rows)


def _pipelines_with(group: str) -> list[str]:
    return [name for name, one in recipe_steps.PIPELINES.items() if group in one.groups]


def _only_if(group: str) -> str:
    switches = sorted(name for name, kind in knobs.types_of(recipe_tables.Generations).items() if kind is bool)
    off = [switch for switch in switches if group not in recipe_steps.groups_in(_without(switch))]
    return ", ".join(f"`generations.{switch} = false`" for switch in off)


def _without(switch: str) -> recipe_tables.Generations:
    values: dict[str, Any] = {switch: False}
    return recipe_tables.Generations(**values)


def own_tables() -> str:
    """Which tables of knobs one attribute or one model may have."""
    rows = [
        [f"`[{loop}.NAME.…]`", ", ".join(f"`{table}`" for table in recipe_steps.tables_of(loop))]
        for loop in recipe_tables.LOOPS
    ]
    return _table(["of", "tables"], rows)


def settings_of_steps() -> str:
    """A chapter for every step: inputs, knobs, results, artifacts."""
    return "\n\n".join(_chapter(name, module) for name, module in recipe_steps.STEPS.items())


def _chapter(name: str, module: ModuleType) -> str:
    results = [[f"`{result}`", help] for result, help in module.RESULTS.items()]
    artifacts = [[f"`{artifact}`", kind, help] for artifact, (kind, help) in module.ARTIFACTS.items()]
    return "\n\n".join(
        [
            f"### {name}",
            _first_line(module),
            f"Set in: {', '.join(_tables_that_set(name))}.",
            _knob_table(module.Settings),
            "Inputs, handed over by the pipeline:",
            _table(["input", "type", "default", "meaning"], _input_rows(module.Inputs)),
            "Results (strings) and artifacts (files for people):",
            _table(["result", "meaning"], results),
            _table(["artifact", "KFP type", "meaning"], artifacts),
        ]
    )


def _tables_that_set(step: str) -> Iterator[str]:
    """The recipe's tables that set a step's knobs, weakest first."""
    own = [group for group, of in recipe_steps.GROUPS.items() if of == step]
    tables = own if step in own else [step, *own]
    yield from (f"`[{table}]`" for table in tables)
    for loop in recipe_tables.LOOPS:
        yield from (f"`[{loop}.NAME.{table}]`" for table in tables if table in recipe_steps.tables_of(loop))


def _knob_table(cls: type) -> str:
    hints = get_type_hints(cls)
    rows = [
        [f"`{f.name}`", _kind(hints[f.name]), _default(f), _bounds(f), f.metadata["help"]]
        for f in fields(cls)  # type: ignore[arg-type]
    ]
    return _table(["knob", "type", "default", "unit, range, choices", "meaning"], rows)


def _input_rows(cls: type) -> list[list[str]]:
    hints = get_type_hints(cls)
    return [
        [f"`{f.name}`", _kind(hints[f.name]), _default(f), _sentence(f.metadata["help"], _bounds(f))]
        for f in fields(cls)  # type: ignore[arg-type]
    ]


def _sentence(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _kind(hint: Any) -> str:
    """A field's type in TOML's words: `array of strings`."""
    kind = get_origin(hint) or hint
    inner = [a for a in get_args(hint) if a is not Any]
    word = TOML_WORDS[kind]
    if kind is list and inner:
        return f"{word} of {TOML_WORDS[get_origin(inner[0]) or inner[0]]}s"
    return word


def _default(field: Field[Any]) -> str:
    value = knobs.default_of(field)
    return "required" if value is knobs.REQUIRED else f"`{json.dumps(value, ensure_ascii=False)}`"


def _bounds(field: Field[Any]) -> str:
    about = field.metadata
    low, high = about["at_least"], about["at_most"]
    choices = ", ".join(f"`{json.dumps(choice, ensure_ascii=False)}`" for choice in about["choices"])
    between = " to ".join(_plain(bound) for bound in (low, high)) if low is not None and high is not None else ""
    one = f"at least {_plain(low)}" if low is not None else f"at most {_plain(high)}" if high is not None else ""
    return _sentence(about["unit"], between or one, choices)


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def table_of_steps() -> str:
    """One row for every step: what it takes, what it makes, and where it runs."""
    return _table(
        ["step", "what it does", "reads", "writes", "shows", "image", "GPU", "CPU, memory", "cached"],
        [_row(name, module) for name, module in recipe_steps.STEPS.items()],
    )


def _row(name: str, module: ModuleType) -> list[str]:
    reads = [f"`{f.name}`" for f in fields(module.Inputs) if f.name not in RUN_WIDE]
    cores, gib = placement.NEEDS[name]
    return [
        f"[{name}]({name}/settings.py)",
        _first_line(module),
        ", ".join(reads),
        ", ".join(f"`{result}`" for result in module.RESULTS),
        ", ".join(f"`{artifact}` ({kind})" for artifact, (kind, _) in module.ARTIFACTS.items()),
        f"steps-{image_of(name).lower()}",
        "if the recipe says so" if name in placement.GPU_STEPS else "no",
        f"{cores}, {gib} GiB",
        "never" if name in placement.SIDE_EFFECTS else "yes",
    ]


def image_of(step: str) -> str:
    """`CPU` or `GPU`, as the step's `component.py` names it: read as text, since only the DAG loads components."""
    found = _IMAGE.findall((ROOT / "components" / step / "component.py").read_text(encoding="utf-8"))
    return str(found[-1])


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().split("\n")[0]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Rewrites the generated parts of all pages."""
    (command,) = metadata.entry_points(group="console_scripts", name="seamline")
    for path, parts in pages(command.load()).items():
        page = (ROOT / path).read_text(encoding="utf-8")
        (ROOT / path).write_text(filled(page, parts), encoding="utf-8")
        print(f"{path}: {', '.join(parts)}", file=sys.stderr)


if __name__ == "__main__":
    main()
