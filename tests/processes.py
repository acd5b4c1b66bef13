"""Programs that tests start, and their end."""

import subprocess


def end(process: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    """Ask a program to end; one that does not is killed, so that nobody waits for it, and told of.

    Raises:
        subprocess.TimeoutExpired: it did not end by itself.
    """
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
