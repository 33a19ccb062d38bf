"""docs/formats.md says of every file what the code that writes it says."""

import ast
import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from components import entry
from components.artifacts import boxes, champions, ensembles, manifest, predictions, pseudo, reference, shards
from components.ensemble import settings as ensemble_settings
from components.report import issues, questions
from components.study import tables as study_tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
SCHEMAS = {
    "manifest.parquet": manifest.SCHEMA,
    "rejected.parquet": manifest.REJECTED_SCHEMA,
    "duplicates.parquet": manifest.DUPLICATES_SCHEMA,
    "predictions.parquet": predictions.SCHEMA,
    "pseudo.parquet": pseudo.SCHEMA,
    "ensemble.parquet": ensembles.SCHEMA,
    "stages.parquet": ensembles.STAGES_SCHEMA,
    "label_issues.parquet": issues.SCHEMA,
    "questions_answers.parquet": questions.SCHEMA,
    "pictures.parquet": boxes.PICTURES,
    "boxes.parquet": boxes.BOXES,
    "trials.parquet": study_tables.TRIALS,
}
# Where the content of a kind is put together: file and function (or the name that it is assigned to).
CONTENTS = {
    "manifests": [("ingest/step.py", "_content")],
    "shards": [("preprocess/step.py", "_content")],
    "checkpoints": [("train/step.py", "about"), ("train/step.py", "content")],
    "predictions": [("predict/step.py", "_content")],
    "pseudo": [("pseudo_label/outcome.py", "content")],
    "ensembles": [("ensemble/step.py", "_content")],
    "reports": [("report/step.py", "_content")],
    "boxes": [("artifacts/boxes.py", "content")],
    "detectors": [("detect_train/step.py", "_about")],
    "studies": [("study/step.py", "_about"), ("study/step.py", "content")],
}
WORDS = {"double": "float64", "float": "float32"}


def chapter(title: str, level: str = "##") -> str:
    """What stands under a heading, with its smaller headings."""
    found = re.search(rf"^{level} `?{re.escape(title)}`?\n(.*?)(?=^#{{2,{len(level)}}} |\Z)", PAGE, re.M | re.S)
    assert found, f"docs/formats.md has no heading {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the first table, without its head, code marks taken off the first."""
    lines = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert lines, "no table"
    cut = [[cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in lines[0].splitlines()[2:]]
    return [[first.strip("`"), *others] for first, *others in cut]


def word(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {word(kind.value_type)}"
    return WORDS.get(str(kind), str(kind))


def keys_of(file: str, name: str) -> set[str]:
    """The text keys of the dict that a function returns, or that is assigned to a name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / "components" / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            values = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value]
        elif isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            values = [node.value]
        else:
            continue
        for value in values:
            parts = [value.left, value.right] if isinstance(value, ast.BinOp) else [value]
            tables = [part for part in parts if isinstance(part, ast.Dict)]
            found |= {key.value for table in tables for key in table.keys if isinstance(key, ast.Constant)}
    return found


@pytest.mark.parametrize("file", SCHEMAS)
def test_the_columns_of_a_file_are_those_of_its_schema(file):
    shown = [(name, kind) for name, kind, _ in rows(chapter(file, "###"))]
    assert shown == [(field.name, word(field.type)) for field in SCHEMAS[file]]


def test_every_file_that_the_code_names_is_on_the_page():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "components").rglob("*.py"))
    files = set(re.findall(r'"(\w+\.(?:parquet|safetensors|csv|json))"', sources))
    assert {name for name in files if f"`{name}`" not in PAGE} == set()
    assert set(SCHEMAS) < files


def test_the_history_has_the_columns_of_the_training_loop():
    tree = ast.parse((ROOT / "components/vision/train_loop.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    monitors = ast.literal_eval(values["MONITORS"])
    columns = [
        name
        for part in values["COLUMNS"].elts
        for name in (monitors.values() if isinstance(part, ast.Starred) else [part.value])
    ]
    assert [(name, kind) for name, kind, _ in rows(chapter("history.parquet", "###"))] == [
        (name, "float64") for name in columns
    ]


def test_all_kinds_of_references_are_named_and_have_a_chapter():
    listed = re.search(r"Kinds: (.*?)\.\n", PAGE, re.S)
    assert tuple(re.findall(r"`(\w+)`", listed[1])) == reference.KINDS
    assert all(chapter(kind) for kind in reference.KINDS)


@pytest.mark.parametrize("kind", reference.KINDS)
def test_the_content_of_a_kind_has_the_keys_that_are_written(kind):
    text = re.search(r"^Content: (.*?)(?=\n\n)", chapter(kind), re.M | re.S)[1]
    shown = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text)))
    assert shown == set().union(*(keys_of(*place) for place in CONTENTS[kind]))


def test_the_index_has_the_keys_on_the_page(tmp_path):
    with reference.draft(str(tmp_path), "reports") as draft:
        (draft.folder / "a.txt").write_text("a")
        made = draft.commit({}, {})
    assert {name for name, _ in rows(chapter("References"))} == set(json.loads((Path(made) / "index.json").read_text()))
    assert re.fullmatch(r"[0-9a-f]{32}", Path(made).name)


def test_the_features_of_a_record_are_those_of_a_shard():
    record = shards.Record("a.jpg", "yn", 1.0, 0, 0, 1, 4, 4, {"<name>": b""})
    kinds = {bytes: "bytes", float: "float", int: "int64"}
    shown = {name: kind for name, kind, _ in rows(chapter("Features of a record", "###"))}
    assert shown == {name: kinds[type(value)] for name, value in record.features().items()}


def test_the_scores_have_the_keys_on_the_page():
    shown = {name: text for name, text in rows(chapter("scores.json", "###"))}
    assert set(shown) == keys_of("report/scores.py", "as_json")
    own = keys_of("report/scores.py", "_attribute_json") | {"ap", "basic_precision", "accuracy"}
    assert set(re.findall(r"`(\w+)`", shown["attributes"])) == own


def test_a_champion_file_has_the_keys_on_the_page(tmp_path):
    champion = champions.Champion("length")
    for ensemble in ("e", "f"):
        decision = champions.Decision("promoted", "gain")
        champion = champion.with_decision(champions.Candidate(ensemble, "r", "m"), {}, decision, "day")
    champions.write(str(tmp_path), champion.rolled_back(0, "ann", "wrong on hems", "day"))
    body = json.loads((tmp_path / "champions/length.json").read_text())
    named = set(re.findall(r"`(\w+)`", chapter("Champions")))
    assert named == set(body) | set(body["current"]) | set(body["history"][-1]["terms"])


def test_a_step_reads_the_executor_input_and_writes_the_output_of_the_page(tmp_path):
    given, written = re.findall(r"```json\n(.*?)```", chapter("The executor contract"), re.S)
    seen = {}

    def run(settings, inputs, outputs):
        seen.update(settings=settings, inputs=inputs)
        outputs.write_text("metrics", "")
        return entry.Summary({"ensemble": "/data/ensembles/91aa"}, {"metrics": {"ap": 0.93, "method": "equal"}})

    message = given.replace("/out/", f"{tmp_path}/")
    entry.main(ensemble_settings, run, ["--executor-input", message])
    assert json.loads((tmp_path / "executor_output.json").read_text()) == json.loads(written)
    assert (tmp_path / "metrics").exists()
    assert (seen["settings"].method, seen["settings"].resamples, seen["inputs"].seed) == ("equal", 500, 1)


def test_the_log_lines_of_the_page_are_those_of_a_step(capsys):
    from components import progress
    from pipeline.engine import logtail

    shown = re.findall(r"`(::\w+ \{.*?\})`", chapter("The log"))
    progress.progress(3, 10, "epochs")
    progress.metric(3, loss=0.4, valid_map=0.9)
    assert capsys.readouterr().out.splitlines() == shown
    assert [logtail._body(line.encode(), line.split("{")[0].encode()) for line in shown] == [
        {"done": 3, "total": 10, "unit": "epochs"},
        {"step": 3, "loss": 0.4, "valid_map": 0.9},
    ]
