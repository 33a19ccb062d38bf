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
from pipeline.dag import given, trained
from pipeline.recipe import Recipe


def study(p: SimpleNamespace, recipe: Recipe) -> None:
    """Traces the pipeline: rounds of labelled pictures in, a table of variants with their differences out."""
    at_once = recipe.placement
    manifest = ingest(rounds=p.rounds, attributes=p.attributes, **p.ingest).outputs["manifest"]

    with dsl.ParallelFor(p.attributes, name="attribute", parallelism=at_once.parallel_attributes) as attribute:
        own = attribute.preprocess
        shards = preprocess(manifest=manifest, rounds=p.rounds, attribute=own, **p.preprocess).outputs["shards"]

        with dsl.ParallelFor(p.models, name="model", parallelism=at_once.parallel_models) as model:
            _, last = trained(p, shards, attribute, model, recipe.generations.round2)
            answered = predict(
                **given("predict", shards, attribute, model), checkpoint=last.outputs["checkpoint"], **p.predict
            )

    compare(predictions=dsl.Collected(answered.outputs["predictions"]), **p.study)
