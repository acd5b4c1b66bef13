"""Run every notebook that the installed wheel carries, top to bottom, on the practice tenant."""

import os
import sys
import tempfile
from pathlib import Path

import msoauth

package = Path(msoauth.__file__).parent
if "site-packages" not in package.parts:
    sys.exit(f"not the installed wheel: {package}")

import nbformat  # noqa: E402 - only worth importing once we know what runs
from nbclient import NotebookClient  # noqa: E402

from msoauth.lab import PRACTICE_VARIABLE, shipped_notebooks  # noqa: E402
from msoauth.practice import PracticeTenant  # noqa: E402

with tempfile.TemporaryDirectory() as folder, PracticeTenant() as tenant:
    os.environ["MSOAUTH_WORKSPACE"] = folder
    os.environ["MSOAUTH_PASSPHRASE"] = "for this run only"  # noqa: S105
    os.environ[PRACTICE_VARIABLE] = str(tenant.endpoints_file)
    notebooks = sorted(shipped_notebooks().glob("*.ipynb"))
    if not notebooks:
        sys.exit("the wheel carries no notebooks")
    for notebook in notebooks:
        client = NotebookClient(nbformat.read(notebook, as_version=4), timeout=120)  # type: ignore[no-untyped-call]
        client.execute(cwd=folder)
        print("ran", notebook.name)
