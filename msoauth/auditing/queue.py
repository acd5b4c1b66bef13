"""Chooses the account to check next: many at once, but not too many of one tenant or one user."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from msoauth.addresses import key
from msoauth.model import Account

FIRST_PAUSE = 5.0  # seconds without requests to a tenant after it throttled, doubled each time
LONGEST_PAUSE = 120.0
MAX_WAIT = 240.0  # seconds of such pauses without a success, after which a tenant's accounts are not put back any more


@dataclass
class _Firm:
    """The waiting accounts of one firm, and how many are being checked."""

    limit: int
    waiting: deque[Account] = field(default_factory=deque)
    running: int = 0
    succeeded: int = 0  # finished since the limit last changed
    pause: float = 0.0
    paused_until: float = 0.0
    waited: float = 0.0  # seconds of pauses since something went well


class WorkQueue:
    """Accounts to check, from each firm in turn. Safe to share between threads.

    Args:
        per_firm: How many accounts of one tenant are checked at once. A tenant that throttles gets half as many from
            then on, and none for some seconds.
        per_mailbox: How many accounts of one user are checked at once (a user signs in to several shared mailboxes).
    """

    def __init__(self, *, per_firm: int, per_mailbox: int) -> None:
        self._per_firm = per_firm
        self._per_mailbox = per_mailbox
        self._firms: dict[str, _Firm] = {}
        self._order: deque[str] = deque()
        self._users: dict[str, int] = {}
        self._running = 0
        self._closed = False
        self._cleared = False
        self._changed = threading.Condition()

    def put(self, accounts: Iterable[Account]) -> None:
        """Add accounts at the end."""
        with self._changed:
            for account in accounts:
                self._firm(account.firm).waiting.append(account)
            self._changed.notify_all()

    def close(self) -> None:
        """Declare that no more will be added: :meth:`take` returns None once nothing is left."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Drop all waiting accounts: :meth:`take` returns None from now on, even while accounts are being checked."""
        with self._changed:
            self._cleared = True
            for firm in self._firms.values():
                firm.waiting.clear()
            self.close()

    @property
    def waiting(self) -> int:
        """How many accounts have not been taken yet."""
        with self._changed:
            return sum(len(firm.waiting) for firm in self._firms.values())

    def take(self) -> Account | None:
        """Wait for the next account that may be checked now; None when nothing is left to do."""
        with self._changed:
            while not self._cleared:
                account, pause_left = self._next()
                if account is not None:
                    self._running += 1
                    self._firms[account.firm].running += 1
                    user = key(account.user)
                    self._users[user] = self._users.get(user, 0) + 1
                    return account
                # An account that is being checked may be put back, so the queue is finished only when none is.
                if self._closed and not self._running and not self.waiting:
                    self._changed.notify_all()
                    return None
                self._changed.wait(pause_left)
            return None

    def done(self, account: Account, *, throttled: bool = False) -> None:
        """Mark the account as finished; *throttled* if its last try was still throttled."""
        with self._changed:
            self._release(account)
            firm = self._firms[account.firm]
            if not throttled:
                firm.pause = firm.waited = 0.0
                firm.succeeded += 1
            if firm.succeeded >= firm.limit < self._per_firm:  # allow one more at once again
                firm.limit, firm.succeeded = firm.limit + 1, 0
            # One waiting thread can take another account; at the end all of them must wake up to return.
            finished = self._closed and self._running == 0
            self._changed.notify_all() if finished else self._changed.notify()

    def put_back(self, account: Account) -> bool:
        """Put back an account whose tenant throttled; the tenant gets fewer accounts from now on, and none in a pause.

        Returns:
            False if this tenant has been waited for long enough: the caller keeps the account and finishes it.
        """
        with self._changed:
            firm = self._firms[account.firm]
            if firm.waited >= MAX_WAIT:
                return False
            self._release(account)
            firm.limit, firm.succeeded = max(1, min(firm.limit, firm.running + 1) // 2), 0
            now = time.monotonic()
            if now >= firm.paused_until:
                firm.pause = min(LONGEST_PAUSE, firm.pause * 2 or FIRST_PAUSE)
                firm.waited += firm.pause
                firm.paused_until = now + firm.pause
            firm.waiting.append(account)
            self._changed.notify()
            return True

    def _release(self, account: Account) -> None:
        self._running -= 1
        self._firms[account.firm].running -= 1
        user = key(account.user)
        self._users[user] -= 1
        if not self._users[user]:
            del self._users[user]

    def _firm(self, name: str) -> _Firm:
        if name not in self._firms:
            self._firms[name] = _Firm(self._per_firm)
            self._order.append(name)
        return self._firms[name]

    def _next(self) -> tuple[Account | None, float | None]:
        """The next account; or None and the seconds until a pause ends (None: wait for a change)."""
        pause_left: float | None = None
        now = time.monotonic()
        for _turn in range(len(self._order)):
            name = self._order[0]
            self._order.rotate(-1)
            firm = self._firms[name]
            if not firm.waiting or firm.running >= firm.limit:
                continue
            if firm.paused_until > now:
                seconds = firm.paused_until - now
                pause_left = seconds if pause_left is None else min(pause_left, seconds)
                continue
            for position, account in enumerate(firm.waiting):
                if self._users.get(key(account.user), 0) < self._per_mailbox:
                    del firm.waiting[position]
                    return account, None
        return None, pause_left
