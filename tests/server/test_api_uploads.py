"""Uploads: what is taken, and what is refused in one line. Archives are foreign and may be made to hurt."""

import gzip
import io
import json
import stat
import tarfile
import zipfile

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kfp import dsl

from pipeline.errors import PipelineError
from pipeline.server.api import packages, specs
from tests.server.conftest import shell_step

UPLOAD = "/apis/v2beta1/pipelines/upload"


def send(client, data, name="pipeline.yaml", **query):
    return client.post(UPLOAD, params={"name": "P", **query}, files={"uploadfile": (name, data)})


def zipped(members, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", options.get("method", zipfile.ZIP_DEFLATED)) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(*members):
    """`members`: (name, content) or a whole TarInfo."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def linked(kind, name="pipeline.yaml"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def as_symbolic_link():
    info = zipfile.ZipInfo("pipeline.yaml")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped({info: "/etc/passwd"})


def laughs():
    lines = ['a0: &a0 ["ha"]'] + [f"a{i}: &a{i} [{', '.join(['*a' + str(i - 1)] * 9)}]" for i in range(1, 12)]
    return "\n".join(lines)


def test_yaml_json_zip_and_tar_gz_are_the_same_pipeline(client, two_steps_ir):
    text = two_steps_ir.encode()
    forms = {
        "a.yaml": text,
        "b.json": json.dumps(yaml.safe_load(two_steps_ir)).encode(),
        "c.zip": zipped({"folder/pipeline.yaml": text, "README.md": "hello"}),
        "d.tar.gz": tarred(("./pipeline.yaml", text)),
    }
    for name, data in forms.items():
        made = client.post(UPLOAD, files={"uploadfile": (name, data)})
        assert made.status_code == 200, made.text
        assert made.json()["name"] == name.split(".")[0]
        versions = client.get(f"/apis/v2beta1/pipelines/{made.json()['pipeline_id']}/versions").json()
        assert versions["pipeline_versions"][0]["pipeline_spec"] == yaml.safe_load(two_steps_ir)


def test_small_numbers_survive_json(client, two_steps_ir):
    spec = yaml.safe_load(two_steps_ir)
    spec["root"]["inputDefinitions"]["parameters"]["share"]["defaultValue"] = 1e-05
    data = json.dumps(spec)
    assert "1e-05" in data  # which YAML 1.1 reads as a text
    made = send(client, data.encode(), "p.json").json()
    run = client.post(
        "/apis/v2beta1/runs", json={"pipeline_version_reference": {"pipeline_id": made["pipeline_id"]}}
    ).json()
    assert run["runtime_config"]["parameters"]["share"] == 1e-05


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"   \n", "is empty"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"{", "no JSON"),
        (b"a: [", "neither YAML nor JSON"),
        (b"just words", "no compiled KFP pipeline"),
        (b"- 1\n- 2\n", "no compiled KFP pipeline"),
        (laughs().encode(), "anchors or aliases"),
        (b"a: &x 1\n", "anchors or aliases"),
        (b"[" * 5000 + b"]" * 5000, "too deep"),
        (b"a: 2020-01-01\n", "which is no JSON; put it in quotes"),
        (b"1: x\n", "which is no text; put it in quotes"),
        (b"a: .nan\n", "must be finite"),
        (b"a: !!python/object/apply:os.system ['x']\n", "neither YAML nor JSON"),
        (b"a: !!int x\n", "cannot be read"),
        (b"root: {dag: 1}\nschemaVersion: 2.1.0\n", "root.dag in the pipeline should be an object"),
        (b"x: 1\n" * 3, "no compiled KFP pipeline"),
        (zipped({}), "archive of a kind"),
        (zipped({"a.txt": "x"}), "expected one YAML file"),
        (zipped({"a.yaml": "x", "b.yaml": "y"}), "expected one YAML file"),
        (zipped({"../pipeline.yaml": "x"}), "leads elsewhere"),
        (zipped({"/pipeline.yaml": "x"}), "leads elsewhere"),
        (zipped({"C:\\pipeline.yaml": "x"}), "leads elsewhere"),
        (zipped({f"{i}.txt": "x" for i in range(101)}), "101 members"),
        (zipped({"pipeline.yaml": b"0" * (9 << 20)}), "that is no pipeline"),
        (zipped({"pipeline.yaml": b"0" * (2 << 20)}), "that is no pipeline"),
        (zipped({"pipeline.yaml": "x"}, method=zipfile.ZIP_LZMA), "packed in a way that is not taken"),
        (as_symbolic_link(), "a link or a device"),
        (zipped({"pipeline.yaml": zipped({"pipeline.yaml": "x"})}), "archive of a kind"),
        (zipped({"pipeline.yaml": "x: 1"})[:-30], "cannot be unpacked"),
        (tarred(("../pipeline.yaml", b"x")), "leads elsewhere"),
        (tarred(("/pipeline.yaml", b"x")), "leads elsewhere"),
        (tarred(linked(tarfile.SYMTYPE)), "a link or a device"),
        (tarred(linked(tarfile.LNKTYPE)), "a link or a device"),
        (tarred(linked(tarfile.CHRTYPE)), "a link or a device"),
        (tarred(linked(tarfile.FIFOTYPE)), "a link or a device"),
        (tarred(*[(f"{i}.txt", b"x") for i in range(101)]), "more than 100 members"),
        (tarred(("pipeline.yaml", b"0" * (9 << 20))), "unpacks to more than"),
        (tarred(("big.bin", b"0" * (9 << 20)), ("pipeline.yaml", b"x")), "unpacks to more than"),
        (tarred(("pipeline.yaml", tarred(("pipeline.yaml", b"x")))), "archive of a kind"),
        (gzip.compress(b"no tar at all"), "cannot be unpacked"),
        (b"BZh91AY", "archive of a kind"),
    ],
)
def test_what_is_no_pipeline_is_refused_in_one_line(client, data, said):
    answer = send(client, data, "file")
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]
    assert "\n" not in answer.json()["message"]


def test_three_documents_are_one_too_many(client, two_steps_ir):
    answer = send(client, (two_steps_ir + "\n---\nplatforms: {}\n---\nx: 1\n").encode())
    assert "holds 3 documents" in answer.json()["message"]


def test_a_pipeline_that_goes_round_in_circles_is_refused(client, two_steps_ir):
    spec = yaml.safe_load(two_steps_ir)
    tasks = spec["root"]["dag"]["tasks"]
    tasks["say"]["dependentTasks"] = ["shout"]
    assert "in a circle" in send(client, yaml.safe_dump(spec).encode()).json()["message"]
    spec = yaml.safe_load(two_steps_ir)
    spec["components"]["comp-say"] = {"dag": {"tasks": {"again": {"componentRef": {"name": "comp-say"}}}}}
    spec["root"]["dag"]["tasks"]["say"].pop("inputs", None)
    assert "malformed" in send(client, yaml.safe_dump(spec).encode()).json()["message"]


def loops(items):
    """Three loops, one inside the other, each over `items`."""
    step = shell_step("step", "true", item=int)

    @dsl.pipeline(name="loops")
    def looping(given: list = items):
        with dsl.ParallelFor(given), dsl.ParallelFor(items), dsl.ParallelFor(items) as item:
            step(item=item)

    return looping


def test_loops_that_mean_too_many_tasks_are_refused_before_they_are_unrolled(client, compile_ir):
    assert "more than 10000 tasks" in send(client, compile_ir(loops([*range(1000)])).encode()).json()["message"]
    made = send(client, compile_ir(loops([*range(3)])).encode()).json()
    body = {"pipeline_version_reference": {"pipeline_id": made["pipeline_id"]}}
    assert client.post("/apis/v2beta1/runs", json=body).status_code == 200
    body["runtime_config"] = {"parameters": {"given": [0] * 2000}}
    assert "more than 10000 tasks" in client.post("/apis/v2beta1/runs", json=body).json()["message"]


def test_a_body_beyond_the_limit_is_refused_whether_it_is_declared_or_not(client):
    said = send(client, b"0" * (33 << 20))
    assert said.status_code == 400
    assert "larger than 32 MiB" in said.json()["message"]

    def pieces():
        yield b"--x\r\n"
        for _ in range(33):
            yield b"0" * (1 << 20)

    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post(UPLOAD, content=pieces(), headers=kind).status_code == 400
    assert client.post("/apis/v2beta1/runs", content=b" " * (9 << 20)).status_code == 400
    assert client.post("/apis/v2beta1/runs", content=b"{}", headers={"content-length": "-1"}).status_code == 400


@pytest.mark.parametrize(
    ("files", "headers", "said"),
    [
        (None, {}, "no file"),
        ({"other": b"x"}, {}, "no file"),
        (None, {"content-type": "multipart/form-data"}, "boundary"),
    ],
)
def test_an_upload_without_its_file_is_refused(client, files, headers, said):
    answer = client.post(UPLOAD, files=files, headers=headers)
    assert answer.status_code == 400
    assert said in answer.json()["message"]


def test_names_are_unique_and_fit_on_one_line(client, two_steps_ir):
    data = two_steps_ir.encode()
    assert send(client, data, name="p.yaml").status_code == 200
    assert send(client, data).status_code == 409
    assert client.post(UPLOAD, params={"name": "a\nb"}, files={"uploadfile": data}).status_code == 400
    assert client.post(UPLOAD, params={"name": "x" * 300}, files={"uploadfile": data}).status_code == 400
    assert client.post(UPLOAD, params={"name": "q", "tags": "[]"}, files={"uploadfile": data}).status_code == 400
    tagged = client.post(UPLOAD, params={"name": "q", "tags": '{"a": "b"}'}, files={"uploadfile": data})
    assert tagged.json()["tags"] == {"a": "b"}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_archive_is_refused_and_never_breaks_the_reader(data):
    source = b"pipelineInfo: {name: x}\nschemaVersion: 2.1.0\nroot: {dag: {tasks: {}}}\n"
    whole = data.draw(st.sampled_from([zipped({"pipeline.yaml": source}), tarred(("pipeline.yaml", source))]))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(5, len(damaged)))
    try:
        text = packages.text_of(bytes(damaged[:cut]), "damaged")
    except PipelineError:
        return
    assert specs.read(text).name


@given(st.binary(max_size=200))
@example(b"#")
@example(b"---")
@example(b"\0a#")
def test_any_bytes_are_a_pipeline_or_a_refusal(data):
    with pytest.raises(PipelineError):
        packages.text_of(data, "bytes")
