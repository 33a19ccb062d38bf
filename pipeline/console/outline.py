"""The tasks of a run to come, before it exists: names, how many, what each asks of the machine, what it waits for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.engine import ir
from pipeline.engine.budget import Demand, demand_of
from pipeline.errors import PipelineError
from pipeline.placement import GPU_STEPS, NEEDS
from pipeline.recipe import Recipe
from pipeline.recipe_steps import GROUPS

GIB = 1024**3
_Row = tuple[str, str, int, tuple[str, ...]]  # name, group, how many, what it waits for


@dataclass(frozen=True)
class Planned:
    """Tasks of one place in the pipeline.

    Attributes:
        name: as history knows it.
        place: where it stands; unique.
        count: how many there are.
        is_counted: False where a loop's length is only known when it runs.
        demand: what one of them asks for.
        after: places that it waits for.
        group: the recipe's group of knobs, empty for foreign pipelines.
        epochs: how long it trains; 0 where that means nothing.
    """

    name: str
    place: str
    count: int
    demand: Demand
    after: tuple[str, ...] = ()
    is_counted: bool = True
    group: str = ""
    epochs: int = 0


def of_recipe(recipe: Recipe) -> list[Planned]:
    """The tasks of a recipe, as its DAG makes them (a test compares the two): compiling would take seconds."""
    rows = _loops(recipe) if recipe.pipeline.loops else _chain(recipe)
    return [_of_row(recipe, *row) for row in rows]


def _chain(recipe: Recipe) -> list[_Row]:
    """One task a group, each after the one before."""
    names = [group.replace("_", "-") for group in recipe.active]
    waiting_for = [(), *((name,) for name in names[:-1])]
    return [(name, group, 1, after) for name, group, after in zip(names, recipe.active, waiting_for, strict=True)]


def _loops(recipe: Recipe) -> list[_Row]:
    attributes, models = len(recipe.attributes), len(recipe.attributes) * len(recipe.models)
    teacher = "train-round2" if recipe.generations.round2 else "train-round1"
    rows: list[_Row] = [("ingest", "ingest", 1, ()), ("preprocess", "preprocess", attributes, ("ingest",))]
    rows += [("train-round1", "round1", models, ("preprocess",))]
    rows += [("train-round2", "round2", models, ("train-round1",))] if recipe.generations.round2 else []
    if "study" in recipe.groups:
        return rows + [("predict", "predict", models, (teacher,)), ("study", "study", 1, ("predict",))]
    rows += [("predict-teachers", "predict", models, (teacher,))]
    last = "predict-teachers"
    if recipe.generations.pseudo:
        rows += [("pseudo-label", "pseudo_label", attributes, (last,))]
        rows += [("train-student", "student", models, ("pseudo-label",))]
        rows += [("predict-students", "predict", models, ("train-student",))]
        last = "predict-students"
    rows += [("ensemble", "ensemble", attributes, (last,))]
    return rows + [("report", "report", 1, ("ensemble",)), ("promote", "promote", 1, ("report",))]


def _of_row(recipe: Recipe, name: str, group: str, count: int, after: tuple[str, ...]) -> Planned:
    step = GROUPS[group]
    cpu, gib = NEEDS[step]
    placement = recipe.placement
    gpus = placement.gpus_per_task if placement.gpu and step in GPU_STEPS else 0
    demand = Demand(placement.cpu.get(step, cpu), round(placement.memory_gb.get(step, gib) * GIB), gpus)
    epochs = recipe.groups[group].epochs if step == "train" else 0
    return Planned(name, name, count, demand, after, group=group, epochs=epochs)


def of_pipeline(pipeline: ir.Pipeline, parameters: Mapping[str, Any]) -> list[Planned]:
    """The tasks of a compiled pipeline; loops over what only a task can say are counted as one."""
    return list(_in_dag(pipeline, pipeline.root, dict(parameters), "", ()))


def _in_dag(
    pipeline: ir.Pipeline, component: ir.Component, known: dict[str, Any], place: str, before: tuple[str, ...]
) -> Iterator[Planned]:
    made: dict[str, list[Planned]] = {}
    tasks = component.dag.tasks if component.dag else {}
    for name in _ordered(tasks):
        task = tasks[name]
        after = before + tuple(p.place for needed in task.dependencies for p in made.get(needed, ()))
        made[name] = list(_of_task(pipeline, task, known, f"{place}{name}", after))
        yield from made[name]


def _of_task(
    pipeline: ir.Pipeline, task: ir.Task, known: dict[str, Any], place: str, after: tuple[str, ...]
) -> Iterator[Planned]:
    component = pipeline.component_of(task)
    inside = {name: v for name, source in task.parameters.items() if (v := _value(source, known)) is not None}
    times, is_counted = _times(task, inside)  # a loop names its items as its own component does
    if component.dag:
        for one in _in_dag(pipeline, component, inside, place + "/", after):
            yield replace(one, count=one.count * times, is_counted=one.is_counted and is_counted)
        return
    executor = pipeline.executors[component.executor]
    demand = _demand(executor.resources, inside) if isinstance(executor, ir.Container) else Demand(0.0)
    epochs = inside.get("epochs", 0)
    yield Planned(
        task.display, place, times, demand, after, is_counted, epochs=epochs if isinstance(epochs, int) else 0
    )


def _times(task: ir.Task, inside: Mapping[str, Any]) -> tuple[int, bool]:
    if not task.loop:
        return 1, True
    items = _value(task.loop.items, inside)
    return (len(items), True) if isinstance(items, list) else (1, False)


def _value(source: ir.Source, known: Mapping[str, Any]) -> Any:
    if source.kind == "constant":
        return source.constant
    return known.get(source.key) if source.kind == "input" and not source.path else None


def _demand(resources: Mapping[str, Any], parameters: Mapping[str, Any]) -> Demand:
    try:
        return demand_of(resources, parameters)
    except PipelineError:
        return Demand()  # a quantity that only the run will know


def _ordered(tasks: Mapping[str, ir.Task]) -> list[str]:
    """Task names, each after those it depends on."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name not in found:
            for needed in tasks[name].dependencies:
                visit(needed)
            found.append(name)

    for name in tasks:
        visit(name)
    return found
