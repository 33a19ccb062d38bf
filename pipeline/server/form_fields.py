"""What a form of the console sent. A field is text; a file in its place is a mistake that is said, not read as text."""

from collections.abc import Collection

from starlette.datastructures import ImmutableMultiDict, UploadFile
from starlette.requests import Request

from pipeline.errors import PipelineError

Fields = ImmutableMultiDict[str, str]


async def read(request: Request) -> Fields:
    """The fields of a form.

    Raises:
        PipelineError: a field was sent as a file.
    """
    async with request.form() as form:
        return texts(form.multi_items())


def texts(items: Collection[tuple[str, str | UploadFile]]) -> Fields:
    """Fields that are all text; see `read`."""
    for name, value in items:
        if isinstance(value, UploadFile):
            raise PipelineError(f"the field {name[:80]!r} was sent as a file; send it as text")
    return ImmutableMultiDict((name, str(value)) for name, value in items)
