"""The contract with Storage Transfer Service: Google's own client, over gRPC, against a stand-in for the service.

The stand-in does what the service documents: it reads the list, fetches what is as listed into the bucket, and names
samples of what is not. Whether the real service does so as well has not been tried here.
"""

import base64
import hashlib
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.cloud import storage_transfer_v1 as sts
from google.cloud.storage_transfer_v1.services.storage_transfer_service import transports
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2

from components import entry
from components.artifacts import boxes, storage, storage_transfer
from components.errors import DataError, SettingsError, Unreachable
from tests.detection_data.fault_server import FaultServer

PROJECT = "harbour"
OPERATION = "transferOperations/1"


@dataclass
class Service:
    """The stand-in. `files`: address to bytes, the web; `looks`: how often one asks until an operation is done."""

    files: dict[str, bytes]
    looks: int = 2
    refusal: grpc.StatusCode | None = None
    failure: str = ""
    jobs: dict[str, sts.TransferJob] = field(default_factory=dict)
    runs: int = 0

    def create(self, asked: sts.CreateTransferJobRequest, context: Any) -> sts.TransferJob:
        if self.refusal:
            context.abort(self.refusal, "told so")
        job = asked.transfer_job
        if job.name in self.jobs:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "there is one")
        self.jobs[job.name] = job
        return job

    def get(self, asked: sts.GetTransferJobRequest, _: Any) -> sts.TransferJob:
        return self.jobs[asked.job_name]

    def run(self, asked: sts.RunTransferJobRequest, context: Any) -> operations_pb2.Operation:
        job = self.jobs[asked.job_name]
        if job.latest_operation_name and self.looks > 0:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "an operation is active")
        job.latest_operation_name = OPERATION
        self.runs += 1
        self.about = self._transfer(self.jobs[asked.job_name].transfer_spec)
        return self._operation()

    def look(self, _: operations_pb2.GetOperationRequest, __: Any) -> operations_pb2.Operation:
        self.looks -= 1
        return self._operation()

    def _operation(self) -> operations_pb2.Operation:
        metadata, response = any_pb2.Any(), any_pb2.Any()
        metadata.Pack(sts.TransferOperation.pb(self.about))
        response.Pack(empty_pb2.Empty())
        made = operations_pb2.Operation(name=OPERATION, metadata=metadata, done=self.looks <= 0)
        if made.done and self.failure:
            made.error.CopyFrom(status_pb2.Status(code=9, message=self.failure))
        elif made.done:
            made.response.CopyFrom(response)
        return made

    def _transfer(self, spec: sts.TransferSpec) -> sts.TransferOperation:
        head, *lines = storage.read_bytes(spec.http_data_source.list_url).decode().splitlines()
        assert head == "TsvHttpData-1.0" and lines == sorted(lines) and not spec.gcs_data_sink.path.startswith("/")
        lost = []
        for url, size, md5 in (line.split("\t") for line in lines):
            data = self.files.get(url)
            if data is None or len(data) != int(size):
                lost.append(sts.ErrorLogEntry(url=url, error_details=["NOT_FOUND" if data is None else "SIZE"]))
            elif hashlib.md5(data).digest() == base64.b64decode(md5):
                name = f"{urlsplit(url).hostname}{urlsplit(url).path}"
                storage.write_bytes(f"gs://{spec.gcs_data_sink.bucket_name}/{spec.gcs_data_sink.path}{name}", data)
        counters = sts.TransferCounters(objects_found_from_source=len(lines), objects_copied_to_sink=len(lines))
        kinds = [sts.ErrorSummary(error_code=5, error_count=len(lost), error_log_entries=lost)]
        return sts.TransferOperation(name="1", counters=counters, error_breakdowns=kinds)


def _unary(work: Callable[..., Any], request: Any, plus: bool) -> grpc.RpcMethodHandler:
    read = request.deserialize if plus else request.FromString
    write = (lambda made: type(made).serialize(made)) if plus else (lambda made: made.SerializeToString())
    return grpc.unary_unary_rpc_method_handler(work, read, write)


@pytest.fixture
def service(site: FaultServer) -> Service:
    return Service({site.url + path: data for path, data in site.files.items()})


@pytest.fixture
def client(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[sts.StorageTransferServiceClient]:
    monkeypatch.setattr(storage_transfer, "_LOOK_EVERY_S", 0)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    run = grpc.unary_unary_rpc_method_handler(
        service.run, sts.RunTransferJobRequest.deserialize, operations_pb2.Operation.SerializeToString
    )
    create = _unary(service.create, sts.CreateTransferJobRequest, True)
    get = _unary(service.get, sts.GetTransferJobRequest, True)
    methods = {"CreateTransferJob": create, "GetTransferJob": get, "RunTransferJob": run}
    look = {"GetOperation": _unary(service.look, operations_pb2.GetOperationRequest, False)}
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler("google.storagetransfer.v1.StorageTransferService", methods),
            grpc.method_handlers_generic_handler("google.longrunning.Operations", look),
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    yield sts.StorageTransferServiceClient(transport=transports.StorageTransferServiceGrpcTransport(channel=channel))
    channel.close()
    server.stop(0)


@pytest.fixture
def subset(run_subset: Callable[..., entry.Summary], site: FaultServer, published: Path, tmp_path: Path) -> str:
    return run_subset(tmp_path / "root", source=published).results["boxes"]


@pytest.fixture
def by_service(
    run_transfer: Callable[..., entry.Summary],
    client: sts.StorageTransferServiceClient,
    bucket: str,
    subset: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], entry.Summary]:
    """Runs the step by the service into the bucket."""
    monkeypatch.setattr(storage_transfer, "client", lambda: client)
    known = {"method": "storage_transfer", "project": PROJECT}
    return lambda: run_transfer(subset, bucket, source=tmp_path / "out", **known)


def test_the_service_fetches_what_our_own_downloader_would(
    by_service: Callable[[], entry.Summary],
    run_transfer: Callable[..., entry.Summary],
    subset: str,
    tmp_path: Path,
) -> None:
    own = boxes.read(run_transfer(subset, tmp_path / "root").results["boxes"])
    theirs = boxes.read(by_service().results["boxes"])
    assert (theirs.pictures, theirs.boxes) == (own.pictures, own.boxes)
    assert theirs.rejected["image_id"] == own.rejected["image_id"]
    file = own.pictures["file"][0].as_py()
    assert len(file.split("/")) == 3 and file.startswith("127.0.0.1/")


def test_reasons_are_the_services_own_where_it_tells_them(by_service: Callable[[], entry.Summary]) -> None:
    rejected = boxes.read(by_service().results["boxes"]).rejected["reason"].to_pylist()
    assert {"NOT_FOUND", "SIZE"} <= set(rejected)
    assert any(reason.startswith("not transferred: ") for reason in rejected), "a wrong MD5 is told by nobody"


def test_the_job_is_what_the_service_documents(
    by_service: Callable[[], entry.Summary], service: Service, bucket: str
) -> None:
    by_service()
    (job,) = service.jobs.values()
    assert (job.project_id, job.status) == (PROJECT, sts.TransferJob.Status.ENABLED)
    assert job.name.startswith("transferJobs/seamline-") and len(job.name) <= 128
    sink = job.transfer_spec.gcs_data_sink
    assert (f"gs://{sink.bucket_name}/{sink.path}") == f"{bucket}/downloads/"
    assert job.transfer_spec.http_data_source.list_url.startswith(f"{bucket}/unfinished")
    assert not job.transfer_spec.transfer_options.delete_objects_unique_in_sink


def test_another_attempt_runs_the_same_job_again_for_what_is_left(
    by_service: Callable[[], entry.Summary], service: Service
) -> None:
    first, again = by_service(), by_service()
    assert (len(service.jobs), service.runs) == (1, 2)
    assert first.results == again.results
    assert again.metadata["metrics"]["at_hand"] == first.metadata["metrics"]["pictures"]


@pytest.mark.parametrize(("looks", "runs"), [(5, 1), (2, 2)], ids=["at work still", "ended meanwhile"])
def test_after_a_killed_attempt_what_is_at_work_still_is_waited_for(
    client: sts.StorageTransferServiceClient, service: Service, site: FaultServer, bucket: str, looks: int, runs: int
) -> None:
    url, data = next(iter(service.files.items()))
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    storage.write_bytes(f"{bucket}/list.tsv", f"TsvHttpData-1.0\n{url}\t{len(data)}\t{md5}\n".encode())
    given = PROJECT, "seamline-1", f"{bucket}/list.tsv", f"{bucket}/downloads"

    def killed(_: int, __: int) -> None:
        raise SystemExit(137)

    service.looks = looks
    with pytest.raises(SystemExit):
        storage_transfer.transfer(client, *given, tell=killed)
    service.looks -= 1  # time passes
    assert storage_transfer.transfer(client, *given) == {}
    assert (len(service.jobs), service.runs) == (1, runs)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, DataError, "project harbour: 403 told so"),
        (grpc.StatusCode.INVALID_ARGUMENT, DataError, "project harbour: 400 told so"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Unreachable, "does not answer: 429 told so; try again later"),
    ],
)
def test_a_refusal_is_one_line(
    by_service: Callable[[], entry.Summary], service: Service, code: grpc.StatusCode, error: type[Exception], said: str
) -> None:
    service.refusal = code
    with pytest.raises(error, match=said):
        by_service()


def test_a_transfer_that_fails_as_a_whole_is_one_line(
    by_service: Callable[[], entry.Summary], service: Service
) -> None:
    service.failure = "the list cannot be read"
    with pytest.raises(DataError, match="the list cannot be read"):
        by_service()


def test_without_the_extra_the_way_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.storage_transfer_v1", None)
    monkeypatch.delattr("google.cloud.storage_transfer_v1")
    with pytest.raises(SettingsError, match=r"pip install 'seamline\[transfer\]'"):
        storage_transfer.client()
