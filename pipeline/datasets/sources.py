"""Where data sets of others come from: a place on this machine, or an address whose bytes are known by a checksum."""

from dataclasses import dataclass
from pathlib import Path

from components.artifacts import web, web_checked
from components.errors import SettingsError, StepError
from pipeline.engine import fingerprint
from pipeline.errors import PipelineError

DOWNLOADS = "downloads"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
_ATTEMPTS = 2  # who has no network shall hear of it soon


@dataclass(frozen=True)
class Source:
    """A file on the web; `digest` is `md5=HEX` or `sha256=HEX` of all its bytes."""

    url: str
    digest: str


def _idx(base: str, *digests: str) -> tuple[Source, ...]:
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    return tuple(Source(base + name, f"md5={digest}") for name, digest in zip(names, digests, strict=True))


IDX = {
    "fashion_mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
}
CIFAR10 = Source("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "md5=c32a1d4ab5d03f1284b67883e8d87530")
CALTECH256 = Source(
    "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
    "md5=67b4f42ca05d46448c6bb8ecd2220f6d",
)


def identity(source: str | Path) -> str:
    """What a cached data set is known by: the bytes of a local source, wherever they lie; else its address or name.

    All bytes are read, as those of rounds are before every run: some seconds for the largest set here.

    Raises:
        PipelineError: it cannot be read, or a folder holds a link to a folder.
    """
    text = str(source)
    if web.is_web(text) or text in ("", *IDX):
        return text
    try:
        # What is not there is refused by the builder, which tells what it expects.
        return fingerprint.digest_of_path(Path(text)) if Path(text).exists() else "nothing"
    except OSError as error:
        raise PipelineError(f"{text} cannot be read ({error.strerror}); give another data.source") from error


def idx_folder(source: str, downloads: Path) -> Path:
    """The folder of an IDX data set: the source itself, or where the files of a name of IDX lie, downloaded now.

    Raises:
        PipelineError: as `fetch` does.
    """
    if not source and FASHION_MNIST.is_dir():
        return FASHION_MNIST
    name = source or "fashion_mnist"
    if name not in IDX:
        return Path(source)
    for file in IDX[name]:
        fetch(file, downloads / name)
    return downloads / name


def archive(source: str, known: Source, downloads: Path) -> Path:
    """The archive or folder of a data set: the source itself, a download of `URL#md5=...`, or of what is known.

    Raises:
        PipelineError: an address without checksum, or as `fetch` does.
    """
    if source and not web.is_web(source):
        return Path(source)
    url, _, digest = source.partition("#")
    return fetch(Source(url, digest) if source else known, downloads)


def fetch(source: Source, folder: Path) -> Path:
    """The local copy of a file, downloaded into `folder` if it is not there; a download cut short is gone on with.

    Raises:
        PipelineError: it cannot be had, or its bytes are not those that the checksum tells.
    """
    try:
        return web_checked.local_copy(f"{source.url}#{source.digest}", folder, attempts=_ATTEMPTS)
    except SettingsError as error:
        raise PipelineError(str(error)) from error
    except StepError as error:
        raise PipelineError(f"{error}; without a network, get it elsewhere and give its path as data.source") from error
