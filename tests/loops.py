"""Runs an asyncio event loop in a thread, for tests of servers outside a practice tenant."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread; when the block ends, its tasks are cancelled and awaited."""
    made: Future[asyncio.AbstractEventLoop] = Future()

    def work() -> None:
        with asyncio.Runner() as runner:
            made.set_result(runner.get_loop())
            runner.get_loop().run_forever()

    thread = threading.Thread(target=work, name="loop beside")
    thread.start()
    loop = made.result(20)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
