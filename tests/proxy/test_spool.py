"""The disk of an outage: what was told to be there is there after kill -9."""

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from proxy_world import soon

from proxy.protocol.held import Doubt, Entry, Kind, TagInfo
from proxy.protocol.replay import PROVISIONAL_FROM
from proxy.spool import FileSpool, InlineSpool, Spool

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WRITER = """
import asyncio, sys
from datetime import datetime, UTC
from pathlib import Path
from proxy.protocol.held import Entry, Kind
from proxy.spool import FileSpool

async def main():
    spool = FileSpool(Path(sys.argv[1]))
    for number in range(100_000):
        entry = Entry(Kind.START, "StartTransaction", b"{}", f"{sys.argv[2]} {number}", datetime.now(UTC))
        spool.do(lambda book, entry=entry: book.keep("CP", entry), lambda kept: print(kept.transaction, flush=True))
        if number % 7 == 0:
            await asyncio.sleep(0.001)

asyncio.run(main())
"""


def entry(key: str = "k", kind: Kind = Kind.START) -> Entry:
    return Entry(kind, "StartTransaction", b'{"a": 1.50}', key, NOW)


async def ask(spool: Spool, work):
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    spool.do(work, answer.set_result)
    return await soon(answer)


@pytest.fixture(params=["file", "inline"])
async def spool(request, tmp_path):
    made = FileSpool(tmp_path / "spool.db") if request.param == "file" else InlineSpool()
    yield made
    made.close()


async def test_what_was_told_is_there_after_kill_9(tmp_path):
    file = tmp_path / "spool.db"
    told: list[int] = []
    for life in range(3):
        command = [sys.executable, "-c", WRITER, str(file), str(life)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=Path.cwd())
        told += [int(await asyncio.wait_for(process.stdout.readline(), 30)) for _ in range(40 + 13 * life)]
        process.kill()
        rest = await process.stdout.read()
        told += [int(line) for line in rest.splitlines() if len(line) == 10]
        assert await process.wait() == -signal.SIGKILL
    spool = FileSpool(file)
    kept = [stored.transaction for stored in await ask(spool, lambda book: book.head("CP", 10**6))]
    spool.close()
    assert set(told) <= set(kept)
    assert len(set(kept)) == len(kept)


async def test_a_repeat_is_known_and_keeps_its_id(spool):
    first = await ask(spool, lambda book: book.keep("CP", entry()))
    again = await ask(spool, lambda book: book.keep("CP", entry()))
    other = await ask(spool, lambda book: book.keep("CP2", entry()))
    assert (first.repeated, again.repeated, other.repeated) == (False, True, False)
    assert first.transaction == again.transaction != other.transaction
    assert first.transaction >= PROVISIONAL_FROM
    await ask(spool, lambda book: book.done(first.seq, 7, NOW))
    known = await ask(spool, lambda book: book.load("CP", NOW))
    assert (known.pending, known.transactions, known.done) == (
        0,
        ((first.transaction, 7),),
        (("k", first.transaction),),
    )
    assert (await ask(spool, lambda book: book.load("CP", NOW + timedelta(days=2)))).done == ()
    assert (await ask(spool, lambda book: book.keep("CP", entry()))).is_done


async def test_only_the_latest_of_its_kind_waits_and_at_its_place(spool):
    for key, kind in (("status", Kind.LATEST), ("meter", Kind.IN_TRANSACTION), ("status", Kind.LATEST)):
        await ask(spool, lambda book, key=key, kind=kind: book.keep("CP", entry(key, kind)))
    assert [stored.entry.key for stored in await ask(spool, lambda book: book.head("CP", 9))] == ["meter", "status"]


async def test_who_was_let_in(spool):
    await ask(spool, lambda book: book.remember("CP", b"Basic x", "ocpp1.6"))
    assert await ask(spool, lambda book: book.admits("CP", b"Basic x")) == (True, "ocpp1.6")
    assert await ask(spool, lambda book: book.admits("CP", b"Basic y")) == (False, None)
    assert await ask(spool, lambda book: book.admits("CP2", b"Basic x")) == (False, None)
    await ask(spool, lambda book: book.forget("CP", b"Basic y"))
    assert await ask(spool, lambda book: book.admits("CP", b"Basic x")) == (True, "ocpp1.6"), "not its own password"
    await ask(spool, lambda book: book.forget("CP", b"Basic x"))
    assert await ask(spool, lambda book: book.admits("CP", b"Basic x")) == (False, None)


async def test_tags_and_doubts(spool):
    info = TagInfo(NOW, "P")
    await ask(spool, lambda book: book.set_tag("csms", "T", info))
    await ask(spool, lambda book: book.set_tag("csms", "U", TagInfo()))
    await ask(spool, lambda book: book.set_tag("csms", "U", None))
    assert await ask(spool, lambda book: book.tags("csms")) == {"T": info}
    stored = await ask(spool, lambda book: book.keep("CP", entry()))
    doubt = Doubt("CP", 1, "T", "2026", stored.transaction, None, 2, NOW)
    await ask(spool, lambda book: book.sending(stored.seq, doubt))
    await ask(spool, lambda book: book.set_aside(stored.seq, None))
    assert await ask(spool, lambda book: book.doubts()) == [doubt]
    assert (await ask(spool, lambda book: book.load("CP", NOW))).given_up == (stored.transaction,)


async def test_a_step_that_fails_takes_no_other_with_it(spool):
    answers = [
        ask(spool, lambda book: book.keep("CP", entry("a"))),
        ask(spool, lambda book: book.keep("CP", None)),
        ask(spool, lambda book: book.keep("CP", entry("b"))),
    ]
    kept, failed, also = await asyncio.gather(*answers)
    assert isinstance(failed, AttributeError)
    assert [stored.seq for stored in (kept, also)] == [
        stored.seq for stored in await ask(spool, lambda b: b.head("CP", 9))
    ]


async def test_what_is_old_is_forgotten_and_what_waits_is_not(spool):
    done = await ask(spool, lambda book: book.keep("CP", entry("done")))
    await ask(spool, lambda book: book.keep("CP", entry("waits")))
    await ask(spool, lambda book: book.done(done.seq, 7, NOW))
    await ask(spool, lambda book: book.prune(NOW + timedelta(days=60)))
    known = await ask(spool, lambda book: book.load("CP", NOW))
    assert (known.pending, known.transactions) == (1, ())


async def test_a_file_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "spool.db").write_text("this is no database, and far too long to be taken for an empty one" * 20)
    with pytest.raises(OSError, match="cannot be used as the spool"):
        FileSpool(tmp_path / "spool.db")
