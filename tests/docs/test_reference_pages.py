"""Pages that are made from the code are what the code makes, and what they say about recipes is so."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from components import images, knobs
from pipeline import recipe, recipe_steps, reference_pages
from pipeline.cli import main
from pipeline.reference_pages import pages

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "docs/settings.md").read_text(encoding="utf-8")


def example() -> dict:
    (block,) = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    return tomllib.loads(block)


def commands() -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", SETTINGS, re.DOTALL)
    return block.splitlines()


@pytest.mark.parametrize("path", sorted(pages(main)))
def test_the_generated_parts_of_a_page_are_up_to_date(path):
    page = (ROOT / path).read_text(encoding="utf-8")
    assert reference_pages.filled(page, pages(main)[path]) == page, "run `make docs`"


@pytest.mark.parametrize("name", ["", *sorted(main.commands)])
def test_the_page_of_the_command_holds_what_help_prints(name):
    printed = CliRunner().invoke(
        main, [*name.split(), "--help"], prog_name="seamline", terminal_width=reference_pages.WIDTH
    )
    shown = "\n".join(line.rstrip() for line in printed.output.rstrip().splitlines())
    assert f"```text\n{shown}\n```" in (ROOT / "docs/cli.md").read_text(encoding="utf-8")


def test_an_environment_variable_of_an_option_is_named():
    assert "The environment variable `SEAMLINE_STATE` stands for `--state`." in reference_pages.commands(main)


@pytest.mark.parametrize("step", sorted(recipe.STEPS))
def test_a_step_s_chapter_names_everything_that_it_declares(step):
    module = recipe.STEPS[step]
    chapter = SETTINGS.split(f"\n### {step}\n")[1].split("\n### ")[0]
    declared = [*knobs.types_of(module.Inputs), *knobs.types_of(module.Settings), *module.RESULTS, *module.ARTIFACTS]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == [
        *knobs.types_of(module.Settings),
        *knobs.types_of(module.Inputs),
        *module.RESULTS,
        *module.ARTIFACTS,
    ]
    assert len(declared) == len(set(declared))


@pytest.mark.parametrize("step", sorted(recipe.STEPS))
def test_the_image_read_from_a_component_s_text_is_the_one_that_it_runs(step):
    from importlib import import_module

    component = getattr(import_module(f"components.{step}.component"), step)
    image = component.component_spec.implementation.container.image
    assert image == getattr(images, reference_pages.image_of(step))


def test_a_page_without_the_marks_of_a_part_is_refused():
    with pytest.raises(ValueError, match="marks for"):
        reference_pages.filled("no marks", {"steps": "text"})
    with pytest.raises(ValueError, match="no end"):
        reference_pages.filled("<!-- generated: steps -->\n", {"steps": "text"})


def test_filling_replaces_what_stands_between_the_marks_only():
    page = "before\n<!-- generated: a -->\nold\n<!-- end: a -->\nafter\n"
    assert (
        reference_pages.filled(page, {"a": "new"}) == "before\n<!-- generated: a -->\n\nnew\n\n<!-- end: a -->\nafter\n"
    )


def test_help_does_not_depend_on_the_width_of_the_terminal(monkeypatch):
    before = reference_pages.commands(main)
    monkeypatch.setenv("COLUMNS", "50")
    assert reference_pages.commands(main) == before
    assert isinstance(main, click.Group)


def test_the_recipe_on_the_page_does_what_the_page_says():
    read = recipe.parse(example())
    small = next(model for model in read.models if model["name"] == "small")
    assert small["round2"] == {"epochs": 4}
    assert (read.groups["round1"].epochs, read.groups["round2"].epochs, read.groups["student"].epochs) == (12, 6, 12)
    assert {read.groups[group].batch_size for group in recipe_steps.PHASES} == {64}
    assert read.groups["preprocess"].size_px == 224


@pytest.mark.parametrize("line", commands())
def test_every_command_on_the_page_changes_the_recipe(line):
    program, verb, _, *options = shlex.split(line)
    assert (program, verb) == ("seamline", "run")
    overrides = [text for option, text in zip(options[::2], options[1::2], strict=True) if option == "--set"]
    assert overrides and recipe.parse(example(), overrides) != recipe.parse(example())


def test_a_set_for_all_trainings_loses_against_a_group_and_the_group_wins():
    document = example() | {"round1": {"epochs": 9}}
    assert recipe.parse(document, ["train.epochs=3"]).groups["round1"].epochs == 9
    assert recipe.parse(document, ["round1.epochs=3"]).groups["round1"].epochs == 3
