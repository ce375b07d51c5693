"""`veilcast check`: findings about a source, without training anything."""

from __future__ import annotations

from typing import Any

from data import sources, validate


def check_source(source: str, max_gap: str) -> dict[str, Any]:
    """Findings about a source and, if it is usable, its outline. Quotes no count."""
    table = sources.read(source)
    found = validate.findings(table, max_gap=max_gap)
    usable = not any(finding.severity == "error" for finding in found)
    document: dict[str, Any] = {
        "source": table.name,
        "usable": usable,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "column": finding.column,
                "rows": list(finding.rows),
                "count": finding.count,
                "fix": finding.fix,
                "text": str(finding),
            }
            for finding in found
        ],
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
            "persons": panel.persons,
        }
    return document
