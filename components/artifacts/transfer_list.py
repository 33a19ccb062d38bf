"""Lists of addresses as Google's Storage Transfer Service reads them, and the names it gives to what it fetches.

Source: https://cloud.google.com/storage-transfer/docs/create-url-list: `TsvHttpData-1.0`, then URL, size and MD5 in
base64, sorted by the UTF-8 bytes of the URL. An object is called `<host>/<path>`, without the port.
"""

import base64
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

HEAD = "TsvHttpData-1.0"
_LONGEST = 900  # bytes of a name; an object's may have 1,024 with the data root before it


def render(pictures: pa.Table) -> str:
    """The list of the pictures whose size and MD5 are known, each address once; the service takes no other.

    Args:
        pictures: columns url, bytes and md5 (hex) as in `boxes.PICTURES`.
    """
    known = pictures.filter(pc.and_(pc.greater_equal(pictures["bytes"], 0), pc.not_equal(pictures["md5"], "")))
    columns = (known[name].to_pylist() for name in ("url", "bytes", "md5"))
    once = {row[0]: row for row in reversed(list(zip(*columns, strict=True)))}  # the first counts, as for `transfer`
    rows = sorted(once.values(), key=lambda row: row[0].encode())
    lines = (f"{url}\t{size}\t{base64.b64encode(bytes.fromhex(md5)).decode()}\n" for url, size, md5 in rows)
    return f"{HEAD}\n{''.join(lines)}"


def object_name(url: str) -> str:
    """`<host>/<path>` of an address: the object that the service makes, and the file that we make.

    Returns:
        Empty for an address that gives no safe file name: no http(s), no path, a hidden file, a very long name.
    """
    if not url.isprintable() or "\\" in url:
        return ""
    try:
        address = urlsplit(url)
        host = address.hostname or ""
    except ValueError:
        return ""
    parts = [host, *address.path.removeprefix("/").split("/")]
    is_odd = any(not part or part.startswith(".") or len(part.encode()) > 255 for part in parts)
    name = "/".join(parts)
    if address.scheme not in ("http", "https") or is_odd or len(name.encode()) > _LONGEST:
        return ""
    return name
