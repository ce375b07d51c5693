"""Idempotent releases: a request that was paid for returns the same release."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from dp.budget import Budget, BudgetRefused
from dp.errors import LedgerUnreachableError, ReleaseLostError
from dp.ledger import Charge, Entry, Ledger
from dp.permit import Permit

_PAUSES = (1, 2, 4, 8, 15, 30)
"""Seconds between attempts to store a release while the database is away: one minute in total."""


@dataclass(frozen=True)
class Released:
    """A release and the ledger's entry for it.

    Attributes:
        content: what was released.
        entry: the charge.
        fresh: whether it was made now; otherwise the stored one was returned.
    """

    content: bytes
    entry: Entry
    fresh: bool


@dataclass(frozen=True)
class Seeds:
    """Seeds of groups that a stream's release begins or ends (`dp.mechanisms.kept_offsets`).

    Attributes:
        keep: sealed seed of the group that begins with it, if further pieces may come.
        begun: entries whose groups are over when it is committed.
        done: entries whose groups are over when it is released.
    """

    keep: bytes | None = field(default=None, repr=False)
    begun: tuple[int, ...] = ()
    done: tuple[int, ...] = ()


_NONE = Seeds()


@dataclass(frozen=True)
class Request:
    """A requested release.

    Attributes:
        charge: what is about to be spent.
        cap: a cap beside the account's own.
        mark: of the seed that all its noise comes from (`dp.mechanisms.seed`), if any.
        again: whether it may be paid for once more if it was charged before and lost. False for
            automatic retries, whose cost has not been announced again; a reservation made since the
            announcement is covered by it.
        seeds: what it does to the seeds of a stream's groups.
    """

    charge: Charge
    cap: Budget | None = None
    mark: str | None = None
    again: bool = True
    seeds: Seeds = _NONE


def release_once(
    ledger: Ledger,
    charge: Charge,
    make: Callable[[Permit], bytes],
    *,
    cap: Budget | None = None,
    mark: str | None = None,
    again: bool = True,
    seeds: Seeds = _NONE,
) -> Released:
    """Make a release under a charge; the same key returns the same release at no further cost.

    The charge is committed before `make` is called. If a process dies after that, noise may have been
    drawn: the charge stays, and the next attempt has a key of its own and pays again. If it dies
    before that, the next attempt continues with the same charge. A caller that still holds the seed of
    the noise (`dp.mechanisms.seed`) draws the same numbers again, which is no second release and costs
    nothing.

    Args:
        ledger: where the charge is written and the release is stored.
        charge: what is about to be spent.
        make: draws the noise.
        cap: a cap beside the account's own.
        mark: of the seed that all noise of `make` comes from; None if it comes from elsewhere.
        again: whether it may be paid for once more if it was charged before and lost.
        seeds: what it does to the seeds of a stream's groups.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was drawn.
        ReleaseLostError: it was lost, and is not to be paid for again; nothing was charged.
    """
    (released,) = release_each_once(
        ledger,
        [Request(charge, cap, mark, again, seeds)],
        lambda permits: {place: make(permit) for place, permit in permits.items()},
    )
    if isinstance(released, ReleaseLostError):
        raise released
    assert released is not None  # noqa: S101  (`make` returns, or raises)
    return released


def release_each_once(
    ledger: Ledger,
    requests: Sequence[Request],
    make: Callable[[dict[int, Permit]], dict[int, bytes]],
) -> list[Released | ReleaseLostError | None]:
    """Make several releases at a time, each as `release_once` does.

    All charges are reserved, or none of them; then they are committed one by one, and then `make` is
    called. A content that it does not return was not made: the charge stays, because noise may have
    been drawn.

    Args:
        ledger: where charges are written and releases are stored.
        requests: the releases. The same key twice is one release.
        make: draws the noise of all that are not stored yet; permits and contents by position.

    Returns:
        The releases by position; None where nothing was made, and an error where one was lost and is
        not to be paid for again, which does not affect the others.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was charged or drawn.
    """
    first = {request.charge.key: place for place, request in reversed(list(enumerate(requests)))}
    results: dict[str, Released | ReleaseLostError] = {}
    with ExitStack() as held:
        for key in sorted(first):  # in one order everywhere, or two processes wait for each other
            held.enter_context(ledger.hold(key))
        for key, place in first.items():
            if not requests[place].again and (lost := _lost(ledger, requests[place])) is not None:
                results[key] = lost
        pending = {key: requests[place] for key, place in first.items() if key not in results}
        entries = _reserve_all(ledger, pending)
        permits = {
            first[key]: _permit(ledger, entry, requests[first[key]])
            for key, entry in entries.items()
            if entry.state != "released"
        }
        contents = make(permits) if permits else {}
        for key, entry in entries.items():
            place = first[key]
            if place not in permits:
                results[key] = Released(ledger.released(entry.key), entry, fresh=False)
            elif place in contents:
                _keep(ledger, permits[place], contents[place], requests[place].seeds.done)
                released = replace(entry, state="released")
                results[key] = Released(contents[place], released, fresh=True)
    ordered: list[Released | ReleaseLostError | None] = []
    for place, request in enumerate(requests):
        result = results.get(request.charge.key)
        twin = isinstance(result, Released) and place != first[request.charge.key]
        ordered.append(
            replace(result, fresh=False) if isinstance(result, Released) and twin else result
        )
    return ordered


def _lost(ledger: Ledger, request: Request) -> ReleaseLostError | None:
    """Return the error for a lost release whose next attempt would be an unannounced charge."""
    key, waiting = _latest(ledger, request.charge, request.mark)
    if key == request.charge.key or (waiting is not None and waiting.state != "voided"):
        return None
    before = ledger.find(request.charge.key)
    number = before.id if before is not None else 0
    return ReleaseLostError(
        f"ledger entry {number} ({request.charge.purpose}) was charged and its release was lost with "
        "the process that made it. Its noise may have been drawn, so the charge stays, and it is not "
        "made again by itself, which would be charged once more. Ask for it again: what that costs is "
        "announced first"
    )


def _permit(ledger: Ledger, entry: Entry, request: Request) -> Permit:
    mark, seeds = request.mark, request.seeds
    if entry.state == "committed" and mark is not None:
        return ledger.repeat(entry, mark)
    return ledger.commit(entry, mark, keep=seeds.keep, over=seeds.begun)


def _keep(ledger: Ledger, permit: Permit, content: bytes, over: tuple[int, ...]) -> None:
    """Store a release; wait for a database that is away for a while.

    Every attempt writes the same release; if it were given up, the charge would have bought nothing.
    """
    for pause in _PAUSES:
        try:
            return ledger.release(permit, content, over=over)
        except LedgerUnreachableError:
            time.sleep(pause)
            if (entry := _find(ledger, permit)) is not None and entry.state == "released":
                return None  # the answer was lost, not the release
    return ledger.release(permit, content, over=over)


def _find(ledger: Ledger, permit: Permit) -> Entry | None:
    try:
        return ledger.find(permit.key)
    except LedgerUnreachableError:
        return None


def _reserve_all(ledger: Ledger, requests: Mapping[str, Request]) -> dict[str, Entry]:
    """Reserve all requests or none: where one is refused, the others are given back."""
    entries: dict[str, Entry] = {}
    new: list[Entry] = []
    try:
        for key, request in requests.items():
            _, waiting = _latest(ledger, request.charge, request.mark)
            entries[key] = reserve(ledger, request.charge, cap=request.cap, mark=request.mark)
            if waiting is None or waiting.state == "voided":
                new.append(entries[key])
    except BudgetRefused:
        for entry in new:
            ledger.void(entry)
        raise
    return entries


def reserve(
    ledger: Ledger, charge: Charge, *, cap: Budget | None = None, mark: str | None = None
) -> Entry:
    """Return the entry to make a release under: reserved, or released if it was made already.

    Where noise may have been drawn and was lost, the charge stays and the next attempt is a new one,
    unless `mark` is that of the seed the noise was drawn from.

    Raises:
        BudgetRefused: a total would pass its cap.
    """
    key, entry = _latest(ledger, charge, mark)
    if entry is not None and entry.state in ("committed", "released"):
        return entry
    return ledger.reserve(replace(charge, key=key), cap=cap)


def is_paid(ledger: Ledger, charge: Charge) -> bool:
    """Return whether a release would cost nothing more: it is reserved, or was made."""
    _, entry = _latest(ledger, charge, None)
    return entry is not None and entry.state in ("reserved", "released")


def _latest(ledger: Ledger, charge: Charge, mark: str | None) -> tuple[str, Entry | None]:
    """Return the key and the entry of the next attempt, or of one that can be continued."""
    attempt, key = 1, charge.key
    while (entry := ledger.find(key)) is not None and entry.state == "committed":
        if mark is not None and ledger.mark(entry) == mark:
            break
        attempt += 1
        key = f"{charge.key}.{attempt}"
    return key, entry
