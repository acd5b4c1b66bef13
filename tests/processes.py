"""Terminates the programs that tests start."""

import subprocess


def terminate(process: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    """Terminate a program and wait for its end; kill it when it takes too long.

    Raises:
        subprocess.TimeoutExpired: it had to be killed.
    """
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
