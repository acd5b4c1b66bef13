"""A module that leaves something open fails by its name; one that closes it, or says that it may stay, passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import asyncio, contextlib, socket, subprocess, sys, tempfile, threading
import pytest
from tests import leaks
from tests.loops import running_loop

kept = []

def begin(**options):
    leaks.PATIENCE = 0.1
    threading.Thread(target=threading.main_thread().join, **options).start()

def connect():
    ours, theirs = socket.socketpair()
    loop = asyncio.new_event_loop()
    made = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=ours))
    theirs.close()
    loop.close()
    return made

def ring(thing):
    made = [thing]
    made.append(made)

"""

# What a test does last, and how the fixture names what stays open.
LEFT = {
    "socket": ("kept.append(socket.socket())", r"<socket\.socket fd=\d.*opened at .*test_socket\.py:\d"),
    "descriptor": ("kept.append(socket.socket().detach())", r"socket with descriptor \d"),
    "loop": ("kept.append(asyncio.new_event_loop())", r"<.*EventLoop .*closed=False.*opened at .*test_loop\.py:\d"),
    "transport": ("kept.append(connect())", r"<_SelectorSocketTransport .*Protocol .*opened at .*test_transport\.py:\d"),
    "thread": ("begin()", r"<Thread\(.*opened at .*test_thread\.py:\d"),
    "daemon": ("begin(daemon=True)", r"<Thread\(.* daemon .*opened at .*test_daemon\.py:\d"),
    "process": (
        "kept.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE))",
        r"child process \d+ \(.*\): .* input\(\)",
    ),
    "folder": ("tempfile.mkdtemp(prefix='left-')", r".*left-\w"),
    "garbage": ("ring(socket.socket())", r"unclosed <socket\.socket fd=\d"),
}  # fmt: skip

CLEAN = """
def test_everything_is_closed():
    with socket.socket(), tempfile.TemporaryDirectory():
        threading.Thread(target=threading.Event().wait, args=(0.3,)).start()
    subprocess.run([sys.executable, "-c", ""], check=True)
    asyncio.run(asyncio.sleep(0))
"""

# A server of a whole session: it holds a connection that a module made which did not start it.
DECLARED = """
@contextlib.contextmanager
def serving():
    held = []

    async def listen():
        async def serve(reader, writer):
            held.append(writer)
            await reader.read()
            writer.write(b"read")
            await writer.drain()
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    async def close():
        for writer in held:
            writer.close()
            await writer.wait_closed()
        server.close()

    command = [sys.executable, "-c", "input()"]
    with (
        tempfile.TemporaryDirectory(),
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL),
        running_loop() as loop,
    ):
        server = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
        yield server.sockets[0].getsockname()
        asyncio.run_coroutine_threadsafe(close(), loop).result(20)

@pytest.fixture(scope="session")
def server():
    with leaks.long_lived(serving()) as address:
        yield address
"""

USES = """
def test_nothing():
    pass

def test_the_server(server):
    with socket.create_connection(server, timeout=20) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"read"
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of a module for each case, all of them one after another in one process."""
    folder = tmp_path_factory.mktemp("modules")
    for name, (leaves, _told) in LEFT.items():
        (folder / f"test_{name}.py").write_text(f"{HEAD}def test_it():\n    {leaves}\n")
    (folder / "conftest.py").write_text(HEAD + DECLARED)
    (folder / "test_a_clean_one.py").write_text(HEAD + CLEAN)
    (folder / "test_a_declared_one.py").write_text(HEAD + USES)
    (folder / "test_a_second_user.py").write_text(HEAD + USES)
    command = [sys.executable, "-m", "pytest", "-p", "tests.leaks", "-c", os.devnull]
    done = subprocess.run(
        [
            *command,
            f"--rootdir={folder}",
            f"--basetemp={folder / 'tmp'}",
            "--import-mode=importlib",
            folder,
        ],
        check=False,
        text=True,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        timeout=200,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", LEFT)
def test_a_module_that_leaves_something_open_fails_by_name(report: str, name: str) -> None:
    assert (
        len(re.findall(rf"^test_{name}\.py left open:\n  {LEFT[name][1]}.*$", report, re.MULTILINE))
        == 1
    ), report


def test_only_they_fail(report: str) -> None:
    # Not by count(): where CI is set, pytest tells each once more in its summary.
    told = re.findall(r"^\S+\.py left open:$", report, re.MULTILINE)
    assert len(told) == len(LEFT), report
    assert f"{len(LEFT) + 5} passed, {len(LEFT)} errors" in report
