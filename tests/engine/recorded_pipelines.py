"""Pipelines whose tasks record what they are given, so that two engines can be compared."""

from typing import List, Optional  # noqa: UP035 - as people write pipelines

from kfp import dsl
from kfp.dsl import Dataset

from tests.engine.recorded_components import (
    add,
    bye,
    double,
    environment,
    fail,
    flaky,
    gather,
    items,
    maybe,
    pair,
    read,
    read_all,
    say,
    several,
    shell,
    write,
)


@dsl.pipeline(name="chain")
def chain(words: str = "hello", n: int = 3, share: float = 1.0, flag: bool = True) -> str:
    """Parameters of every type: from the pipeline, from a task, as constants, inside a text, by default."""
    one = say(words=words, n=n, share=share, flag=flag, names=["x", "y"], table={"a": [1, 2.5, True]})
    two = say(words=f"{one.output} and {words}")
    more = several(n=n)
    made = more.outputs
    say(words="typed", n=made["number"], share=made["half"], flag=made["odd"], names=made["list"], table=made["table"])
    return two.output  # type: ignore[no-any-return]


@dsl.pipeline(name="branches")
def branches(n: int = 1) -> str:
    """If, Elif, Else, and OneOf over them."""
    with dsl.If(n > 5):
        one = say(words="many")
    with dsl.Elif(n > 1):
        two = say(words="some")
    with dsl.Else():
        three = say(words="few")
    chosen = say(words=dsl.OneOf(one.output, two.output, three.output), n=2)
    return chosen.output  # type: ignore[no-any-return]


@dsl.pipeline(name="on-output")
def on_output(words: str = "heads") -> None:
    """A condition over what a task gave."""
    coin = say(words=words)
    with dsl.If(coin.output == "heads"):
        say(words="won")
    with dsl.If(coin.output == "tails"):
        say(words="lost")


@dsl.pipeline(name="static-loop")
def static_loop() -> str:
    """A loop over constants, and what it collects."""
    with dsl.ParallelFor(["a", "b", "c"]) as name:
        one = say(words=name)
    return gather(parts=dsl.Collected(one.output)).output  # type: ignore[no-any-return]


@dsl.pipeline(name="parameter-loop")
def parameter_loop(names: List[str] = ["a", "b"]) -> None:  # noqa: UP006, B006
    """A loop over a parameter, not more than one iteration at a time."""
    with dsl.ParallelFor(names, parallelism=1) as name:
        say(words=name)


@dsl.pipeline(name="output-loop")
def output_loop() -> None:
    """A loop over structs that a task gave."""
    with dsl.ParallelFor(items().output) as item:
        say(words=item.kind)


@dsl.pipeline(name="struct-loop")
def struct_loop() -> None:
    """A loop over constant structs."""
    with dsl.ParallelFor([{"kind": "u", "size": "1"}, {"kind": "v", "size": "2"}]) as item:
        pair(x=item.kind, y=item.size)


@dsl.pipeline(name="nested-loops")
def nested_loops() -> None:
    """Loops in loops; the collection is flat and in order."""
    with dsl.ParallelFor(["a", "b"]) as x, dsl.ParallelFor(["1", "2"]) as y:
        one = pair(x=x, y=y)
    gather(parts=dsl.Collected(one.output))


@dsl.pipeline(name="item-in-a-text")
def item_in_a_text() -> None:
    """A loop item inside a text, for which kfp 2.17 compiles a reference that leads nowhere."""
    with dsl.ParallelFor(["a", "b"]) as name:
        say(words=f"item {name}")


@dsl.pipeline(name="integers")
def integers() -> None:
    """Collected integers."""
    with dsl.ParallelFor([1, 2, 3]) as n:
        one = double(n=n)
    add(parts=dsl.Collected(one.output))


@dsl.pipeline(name="empty-loop")
def empty_loop(names: List[str] = []) -> None:  # noqa: UP006, B006
    """A loop over nothing, and what it collects."""
    with dsl.ParallelFor(names) as name:
        one = say(words=name)
    gather(parts=dsl.Collected(one.output))


@dsl.pipeline(name="inner")
def inner(words: str, n: int = 5) -> str:
    """A pipeline to be nested."""
    return say(words=words, n=n).output  # type: ignore[no-any-return]


@dsl.pipeline(name="nested")
def nested() -> str:
    """A pipeline in a pipeline, with a default and an output."""
    return say(words=inner(words="in").output, n=2).output  # type: ignore[no-any-return]


@dsl.pipeline(name="artifacts")
def artifacts() -> str:
    """An artifact with metadata, handed on."""
    return read(data=write(words="some words").outputs["data"]).output  # type: ignore[no-any-return]


@dsl.pipeline(name="artifact-list")
def artifact_list() -> None:
    """Collected artifacts."""
    with dsl.ParallelFor(["a", "b"]) as words:
        one = write(words=words)
    read_all(data=dsl.Collected(one.outputs["data"]))


@dsl.pipeline(name="imported")
def imported(uri: str) -> None:
    """An importer whose URI is a parameter."""
    read(data=dsl.importer(artifact_uri=uri, artifact_class=Dataset, metadata={"owner": "me"}).output)


@dsl.pipeline(name="good-end")
def good_end() -> None:
    """An exit task after a success."""
    with dsl.ExitHandler(bye()):
        say(words="work")


@dsl.pipeline(name="bad-end")
def bad_end() -> None:
    """An exit task after a failure."""
    with dsl.ExitHandler(bye()):
        say(words="after", n=2).after(fail(words="no"))


@dsl.pipeline(name="second-try")
def second_try() -> str:
    """A retry."""
    return flaky().set_retry(2, backoff_duration="0s").output  # type: ignore[no-any-return]


@dsl.pipeline(name="optional")
def optional(x: Optional[str] = None) -> None:  # noqa: UP045
    """Inputs that are passed as nothing, or not at all."""
    maybe(x=x)
    maybe(x="given", n=3)


@dsl.pipeline(name="coloured")
def coloured() -> None:
    """Environment variables."""
    environment().set_env_variable("COLOUR", "red").set_env_variable("EMPTY", "")


@dsl.pipeline(name="failing")
def failing() -> None:
    """A failure, and what does not depend on it."""
    say(words="after").after(fail(words="no"))
    say(words="beside")


@dsl.pipeline(name="in-spite")
def in_spite() -> None:
    """A task that runs whatever happens upstream."""
    maybe(x=fail(words="no").output, n=1).ignore_upstream_failure()


@dsl.pipeline(name="named")
def named() -> None:
    """Names of the run."""
    say(words=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)


@dsl.pipeline(name="contained")
def contained() -> None:
    """A container component."""
    shell()
