"""Every edge of a study, and nothing else: the main pipeline's trainings, and a comparison instead of an ensemble.

`p` as in `dag.py`. The models of the loop are the variants, each once for every seed; what stands above the loop runs
once for all of them.
"""

from types import SimpleNamespace

from kfp import dsl

from components.ingest.component import ingest
from components.predict.component import predict
from components.preprocess.component import preprocess
from components.study.component import study as compare
from components.train.component import train
from pipeline.dag import given
from pipeline.recipe import Recipe


def study(p: SimpleNamespace, recipe: Recipe) -> None:
    """Traces the pipeline: rounds of labelled pictures in, a table of variants with their differences out."""
    at_once = recipe.placement
    manifest = ingest(rounds=p.rounds, attributes=p.attributes, **p.ingest).outputs["manifest"]

    with dsl.ParallelFor(p.attributes, name="attribute", parallelism=at_once.parallel_attributes) as attribute:
        own = attribute.preprocess
        shards = preprocess(manifest=manifest, rounds=p.rounds, attribute=own, **p.preprocess).outputs["shards"]

        with dsl.ParallelFor(p.models, name="model", parallelism=at_once.parallel_models) as model:
            first = train(**given("round1", shards, attribute, model), phase="round1", start="", pseudo="", **p.round1)
            first.set_display_name("train-round1")
            trained = first
            if recipe.generations.round2:
                start = first.outputs["checkpoint"]
                trained = train(
                    **given("round2", shards, attribute, model), phase="round2", start=start, pseudo="", **p.round2
                )
                trained.set_display_name("train-round2")
            answered = predict(
                **given("predict", shards, attribute, model), checkpoint=trained.outputs["checkpoint"], **p.predict
            )

    compare(predictions=dsl.Collected(answered.outputs["predictions"]), **p.study)
