"""The files of ensembles and pseudo-labels read back as they were written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import ensembles, pseudo, reference


def published(root: Path, kind: str, files: dict[str, tuple[pa.Schema, dict[str, object]]]) -> str:
    with reference.draft(str(root), kind) as draft:
        for name, (schema, row) in files.items():
            pq.write_table(pa.Table.from_pylist([row], schema=schema), draft.folder / name)
        return draft.commit({}, {})


def test_an_ensemble_is_read_back_with_its_gain_table(tmp_path: Path) -> None:
    row = {"image_id": "a.jpg", "split": "valid", "label": "yn", "group": 3, "probability": [0.1, 0.9]}
    stage = dict.fromkeys(ensembles.STAGES_SCHEMA.names) | {"stage": "ensemble", "ap": 0.5, "p_noise": "noise"}
    uri = published(
        tmp_path,
        ensembles.KIND,
        {
            ensembles.FILE: (ensembles.SCHEMA, row),
            ensembles.STAGES_FILE: (ensembles.STAGES_SCHEMA, stage),
        },
    )
    found = ensembles.read(uri)
    assert found.loc[0, "probability"].tolist() == [0.1, 0.9] and found.loc[0, "group"] == 3
    stages = ensembles.read_stages(uri)
    assert (stages.loc[0, "stage"], stages.loc[0, "ap"], stages.loc[0, "p_noise"]) == ("ensemble", 0.5, "noise")


def test_pseudo_labels_are_read_back_with_float32_weights(tmp_path: Path) -> None:
    row = {"image_id": "a", "split": "pool", "target": [0.2, 0.8], "weight": 0.5, "confidence": 0.8, "predicted": 1}
    table = pseudo.read(published(tmp_path, pseudo.KIND, {pseudo.FILE: (pseudo.SCHEMA, row)}))
    assert table.to_pylist() == [row] and table.schema.field("weight").type == pa.float32()
