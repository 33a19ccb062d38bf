"""The KFP container component of a step, made from its settings module. Imports kfp and nothing heavier."""

import inspect
from dataclasses import fields
from types import ModuleType
from typing import Any

from kfp import dsl

from components import knobs

ARTIFACTS = {
    "HTML": dsl.HTML,
    "Markdown": dsl.Markdown,
    "Metrics": dsl.Metrics,
    "Dataset": dsl.Dataset,
    "Model": dsl.Model,
}


def component(settings: ModuleType, image: str) -> Any:
    """Declares one step.

    Args:
        settings: the step's settings module: `Inputs` and `Settings` (dataclasses), `RESULTS` (output parameter to
            help) and `ARTIFACTS` (output artifact to (KFP class name, help)).
        image: the image whose `python -m components.<step>` does the work.

    Returns:
        A KFP component whose inputs are the inputs and knobs of the step, each typed and described. Everything reaches
        the container through `--executor-input '{{$}}'`, so no value is ever quoted into an argument.
    """
    step = settings.__name__.split(".")[-2]

    def spec(*_: Any) -> dsl.ContainerSpec:
        command = ["python", "-m", f"components.{step}"]
        return dsl.ContainerSpec(image=image, command=command, args=["--executor-input", "{{$}}"])

    interface = _inputs(settings) | _outputs(settings)
    if len(interface) != len(_inputs(settings)) + len(_outputs(settings)):
        both = sorted(_inputs(settings).keys() & _outputs(settings).keys())
        raise TypeError(f"step {step} has inputs and outputs of one name: {both}; KFP has one name space, rename one")
    spec.__name__ = step
    spec.__doc__ = _docstring(settings)
    spec.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=a)
            for name, a in interface.items()
        ]
    )
    return dsl.container_component(spec)


def _inputs(settings: ModuleType) -> dict[str, Any]:
    return knobs.types_of(settings.Inputs) | knobs.types_of(settings.Settings)


def _outputs(settings: ModuleType) -> dict[str, Any]:
    results = {name: dsl.OutputPath(str) for name in settings.RESULTS}
    return results | {name: dsl.Output[ARTIFACTS[kind]] for name, (kind, _) in settings.ARTIFACTS.items()}


def _docstring(settings: ModuleType) -> str:
    lines = [f"  {f.name}: {knobs.describe(f)}" for cls in (settings.Inputs, settings.Settings) for f in fields(cls)]
    lines += [f"  {name}: {help}" for name, help in settings.RESULTS.items()]
    lines += [f"  {name}: {help}" for name, (_, help) in settings.ARTIFACTS.items()]
    return "\n".join([inspect.cleandoc(settings.__doc__ or "").split("\n")[0], "", "Args:", *lines])
