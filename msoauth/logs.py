"""Keeps secrets, and what would control a terminal, out of logs, warnings and tracebacks of this process."""

import functools
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

# Whose records are redacted: our loggers, and those of the libraries that handle secrets of ours.
_LOGGERS = ("msoauth", "msal", "urllib3", "requests", "sqlalchemy", "tornado", "keyring", "asyncio", "py.warnings")  # fmt: skip


def harmless(text: str) -> str:
    """*text* without credentials, and with what would control a terminal shown instead."""
    # Imported lazily: every program that imports msoauth comes by here.
    from msoauth.redact import redact
    from msoauth.sanitize import visible

    return visible(redact(text))


class RedactingFilter(logging.Filter):
    """Takes credentials out of log records, arguments and tracebacks included.

    :func:`protect` applies it to the records of msoauth and of the libraries below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact *record*; it is never dropped."""
        record.msg = harmless(record.getMessage())
        record.args = None
        if record.exc_info:
            record.exc_text = harmless(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


@functools.cache
def protect() -> None:
    """Redact, from now on, the log records, warnings and uncaught exceptions of this process; ``import msoauth`` does.

    Where somebody else shows uncaught exceptions (a debugger, pytest), they are left to them; but in a notebook the
    tracebacks of cells are redacted, because they are stored with it.
    """
    make_record = logging.getLogRecordFactory()
    redacting = RedactingFilter()

    def make_redacted_record(*args: Any, **options: Any) -> logging.LogRecord:
        record = make_record(*args, **options)
        if record.name.startswith(_LOGGERS):
            redacting.filter(record)
        return record

    logging.setLogRecordFactory(make_redacted_record)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print_exception
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_thread_exception
    if warnings.showwarning.__module__ == "warnings":
        warnings.showwarning = _print_warning
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None:
            formatter = shell.InteractiveTB
            formatter.structured_traceback = _redacted_lines(formatter.structured_traceback)


def _print_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    import traceback  # imported lazily, as it takes as long as the rest

    print(end=harmless("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr)


def _print_thread_exception(arguments: "threading.ExceptHookArgs") -> None:
    if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
        _print_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(message, category, filename, lineno, line)
    print(end=harmless(text), file=file or sys.stderr)


def _redacted_lines(render: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """*render*, which makes the lines of a traceback in a notebook, without credentials in them and in the exception."""

    @functools.wraps(render)
    def render_redacted(
        kind: type[BaseException], error: BaseException, *rest: Any, **options: Any
    ) -> list[str]:
        from msoauth.redact import redact

        redact_exception(error)
        return [redact(line) for line in render(kind, error, *rest, **options)]

    return render_redacted


def redact_exception(error: object) -> None:
    """Take credentials out of the words of an exception, of those that led to it, and of those within it."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        pending += [current.__cause__, current.__context__, *current.args]
        current.args = tuple(harmless(a) if isinstance(a, str) else a for a in current.args)
