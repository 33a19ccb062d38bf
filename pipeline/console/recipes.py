"""Implements pipeline.server.domain.recipes."""

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import changes, code_identity, cost, local, named_files
from pipeline import recipe as recipes
from pipeline.console import data_source, estimate, outline, pipeline_form, recipe_form, step_form
from pipeline.engine import catalogue, irtext
from pipeline.engine.budget import Budget
from pipeline.engine.listing import Query
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError, RecipeError
from pipeline.server.domain.recipes import Asked, DataRound, Estimate, Field, Form, Prepared, Source

RECIPE, VERSION, RUN = "recipe", "version", "run"
MOST_VERSIONS = 100


class LocalRecipes:
    """See pipeline.server.domain.recipes.Recipes."""

    def __init__(self) -> None:
        self._compiling = threading.Lock()  # kfp traces into globals of its own

    def sources(self, store: Store) -> Sequence[Source]:
        """See Recipes."""
        packaged = [_packaged(file) for file in sorted(recipes.RECIPES.glob("*.toml"))]
        names = {source.name for source in packaged}
        used = [s for s in _used(store.runs(limit=recipe_form.MOST_RUNS)) if s.name not in names]
        return [*packaged, *used, *_uploaded(store)]

    def form(self, store: Store, asked: Asked) -> Form:
        """See Recipes."""
        if asked.kind == RECIPE:
            return recipe_form.form(store, asked)
        source, text = _pipeline(store, asked)
        clone = store.run(asked.clone or asked.name) if asked.clone or asked.kind == RUN else None
        return pipeline_form.form(source, text, asked.values, asked.data, clone)

    def rounds(self, address: str) -> Sequence[DataRound]:
        """See Recipes."""
        if problem := data_source.problem(address):
            raise PipelineError(problem)
        return data_source.found(str(Path(address).expanduser()) if "://" not in address else address)

    def estimate(self, store: Store, form: Form, cache: bool) -> Estimate:
        """See Recipes."""
        planned, own_runs = self._planned(store, form)
        reused = _likely_reused(store, form, planned) if cache else frozenset[str]()
        return estimate.of_tasks(store, planned, own_runs, reused, Budget.of_machine())

    def prepare(self, store: Store, asked: Asked) -> Prepared:
        """See Recipes."""
        form = self.form(store, asked)
        if not form.is_valid:
            raise PipelineError(_first_error(form))
        return self._of_recipe(store, form) if asked.kind == RECIPE else _of_pipeline(store, asked, form)

    def command(self, form: Form, cache: bool) -> str:
        """See Recipes."""
        return step_form.command(form, cache)

    def knobs(self, task: Task) -> Sequence[Field]:
        """See Recipes."""
        return step_form.knobs_of(task)

    def check_changes(self, task: Task, given: Mapping[str, str]) -> None:
        """See Recipes."""
        changes.typed(task, given)

    def recipe_of(self, run: Run) -> str:
        """See Recipes."""
        return recipe_form.recipe_of(run)

    def _of_recipe(self, store: Store, form: Form) -> Prepared:
        recipe = recipe_form.filled_recipe(form)
        text = self._compiled(recipe)
        data = form.data if not form.data or "://" in form.data else str(Path(form.data).expanduser())
        given, answers = local.prepare(recipe, data, store.directory)
        overrides = recipe_form.overrides(form)
        labels = {"recipe": form.source.name, "overrides": overrides, "answers": answers, "data": data}
        return Prepared(text, given, recipe.head.name, labels | dict(cost.label(recipe.prices)))

    def _compiled(self, recipe: recipes.Recipe) -> str:
        with self._compiling:
            from pipeline import compile as compiling  # loads kfp, which takes seconds

            return compiling.compile_recipe(recipe)

    def _planned(self, store: Store, form: Form) -> tuple[list[outline.Planned], frozenset[str]]:
        newest = store.runs(limit=recipe_form.MOST_RUNS)
        if form.source.kind == RECIPE:
            recipe = recipe_form.filled_recipe(form)
            alike = frozenset(r.run_id for r in newest if recipe_form.recipe_of(r) == form.source.name)
            return outline.of_recipe(recipe), alike
        _, text = _pipeline(store, Asked(form.source.kind, form.source.name))
        pipeline = irtext.read(text)
        given = irtext.fill_parameters(pipeline, _known_parameters(form, text))
        return outline.of_pipeline(pipeline, given), frozenset(r.run_id for r in newest if r.pipeline == pipeline.name)


def _known_parameters(form: Form, text: str) -> dict[str, object]:
    """The parameters before the data is prepared: rounds and their folder stand for themselves."""
    given = pipeline_form.parameters(form, text)
    later = {form.data_kind: data_source.NOTHING[form.data_kind], "data_root": "later"} if form.data_kind else {}
    return later | given


def _of_pipeline(store: Store, asked: Asked, form: Form) -> Prepared:
    _, text = _pipeline(store, asked)
    given = pipeline_form.parameters(form, text)
    if form.data_kind:
        given |= {form.data_kind: data_source.as_parameter(form)} if form.data else {}
        given.setdefault("data_root", str(store.directory / "data"))
        known = irtext.fill_parameters(irtext.read(text), given)
        given |= {name: found for name, found in named_files.digests(known).items() if name in known}
    labels = _labels_of_clone(store, asked, form)
    version_id = asked.name if asked.kind == VERSION else store.run(asked.name).version_id
    return Prepared(text, given, irtext.read(text).name, labels, version_id)


def _labels_of_clone(store: Store, asked: Asked, form: Form) -> dict[str, object]:
    """A clone is told by its source; the recipe's name stays for the estimates of the next one."""
    if asked.kind != RUN:
        return {"data": form.data} if form.data else {}
    source = store.run(asked.name)
    kept = {k: v for k, v in source.labels.items() if k in ("recipe", "answers", "overrides")}
    return kept | {"cloned_from": source.run_id} | ({"data": form.data} if form.data else {})


def _pipeline(store: Store, asked: Asked) -> tuple[Source, str]:
    """What is asked for, and its IR."""
    if asked.kind == VERSION:
        known = catalogue.Catalogue(store)
        version = known.version("", asked.name)
        pipeline = known.get(version.pipeline_id)
        return _of_version(pipeline, version), known.text(version)
    if asked.kind == RUN:
        run = store.run(asked.name)
        return Source(RUN, run.run_id, run.pipeline, f"the pipeline of run {run.name}"), store.pipeline_text(run.run_id)
    raise NotFound(f"{asked.kind!r} is nothing to start from; expected recipe, version or run")


def _packaged(file: Path) -> Source:
    try:
        head = recipes.load(file).head
    except RecipeError as error:
        return Source(RECIPE, file.stem, file.stem, str(error), "comes with Seamline")
    return Source(RECIPE, file.stem, head.name, head.description, "comes with Seamline")


def _used(runs: Sequence[Run]) -> list[Source]:
    """Recipe files of earlier runs that can still be read, the one used last first."""
    found: dict[str, Source] = {}
    for run in runs:
        name = recipe_form.recipe_of(run)
        if name and name not in found and Path(name).is_file():
            head = dataclasses.replace(_packaged(Path(name)), name=name, origin=f"used by run {run.run_id[:8]}")
            found[name] = head
    return list(found.values())


def _uploaded(store: Store) -> list[Source]:
    known = catalogue.Catalogue(store)
    newest = Query(catalogue.COLUMNS["created_at"], descending=True, limit=MOST_VERSIONS)
    sources = []
    for row in known.list(newest).rows:
        pipeline = catalogue.loaded_pipeline(row)
        try:
            version = known.latest(pipeline.pipeline_id)
        except NotFound:
            continue  # a pipeline without versions cannot run
        sources.append(_of_version(pipeline, version))
    return sources


def _of_version(pipeline: catalogue.CataloguePipeline, version: catalogue.Version) -> Source:
    title = f"{pipeline.display_name}, version {version.display_name}"
    about = version.description or pipeline.description
    return Source(VERSION, version.version_id, title, about, "uploaded", pipeline.pipeline_id)


def _likely_reused(store: Store, form: Form, planned: Sequence[outline.Planned]) -> frozenset[str]:
    """Places before the first one that something changed for; the last ones act on the world and always run."""
    earlier = store.run(form.earlier_run) if form.earlier_run else None
    if earlier is None or earlier.state is not RunState.SUCCEEDED or form.source.kind != RECIPE:
        return frozenset()
    if form.data != str(earlier.labels.get("data") or ""):
        return frozenset()
    changed = {field.name.partition(".")[0] for field in form.fields if field.differs_from_earlier}
    groups = [one.group for one in planned]
    first = min([_first_place(table, groups) for table in changed], default=len(groups))
    first = min(first, _first_other_code(store.tasks(earlier.run_id), planned[:first]))
    return frozenset(one.place for one in planned[:first] if one.group != "promote")


def _first_other_code(tasks: Sequence[Task], planned: Sequence[outline.Planned]) -> int:
    """How many places there are before the first one whose code is not that of the earlier run, or that it lacks."""
    parts = {task.name: task.parts for task in tasks if task.parts}
    for number, one in enumerate(planned):
        then = parts.get(one.name)
        if one.group != "promote" and (not then or then["code"] != code_identity.identity(list(then["command"]))):
            return number
    return len(planned)


def _first_place(table: str, groups: Sequence[str]) -> int:
    if table == "placement":
        return len(groups)  # where a task runs does not change what it makes
    if table in ("models", "generations"):
        return groups.index("round1")
    return groups.index(table) if table in groups else 0


def _first_error(form: Form) -> str:
    errors = [form.error, form.data_error, *(field.error for field in form.fields)]
    return next(error for error in errors if error)
