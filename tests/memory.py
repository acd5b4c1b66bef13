"""What reading a hostile file costs: it is read in a process of its own, which tells the most memory that it held."""

import json
import resource
import subprocess
import sys
from typing import Any

MEGABYTE = 1 << 20

# argv: a program that defines `go()`, and its argument; prints [what went wrong or null, peak of memory beyond the start].
_CHILD = """
import json, resource, sys
sys.path.insert(0, ".")
space = {"argument": sys.argv[2]}
exec(sys.argv[1], space)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    space["go"]()
    problem = None
except Exception as error:
    problem = [type(error).__name__, str(error)]
print(json.dumps([problem, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def cost(program: str, argument: object) -> tuple[list[str] | None, float]:
    """Name and text of the exception that ``go()`` of *program* raises, and the megabytes that it took beyond its imports.

    A process that wants more than 3 GB is stopped by the system, and the test fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, program, str(argument)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    problem, kilobytes = json.loads(done.stdout.splitlines()[-1])
    taken: Any = kilobytes / (1 if sys.platform != "darwin" else 1024) / 1024
    return problem, float(taken)
