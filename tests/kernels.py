"""Runs notebooks in kernels of their own, without JupyterLab."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory
from typing import Any

from nbclient import NotebookClient
from traitlets.config import Config


def run(book: Any) -> Any:
    """Execute a notebook in a kernel that inherits this process's environment; returns it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    with TemporaryDirectory(prefix="nb", ignore_cleanup_errors=True) as folder:
        config = Config()
        if os.name == "posix":
            # In place of ports, which are looked up and let go before the kernel takes them: another test's server
            # had one at times.
            config.AsyncKernelManager.transport = "ipc"
            config.AsyncKernelManager.ip = f"{folder}/kernel"
        work = NotebookClient(book, timeout=100, config=config).async_execute()
        # In a thread, as another test's browser may keep a loop running in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()
