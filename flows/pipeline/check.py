"""`veilcast check`: findings about a source, without training anything."""

from __future__ import annotations

from data import sources, validate
from flows.document import Document
from flows.recipe.load import compose
from flows.recipe.recipe import from_dict

RAW = "read off raw counts, not a private release"


def check_source(source: str, max_gap: str, events: tuple[str, ...] | None = None) -> Document:
    """Findings about a source and, if it is usable, its outline. Quotes no count.

    Some findings are read off the raw counts, and so is what raw events are not declared to have: the
    document says which. It is for whoever may see the source, and is kept nowhere.

    Args:
        source: what `--source` of train takes.
        max_gap: the longest gap that may be repaired.
        events: settings of the recipe (`section.field=value`) if it holds raw events.
    """
    undeclared: tuple[str, ...] = ()
    if events is None:
        table = sources.read(source)
    else:
        from data.events.declared import declared
        from flows.pipeline import read

        options = {"source.name": source, "source.events": True}
        recipe = from_dict(compose(None, options, list(events)))
        table = read.read(recipe, look=True)
        undeclared = declared(recipe.source.name, recipe.events).missing
    findings = validate.findings(table, max_gap=max_gap, values=True)
    usable = not any(finding.severity == "error" for finding in findings)
    document: Document = {
        "source": table.name,
        "usable": usable,
        "findings": [
            {
                "rule": finding.rule,
                "reads": finding.reads,
                "severity": finding.severity,
                "column": finding.column,
                "rows": list(finding.rows),
                "count": finding.count,
                "fix": finding.fix,
                "text": str(finding),
                "release": RAW if finding.reads == "values" else None,
            }
            for finding in findings
        ],
        "undeclared": list(undeclared),
        "release": RAW,
    }
    if usable:
        panel, _ = validate.to_panel(table, max_gap=max_gap)
        document |= {
            "intervals": int(panel.observed.sum()),
            "interval": f"{panel.interval.total_seconds() / 60:g} minutes",
            "from": str(panel.times[0]),
            "to": str(panel.times[-1] + panel.interval),
            "regions": list(panel.regions),
            "regions_per_interval": panel.regions_per_interval,
            "regions_ever": panel.regions_ever,
            "persons": panel.persons,
        }
    return document
