"""Releases of a stream: new counts are charged, noised once and written to the store."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from data.bound import check_regions_ever
from data.panel import Panel
from data.spans import to_span
from data.store import Database, open_store, panel_releases, read_panel
from data.store import released_until as until
from dp import statement
from dp.budget import BudgetRefused
from dp.composition.total import Total
from dp.ledger import Entry, Ledger, local_secret
from dp.mechanisms.count_noise import CountNoise
from dp.release.panel import panel_of
from dp.release.stream import give_back, pieces, release_piece, stream_noise, streamed
from dp.unit.privacy_unit import PrivacyUnit
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.guarantee import Guarantee
from flows.recipe.recipe import Recipe
from flows.settings import Home
from flows.stream.arrivals import Arrivals, first, since
from flows.stream.names import dataset_of, earlier_names, in_use, known_by
from flows.stream.publish import publish


@dataclass(frozen=True)
class Ingested:
    """Result of one release of new counts.

    Attributes:
        stream: name of the stream.
        new: number of intervals released now.
        until: end of the last released interval; None if there is none.
        seen: end of the last interval of the source, released or not.
        entries: numbers of the charges made now.
        refused: why releases have stopped; None if they go on.
    """

    stream: str
    new: int
    until: pd.Timestamp | None
    seen: pd.Timestamp | None
    entries: tuple[int, ...]
    refused: str | None


def arrived(recipe: Recipe, home: Home) -> Arrivals:
    """Read the counts since the last release; nothing is written, so that it can be retried.

    Raises:
        DataError: the source cannot be read, or the new counts do not fit the stream.
        UsageError: the recipe cannot be a stream's.
    """
    stream, store = in_use(recipe, home), open_store(home.database_url)
    end = until(store, stream)
    if end is None:
        return first(recipe.source)
    known = _tail(store, stream, end)
    return since(recipe.source, end, known.interval, known.regions)


def release(recipe: Recipe, home: Home, raw: Arrivals) -> Ingested:
    """Release every interval that was not released yet; none is ever released twice.

    One process at a time works on a stream. Releases that an earlier process did not get to append are
    appended first; charges that it only reserved are voided.

    Args:
        recipe: of the stream.
        home: where store and ledger are.
        raw: by `arrived`.

    Raises:
        UsageError: the recipe cannot be a stream's.
    """
    stream, ledger = in_use(recipe, home), Ledger(home.database_url)
    with ledger.hold(f"stream {stream}"):
        return _Release(recipe, home, stream, ledger, open_store(home.database_url)).all(raw)


@dataclass(frozen=True)
class _Release:
    recipe: Recipe
    home: Home
    stream: str
    ledger: Ledger
    store: Database

    @property
    def unit(self) -> PrivacyUnit:
        return PrivacyUnit(self.recipe.privacy.unit)

    @property
    def earlier(self) -> tuple[str, ...]:
        return earlier_names(self.recipe)

    def dataset(self, raw: Arrivals) -> str:
        """Return the data set that is charged; an account opened under the stream's name is kept."""
        written = panel_releases(self.store, self.stream)
        opened = self.ledger.entry(written[-1].ledger_entry).dataset if written else ""
        named = opened in (self.stream, *self.earlier)
        return dataset_of(self.recipe, opened if named else raw.source)

    def all(self, raw: Arrivals) -> Ingested:
        end = self._recovered()
        seen = raw.counts.index[-1] + raw.interval if len(raw.counts) else end
        if end is not None:  # another process may have been faster
            raw = replace(raw, counts=raw.counts[raw.counts.index >= end])
        if not len(raw.counts):
            return Ingested(self.stream, 0, end, seen, (), None)
        noise, reasons = noise_of(
            self.recipe,
            raw.interval,
            len(raw.counts.columns),
            raw.regions_per_interval,
            raw.counts.index[0],
        )
        entries: list[int] = []
        new, refused = 0, None
        for counts in self._pieces(raw):
            try:
                entry = self._publish(counts, raw, noise, reasons)
            except BudgetRefused as error:
                refused = str(error)
                break
            entries.append(entry.id)
            new += int(counts.notna().all(axis=1).sum())
            end = counts.index[-1] + raw.interval
        return Ingested(self.stream, new, end, seen, tuple(entries), refused)

    def _pieces(self, raw: Arrivals) -> list[pd.DataFrame]:
        observed = raw.counts.notna().all(axis=1).to_numpy()
        if not observed.any():
            return []
        counts = raw.counts.iloc[observed.argmax() :]
        times = pd.DatetimeIndex(counts.index)
        cut = pieces(times, raw.interval.to_pytimedelta(), self.unit)
        parts = [counts.iloc[part] for part in cut]
        return [part for part in parts if part.notna().all(axis=1).any()]

    def _publish(
        self, counts: pd.DataFrame, raw: Arrivals, noise: CountNoise, reasons: tuple[str, ...]
    ) -> Entry:
        """Release one piece of the new counts, and append it to the store."""
        release = release_piece(
            counts,
            noise,
            ledger=self.ledger,
            unit=self.unit,
            interval=raw.interval.to_pytimedelta(),
            secret=local_secret(self.home.secret),
            dataset=self.dataset(raw),
            stream=self.stream,
            earlier=(self.stream, *self.earlier),
            draw=self.recipe.privacy.draw,
            intervals_per_unit=self.recipe.privacy.intervals_per_unit,
            regions_ever=self.recipe.source.regions_ever,
            aliases=known_by(self.recipe, self.stream),
            timezone=raw.timezone,
            bound=reasons,
            population=self.recipe.source.population,
            recipe=self.recipe.to_dict(),
        )
        publish(self.store, self.stream, release.counts, release.entry, interval=raw.interval)
        return release.entry

    def _recovered(self) -> pd.Timestamp | None:
        """Bring store and ledger into agreement, and return the end of what is released."""
        written = panel_releases(self.store, self.stream)
        last = max((release.ledger_entry for release in written), default=0)
        missing = streamed(self.ledger, self.stream, self.unit, last, earlier=self.earlier)
        for entry in missing:
            if entry.state == "released":
                counts = panel_of(self.ledger.released(entry.key))
                counts.index.name = "time"
                length = pd.Timedelta(entry.period.interval)
                publish(self.store, self.stream, counts, entry, interval=length)
        give_back(self.ledger, tuple(entry for entry in missing if entry.state == "reserved"))
        return until(self.store, self.stream)


def noise_of(
    recipe: Recipe,
    interval: pd.Timedelta,
    regions: int,
    per_interval: int | None,
    start: pd.Timestamp,
) -> tuple[CountNoise, tuple[str, ...]]:
    """Return the stream's noise, and the reasons for its contribution bound.

    Raises:
        UsageError: the recipe lacks a bound or declares one that does not fit.
    """
    privacy, lasts = recipe.privacy, None
    per_interval = recipe.source.regions_per_interval or per_interval
    try:
        check_regions_ever(
            recipe.source.regions_ever, regions=regions, regions_per_interval=per_interval
        )
        if recipe.stream.lasts is not None:
            lasts = int(to_span(recipe.stream.lasts) // interval)
        return stream_noise(
            privacy.budget,
            PrivacyUnit(privacy.unit),
            lasts=lasts,
            interval=interval.to_pytimedelta(),
            regions=regions,
            regions_per_interval=per_interval,
            intervals_per_unit=privacy.intervals_per_unit,
            weight=privacy.weight,
            start=start,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def panel(recipe: Recipe, home: Home, *, start: pd.Timestamp | None = None) -> Panel:
    """Return the released counts of the stream, with gaps as rows of NaN."""
    store = open_store(home.database_url)
    at = None if start is None else start.to_pydatetime()
    return read_panel(store, in_use(recipe, home), start=at)


def guarantee(recipe: Recipe, counts: Panel, home: Home) -> Guarantee:
    """Return the guarantee of the stream, which holds for everything made from it."""
    stream, unit = in_use(recipe, home), PrivacyUnit(recipe.privacy.unit)
    ledger = Ledger(home.database_url)
    last = streamed(ledger, stream, unit, earlier=earlier_names(recipe))[-1]
    dataset = last.dataset
    noise, reasons = noise_of(
        recipe, counts.interval, len(counts.regions), last.event["regions"], counts.times[0]
    )
    delta = noise.budget.delta
    account = ledger.account(dataset, unit)
    worst = ledger.worst(account)
    guarantee: Document = statement.stream(
        noise,
        unit,
        reasons=reasons,
        spent=ledger.spent(dataset, unit, delta),
        persons=recipe.source.persons,
        total=max(worst, key=lambda total: total.epsilon(delta), default=Total()),
        clock=last.timezone,
        cap=account.cap,
    )
    return Guarantee(
        statement=guarantee,
        unit=unit.value,
        neighbours=unit.neighbours,
        epsilon=guarantee["epsilon"],
        delta=delta,
        sensitivity=noise.bound.sensitivity,
        sigma=noise.sigma,
        sigma_unshared=noise.sigma,
        ledger_entry=last.id,
        stream=stream,
    )


def _tail(store: Database, stream: str, end: pd.Timestamp) -> Panel:
    """Return the last days of a stream, from which its interval and its regions are read."""
    return read_panel(store, stream, start=(end - pd.Timedelta(days=8)).to_pydatetime())
