"""Google's Storage Transfer Service: it fetches a list of web addresses into a bucket, without a machine of ours.

Its client is an extra of this project, loaded when it is asked for: `pip install 'seamline[transfer]'`. API:
https://cloud.google.com/storage-transfer/docs/reference/rpc/google.storagetransfer.v1. The service obeys robots.txt,
and transfers nothing whose size or MD5 is not as listed. It needs the role roles/storagetransfer.user for us, and
roles/storage.objectUser and legacyBucketReader on the bucket for its own account.
"""

import time
from collections.abc import Callable
from typing import Any

from components.errors import DataError, SettingsError, Unreachable

Progress = Callable[[int, int], None]
_LOOK_EVERY_S = 15.0
_INSTALL = "method='storage_transfer' needs Google's client; install it with `pip install 'seamline[transfer]'`"


def client() -> Any:
    """A client with the application's default credentials.

    Raises:
        SettingsError: the extra is not installed. DataError: there are no credentials.
    """
    try:
        from google.cloud import storage_transfer_v1
    except ImportError as error:
        raise SettingsError(_INSTALL) from error
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return storage_transfer_v1.StorageTransferServiceClient()
    except DefaultCredentialsError as error:
        raise DataError("Storage Transfer Service needs Google credentials and there are none") from error


def transfer(
    service: Any,
    project: str,
    name: str,
    list_uri: str,
    sink: str,
    tell: Progress = lambda done, total: None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, str]:
    """Has a list fetched into a bucket, and waits until that is done.

    Args:
        service: of `client`.
        project: that owns the job and pays.
        name: of the job, letters, digits and hyphens. One that is there already is run again; if it is at work
            still, that is waited for.
        list_uri: gs:// address of the list of addresses.
        sink: gs:// address of the folder for the objects.
        tell: is told the numbers of objects fetched and found.
        sleep: between two looks.

    Returns:
        Address to error for the few of each kind that the service names; see the bucket for what is there.

    Raises:
        DataError: the service refuses, or the transfer failed as a whole. Unreachable: it does not answer.
    """
    from google.api_core import exceptions as api

    try:
        operation = _started(service, project, f"transferJobs/{name}", list_uri, sink)
        while not operation.done():
            if operation.metadata:
                counted = operation.metadata.counters
                tell(int(counted.objects_copied_to_sink), int(counted.objects_found_from_source))
            sleep(_LOOK_EVERY_S)
        operation.result()
    except (api.ServiceUnavailable, api.DeadlineExceeded, api.TooManyRequests, api.RetryError) as error:
        raise Unreachable(f"Storage Transfer Service does not answer: {error}; try again later") from error
    except api.GoogleAPICallError as error:
        raise DataError(f"Storage Transfer Service, project {project}: {_line(error)}") from error
    kinds = operation.metadata.error_breakdowns if operation.metadata else []
    samples = [entry for kind in kinds for entry in kind.error_log_entries]
    return {entry.url: "; ".join(entry.error_details) or "refused" for entry in samples}


def _started(service: Any, project: str, name: str, list_uri: str, sink: str) -> Any:
    """The operation of a job that is made now, or was made by an attempt before and may be at work still."""
    from google.api_core import exceptions as api
    from google.cloud import storage_transfer_v1 as sts

    bucket, _, folder = sink.removeprefix("gs://").rstrip("/").partition("/")
    spec = sts.TransferSpec(
        http_data_source=sts.HttpData(list_url=list_uri),
        gcs_data_sink=sts.GcsData(bucket_name=bucket, path=f"{folder}/" if folder else ""),
        # What is there with the listed size and MD5 is not fetched again.
        transfer_options=sts.TransferOptions(overwrite_when=sts.TransferOptions.OverwriteWhen.DIFFERENT),
    )
    enabled = sts.TransferJob.Status.ENABLED
    job = sts.TransferJob(
        name=name, description="pictures for Seamline", project_id=project, transfer_spec=spec, status=enabled
    )
    try:
        service.create_transfer_job(sts.CreateTransferJobRequest(transfer_job=job))
    except api.AlreadyExists:
        if at_work := _at_work(service, project, name):
            return at_work
    return service.run_transfer_job(sts.RunTransferJobRequest(job_name=name, project_id=project))


def _at_work(service: Any, project: str, name: str) -> Any:
    """The operation of a job that has not ended, or None. Beside it the service would refuse to run the job again."""
    from google.api_core import operation
    from google.cloud import storage_transfer_v1 as sts
    from google.protobuf import empty_pb2

    job = service.get_transfer_job(sts.GetTransferJobRequest(job_name=name, project_id=project))
    if not job.latest_operation_name:
        return None
    operations = service.transport.operations_client
    latest = operations.get_operation(job.latest_operation_name)
    if latest.done:
        return None
    made: Any = operation.from_gapic  # untyped
    return made(latest, operations, empty_pb2.Empty, metadata_type=sts.TransferOperation)


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
