"""Lightweight Python components that record what they are given. Each is sent as source, so each stands on its own."""

from typing import Dict, List, NamedTuple, Optional  # noqa: UP035 - as people write components

from kfp import dsl
from kfp.dsl import Dataset, Input, Output, PipelineTaskFinalStatus

PYTHON = {"base_image": "python:3.11", "install_kfp_package": False}  # kfp is here already


@dsl.component(**PYTHON)
def say(
    words: str,
    n: int = 1,
    share: float = 0.5,
    flag: bool = False,
    names: list = ["a"],  # noqa: B006
    table: dict = {"k": 1},  # noqa: B006
) -> str:  # type: ignore[type-arg]
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["say", words, n, share, flag, names, table]) + "\n")
    return words


@dsl.component(**PYTHON)
def several(n: int) -> NamedTuple(
    "several", [("number", int), ("half", float), ("odd", bool), ("list", list), ("table", dict)]
):  # type: ignore[valid-type]
    return (n, n / 2, n % 2 == 1, [n, "x"], {"n": n})  # type: ignore[return-value]


@dsl.component(**PYTHON)
def gather(parts: List[str]) -> str:  # noqa: UP006
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["gather", parts]) + "\n")
    return ",".join(parts)


@dsl.component(**PYTHON)
def add(parts: List[int]) -> int:  # noqa: UP006
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["add", parts]) + "\n")
    return sum(parts)


@dsl.component(**PYTHON)
def pair(x: str, y: str) -> str:
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["pair", x, y]) + "\n")
    return x + y


@dsl.component(**PYTHON)
def double(n: int) -> int:
    return 2 * n


@dsl.component(**PYTHON)
def items() -> List[Dict[str, str]]:  # noqa: UP006
    return [{"kind": "u", "size": "1"}, {"kind": "v", "size": "2"}]


@dsl.component(**PYTHON)
def write(words: str, data: Output[Dataset]) -> None:
    with open(data.path, "w") as stream:
        stream.write(words)
    data.metadata["words"] = len(words)
    data.metadata["shares"] = {"a": 0.5}


@dsl.component(**PYTHON)
def read(data: Input[Dataset]) -> str:
    import json
    import os

    with open(data.path) as stream:
        words = stream.read()
    told = {k: v for k, v in data.metadata.items() if k not in ("display_name",)}
    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["read", words, told], sort_keys=True) + "\n")
    return words


@dsl.component(**PYTHON)
def read_all(data: Input[List[Dataset]]) -> str:  # noqa: UP006
    import json
    import os

    words = []
    for one in data:
        with open(one.path) as stream:
            words.append(stream.read())
    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["read_all", words]) + "\n")
    return " ".join(words)


@dsl.component(**PYTHON)
def fail(words: str) -> str:
    raise ValueError(words)


@dsl.component(**PYTHON)
def flaky() -> str:
    import os
    import sys

    with open(os.environ["RECORD"], "a+") as record:
        record.write('["flaky"]\n')
        record.seek(0)
        if record.read().count("flaky") == 1:
            sys.exit(1)
    return "at last"


@dsl.component(**PYTHON)
def bye(status: PipelineTaskFinalStatus) -> None:
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["bye", status.state]) + "\n")


@dsl.component(**PYTHON)
def maybe(x: Optional[str] = None, n: Optional[int] = 7) -> str:  # noqa: UP045
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["maybe", x, n]) + "\n")
    return str(x)


@dsl.component(**PYTHON)
def environment() -> None:
    import json
    import os

    with open(os.environ["RECORD"], "a") as record:
        record.write(json.dumps(["environment", os.environ.get("COLOUR"), os.environ.get("EMPTY")]) + "\n")


@dsl.container_component
def shell() -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="python:3.11-alpine", command=["sh", "-c", """echo '["contained"]' >> "$RECORD" """])
