"""Releases of a stream: new counts are charged, noised once and written to the store."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from data.bound import check_regions_ever
from data.nesting import parents_of
from data.panel import Panel
from data.spans import to_span
from data.store import Database, open_store, panel_releases, read_panel
from data.store import released_until as until
from dp import statement
from dp.budget import BudgetRefused
from dp.composition.total import Total
from dp.errors import SeedGoneError
from dp.ledger import Entry, Ledger, local_secret
from dp.mechanisms.design import Noise
from dp.release.panel import panel_of
from dp.release.stream import pieces, release_piece, stream_noise
from dp.release.stream_entries import give_back, is_independent, streamed
from dp.release.stream_groups import charged_noise, group_ends, lost_spans, shares_offsets
from dp.unit.contribution_set import ContributionSet
from dp.unit.privacy_unit import PrivacyUnit
from flows.document import Document
from flows.errors import UsageError
from flows.pipeline.guarantee import Guarantee
from flows.pipeline.privatise import further_reasons
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
        known = streamed(self.ledger, self.stream, self.unit, earlier=self.earlier)
        noise, reasons = noise_of(
            self.recipe,
            raw.interval,
            tuple(str(name) for name in raw.counts.columns),
            raw.regions_per_interval,
            raw.counts.index[0],
            independent=is_independent(known),
        )
        entries: list[int] = []
        new, refused = 0, None
        parts = self._pieces(raw, noise, known)
        for place, counts in enumerate(parts):
            try:
                entry = self._publish(counts, raw, noise, reasons)
            except BudgetRefused as error:
                refused = str(error)
                break
            except SeedGoneError:
                if place == len(parts) - 1:
                    raise
                continue  # a later group has begun: what is left of this one stays a gap
            entries.append(entry.id)
            new += int(counts.notna().all(axis=1).sum())
            end = counts.index[-1] + raw.interval
        return Ingested(self.stream, new, end, seen, tuple(entries), refused)

    def _pieces(self, raw: Arrivals, noise: Noise, known: tuple[Entry, ...]) -> list[pd.DataFrame]:
        """Cut new counts into pieces; those that were drawn and lost under shared offsets stay gaps."""
        frame = raw.counts.copy()
        lost = lost_spans(known)
        for start, end in lost:
            frame.loc[(frame.index >= start) & (frame.index < end)] = float("nan")
        observed = frame.notna().all(axis=1).to_numpy()
        if not observed.any():
            return []
        counts = frame.iloc[observed.argmax() :]
        times, interval = pd.DatetimeIndex(counts.index), raw.interval.to_pytimedelta()
        borders = [moment for span in lost for moment in span]
        borders += group_ends(noise, known, times[0].to_pydatetime(), interval)
        parts = [counts.iloc[part] for part in pieces(times, interval, self.unit, borders)]
        return [part for part in parts if part.notna().all(axis=1).any()]

    def _publish(
        self, counts: pd.DataFrame, raw: Arrivals, noise: Noise, reasons: tuple[str, ...]
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
    regions: tuple[str, ...],
    per_interval: int | None,
    start: pd.Timestamp,
    *,
    independent: bool = False,
) -> tuple[Noise, tuple[str, ...]]:
    """Return the stream's noise, and the reasons for its contribution bound.

    Args:
        recipe: of the stream.
        interval: length of one.
        regions: names, in order.
        per_interval: M, if the source declares it.
        start: of an interval.
        independent: whether the stream began with independent noise, with which it goes on.

    Raises:
        UsageError: the recipe lacks a bound or declares one that does not fit.
    """
    privacy, source, lasts = recipe.privacy, recipe.source, None
    per_interval = source.regions_per_interval or per_interval or source.regions_ever
    try:
        check_regions_ever(
            source.regions_ever, regions=len(regions), regions_per_interval=per_interval
        )
        if recipe.stream.lasts is not None:
            lasts = int(to_span(recipe.stream.lasts) // interval)
        parents = parents_of(source.nested, regions)
        noise, reasons = stream_noise(
            privacy.budget,
            PrivacyUnit(privacy.unit),
            lasts=lasts,
            interval=interval.to_pytimedelta(),
            regions=len(regions),
            regions_per_interval=per_interval,
            intervals_per_unit=privacy.intervals_per_unit,
            weight=privacy.weight,
            start=start,
            ever=source.regions_ever,
            parents=parents,
            independent=independent or privacy.noise == "independent",
        )
        known = ContributionSet(noise.bound, len(regions), source.regions_ever or 0, parents)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return noise, (*reasons, *further_reasons(source.nested, known, enforced=False))


def panel(recipe: Recipe, home: Home, *, start: pd.Timestamp | None = None) -> Panel:
    """Return the released counts of the stream, with gaps as rows of NaN."""
    store = open_store(home.database_url)
    at = None if start is None else start.to_pydatetime()
    return read_panel(store, in_use(recipe, home), start=at)


def guarantee(recipe: Recipe, counts: Panel, home: Home) -> Guarantee:
    """Return the guarantee of the stream, which holds for everything made from it."""
    stream, unit = in_use(recipe, home), PrivacyUnit(recipe.privacy.unit)
    ledger = Ledger(home.database_url)
    known = streamed(ledger, stream, unit, earlier=earlier_names(recipe))
    last = known[-1]
    dataset = last.dataset
    noise, reasons = noise_of(
        recipe,
        counts.interval,
        counts.regions,
        last.event["regions"],
        counts.times[0],
        independent=is_independent(known),
    )
    if shares_offsets(last) and noise.event() != charged_noise(last).event():
        # its group goes on with the noise that it was charged for, whatever the recipe says by now
        noise, reasons = charged_noise(last), last.bound
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
        sigma=noise.deviation,
        sigma_unshared=noise.sigma,
        ledger_entry=last.id,
        stream=stream,
    )


def _tail(store: Database, stream: str, end: pd.Timestamp) -> Panel:
    """Return the last days of a stream, from which its interval and its regions are read."""
    return read_panel(store, stream, start=(end - pd.Timedelta(days=8)).to_pydatetime())
