"""What tokens cost: from the cache with few and with many accounts, and a renewal beside one msal cache file.

No network: msal asks for its tokens as ever, and the same answer is there at once for both. Ours goes the whole
way each time: lock, row, unseal, msal, seal, commit to disk. Theirs is what msal's documentation shows: one
SerializableTokenCache for all accounts, written to one file when it has changed; once as a process does it that has
the file to itself, and once as processes must that share it (read, change, write, under a lock).
"""

import argparse
import base64
import itertools
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import filelock
import msal
import requests

from msoauth.clouds import Cloud, Endpoint
from msoauth.identity import access_tokens, client
from msoauth.model import Account, Firm
from msoauth.store import Workspace, destinations, schema, vault_key
from msoauth.store.vault import associated_data

TENANT = "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
CLIENT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
SECRET = "abc8Q~a-client-secret-value-of-a-benchmark"
HERE = f"https://login.benchmark.test/{TENANT}"
DISCOVERY = {
    "issuer": f"{HERE}/v2.0",
    "authorization_endpoint": f"{HERE}/oauth2/v2.0/authorize",
    "token_endpoint": f"{HERE}/oauth2/v2.0/token",
}
MAIL = Endpoint("mail.benchmark.test", 995, "implicit")
CLOUD = Cloud(
    "benchmark",
    "https://login.benchmark.test/",
    "https://graph.benchmark.test/",
    "https://outlook.office.com",
    MAIL,
    MAIL,
    MAIL,
)
FIRM = Firm("Benchmark", TENANT, CLIENT, cloud=CLOUD)
SCOPES = client.scopes_for(Account("x@contoso.example", FIRM.name), CLOUD)

_numbers = itertools.count(1)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def address(number: int) -> str:
    return f"user{number:05}@contoso.example"


def grant(number: int) -> dict[str, Any]:
    """A token answer of the usual size: 2.2 kB of access token, 1.3 of refresh token, 1.2 of ID token."""
    user, turn = address(number), next(_numbers)
    about = {
        "aud": CLIENT,
        "sub": f"s{number}",
        "oid": f"o{number}",
        "tid": TENANT,
        "preferred_username": user,
        "filler": "x" * 700,
    }
    return {
        "token_type": "Bearer",
        "scope": " ".join(SCOPES),
        "expires_in": 4500,
        "access_token": f"eyJ0.{turn:08}.{random.randbytes(1100).hex()}",
        "refresh_token": f"1.AXkA{number:06}.{turn:08}.{random.randbytes(640).hex()}",
        "id_token": f"{_part({'alg': 'none'})}.{_part(about)}.x",
        "client_info": _part({"uid": f"o{number}", "utid": TENANT}),
    }


def answer(form: dict[str, str]) -> requests.Response:
    """What the token endpoint says to a refresh; whose it is stands in the refresh token."""
    reply = requests.Response()
    reply.status_code = 200
    reply._content = json.dumps(grant(int(form["refresh_token"][6:12]))).encode()
    return reply


class NoNetwork:
    """The HTTP client of both."""

    seconds_ahead = 0.0

    def __init__(self, *_about: object) -> None:
        pass

    def get(self, _url: str, **_options: Any) -> requests.Response:
        reply = requests.Response()
        reply.status_code = 200
        reply._content = json.dumps(DISCOVERY).encode()
        return reply

    def post(self, _url: str, data: dict[str, str], **_options: Any) -> requests.Response:
        return answer(data)

    def close(self) -> None:
        pass


def add_to(cache: msal.TokenCache, number: int) -> None:
    cache.add(
        {
            "client_id": CLIENT,
            "scope": SCOPES,
            "token_endpoint": DISCOVERY["token_endpoint"],
            "response": grant(number),
            "data": {},
        }
    )


# Ours


@contextmanager
def filled(folder: Path, accounts: int) -> Iterator[Workspace]:
    """A workspace in which so many users have signed in."""
    with Workspace.open(folder, passphrase="a passphrase of a benchmark") as workspace:
        workspace.firms.add(FIRM, SECRET)
        shown = workspace.firms.unconfirmed(FIRM.name)  # its host is not Microsoft's
        assert shown is not None
        workspace.firms.confirm(shown)
        now = datetime.now(UTC)
        data_key = workspace.vault.data_key()
        people, rows = [], []
        for number in range(accounts):
            cache = msal.SerializableTokenCache()
            add_to(cache, number)
            key = address(number)
            bound_to = destinations.binding(FIRM, Account(key, FIRM.name))
            place = associated_data(f"tokens/{key}/cache", bound_to)
            sealed = vault_key.encrypt(data_key, cache.serialize().encode(), place)
            people.append(
                {"key": key, "address": key, "firm": "benchmark", "login": None, "retrieve": "pop3"}
            )
            rows.append(
                {
                    "account": key,
                    "sealed": sealed,
                    "sealed_for": bound_to,
                    "signed_in_as": key,
                    "signed_in_at": now,
                    "refreshed_at": now,
                }
            )
        with workspace.database.write() as connection:
            connection.execute(schema.accounts.insert(), people)
            connection.execute(schema.tokens.insert(), rows)
        yield workspace


def ours(workspace: Workspace, number: int, *, force: bool) -> None:
    account = Account(address(number), FIRM.name)
    assert access_tokens.access_token(workspace, account, force=force).value.startswith("eyJ0.")


# Theirs: one file


class OneFile:
    """All accounts in one SerializableTokenCache, in one file."""

    def __init__(self, file: Path, accounts: int) -> None:
        self.file = file
        self.lock = filelock.FileLock(f"{file}.lock")
        self.cache = msal.SerializableTokenCache()
        for number in range(accounts):
            add_to(self.cache, number)
        self.write(self.cache)
        self.app = self.application(self.cache)

    def application(self, cache: msal.SerializableTokenCache) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            CLIENT,
            authority=HERE,
            client_credential=SECRET,
            token_cache=cache,
            http_client=NoNetwork(),
            instance_discovery=False,
        )

    def write(self, cache: msal.SerializableTokenCache) -> None:
        """As safely as ours: on disk, and whole or not at all."""
        part = self.file.with_suffix(".part")
        with part.open("w", encoding="utf-8") as out:
            out.write(cache.serialize())
            out.flush()
            os.fsync(out.fileno())
        part.replace(self.file)

    def renew(self, app: msal.ConfidentialClientApplication, number: int) -> None:
        [account] = app.get_accounts(username=address(number))
        result = app.acquire_token_silent(SCOPES, account=account, force_refresh=True)
        assert result is not None
        assert "access_token" in result

    def alone(self, number: int) -> None:
        """One process has the file to itself, and the cache in memory."""
        self.renew(self.app, number)
        if self.cache.has_state_changed:
            self.write(self.cache)

    def shared(self, number: int) -> None:
        """Processes share the file."""
        with self.lock:
            cache = msal.SerializableTokenCache()
            cache.deserialize(self.file.read_text(encoding="utf-8"))
            self.renew(self.application(cache), number)
            if cache.has_state_changed:
                self.write(cache)


def median(act: Callable[[int], None], numbers: list[int]) -> float:
    """Seconds for one."""
    times = []
    for number in numbers:
        start = time.perf_counter()
        act(number)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(folder: Path, many: int, turns: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    rows = []

    def row(case: str, what: str, seconds: float) -> None:
        rows.append({"case": case, "what": what, "value": round(seconds * 1000, 3), "unit": "ms"})

    chance = random.Random(4711)
    with (
        mock.patch.object(client, "MsalHttp", NoNetwork),
        mock.patch.object(client, "configuration", return_value=DISCOVERY),
        filled(folder / "few", 10) as few,
        filled(folder / "many", many) as all_of_them,
    ):
        cached: dict[int, list[float]] = {10: [], many: []}
        renewed: dict[int, list[float]] = {10: [], many: []}
        for _turn in range(turns):  # interleaved, so that a busy moment hits both alike
            for count, workspace in ((10, few), (many, all_of_them)):
                some = [chance.randrange(count) for _ in range(20)]
                cached[count].append(median(partial(ours, workspace, force=False), some))
                renewed[count].append(median(partial(ours, workspace, force=True), some[:5]))
        for count in (10, many):
            row(
                f"msoauth, {count:,} accounts",
                "token from the cache",
                statistics.median(cached[count]),
            )
            row(
                f"msoauth, {count:,} accounts",
                "renewed and stored",
                statistics.median(renewed[count]),
            )
        own = statistics.median(renewed[many])
        one = OneFile(folder / "cache.json", many)
        numbers = [chance.randrange(many) for _ in range(max(3, turns // 3))]
        alone, shared = median(one.alone, numbers), median(one.shared, numbers[:3])
        row(f"one msal cache file, {many:,} accounts", "renewed and stored, one process", alone)
        row(f"one msal cache file, {many:,} accounts", "renewed and stored, shared", shared)
    return rows, {
        f"token from the cache: {many:,} accounts / 10": round(
            statistics.median(cached[many]) / statistics.median(cached[10]), 2
        ),
        "renewed and stored: one file / msoauth": round(alone / own, 1),
        "renewed and stored: one shared file / msoauth": round(shared / own, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    many, turns = (2_000, 6) if options.quick else (10_000, 20)
    with tempfile.TemporaryDirectory() as folder:
        rows, ratios = measure(Path(folder), many, turns)
    if options.json:
        print(
            json.dumps(
                {"name": "tokens", "machine": platform.platform(), "rows": rows, "ratios": ratios}
            )
        )
        return
    for row in rows:
        print(f"{row['case']:42} {row['what']:34} {row['value']:10.2f} {row['unit']}")
    print()
    aims = ("at most 1.5 is the aim", "at least 50 is the aim (10,000 accounts)", "")
    for (name, ratio), aim in zip(ratios.items(), aims):
        print(f"{name:52} {ratio:8.2f}  {aim}")


if __name__ == "__main__":
    main()
