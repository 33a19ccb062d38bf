"""Every edge of the main pipeline, in the order of the README's picture, and nothing else.

`p` holds the root parameters: `p.rounds`, `p.attributes`, `p.models`, and for each group of knobs (`p.ingest`, …)
the keyword arguments that all its tasks get. Of an attribute or model a task gets only what its group reads
(`attribute.round1`; see `recipe_loops`), so that its cache key holds no more. What a recipe switches off is left out
here, when compiling: a `dsl.If` around a loop would break the collecting tasks on KFP 2.17. A `Collected` is used up by
the task that takes it.
"""

from types import SimpleNamespace
from typing import Any

from kfp import dsl

from components.ensemble.component import ensemble
from components.ingest.component import ingest
from components.predict.component import predict
from components.preprocess.component import preprocess
from components.promote.component import promote
from components.pseudo_label.component import pseudo_label
from components.report.component import report
from components.train.component import train
from pipeline.recipe import Recipe


def main(p: SimpleNamespace, recipe: Recipe) -> None:
    """Traces the pipeline: rounds of labelled pictures in, a submission and a decision about it out."""
    round2, pseudo = recipe.generations.round2, recipe.generations.pseudo
    at_once = recipe.placement

    manifest = ingest(rounds=p.rounds, attributes=p.attributes, **p.ingest).outputs["manifest"]

    with dsl.ParallelFor(p.attributes, name="attribute", parallelism=at_once.parallel_attributes) as attribute:
        own = attribute.preprocess
        shards = preprocess(manifest=manifest, rounds=p.rounds, attribute=own, **p.preprocess).outputs["shards"]

        with dsl.ParallelFor(p.models, name="model", parallelism=at_once.parallel_models) as model:
            first, teacher = trained(p, shards, attribute, model, round2)
            taught = predict(
                **given("predict", shards, attribute, model), checkpoint=teacher.outputs["checkpoint"], **p.predict
            )
            taught.set_display_name("predict-teachers")
        students: Any = []

        if pseudo:
            teachers = dsl.Collected(taught.outputs["predictions"])
            checkpoints = dsl.Collected(teacher.outputs["checkpoint"])
            own = attribute.pseudo_label
            taken = {"shards": shards, "predictions": teachers, "checkpoints": checkpoints}
            chosen = pseudo_label(attribute=own, **taken, **p.pseudo_label)
            labels = chosen.outputs["pseudo"]

            with dsl.ParallelFor(p.models, name="student", parallelism=at_once.parallel_models) as model:
                student = train(
                    **given("student", shards, attribute, model), phase="student", start="", pseudo=labels, **p.student
                )
                student.set_display_name("train-student")
                learnt = predict(
                    **given("predict", shards, attribute, model), checkpoint=student.outputs["checkpoint"], **p.predict
                )
                learnt.set_display_name("predict-students")
            students = dsl.Collected(learnt.outputs["predictions"])

        teachers = dsl.Collected(taught.outputs["predictions"])
        earlier = dsl.Collected(first.outputs["checkpoint"]) if round2 else []
        own = attribute.ensemble
        merged = ensemble(attribute=own, teachers=teachers, students=students, earlier=earlier, **p.ensemble)

    ensembles = dsl.Collected(merged.outputs["ensemble"])
    reported = report(manifest=manifest, rounds=p.rounds, ensembles=ensembles, **p.report).outputs["report"]
    ensembles = dsl.Collected(merged.outputs["ensemble"])
    promote(report=reported, manifest=manifest, ensembles=ensembles, **p.promote)


def trained(p: SimpleNamespace, shards: Any, attribute: Any, model: Any, round2: bool) -> tuple[Any, Any]:
    """The tasks of a model's first training and of its last one: the second round's, where the recipe has one."""
    first = train(**given("round1", shards, attribute, model), phase="round1", start="", pseudo="", **p.round1)
    first.set_display_name("train-round1")
    if not round2:
        return first, first
    start = first.outputs["checkpoint"]
    second = train(**given("round2", shards, attribute, model), phase="round2", start=start, pseudo="", **p.round2)
    second.set_display_name("train-round2")
    return first, second


def given(group: str, shards: Any, attribute: Any, model: Any) -> dict[str, Any]:
    """What every task of a model gets beside its knobs."""
    return {"shards": shards, "attribute": getattr(attribute, group), "model": getattr(model, group)}
