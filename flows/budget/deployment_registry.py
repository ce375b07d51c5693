"""The ledger in the shape of the public registry of differential-privacy deployments.

One deployment per account, in the schema of OpenDP's registry (`opendp/deployments-registry-data`, as
of July 2026). What the ledger cannot know is marked as `TO FILL IN`, for its owner to replace, or left
out where the schema allows no such mark.
"""

from __future__ import annotations

import re
from collections import Counter

from dp.composition.total import COUNTS, OFFSETS, PIECE, RUNS, TRAINING
from dp.statement import caveats, disclosed
from dp.statement.code_version import code_version
from flows.document import Document

FILL_IN = "TO FILL IN by the data owner"
_REPOSITORY_RULE = (
    "Before it is sent in: replace every `TO FILL IN`, add `data_product_sector` (the ledger does not "
    "know it, and the schema takes only its own values), set `publication_date` to the day of "
    "publication (here it is the day of the first charge), and let the registry's script "
    "`update_slug.py` write `url_slug` anew."
)


def deployments(document: Document) -> list[Document]:
    """Return entries for the registry; an account without charges is no deployment.

    Args:
        document: the exported ledger (`flows.budget.accounts.export`).
    """
    entries = []
    names: Counter[str] = Counter()
    for account in document["accounts"]:
        live = _live(account, document["entries"])
        if not live:
            continue
        name = f"{_short(account['dataset'])}, unit {account['unit']}"
        names[_clean(name)] += 1
        if names[_clean(name)] > 1:  # slugs are made from names, and are unique in the registry
            name += f", account {names[_clean(name)]}"
        entries.append(_deployment(name, account, live))
    return entries


def to_yaml(entries: list[Document]) -> str:
    """Return the entries as YAML, one document each, below a comment that names its file."""
    import yaml

    parts = []
    for entry in entries:
        body = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True)
        name = re.sub("[^a-z0-9]+", "_", entry["url_slug"]).strip("_")
        parts.append(f"---\n# deployments/{name}.yaml\n{body}")
    return "".join(parts)


def _live(account: Document, entries: list[Document]) -> list[Document]:
    return [
        entry
        for entry in entries
        if entry["dataset"] == account["dataset"] and entry["state"] != "voided"
    ]


def _short(dataset: str) -> str:
    """Return the name of a data set without its folders or its server."""
    return re.split(r"[/\\]", dataset.rstrip("/\\"))[-1] or dataset


def _clean(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower())


def _slug(basic: Document) -> str:
    """Return the slug that the registry would make: name, curators and year."""
    parts = (basic["name"], "-".join(basic["data_curators"]), basic["publication_date"][:4])
    return "_".join(_clean(part) for part in parts).replace("_", "-")


def _deployment(name: str, account: Document, live: list[Document]) -> Document:
    basic = {
        "name": name,
        "data_curators": [FILL_IN],
        "intended_use": "Forecasts of how many people will be in each region",
        "data_product_type": _product(live),
        "data_product_region": FILL_IN,
        "description": f"{_products(live)}. {FILL_IN}: what the data set is.",
        "publication_date": live[0]["time"][:10],
    }
    return {
        "url_slug": _slug(basic),
        "status": "Draft",
        "tier": 3,
        "deployment": {
            "basic": basic,
            "dp_variant": {
                "variant_name": "Approximate DP",
                "data_domain": account["population"]
                or f"{FILL_IN}: whose records may be in the data",
                "unprotected_quantities": f"{'; '.join(_unprotected(live))}.",
            },
            "privacy_loss": _loss(account),
            "deployment_model": _model(account, live),
            "accounting": {
                "post_processing": "Repair of gaps, scaling, training and forecasts after the noise; "
                "for private trainings, the weights' forecasts (from raw counts, unless these were "
                "noised and charged, too)",
                "composition": "Gaussians exactly, trainings as privacy loss distributions, both "
                "together by their dominating pairs; units that cannot be in two periods in parallel",
            },
            "implementation": _implementation(live),
            "administrative": {"notes": _REPOSITORY_RULE, "registry_authors": [FILL_IN]},
        },
    }


def _loss(account: Document) -> Document:
    """Return unit and parameters; no epsilon if none is finite at the account's delta."""
    terms = f"unit {account['unit']}, neighbours: {account['neighbours']}"
    subject = {
        "privacy_unit": account["unit"],
        "privacy_unit_details": f"{account['protects']}; neighbouring data sets: "
        f"{account['neighbours']}",
    }
    if account["epsilon_spent"] is None:
        return {
            **subject,
            "privacy_parameters_details": f"No finite epsilon at delta {account['delta']:g} "
            f"({terms}): something was released that promises it nothing.",
        }
    return {
        **subject,
        "privacy_parameters": {"epsilon": account["epsilon_spent"], "delta": account["delta"]},
        "privacy_parameters_details": f"All releases so far together, for the most affected unit "
        f"({terms}). {_cap(account)}",
    }


def _model(account: Document, live: list[Document]) -> Document:
    several = len(live) > 1
    panels = len({entry["fingerprint"] for entry in live})
    return {
        "model_name": "Central",
        "model_name_details": "The curator sees the counts and adds the noise",
        "actors": "Trusted: the curator, who sees the raw counts, and the administrators of its "
        f"machines. Not trusted: everybody who sees what was released. {FILL_IN}: who these are.",
        "release_type": "Many releases" if several else "One release",
        "release_type_details": f"{len(live)} {'releases' if several else 'release'} so far; nothing "
        f"resets what was spent. {_cap(account)}",
        "data_source_type": "Dynamic" if panels > 1 else "Static",
        "data_source_type_details": f"Different panels that were released: {panels}",
        "access_type": "Non-interactive",
        "access_type_details": "What is released is fixed by a recipe before the data are read",
    }


def _implementation(live: list[Document]) -> Document:
    bounds = sorted({line for entry in live for line in entry["bound"]})
    kinds = _mechanisms(live)
    notes = [_MECHANISMS.get(kind, kind) for kind in kinds]
    if {COUNTS, OFFSETS, RUNS} & set(kinds):
        notes += caveats.of_counts()
    if TRAINING in kinds:
        notes += caveats.of_training()
    version = code_version()
    commit = f", commit {version['commit'][:12]}" if version["commit"] else ""
    code = f"code that wrote this entry: veilcast {version['veilcast'] or 'unknown'}{commit}"
    lines = list(dict.fromkeys([*notes, code, f"{FILL_IN}: access controls on the raw data"]))
    return {
        "preprocessing_and_hyperparameter_tuning": f"Contribution bounds: {'; '.join(bounds)}. "
        "Sweeps and tuning that see the private counts are charged like any other release.",
        "mechanisms": "\n".join(f"- {line}" for line in lines),
        "justification": FILL_IN,
    }


def _unprotected(live: list[Document]) -> list[str]:
    streamed = all(entry["purpose"] == "stream" for entry in live)
    return [*disclosed.SERIES, *([] if streamed else [disclosed.RAW_ERRORS])]


_MECHANISMS = {
    COUNTS: "Discrete Gaussian noise on counts, sampled exactly",
    OFFSETS: "Discrete Gaussian noise on counts, in part shared by a region's counts, sampled exactly",
    RUNS: "Discrete Gaussian noise on counts, correlated in time, sampled exactly on filtered counts",
    PIECE: "Further counts that share offsets with earlier ones, charged with the first of them",
    TRAINING: "DP-SGD on Poisson-sampled windows (Opacus)",
}


def _mechanisms(live: list[Document]) -> list[str]:
    return sorted({entry["event"]["mechanism"] for entry in live})


def _product(live: list[Document]) -> str:
    """Return the kind that fits best; the registry's list has none for both."""
    return "Machine learning model" if TRAINING in _mechanisms(live) else "Summary statistics"


def _products(live: list[Document]) -> str:
    kinds = {
        COUNTS: "Counts of people per region and interval, with noise",
        OFFSETS: "Counts of people per region and interval, with noise that they share in part",
        RUNS: "Counts of people per region and interval, with noise that is correlated in time",
        TRAINING: "Forecasting models trained with noise",
    }
    return "; ".join(kinds.get(kind, kind) for kind in _mechanisms(live) if kind != PIECE)


def _cap(account: Document) -> str:
    cap = account["cap"]
    if cap is None:
        return "The account has no cap."
    return (
        f"Cap of the account: epsilon {cap['epsilon']:g} at delta {cap['delta']:g} "
        f"(unit {account['unit']}, neighbours: {account['neighbours']})."
    )
