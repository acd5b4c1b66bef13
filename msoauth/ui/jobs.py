"""Runs a panel's work in a thread of its own; a new job cancels the one before, which can then show nothing more."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from msoauth.ui.message_order import ui_lock


class Job:
    """A piece of work that can be cancelled.

    Attributes:
        cancelled: Set when the user cancelled, or started a newer job.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._stop: Callable[[], None] = lambda: None

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Have *stop* called when the job is cancelled, perhaps more than once; at once if it already is."""
        self._stop = stop
        if self.cancelled.is_set():
            stop()

    def cancel(self) -> None:
        """Tell the job to stop; may be called more than once."""
        self.cancelled.set()
        self._stop()


class Jobs:
    """A worker thread that runs one job at a time.

    Args:
        on_failure: Called, in the worker, with an exception that the newest job raised.
        on_end: Called, in the worker, when a job has ended and no other is under way.
        inline: Run jobs in the caller's thread (scripts and tests).
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
        self._newest: Job | None = None
        self._future: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        with ui_lock:
            return self._newest is not None

    def start(self, work: Callable[[Job], None]) -> None:
        """Start *work* as a job; an older one is cancelled, and any result it has yet to show is dropped."""
        job = Job()
        with ui_lock:
            self.cancel()
            self._newest = job
            if not self.inline:
                earlier = [self._future] if self._future is not None else []
                pool = ThreadPoolExecutor(1, thread_name_prefix="form")
                self._future = pool.submit(self._run, work, job, earlier)
                # No one ever closes a panel, so its thread has to end with the job.
                pool.shutdown(wait=False)
                return
        self._run(work, job)

    def cancel(self) -> None:
        """Cancel the job that is under way, if any."""
        with ui_lock:
            job, self._newest = self._newest, None
        if job is not None:
            job.cancel()

    def finish(self) -> None:
        """Mark the newest job as ended; called when its last result is drawn."""
        with ui_lock:
            self._newest = None

    def show(self, job: Job, draw: Callable[[], None]) -> None:
        """Call *draw*, unless *job* was cancelled or a newer one has started."""
        with ui_lock:
            if job is self._newest:
                draw()

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until the newest job has ended (for scripts and tests)."""
        if self._future is not None:
            self._future.result(timeout)

    def _run(
        self, work: Callable[[Job], None], job: Job, earlier: Sequence[Future[None]] = ()
    ) -> None:
        wait(earlier)
        if job.cancelled.is_set():
            return
        failure: Exception | None = None
        try:
            work(job)
        except Exception as error:  # noqa: BLE001 - it is shown in the panel, redacted
            failure = error
        with ui_lock:
            if job is self._newest:
                self._newest = None
                if failure is not None:
                    self._on_failure(failure)
            if self._newest is None:
                self._on_end()
