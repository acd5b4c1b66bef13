"""What came while an answer was on its way is not waited for again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from msoauth.practice.exchange.connection import Connection, IdleError
from msoauth.practice.exchange.framing import readline


def test_a_line_that_comes_during_the_latency_of_an_answer_is_read() -> None:
    lines: list[bytes] = []

    async def serve(connection: Connection) -> None:
        connection.write(b"+ \r\n")
        try:
            lines.append(await readline(connection, 100, 1.0))
        except IdleError:
            lines.append(b"not seen")

    def latency() -> float:
        connections[0].data_received(b"token\r\n")  # the client did not wait for the answer
        return 0.001

    connections: list[Connection] = []

    def made() -> Connection:
        connections.append(Connection(serve, latency))
        return connections[0]

    async def dialogue() -> None:
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            assert await reader.read() == b"+ \r\n"
            writer.close()
            await writer.wait_closed()

    with ThreadPoolExecutor(
        1
    ) as pool:  # another test's browser may keep a loop running in this thread
        pool.submit(lambda: asyncio.run(dialogue())).result(20)
    assert lines == [b"token"]
