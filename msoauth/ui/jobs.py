"""Work behind a form: one worker, and only the newest job may still show anything."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from msoauth.ui.message_order import ui_lock


class Job:
    """One piece of work.

    Attributes:
        cancelled: Set when the user cancelled, or began something newer.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._stop: Callable[[], None] = lambda: None

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Have *stop* called, perhaps more than once, when the work is to stop; at once if it already is."""
        self._stop = stop
        if self.cancelled.is_set():
            stop()

    def cancel(self) -> None:
        """Ask the work to stop; may be called more than once."""
        self.cancelled.set()
        self._stop()


class Jobs:
    """The worker of a form.

    Args:
        on_failure: Told, in the worker, of an exception that the newest job raised.
        on_end: Told, in the worker, when a job has ended and no other is under way.
        inline: Work at once in the caller's thread (tests).
    """

    def __init__(
        self,
        on_failure: Callable[[Exception], None],
        *,
        on_end: Callable[[], None] = lambda: None,
        inline: bool = False,
    ) -> None:
        self._on_failure = on_failure
        self._on_end = on_end
        self.inline = inline
        self._pool = None if inline else ThreadPoolExecutor(1, thread_name_prefix="form")
        self._lock = ui_lock
        self._newest: Job | None = None
        self._future: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        with self._lock:
            return self._newest is not None

    def start(self, work: Callable[[Job], None]) -> None:
        """Begin *work*; an older job is cancelled, and what it still shows is dropped."""
        job = Job()
        with self._lock:
            self.cancel()
            self._newest = job
            if self._pool is not None:
                self._future = self._pool.submit(self._carry_out, work, job)
                return
        self._carry_out(work, job)

    def cancel(self) -> None:
        """Cancel what is under way."""
        with self._lock:
            job, self._newest = self._newest, None
        if job is not None:
            job.cancel()

    def finish(self) -> None:
        """Called while drawing the last of a job: it counts as ended from now on."""
        with self._lock:
            self._newest = None

    def show(self, job: Job, draw: Callable[[], None]) -> None:
        """Draw, unless something newer has begun or the user cancelled."""
        with self._lock:
            if job is self._newest:
                draw()

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until the newest job has ended (for scripts and tests)."""
        if self._future is not None:
            self._future.result(timeout)

    def _carry_out(self, work: Callable[[Job], None], job: Job) -> None:
        if job.cancelled.is_set():
            return
        failure: Exception | None = None
        try:
            work(job)
        except Exception as problem:  # noqa: BLE001 - it is shown in the panel, redacted
            failure = problem
        with self._lock:
            if job is self._newest:
                self._newest = None
                if failure is not None:
                    self._on_failure(failure)
            if self._newest is None:
                self._on_end()
