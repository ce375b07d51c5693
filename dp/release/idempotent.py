"""Once: charge, make, keep; what was released is returned for nothing and never made twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from dp.budget import Budget, BudgetRefused
from dp.errors import LedgerUnreachableError, ReleaseLostError
from dp.ledger import Charge, Entry, Ledger
from dp.permit import Permit

_PAUSES = (1, 2, 4, 8, 15, 30)
"""Seconds between attempts to keep a release when the database is away: a minute together."""


@dataclass(frozen=True)
class Released:
    """Something released and the ledger's entry for it.

    Attributes:
        content: what was released.
        entry: the charge.
        fresh: whether it was made now, or the kept one was returned.
    """

    content: bytes
    entry: Entry
    fresh: bool


@dataclass(frozen=True)
class Request:
    """A release that is wanted.

    Attributes:
        charge: what is about to be spent.
        cap: a cap beside the account's own.
        mark: of the seed that all its noise comes from (`dp.mechanisms.seed`), if any.
        again: whether it may be paid for once more if it was charged before and lost. Whoever tries
            again by itself, after what is paid was announced, says no; what was reserved since then
            has been announced, too.
    """

    charge: Charge
    cap: Budget | None = None
    mark: str | None = None
    again: bool = True


def release_once(
    ledger: Ledger,
    charge: Charge,
    make: Callable[[Permit], bytes],
    *,
    cap: Budget | None = None,
    mark: str | None = None,
    again: bool = True,
) -> Released:
    """Make a release under a charge; the same key returns the same release for nothing.

    The charge is committed before `make` is called. If a process dies after that, noise may have been
    drawn: the charge stays, and the next attempt has a key of its own and pays again. One that died
    before it goes on with the same charge. Who still holds the seed of the noise (`dp.mechanisms.seed`)
    draws the same numbers once more, which is no second release, and pays nothing.

    Args:
        ledger: where the charge is written and the release is kept.
        charge: what is about to be spent.
        make: draws the noise.
        cap: a cap beside the account's own.
        mark: of the seed that all noise of `make` comes from; None if it comes from elsewhere.
        again: whether it may be paid for once more if it was charged before and lost.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was drawn.
        ReleaseLostError: it was lost, and is not to be paid for again; nothing was charged.
    """
    (kept,) = release_each_once(
        ledger,
        [Request(charge, cap, mark, again)],
        lambda permits: {place: make(permit) for place, permit in permits.items()},
    )
    if isinstance(kept, ReleaseLostError):
        raise kept
    assert kept is not None  # noqa: S101  (`make` returns, or raises)
    return kept


def release_each_once(
    ledger: Ledger,
    wanted: Sequence[Request],
    make: Callable[[dict[int, Permit]], dict[int, bytes]],
) -> list[Released | ReleaseLostError | None]:
    """Make several releases at a time, each as `once` would.

    All charges are reserved, or none of them, then committed one by one, and then `make` is called.
    What it does not return was not made: that charge stays, for noise may have been drawn.

    Args:
        ledger: where charges are written and releases are kept.
        wanted: what is about to be spent. The same key twice is one release.
        make: draws the noise of all that are not kept yet; permits and contents by position.

    Returns:
        What was released, by position; None where nothing was made, and an error where it was lost
        and is not to be paid for again: that stops none of the others.

    Raises:
        BudgetRefused: a total would pass its cap; nothing was charged or drawn.
    """
    first = {one.charge.key: place for place, one in reversed(list(enumerate(wanted)))}
    kept: dict[str, Released | ReleaseLostError] = {}
    with ExitStack() as held:
        for key in sorted(first):  # in one order everywhere, or two processes wait for each other
            held.enter_context(ledger.hold(key))
        for key, place in first.items():
            if not wanted[place].again and (lost := _lost(ledger, wanted[place])) is not None:
                kept[key] = lost
        asked = {key: wanted[place] for key, place in first.items() if key not in kept}
        entries = _reserved(ledger, asked)
        permits = {
            first[key]: _permit(ledger, entry, wanted[first[key]].mark)
            for key, entry in entries.items()
            if entry.state != "released"
        }
        contents = make(permits) if permits else {}
        for key, entry in entries.items():
            place = first[key]
            if place not in permits:
                kept[key] = Released(ledger.released(entry.key), entry, fresh=False)
            elif place in contents:
                _keep(ledger, permits[place], contents[place])
                kept[key] = Released(contents[place], replace(entry, state="released"), fresh=True)
    found: list[Released | ReleaseLostError | None] = []
    for place, one in enumerate(wanted):
        result = kept.get(one.charge.key)
        twin = isinstance(result, Released) and place != first[one.charge.key]
        found.append(
            replace(result, fresh=False) if isinstance(result, Released) and twin else result
        )
    return found


def _lost(ledger: Ledger, asked: Request) -> ReleaseLostError | None:
    """What to say if another attempt would be a charge that nobody has announced."""
    key, waiting = _latest(ledger, asked.charge, asked.mark)
    if key == asked.charge.key or (waiting is not None and waiting.state != "voided"):
        return None
    before = ledger.find(asked.charge.key)
    number = before.id if before is not None else 0
    return ReleaseLostError(
        f"ledger entry {number} ({asked.charge.purpose}) was charged and its release was lost with the "
        "process that made it. Its noise may have been drawn, so the charge stays, and it is not made "
        "again by itself, which would be charged once more. Ask for it again: what that costs is "
        "announced first"
    )


def _permit(ledger: Ledger, entry: Entry, mark: str | None) -> Permit:
    if entry.state == "committed" and mark is not None:
        return ledger.repeat(entry, mark)
    return ledger.commit(entry, mark)


def _keep(ledger: Ledger, permit: Permit, content: bytes) -> None:
    """Keep what was drawn; a database that is away for a while is waited for.

    What is written again is the same release: were it given up, the charge would have bought nothing.
    """
    for pause in _PAUSES:
        try:
            return ledger.release(permit, content)
        except LedgerUnreachableError:
            time.sleep(pause)
            if (known := _found(ledger, permit)) is not None and known.state == "released":
                return None  # the answer was lost, not the release
    return ledger.release(permit, content)


def _found(ledger: Ledger, permit: Permit) -> Entry | None:
    try:
        return ledger.find(permit.key)
    except LedgerUnreachableError:
        return None


def _reserved(ledger: Ledger, wanted: Mapping[str, Request]) -> dict[str, Entry]:
    """All of them, or none: where one is refused, those reserved for it are given back."""
    found: dict[str, Entry] = {}
    new: list[Entry] = []
    try:
        for key, asked in wanted.items():
            _, waiting = _latest(ledger, asked.charge, asked.mark)
            found[key] = reserve(ledger, asked.charge, cap=asked.cap, mark=asked.mark)
            if waiting is None or waiting.state == "voided":
                new.append(found[key])
    except BudgetRefused:
        for entry in new:
            ledger.void(entry)
        raise
    return found


def reserve(
    ledger: Ledger, charge: Charge, *, cap: Budget | None = None, mark: str | None = None
) -> Entry:
    """The entry that a release will be made under: reserved, or released if that is done already.

    Where noise may have been drawn and was lost the charge stays, and the next attempt is another one;
    unless `mark` is that of the seed which it was drawn from.

    Raises:
        BudgetRefused: a total would pass its cap.
    """
    key, found = _latest(ledger, charge, mark)
    if found is not None and found.state in ("committed", "released"):
        return found
    return ledger.reserve(replace(charge, key=key), cap=cap)


def is_paid(ledger: Ledger, charge: Charge) -> bool:
    """Whether a release would cost nothing more: it is reserved, or was made."""
    _, found = _latest(ledger, charge, None)
    return found is not None and found.state in ("reserved", "released")


def _latest(ledger: Ledger, charge: Charge, mark: str | None) -> tuple[str, Entry | None]:
    """The key of the attempt that is next, or that can be gone on with, and its entry."""
    attempt, key = 1, charge.key
    while (found := ledger.find(key)) is not None and found.state == "committed":
        if mark is not None and ledger.mark(found) == mark:
            break
        attempt += 1
        key = f"{charge.key}.{attempt}"
    return key, found
