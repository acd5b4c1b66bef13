"""Settings of a workspace, such as the last chosen firm and the language."""

import sqlalchemy as sa

from msoauth.store import schema
from msoauth.store.database import Database

_t = schema.settings


class Settings:
    """Texts by key, stored unencrypted: never a secret."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str, default: str = "") -> str:
        """The setting *key*, or *default*."""
        value = self._database.scalar(sa.select(_t.c.value).where(_t.c.key == key))
        return default if value is None else str(value)

    def set(self, key: str, value: str) -> None:
        """Store a setting."""
        with self._database.write() as connection:
            if (
                connection.execute(_t.update().where(_t.c.key == key).values(value=value)).rowcount
                == 0
            ):
                connection.execute(_t.insert().values(key=key, value=value))
