"""Every older layout is brought up to date, whole or not at all, and what cannot be is one sentence."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import make_url

from msoauth.errors import StoreError
from msoauth.model import Finding, Signal
from msoauth.store import Workspace, schema
from msoauth.store.database import write_transaction
from msoauth.store.engine import open_engine
from msoauth.store.migrations import configuration, migrate

START = datetime(2026, 11, 1, tzinfo=UTC)
OLDER = list(range(1, schema.VERSION))


@contextmanager
def engine_of(place: str) -> Iterator[sa.Engine]:
    """The engine of a place where a workspace is, or may be."""
    if "://" not in place:
        Path(place).mkdir(exist_ok=True)
        place = f"sqlite:///{place}/msoauth.db"
    engine = open_engine(make_url(place))
    try:
        yield engine
    finally:
        engine.dispose()


def make_older(place: str, layout: int) -> None:
    """A workspace as the msoauth of that layout made it, with a firm, an account and three findings."""
    findings = [
        Finding(
            "smtp.login",
            signal,
            "said",
            at=START + timedelta(days=day),
            firm="Contoso Legal",
            account="anna@contoso.example",
            seconds=0.5,
            run=f"r{day}",
        )
        for day, signal in enumerate((Signal.PASSED, Signal.FAILED, Signal.FAILED))
    ]
    with engine_of(place) as engine:
        with write_transaction(engine) as connection:
            command.upgrade(configuration(connection), str(layout))
            connection.exec_driver_sql("DROP TABLE alembic_version")  # there was none
            connection.execute(schema.meta.insert().values(key="version", value=str(layout)))
            connection.execute(schema.meta.delete().where(schema.meta.c.key == "unbound"))
        # Whatever of today's columns the layout has is filled as today's msoauth fills it.
        with Workspace.open("sqlite://", passphrase="of no matter") as new:
            new.journal.append(*findings)
            with new.database.read() as connection:
                filled = connection.execute(sa.select(schema.journal)).mappings().all()
        with write_transaction(engine) as connection:
            connection.exec_driver_sql(
                "INSERT INTO firms (key, name, tenant, client_id, cloud, redirect_uri, access) VALUES"
                " ('contoso legal', 'Contoso Legal', 'contoso.example', 'an id', 'global', 'http://localhost', 'delegated')"
            )
            connection.exec_driver_sql(
                "INSERT INTO accounts (key, address, firm, retrieve) VALUES"
                " ('anna@contoso.example', 'anna@contoso.example', 'contoso legal', 'pop3')"
            )
            there = {c["name"] for c in sa.inspect(connection).get_columns("journal")} - {"id"}
            for row in filled:
                values = {name: value for name, value in row.items() if name in there}
                connection.execute(schema.journal.insert().values(values))


def layout_of(place: str) -> str:
    with engine_of(place) as engine, engine.connect() as connection:
        return str(connection.scalar(sa.select(schema.meta.c.value).where(schema.is_version)))


def test_the_revisions_make_the_tables_of_the_schema(place: str) -> None:
    with engine_of(place) as engine, write_transaction(engine) as connection:
        command.upgrade(configuration(connection), "head")
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_a_new_workspace_is_stamped_as_the_newest_revision(either: Workspace) -> None:
    with either.database.engine.connect() as connection:
        script = ScriptDirectory.from_config(configuration(connection))
        context = MigrationContext.configure(connection)
        assert context.get_current_heads() == tuple(script.get_heads()) == (str(schema.VERSION),)
        assert compare_metadata(context, schema.metadata) == []


@pytest.mark.parametrize("layout", OLDER)
def test_every_older_layout_is_brought_up_to_date_with_all_that_is_in_it(
    place: str, layout: int
) -> None:
    make_older(place, layout)
    with Workspace.open(place, passphrase="of this test") as workspace:
        assert [firm.name for firm in workspace.firms] == ["Contoso Legal"]
        assert [account.address for account in workspace.accounts] == ["anna@contoso.example"]
        assert [finding.run for finding in workspace.journal.findings()] == ["r0", "r1", "r2"]
        if layout < 2:
            [result] = workspace.journal.latest_results()
            assert (result.signal, result.since) == (Signal.FAILED, START + timedelta(days=1))
            assert (result.at, result.passed_at) == (START + timedelta(days=2), START)
        workspace.journal.append(Finding("smtp.login", Signal.PASSED, "said", firm="Contoso Legal"))
        with workspace.database.engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert context.get_current_revision() == str(schema.VERSION)
            assert compare_metadata(context, schema.metadata) == []
    assert layout_of(place) == str(schema.VERSION)


OPENER = """\
import sys
from msoauth.store import Workspace
sys.stdin.read(1)
with Workspace.open(sys.argv[1], passphrase="of this test") as workspace:
    print(len(list(workspace.journal.findings())), len(workspace.journal.latest_results()))
"""


def test_two_processes_bring_one_workspace_up_to_date_at_once(place: str) -> None:
    make_older(place, 1)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _number in range(2)
    ]
    with running[0], running[1]:
        for process in running:  # both are as far as they get without the database
            assert process.stdin is not None
            process.stdin.write("g")
            process.stdin.flush()
        said = [process.communicate(timeout=120) for process in running]
    assert said == [("3 1\n", ""), ("3 1\n", "")]


def test_two_threads_bring_two_workspaces_up_to_date_at_once(tmp_path: Path) -> None:
    places = [str(tmp_path / name) for name in ("one", "two", "three")]
    for place in places:
        make_older(place, 1)
    counts: list[int] = []

    def work(place: str) -> None:
        with Workspace.open(place, passphrase="of this test") as workspace:
            counts.append(len(workspace.journal.latest_results()))

    threads = [threading.Thread(target=work, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [1, 1, 1]


KILLED = """\
import os, signal, sys
from msoauth.store import Workspace, latest_results
latest_results.record = lambda *_arguments: os.kill(os.getpid(), signal.SIGKILL)
Workspace.open(sys.argv[1], passphrase="of this test")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_an_upgrade_that_is_killed_changes_nothing_and_the_next_one_goes_through(
    place: str,
) -> None:
    make_older(place, 1)
    killed = subprocess.run([sys.executable, "-c", KILLED, place], check=False)
    assert killed.returncode == -9
    with engine_of(place) as engine:
        assert not sa.inspect(engine).has_table("standings")
    assert layout_of(place) == "1"
    with Workspace.open(place, passphrase="of this test") as workspace:
        assert len(workspace.journal.latest_results()) == 1


def read_only(engine: sa.Engine) -> None:
    sqlite = engine.dialect.name == "sqlite"
    refuse = "PRAGMA query_only = ON" if sqlite else "SET default_transaction_read_only = on"

    @event.listens_for(engine, "connect")
    def _read_only(connection: Any, _record: object) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(refuse)
        connection.commit()


def test_an_older_workspace_that_may_only_be_read_is_one_sentence(place: str) -> None:
    make_older(place, 1)
    with engine_of(place) as engine:
        read_only(engine)
        with pytest.raises(StoreError, match=r"layout 1.*read-?only.*Nothing was changed") as told:
            migrate(engine)
        assert "\n" not in str(told.value)
    assert layout_of(place) == "1"


def test_a_workspace_of_this_layout_that_may_only_be_read_is_opened(either: Workspace) -> None:
    engine = either.database.engine
    read_only(engine)
    engine.dispose()
    migrate(engine)
    assert len(either.firms) == 0


@pytest.mark.parametrize(
    ("layout", "damage", "told"),
    [
        (1, "CREATE TABLE audits (run TEXT)", "audits"),
        (1, "ALTER TABLE journal ADD COLUMN seconds FLOAT", "seconds"),
        (1, "DROP TABLE journal", "journal"),
        (2, "DROP TABLE standings", "standings"),
        (2, "ALTER TABLE journal DROP COLUMN seconds", "journal.seconds"),
        (2, "UPDATE meta SET value = '0' WHERE key = 'version'", "0"),
    ],
)
def test_a_workspace_that_is_not_what_its_number_says_is_one_sentence(
    place: str, layout: int, damage: str, told: str
) -> None:
    make_older(place, layout)
    with engine_of(place) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(damage)
        before = sa.inspect(engine).get_table_names()
    number = layout_of(place)
    with pytest.raises(StoreError, match="restore a backup") as refused:
        Workspace.open(place, passphrase="of this test")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    with engine_of(place) as engine:
        assert sa.inspect(engine).get_table_names() == before
    assert layout_of(place) == number


def test_what_the_third_layout_adds_may_be_there_already(place: str) -> None:
    make_older(place, 2)
    with engine_of(place) as engine, engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE firms ADD COLUMN sealed_for TEXT")
    with Workspace.open(place, passphrase="of this test") as workspace:
        assert len(workspace.firms) == 1


IMPORTED = """\
import sys
from msoauth.store import Workspace
for _time in range(2):
    Workspace.open(sys.argv[1], passphrase="of this test").close()
print(sorted(name for name in sys.modules if name.startswith(("alembic", "mako"))))
"""


def test_neither_a_new_workspace_nor_one_of_this_layout_imports_alembic(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(tmp_path / "w")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"
