"""The ledger in the shape of the public registry of differential-privacy deployments.

One deployment an account, with the fields that the registry's entries have (OpenDP's deployments
registry); what the ledger cannot know is `unknown`, for its owner to fill in.
"""

from __future__ import annotations

from typing import Any

UNKNOWN = "unknown"


def deployments(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries for the registry.

    Args:
        document: the exported ledger (`flows.budget.export`).
    """
    return [
        _deployment(
            account,
            [one for one in document["entries"] if one["dataset"] == account["dataset"]],
        )
        for account in document["accounts"]
    ]


def _deployment(account: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    live = [entry for entry in entries if entry["state"] != "voided"]
    mechanisms = sorted({entry["event"]["mechanism"] for entry in live})
    bounds = sorted({line for entry in live for line in entry["bound"]})
    spent = account["epsilon_spent"]
    return {
        "status": "Draft",
        "registry_authors": [UNKNOWN],
        "tier": UNKNOWN,
        "deployment": {
            "name": f"{account['dataset']}, unit {account['unit']}",
            "data_curator": UNKNOWN,
            "intended_use": "Forecasts of how many people will be in each region",
            "data_product_type": _products(live),
            "data_product_region": UNKNOWN,
            "data_product_sector": UNKNOWN,
            "description": UNKNOWN,
            "publication_date": live[0]["time"][:10] if live else UNKNOWN,
            "additional_information": UNKNOWN,
            "dp_flavor": {
                "name": "Approximate DP",
                "input_metric": account["neighbours"],
                "bound_on_input_distance": 1,
                "output_measure": "Privacy loss at delta",
                "bound_on_output_distance": UNKNOWN if spent is None else spent,
                "data_domain": account["population"] or UNKNOWN,
                "unprotected_quantities": "Which intervals were observed, and the names of the regions",
            },
            "privacy_loss": {
                "privacy_unit": account["unit"],
                "privacy_unit_description": f"{account['protects']}; {account['neighbours']}",
                "privacy_parameters": {
                    "epsilon": UNKNOWN if spent is None else spent,
                    "delta": account["delta"],
                },
                "privacy_parameters_description": "All releases so far together, for the most "
                "affected unit",
            },
            "model": {
                "model_name": "Central",
                "model_name_description": "Noise is added by the curator, who sees the counts",
                "actors": UNKNOWN,
                "is_many_release": len(live) > 1,
                "is_many_release_description": f"{len(live)} releases; cap: {_cap(account)}",
                "is_interactive": False,
                "is_interactive_description": "Recipes are fixed before a run",
                "is_dynamic": len({entry["fingerprint"] for entry in live}) > 1,
                "is_dynamic_description": "Panels that were released: "
                f"{len({entry['fingerprint'] for entry in live})}",
            },
            "accounting": {
                "post_processing": "Repair of gaps, scaling, training and forecasts after the noise; "
                "for private trainings, forecasts of the trained model",
                "composition": "Gaussians exactly, trainings as privacy loss distributions; units "
                "that cannot be in two periods in parallel",
            },
            "implementation": {
                "pre_processing_eda_hyperparameter_tuning": "; ".join(bounds) or UNKNOWN,
                "mechanisms": "; ".join(_MECHANISMS[name] for name in mechanisms) or UNKNOWN,
                "justification": UNKNOWN,
            },
        },
    }


_MECHANISMS = {
    "discrete-gaussian": "Discrete Gaussian noise on counts (OpenDP)",
    "poisson-sampled windows": "DP-SGD on Poisson-sampled windows (Opacus)",
}


def _products(entries: list[dict[str, Any]]) -> str:
    kinds = {
        "Machine learning model" if entry["purpose"] == "training" else "Summary statistics"
        for entry in entries
    }
    return ", ".join(sorted(kinds)) or UNKNOWN


def _cap(account: dict[str, Any]) -> str:
    cap = account["cap"]
    return "none" if cap is None else f"epsilon {cap['epsilon']:g} at delta {cap['delta']:g}"
