"""IMAP's numbers under concurrent changes: two sessions against a plain model of RFC 3501 (5.2, 7.3.1, 7.4.1).

The model knows which messages the folder has and which of them a session was told of; each answer is checked line by
line: numbers change only by an EXPUNGE that is told, and none is told in answer to FETCH, STORE or SEARCH.
"""

import re
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.practice.exchange.conftest import Exchange, Start
from tests.practice.exchange.test_imap import ANNA, answers, log_in

MAIL = "Subject: x\r\n\r\nx\r\n"
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered")
NO_EXPUNGE = ("FETCH", "STORE", "SEARCH")


@dataclass
class Model:
    """The folder as it is: the flags of each message by its UID, in order."""

    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    next_uid: int = 1

    def append(self, flags: frozenset[str]) -> int:
        self.flags[self.next_uid] = flags
        self.next_uid += 1
        return self.next_uid - 1


class Session:
    """A client that believes nothing but what the server tells it."""

    def __init__(self, exchange: Exchange, model: Model, number: int) -> None:
        self.imap, answer = log_in(exchange)
        assert answer.startswith("A2 OK")
        self.model = model
        self.name = f"S{number}"
        self.count = 0
        self.uids: list[int] = []  # of the messages by their numbers
        self.flags: dict[int, frozenset[str]] = {}
        self.told = 0  # the highest UID that the session was told of
        self.select()

    def select(self) -> None:
        lines = self.say("SELECT INBOX")
        self.uids = list(self.model.flags)
        self.flags = dict(self.model.flags)
        self.told = self.model.next_uid - 1
        assert f"* {len(self.uids)} EXISTS" in lines
        assert f"* OK [UIDNEXT {self.model.next_uid}] The next unique identifier value" in lines

    def say(self, command: str) -> list[str]:
        self.count += 1
        return answers(self.imap, f"{self.name}.{self.count} {command}")

    def do(self, command: str) -> list[str]:
        """Say a command and follow its answer; *command* has been applied to the model."""
        lines = self.say(command)
        assert " OK " in lines[-1], lines
        self.follow(lines[:-1], may_expunge=command.partition(" ")[0] not in NO_EXPUNGE)
        return lines

    def follow(self, lines: list[str], *, may_expunge: bool) -> None:
        for line in lines:
            if match := re.fullmatch(r"\* (\d+) EXPUNGE", line):
                assert may_expunge, lines
                gone = self.uids.pop(int(match[1]) - 1)  # fails for a number that is not there
                assert gone not in self.model.flags, (gone, lines)
                del self.flags[gone]
            elif match := re.fullmatch(r"\* (\d+) EXISTS", line):
                new = [uid for uid in self.model.flags if uid > self.told]
                self.told = self.model.next_uid - 1
                self.uids += new
                self.flags |= {uid: self.model.flags[uid] for uid in new}
                assert int(match[1]) == len(self.uids), lines
            elif match := re.fullmatch(r"\* (\d+) FETCH \((.*)\)", line):
                uid = self.uids[int(match[1]) - 1]
                if said := re.search(r"UID (\d+)", match[2]):
                    assert int(said[1]) == uid, lines
                if said := re.search(r"FLAGS \(([^)]*)\)", match[2]):
                    self.flags[uid] = frozenset(said[1].split()) - {"\\Recent"}

    def knows_all(self) -> None:
        """Check that the session sees the folder as it is."""
        self.do("NOOP")
        assert self.uids == list(self.model.flags)
        assert self.flags == self.model.flags
        if self.uids:
            self.do("FETCH 1:* (UID FLAGS)")
        found = self.do("UID SEARCH ALL")[0].split()[2:]
        assert found == [str(uid) for uid in self.uids]


def numbers(of: list[int], picks: list[int]) -> list[int]:
    """Some of the positions, in order."""
    return sorted({pick % len(of) for pick in picks}) if of else []


Step = tuple[str, list[int], frozenset[str], bool]  # what, which, flags, and whether by UID
_PICKS = st.lists(st.integers(0, 9), min_size=1, max_size=3)
_FLAGS = st.frozensets(st.sampled_from(FLAGS), max_size=2)
_STEP = st.one_of(
    st.tuples(st.just("append"), _PICKS, _FLAGS, st.booleans()),
    st.tuples(st.just("deliver"), _PICKS, _FLAGS, st.booleans()),
    st.tuples(st.sampled_from(("+FLAGS", "-FLAGS", "FLAGS")), _PICKS, _FLAGS, st.booleans()),
    st.tuples(
        st.sampled_from(("+FLAGS.SILENT", "expunge", "fetch", "search", "noop", "idle", "move")),
        _PICKS,
        _FLAGS,
        st.booleans(),
    ),
    st.tuples(st.sampled_from(("copy", "close", "delete")), _PICKS, _FLAGS, st.booleans()),
)


def perform(session: Session, exchange: Exchange, step: Step) -> None:
    """Do one step in a session and in the model."""
    name, picks, flags, by_uid = step
    model = session.model
    places = numbers(session.uids, picks)
    uids = [session.uids[place] for place in places]
    prefix = "UID " if by_uid else ""
    chosen = ",".join(
        str(uid if by_uid else place + 1) for uid, place in zip(uids, places, strict=True)
    )
    listed = " ".join(sorted(flags))
    there = [uid for uid in uids if uid in model.flags]
    if name == "append":
        uid = model.append(flags)
        session.imap.send(f"{session.name}.a APPEND INBOX ({listed}) {{{len(MAIL)}+}}")
        session.imap.sock.sendall(MAIL.encode() + b"\r\n")
        lines = [session.imap.line()]
        while not lines[-1].startswith(f"{session.name}.a "):
            lines.append(session.imap.line())
        assert f"[APPENDUID 1 {uid}]" in lines[-1], lines
        session.follow(lines[:-1], may_expunge=True)
    elif name == "deliver":
        model.append(frozenset())
        exchange.mailbox(ANNA).deliver(MAIL.encode())
    elif name == "delete":  # as POP3 does it at QUIT
        box = exchange.mailbox(ANNA).messages
        for uid in there:
            del model.flags[uid]
            box[:] = [m for m in box if m.uid != uid]
    elif "FLAGS" in name and uids:
        for uid in there:
            old = model.flags[uid]
            model.flags[uid] = (
                old | flags if name[0] == "+" else old - flags if name[0] == "-" else flags
            )
        session.do(f"{prefix}STORE {chosen} {name} ({listed})")
        if name.endswith(".SILENT"):
            session.flags |= {
                uid: session.flags[uid] | flags for uid in uids if uid in session.flags
            }
    elif name == "expunge":
        only = set(uids) if by_uid and uids else set(model.flags)
        for uid in [uid for uid in model.flags if uid in only and "\\Deleted" in model.flags[uid]]:
            del model.flags[uid]
        session.do(f"UID EXPUNGE {chosen}" if by_uid and uids else "EXPUNGE")
        assert session.uids == list(model.flags)
    elif name == "fetch" and uids:
        lines = session.do(f"{prefix}FETCH {chosen} (UID RFC822.SIZE)")
        said = [line for line in lines if "RFC822.SIZE" in line]
        assert [int(line.split("UID ")[1].split()[0].rstrip(")")) for line in said] == uids
    elif name == "search":
        session.do(f"{prefix}SEARCH UNDELETED")
    elif name == "noop":
        session.knows_all()
    elif name in ("copy", "move") and uids:
        if name == "move":
            for uid in there:
                del model.flags[uid]
        lines = session.do(f"{prefix}{name.upper()} {chosen} Archive")
        assert any("[COPYUID " in line for line in lines)
    elif name == "close":
        for uid in [uid for uid, marks in model.flags.items() if "\\Deleted" in marks]:
            del model.flags[uid]
        session.say("CLOSE")
        session.select()


def while_idling(idle: Session, other: Session, exchange: Exchange, step: Step) -> None:
    """One session idles while the other does a step; it is told before it says DONE."""
    idle.imap.send(f"{idle.name}.i IDLE")
    assert idle.imap.line() == "+ IDLE accepted, awaiting DONE command."
    for work in (False, True):
        if work:
            perform(other, exchange, step)
        while (idle.uids, idle.flags) != (list(idle.model.flags), idle.model.flags):
            idle.follow([idle.imap.line()], may_expunge=True)
    line = idle.imap.ask("DONE")
    while not line.startswith(f"{idle.name}.i "):  # RECENT, at most
        idle.follow([line], may_expunge=True)
        line = idle.imap.line()
    assert line == f"{idle.name}.i OK IDLE completed."


def test_numbers_are_right_whatever_two_sessions_do(start: Start) -> None:
    exchange = start()

    @settings(max_examples=40)
    @given(steps=st.lists(st.tuples(st.integers(0, 1), _STEP), min_size=4, max_size=25))
    def follow_the_model(steps: list[tuple[int, Step]]) -> None:
        inbox = exchange.mailbox(ANNA).inbox
        inbox.messages.clear()
        model = Model(next_uid=inbox.next_uid)
        sessions = [Session(exchange, model, number) for number in range(2)]
        try:
            for who, step in steps:
                if step[0] == "idle":
                    inner = ("append" if step[3] else "expunge", *step[1:])
                    while_idling(sessions[who], sessions[1 - who], exchange, inner)
                else:
                    perform(sessions[who], exchange, step)
            for session in sessions:
                session.knows_all()
        finally:
            for session in sessions:
                session.say("LOGOUT")
                session.imap.sock.close()

    follow_the_model()
