"""The workspace: opens its database and gives access to everything stored in it."""

import copy
import errno
import html
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import platformdirs
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from msoauth import private_files
from msoauth.errors import StoreError, VaultError
from msoauth.passphrase import current as environment_passphrase
from msoauth.store.accounts import Accounts
from msoauth.store.audits import Audits
from msoauth.store.database import Database, Trouble, store_error, trouble
from msoauth.store.engine import connection_warning, open_engine
from msoauth.store.firms import CachedFirms, Firms, reseal_all
from msoauth.store.journal import Journal
from msoauth.store.locks import Locks
from msoauth.store.migrations import migrate
from msoauth.store.settings import Settings
from msoauth.store.tokens import CachedTokens, Tokens
from msoauth.store.vault import Vault
from msoauth.texts import _

_DATABASE = "msoauth.db"
# Below %LOCALAPPDATA%: the folder of the one package that is Python from the Microsoft Store, and what it keeps there.
_STORE_PYTHON = "LocalCache"


class Workspace:
    """Where firms, accounts, sealed secrets and tokens, and the journal are kept. Safe to share between threads.

    Attributes:
        folder: The folder of its files (notebooks, retrieved mail).
        vault: Encrypts its secrets and tokens.
        database: Its transactions, and its SQLAlchemy engine.

    >>> ws
    Workspace(1 firm, 5 accounts, 'sqlite:///...msoauth.db')
    >>> [account.address for account in ws.accounts][1]
    'anna.lindqvist@contoso.example'
    >>> list(ws.journal.frame(account="anna.lindqvist@contoso.example").columns)[:3]
    ['at', 'firm', 'account']
    """

    def __init__(
        self,
        engine: sa.Engine,
        folder: Path,
        passphrase: str | None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self._warnings = warnings
        database = Database(engine)
        self.vault = Vault(database, folder, passphrase, reseal_all)
        self.database = database
        self.firms = Firms(database, self.vault)
        self.accounts = Accounts(database, self.vault)
        self.locks = Locks(database, folder)
        self.tokens = Tokens(database, self.vault, self.locks, self.firms, self.accounts)
        self.journal = Journal(database)
        self.audits = Audits(database, self.journal)
        self.settings = Settings(database)

    @classmethod
    def open(
        cls, path_or_url: str | Path | None = None, *, passphrase: str | None = None
    ) -> "Workspace":
        """Open a workspace; create it if it does not exist.

        Args:
            path_or_url: A folder, or a database URL such as ``postgresql+psycopg://host/name``; None for
                ``MSOAUTH_WORKSPACE``, else the user's data folder.
            passphrase: Protects the vault's key; None for ``MSOAUTH_PASSPHRASE``, else the OS keyring or a key file.

        Raises:
            StoreError: it cannot be opened, or a newer msoauth wrote it.
        """
        passphrase = passphrase or environment_passphrase()
        location = str(path_or_url or os.environ.get("MSOAUTH_WORKSPACE") or _user_folder())
        engine: sa.Engine | None = None
        try:
            if "://" in location:
                url, folder = _database_url(location), _user_folder()
                if url.get_backend_name() == "sqlite" and url.database not in (
                    None,
                    "",
                    ":memory:",
                ):
                    place = Path(str(url.database)).absolute().parent
                    if private_files.others_may_write(place):
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            else:
                folder = private_files.resolve(Path(location).expanduser())
                if folder.exists() and not folder.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                private_files.make_folder(folder)
                # Python from the Microsoft Store redirects the user's data folder to a private one.
                folder = Path(os.path.realpath(folder))
                url = URL.create("sqlite", database=str(folder / _DATABASE))
            warnings = list(_make_private(folder)) if folder.exists() else []
            if _STORE_PYTHON in folder.parts:
                text = _("The workspace lies in {folder}, which belongs to Python from the Microsoft Store: uninstalling that Python, or installing a newer one, loses it. Choose a folder of your own by MSOAUTH_WORKSPACE, or use Python from python.org.")  # fmt: skip
                warnings.append(text.format(folder=folder))
            engine = open_engine(url)
            migrate(engine)
            if warning := connection_warning(engine):
                warnings.append(warning)
        except StoreError:
            if engine is not None:
                engine.dispose()
            raise
        except (OSError, sa.exc.SQLAlchemyError, ImportError, ValueError) as problem:
            if engine is not None:
                engine.dispose()
            reason = _one_line(getattr(problem, "orig", None) or problem)
            if isinstance(problem, ImportError):
                reason = _('The driver is not installed: pip install "psycopg[binary]".')
            elif trouble(problem) is Trouble.READ_ONLY and "://" not in location:
                reason = _("its folder or database is read-only ({reason}).").format(
                    reason=reason.rstrip(".")
                )
            raise type(store_error(problem))(
                _("The workspace {where} cannot be opened: {reason}").format(
                    where=_without_password(location), reason=reason
                )
            ) from None
        workspace = cls(engine, folder, passphrase, tuple(warnings))
        with suppress(VaultError):  # without the key, whoever uses a secret is told
            workspace.firms.bind_old_values()
        return workspace

    def snapshot(self) -> "Workspace":
        """The same workspace with firms and sign-in statuses cached, for a run over thousands of accounts."""
        cached = copy.copy(self)
        cached.firms = CachedFirms(self.firms)
        cached.tokens = CachedTokens(self.tokens)
        return cached

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for people: secrets, files or a database connection without good protection."""
        return tuple(warning for warning in (self.vault.warning(), *self._warnings) if warning)

    def close(self) -> None:
        """Close the database connections."""
        self.database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workspace({self.firms._caption()}, {self.accounts._caption()}, {self._url()!r})"

    def _repr_html_(self) -> str:
        location = html.escape(self._url())
        return (
            f"<p><code>{location}</code></p>{self.firms._repr_html_()}{self.accounts._repr_html_()}"
        )

    def _url(self) -> str:
        return self.database.engine.url.render_as_string(hide_password=True)


def _make_private(folder: Path) -> Iterator[str]:
    """Take away what other users may do in the workspace's folder; yields what to tell the user about it.

    Raises:
        StoreError: the folder is somebody else's, or for everybody.
    """
    try:
        narrowed = private_files.narrow_folder(folder)
    except OSError:
        raise StoreError(
            _(
                "The workspace {where} cannot be opened: other users of this computer can read or change what is in this folder. Choose a folder of your own."
            ).format(where=folder)
        ) from None
    if not private_files.is_private(folder):
        yield _(
            "Other users of this computer may be able to read {folder}: its file system keeps no permissions."
        ).format(folder=folder)
    elif narrowed:
        yield _(
            "Other users of this computer could open the workspace's folder {folder} until now. Only you can from now on."
        ).format(folder=folder)


def _user_folder() -> Path:
    return Path(platformdirs.user_data_dir("msoauth", appauthor=False))


def _database_url(location: str) -> URL:
    """Parse the URL of a database.

    Raises:
        StoreError: it is not a URL, or not one of SQLite or PostgreSQL.
    """
    try:
        url = make_url(location)
        if url.get_backend_name() in ("postgresql", "sqlite"):
            return url
    except (sa.exc.ArgumentError, ValueError):
        pass
    raise StoreError(
        _(
            "The workspace {where} cannot be opened: it is neither a folder nor an address like postgresql+psycopg://user@host/name."
        ).format(where=_without_password(location))
    )


def _without_password(location: str) -> str:
    """A workspace's folder or URL, without the password."""
    if "://" not in location:
        return location
    try:
        return make_url(location).render_as_string(hide_password=True)
    except (sa.exc.ArgumentError, ValueError):
        return f"{location.partition('://')[0]}://…"


def _one_line(reason: object) -> str:
    """An error message of the system or the database on one line, each of its lines ended as a sentence."""
    text = (isinstance(reason, OSError) and reason.strerror) or str(reason)
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " ".join(line if line.endswith((".", "?", "!", ":")) else f"{line}." for line in lines)
