"""What tasks leave behind, shown in place; and that nothing else of this machine can be reached through it."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from starlette.testclient import TestClient

from pipeline.engine.records import Attempt, Run
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.engine.tree import Node
from pipeline.engine.values import Artifact, Values
from pipeline.errors import NotFound, PipelineError
from pipeline.server import artifact_files, artifact_view, tables
from pipeline.server.artifact_files import Place

DIGEST = "0123456789abcdef" * 4
SHORT = "0123456789abcdef" * 2
SECRET = "the token of this machine"
RUN = Run("r" * 8, "some", "some", RunState.PENDING)


class Shelf:
    """A run with one succeeded task, whose outputs a test puts where it likes."""

    def __init__(self, state_dir: Path, ir: str, data_root: Path) -> None:
        self.state_dir = state_dir
        self.data_root = data_root
        self.store = Store.open(state_dir)
        self.store.add_run(replace(RUN, parameters={"data_root": str(data_root)}), ir)
        self.folder = state_dir / "artifacts" / DIGEST
        self.folder.mkdir(parents=True)

    def outputs(self, parameters: dict[str, str] | None = None, **uris: str) -> None:
        """The task has succeeded with these outputs."""
        node = Node("make", "make", "make", "task", "", "comp-make", TaskState.PENDING)
        self.store.put_nodes(RUN.run_id, [node], {"make": 1}, 1.0)
        attempt = Attempt(RUN.run_id, "make", 1, TaskState.RUNNING, str(self.state_dir), started=1.0)
        self.store.begin_attempt(attempt)
        made = {name: (Artifact(name, "system.Artifact", uri),) for name, uri in uris.items()}
        self.store.move_task(RUN.run_id, "make", TaskState.SUCCEEDED, 2.0, outputs=Values(parameters or {}, made))

    def file(self, name: str, content: bytes | str) -> str:
        """Puts a committed artifact there and returns its URI."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)


@pytest.fixture
def shelf(state_dir: Path, two_steps_ir: str, tmp_path: Path) -> Shelf:
    (tmp_path / "secret.txt").write_text(SECRET)
    return Shelf(state_dir, two_steps_ir, tmp_path / "data")


@pytest.fixture
def get(client: TestClient) -> Iterator[object]:
    """Asks for an artifact of the one task: `get("name", path="x")`, or the page around it with `view=True`."""

    def ask(name: str, view: bool = False, headers: dict[str, str] | None = None, **query: str):
        address = f"/runs/{RUN.run_id}/artifact" + ("/view" if view else "")
        return client.get(address, params={"key": "make", "name": name, **query}, headers=headers or {})

    yield ask


def test_html_comes_with_a_policy_that_takes_all_rights_from_it(shelf, get) -> None:
    shelf.outputs(page=shelf.file("page.html", "<script>alert(1)</script>"))
    answer = get("page")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_around_it_shows_html_only_in_a_frame_without_rights(shelf, get) -> None:
    shelf.outputs(page=shelf.file("page.html", "<script>alert(1)</script>"))
    text = get("page", view=True).text
    assert '<iframe class="artifact-frame artifact-tall" sandbox src=' in text and "alert(1)" not in text


def test_what_is_not_on_the_list_of_types_is_saved_and_never_shown(shelf, get) -> None:
    shelf.outputs(odd=shelf.file("odd.xhtml", "<html/>"), bare=shelf.file("bare", "<html>hi"))
    for name in ("odd", "bare"):
        answer = get(name)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")


def test_markdown_is_rendered_and_html_in_it_stays_text(shelf, get) -> None:
    source = (
        "# Title\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) [b](data:text/html,x)\n\n| a |\n|---|\n| 1 |"
    )
    shelf.outputs(notes=shelf.file("notes.md", source))
    answer = get("notes", **{"as": "page"})
    assert "<h1>Title</h1>" in answer.text and "<td>1</td>" in answer.text
    assert "<img" not in answer.text and "href" not in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["..", "../..", "a/../../b", "./a", "/etc/passwd", "a//b", "a\0b", "..\0"])
def test_a_path_that_could_lead_out_is_refused(shelf, get, path: str) -> None:
    shelf.file("folder/a", "x")
    shelf.outputs(folder=str(shelf.folder / "folder"))
    assert get("folder", path=path).status_code == 400


def test_a_path_encoded_twice_is_just_a_name_that_does_not_exist(shelf, get) -> None:
    shelf.file("folder/a", "x")
    shelf.outputs(folder=str(shelf.folder / "folder"))
    assert get("folder", path="%2e%2e/%2e%2e/seamline.db").status_code == 404
    assert get("folder", path="..\\..\\seamline.db").status_code == 404


@pytest.mark.parametrize(
    "uri",
    [
        "{tmp}/secret.txt",
        "{state}/seamline.db",
        "{state}/artifacts/{digest}/../../seamline.db",
        "{state}/artifacts/{digest}/x/../../../../secret.txt",
        "file://{tmp}/secret.txt",
        "file:///{state}/artifacts/{digest}/%2e%2e/%2e%2e/seamline.db",
        "gs://bucket/object",
        "",
    ],
)
def test_an_artifact_that_lies_elsewhere_is_not_shown(shelf, get, tmp_path: Path, uri: str) -> None:
    shelf.outputs(found=uri.format(tmp=tmp_path, state=shelf.state_dir, digest=DIGEST))
    answer = get("found")
    assert answer.status_code == 404 and SECRET not in answer.text


def test_no_link_is_followed_wherever_it_stands(shelf, get, tmp_path: Path) -> None:
    shelf.file("folder/a", "x")
    (shelf.folder / "folder/file").symlink_to(tmp_path / "secret.txt")
    (shelf.folder / "folder/dir").symlink_to(tmp_path)
    (shelf.folder / "link.html").symlink_to(tmp_path / "secret.txt")
    shelf.outputs(folder=str(shelf.folder / "folder"), link=str(shelf.folder / "link.html"))
    answers = [get("folder", path="file"), get("folder", path="dir/secret.txt"), get("folder", path="dir"), get("link")]
    assert [a.status_code for a in answers] == [404] * 4
    assert not any(SECRET in a.text for a in answers)


def test_a_link_in_place_of_the_artifacts_folder_is_not_followed(shelf, get, tmp_path: Path) -> None:
    shelf.outputs(page=shelf.file("page.html", "x"))
    outside = tmp_path / "outside"
    (shelf.state_dir / "artifacts").rename(outside)
    (shelf.state_dir / "artifacts").symlink_to(outside)
    assert get("page").status_code == 404


def test_a_fifo_or_device_is_refused_at_once_and_not_listed(shelf, get) -> None:
    shelf.file("folder/a.txt", "x")
    os.mkfifo(shelf.folder / "folder/pipe")
    os.mkfifo(shelf.folder / "pipe")
    shelf.outputs(folder=str(shelf.folder / "folder"), pipe=str(shelf.folder / "pipe"))
    assert get("folder", path="pipe").status_code == 404
    assert get("pipe").status_code == 404
    assert [e["name"] for e in get("folder", view=True, format="json").json()["view"]["entries"]] == ["a.txt"]


def test_devices_are_refused_by_the_opener_itself() -> None:
    with pytest.raises(NotFound, match="neither a file nor a folder"):
        artifact_files.open_file(Place(Path("/dev"), ("null",)))


def test_a_large_file_comes_by_parts(shelf, get) -> None:
    shelf.outputs(big=shelf.file("big.txt", bytes(range(48, 58)) * 100_000))
    assert len(get("big").content) == 1_000_000
    part = get("big", headers={"range": "bytes=10-14"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "01234", "bytes 10-14/1000000")
    assert get("big", headers={"range": "bytes=-3"}).text == "789"
    assert get("big", headers={"range": "bytes=999998-"}).text == "89"
    assert get("big", headers={"range": "bytes=1000000-"}).status_code == 416
    for odd in ("bytes=5-2", "bytes=-0"):
        assert get("big", headers={"range": odd}).status_code == 416
    for unreadable in ("bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=" + "9" * 5000 + "-"):
        assert get("big", headers={"range": unreadable}).status_code == 200


def test_a_folder_is_listed_and_its_pictures_make_a_grid_by_pages(shelf, get) -> None:
    for i in range(70):
        shelf.file(f"folder/{i:02}.png", b"\x89PNG")
    shelf.file("folder/sub/notes.txt", "hello")
    shelf.outputs(folder=str(shelf.folder / "folder"))
    first, second = (get("folder", view=True, page=str(p)).text for p in (0, 1))
    assert first.count("<img") == 60 and second.count("<img") == 10
    assert get("folder").status_code == 303
    assert "hello" in get("folder", view=True, path="sub/notes.txt").text


def test_tables_are_shown_by_pages(shelf, get) -> None:
    body = "name,score\n" + "".join(f"p{i},{i / 8}\n" for i in range(120))
    columns = {"name": [f"p{i}" for i in range(120)], "score": [i / 8 for i in range(120)]}
    pyarrow.parquet.write_table(pyarrow.table(columns), shelf.folder / "t.parquet", row_group_size=33)
    listed = json.dumps([{"name": f"p{i}", "score": i / 8} for i in range(120)])
    shelf.outputs(
        csv=shelf.file("t.csv", body), parquet=str(shelf.folder / "t.parquet"), json=shelf.file("t.json", listed)
    )
    for name in ("csv", "parquet", "json"):
        sheet = get(name, view=True, page="2", format="json").json()["view"]["sheet"]
        assert sheet["columns"] == ["name", "score"] and sheet["numeric"] == [False, True]
        assert [sheet["rows"][0], sheet["rows"][-1]] == [["p100", "12.5"], ["p119", "14.875"]]
        assert (sheet["total"], sheet["more"], len(sheet["rows"])) == (120, False, 20)
        assert get(name, view=True, page="99", format="json").json()["view"]["sheet"]["rows"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.parquet", b"PAR1 but nothing else"),
        ("bad.csv", b'"' + b"x" * 3_000_000),
        ("bad.csv", b"a,b\n" + b"\xff\x00," * 1000),
        ("bad.json", b"[" * 100_000),
        ("bad.json", b'{"a": ' + b"9" * 5000 + b"}"),
        ("large.json", b"[" + b"1," * 2_000_000 + b"1]"),
        ("bytes", b"\0\1\2"),
        ("empty.csv", b""),
        ("empty.json", b""),
        ("empty.parquet", b""),
    ],
)
def test_a_broken_or_huge_file_never_breaks_the_page(shelf, get, name: str, content: bytes) -> None:
    shelf.outputs(found=shelf.file(name, content))
    assert get("found", view=True).status_code == 200


def test_text_of_a_file_is_never_markup(shelf, get) -> None:
    shelf.outputs(
        text=shelf.file("a.txt", "<script>alert(1)</script>"), csv=shelf.file("a.csv", "<b>x</b>\n<i>y</i>\n")
    )
    for name in ("text", "csv"):
        text = get(name, view=True).text
        assert "&lt;" in text and "<script>alert" not in text and "<b>x" not in text


def test_only_the_first_64_megabytes_of_a_csv_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_SKIPPED_BYTES", 1000)
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "1\n" * 1000)
    with path.open("rb") as stream, pytest.raises(PipelineError, match="save the file"):
        tables.read(stream, 2002, ".csv", 15)


def test_a_reference_below_the_runs_own_data_root_is_shown(shelf, get) -> None:
    folder = shelf.data_root / "reports" / SHORT
    folder.mkdir(parents=True)
    (folder / "index.json").write_text("{}")
    (folder / "report.html").write_text("<h1>Report</h1>")
    shelf.outputs({"report": str(folder)})
    assert get("report", path="report.html").text == "<h1>Report</h1>"
    assert "report.html" in get("report", view=True).text


def test_a_reference_elsewhere_or_without_an_index_is_not_shown(shelf, get, tmp_path: Path) -> None:
    elsewhere, bare = tmp_path / "elsewhere/reports" / SHORT, shelf.data_root / "reports" / SHORT
    for folder in (elsewhere, bare):
        folder.mkdir(parents=True)
        (folder / "secret.txt").write_text(SECRET)
    (elsewhere / "index.json").write_text("{}")
    up = f"{shelf.data_root}/../elsewhere/reports/{SHORT}"
    shelf.outputs({"elsewhere": str(elsewhere), "bare": str(bare), "up": up, "word": "hello", "root": str(tmp_path)})
    for name in ("elsewhere", "bare", "up", "word", "root", "unknown"):
        answer = get(name, path="secret.txt")
        assert answer.status_code == 404 and SECRET not in answer.text


def test_the_whole_machine_is_no_data_root(state_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / SHORT
    folder.mkdir(parents=True)
    (folder / "index.json").write_text("{}")
    for root, shown in (("/", False), (str(Path.home()), False), ("", False), (str(tmp_path), True)):
        run = replace(RUN, parameters={"data_root": root})
        assert (artifact_files.of_reference(state_dir, run, str(folder)) is not None) is shown


def test_a_state_folder_that_was_moved_still_shows_its_artifacts(shelf, get) -> None:
    shelf.file("page.html", "moved")
    shelf.outputs(page=f"/where/it/was/artifacts/{DIGEST}/page.html")
    assert get("page").text == "moved"


def test_metrics_are_numbers_and_a_confusion_matrix_is_a_table() -> None:
    body = {"annotationSpecs": [{"displayName": "a"}, {"displayName": "b"}], "rows": [{"row": [3, 1]}, {"row": [0, 4]}]}
    found = artifact_view.figures(
        Artifact("m", "system.ClassificationMetrics", "", {"loss": 0.5, "confusionMatrix": body, "note": "x"})
    )
    assert found and found.numbers == {"loss": 0.5} and found.rest == {"note": "x"}
    assert found.matrix == [["", "a", "b"], ["a", "3", "1"], ["b", "0", "4"]]
    broken = artifact_view.figures(Artifact("m", "system.ClassificationMetrics", "", {"confusionMatrix": {"rows": 3}}))
    assert broken and broken.matrix == []


def test_an_unknown_task_or_run_is_not_found(shelf, client: TestClient) -> None:
    shelf.outputs()
    assert client.get(f"/runs/{RUN.run_id}/artifact?key=nothing&name=x").status_code == 404
    assert client.get("/runs/nothing/artifact?key=make&name=x").status_code == 404
    assert client.get(f"/runs/{RUN.run_id}/artifact").status_code == 404
