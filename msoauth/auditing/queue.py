"""Choose the account to check next: many at once, but not too many of one tenant or one user."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from msoauth.model import Account

FIRST_PAUSE = 5.0  # seconds that a tenant is left alone after it said "too many", doubled each time
LONGEST_PAUSE = 120.0
MAX_WAIT = 240.0  # seconds of such pauses without a single success; then its accounts are asked once and no more


@dataclass
class _Firm:
    """The accounts of one firm that wait, and how many are being checked."""

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
        per_firm: So many accounts of one tenant at once. A tenant that throttles is asked half as much from then
            on, and not at all for some seconds.
        per_mailbox: So many accounts of one user at once (a user with shared mailboxes signs in for all of them).
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
        """No more will be added: :meth:`take` returns None once nothing is left."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Drop all accounts that wait: :meth:`take` returns None from now on, though accounts are under way."""
        with self._changed:
            self._cleared = True
            for firm in self._firms.values():
                firm.waiting.clear()
            self.close()

    @property
    def waiting(self) -> int:
        """How many accounts were not taken yet."""
        with self._changed:
            return sum(len(firm.waiting) for firm in self._firms.values())

    def take(self) -> Account | None:
        """Wait for the next account that may be checked now; None when nothing is left to do."""
        with self._changed:
            while not self._cleared:
                account, soon = self._next()
                if account is not None:
                    self._running += 1
                    self._firms[account.firm].running += 1
                    user = account.user.casefold()
                    self._users[user] = self._users.get(user, 0) + 1
                    return account
                # An account that is being checked may be put back: it is the end only when none is.
                if self._closed and not self._running and not self.waiting:
                    self._changed.notify_all()
                    return None
                self._changed.wait(soon)
            return None

    def done(self, account: Account, *, throttled: bool = False) -> None:
        """Note that the account is finished; *throttled* if the tenant refused it to the end."""
        with self._changed:
            self._release(account)
            firm = self._firms[account.firm]
            if not throttled:
                firm.pause = firm.waited = 0.0
                firm.succeeded += 1
            if firm.succeeded >= firm.limit < self._per_firm:  # try one more at once again
                firm.limit, firm.succeeded = firm.limit + 1, 0
            # One more account may be taken. At the end all waiting threads have to see that it is the end.
            ending = self._closed and self._running == 0
            self._changed.notify_all() if ending else self._changed.notify()

    def put_back(self, account: Account) -> bool:
        """Put back an account whose tenant said "too many": it is asked less, and not before a pause is over.

        Returns:
            False when this tenant was waited for long enough: the caller keeps the account and finishes it.
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
        user = account.user.casefold()
        self._users[user] -= 1
        if not self._users[user]:
            del self._users[user]

    def _firm(self, name: str) -> _Firm:
        if name not in self._firms:
            self._firms[name] = _Firm(self._per_firm)
            self._order.append(name)
        return self._firms[name]

    def _next(self) -> tuple[Account | None, float | None]:
        """The next account, or None and the seconds after which a pause ends (None: something must change)."""
        soon: float | None = None
        now = time.monotonic()
        for _turn in range(len(self._order)):
            name = self._order[0]
            self._order.rotate(-1)
            firm = self._firms[name]
            if not firm.waiting or firm.running >= firm.limit:
                continue
            if firm.paused_until > now:
                left = firm.paused_until - now
                soon = left if soon is None else min(soon, left)
                continue
            for place, account in enumerate(firm.waiting):
                if self._users.get(account.user.casefold(), 0) < self._per_mailbox:
                    del firm.waiting[place]
                    return account, None
        return None, soon
