"""Shows text on a terminal: nothing that came from outside can control it, whoever prints it.

Everything goes through one of two places: rich's tables and colours through :class:`Screen`, all other text, also that of
libraries, through the streams of :func:`harmless_streams`.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from msoauth.sanitize import visible


class HarmlessStream:
    """A text stream that shows what would control the terminal instead of letting it act.

    Args:
        raw: The stream below, which passes everything on.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write *text*; returns its length."""
        self.raw.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)  # encoding, isatty, flush, fileno …


@contextlib.contextmanager
def harmless_streams() -> Iterator[None]:
    """Let ``sys.stdout`` and ``sys.stderr`` be harmless in the block, for every print in this process."""
    with (
        contextlib.redirect_stdout(HarmlessStream(sys.stdout)),
        contextlib.redirect_stderr(HarmlessStream(sys.stderr)),
    ):
        yield


@contextlib.contextmanager
def raw_streams() -> Iterator[None]:
    """Let colours pass in the block, in which only texts of our own may be printed, such as a command's help."""
    with (
        contextlib.redirect_stdout(raw(sys.stdout)),
        contextlib.redirect_stderr(raw(sys.stderr)),
    ):
        yield


def raw(stream: Any) -> TextIO:
    """The stream below a harmless one; *stream* itself if it is another."""
    below: TextIO = stream.raw if isinstance(stream, HarmlessStream) else stream
    return below


class Screen(Console):
    """A rich console for texts from outside: no markup, no emoji codes, no links, no control characters.

    Args:
        stderr: Print on stderr instead of stdout.
        options: As rich's ``Console`` takes them.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        options = {"file": raw(sys.stderr if stderr else sys.stdout), **options}
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of *renderable*, each made harmless; those with which rich itself moves the cursor stay."""
        for text, style, control in super().render(renderable, options):
            if style is not None and style.link:
                style = style.update_link(None)
            yield Segment(text if control else visible(text), style, control)


def decode(raw: bytes) -> str:
    """Text from a file or a pipe: UTF-16 (PowerShell, Notepad's “Unicode”), UTF-8, or Windows-1252.

    >>> from msoauth.terminal import decode
    >>> decode("535 für".encode("utf-16")), decode(b"535 f\xfcr")
    ('535 für', '535 für')
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    head = raw[:200]
    if 3 * head.count(0) > len(
        head
    ):  # UTF-16 without a byte order mark: ASCII has a zero beside it
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        damaged = raw.decode("utf-8-sig", "replace")
        # A character that is more than one byte long is UTF-8, of which something was cut off.
        is_utf8 = not damaged.replace("\ufffd", "").isascii()
        return damaged if is_utf8 else raw.decode("cp1252", "replace")
