"""Stands in for kube-proxy, for the one Service that Pods need: passes connections to the Kubernetes API on.

python tests/cluster/relay.py ADDRESS PORT TO-ADDRESS TO-PORT [WHERE]     WHERE is for down.sh, which ends what names it
"""

import asyncio
import contextlib
import sys

_PIECE_BYTES = 1 << 16


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Passes one direction of a connection on until it ends."""
    with contextlib.suppress(OSError):
        while piece := await source.read(_PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
    sink.close()


async def listen(address: str, port: int, to_address: str, to_port: int) -> None:
    """Serves until it is killed. While nobody listens behind it, it hangs up."""

    async def passed_on(asking: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        try:
            answers, questions = await asyncio.open_connection(to_address, to_port)
        except OSError:
            answering.close()
            return
        await asyncio.gather(pour(asking, questions), pour(answers, answering))

    async with await asyncio.start_server(passed_on, address, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(listen(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
