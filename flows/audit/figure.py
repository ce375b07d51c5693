"""Figure of an audit: the scores of the canaries, and the measured bounds against the claim."""

from __future__ import annotations

import io

import numpy as np

from flows.document import Document

_IN, _OUT, _CLAIM = "#0b6e99", "#9aa5b1", "#b44d12"


def draw(document: Document, parts: list[Document]) -> bytes:
    """Draw scores by coin on the left, bounds and claim on the right; returns PNG.

    Args:
        document: document of the audit.
        parts: its measurements, with `drawn` (scores and coins) where there are any.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = picture.subplots(1, 2, width_ratios=[1, 1.15])
    scores, coins = next(part["drawn"] for part in parts if part["drawn"] is not None)
    bins = np.linspace(scores.min(), scores.max(), 41)
    left.hist(scores[~coins], bins, color=_OUT, alpha=0.8, label="coin says no")
    left.hist(scores[coins], bins, color=_IN, alpha=0.55, label="coin says yes")
    left.set(xlabel="score of a canary", ylabel="canaries")
    left.set_title("What the attacker sees", loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    places = np.arange(len(parts))[::-1]
    right.barh(places, [part["epsilon"] for part in parts], color=_IN, height=0.55)
    for place, part in zip(places, parts, strict=True):
        right.plot([part["claimed"]] * 2, [place - 0.4, place + 0.4], color=_CLAIM, lw=2)
        right.text(part["epsilon"], place, f" {part['epsilon']:.2f}", va="center", fontsize=8)
    names = [f"{part['access'].partition(' (')[0]}\n{part['bound']}" for part in parts]
    right.set_yticks(places, names, fontsize=8)
    right.set(xlabel=f"epsilon at delta {document['delta']:g}", xlim=(0, None))
    right.set_title(
        f"Measured lower bound ({document['confidence']:.0%}) and claim (line)",
        loc="left",
        fontsize=10,
    )
    verdict = "REFUTED" if document["refuted"] else "not refuted"
    picture.suptitle(
        f"Audit of {document['audited']}: {document['mechanism']}, {document['unit']}; claim {verdict}",
        fontsize=11,
    )
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(picture).print_png(buffer)
    return buffer.getvalue()
