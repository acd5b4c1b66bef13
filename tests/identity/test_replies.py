"""What is read out of replies, by the replies in the docstrings; and which of the standard library's errors each is."""

import doctest
import socket
from types import ModuleType

import pytest
from urllib3 import HTTPConnectionPool, exceptions

from msoauth.errors import AuthError, CancelledError, MsoauthError, StoreError
from msoauth.graph import reader
from msoauth.identity import auth_errors, discovery, probes, signed_in_user

PARSERS = [
    (auth_errors, "error_from_reply"),
    (discovery, "configuration_from_reply"),
    (discovery, "json_from_reply"),
    (probes, "check_redirection"),
    (signed_in_user, "addresses_from_reply"),
    (reader, "object_from_reply"),
]


@pytest.mark.parametrize(("module", "name"), PARSERS)
def test_the_reply_in_the_docstring_is_read_as_it_says(module: ModuleType, name: str) -> None:
    finder = doctest.DocTestFinder(recurse=False)
    [test] = finder.find(getattr(module, name), name, globs=vars(module).copy())
    assert test.examples
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)


POOL = HTTPConnectionPool("login.contoso.example")


@pytest.mark.parametrize(
    ("error", "standard"),
    [
        (exceptions.NewConnectionError(POOL, "refused"), ConnectionError),  # type: ignore[arg-type]
        (exceptions.NameResolutionError("login", POOL, socket.gaierror()), ConnectionError),  # type: ignore[arg-type]
        (exceptions.ProtocolError("cut off"), ConnectionError),
        (exceptions.ProxyError("no", OSError()), ConnectionError),
        (exceptions.ReadTimeoutError(POOL, "/", "late"), TimeoutError),
        (exceptions.ConnectTimeoutError(POOL, "late"), TimeoutError),
    ],
)
def test_a_request_without_a_reply_is_what_the_standard_library_calls_it(
    error: exceptions.HTTPError, standard: type[Exception]
) -> None:
    told = auth_errors.transport_error(error, "Asking for a token")
    assert isinstance(told, AuthError)
    assert isinstance(told, standard)
    assert str(told).startswith("Asking for a token: ")


def test_an_untrusted_certificate_is_neither_a_lost_connection_nor_a_timeout() -> None:
    told = auth_errors.transport_error(exceptions.SSLError("untrusted"), "Asking for a token")
    assert not isinstance(told, (ConnectionError, TimeoutError))


def test_every_error_of_msoauth_says_its_own_sentence_whatever_else_it_is() -> None:
    def all_of(kind: type[MsoauthError]) -> list[type[MsoauthError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in all_of(child))]

    kinds = [*all_of(StoreError), *all_of(AuthError)]
    standard = [kind for kind in kinds if issubclass(kind, OSError)]
    assert len(standard) >= 6
    for kind in [*standard, CancelledError]:
        error = kind("a sentence")
        assert "a sentence" in str(error)
        assert "a sentence" in error.summary
