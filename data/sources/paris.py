"""`paris-cdr`: users per region of Montreuil every 30 minutes, as published with Arcolezi et al. 2022.

3,456 intervals from 2020-08-24 to 2020-11-04, one day (2020-09-17) absent, MIT licence. "Commune
Montreuil" contains the five other zones, so a person may count twice: M = 2.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.request
from pathlib import Path

import pandas as pd

from data.errors import DataError
from data.sources.shape import to_wide
from data.sources.table import Table

FILE = "ML_final_df_real.csv"
SHA256 = "bb7a908a199504af7b3a2f5f397d2d1cd181987cf0f82dc954f9bd6f68de4a33"
URL = (
    "https://raw.githubusercontent.com/hharcolezi/ldp-protocols-mobility-cdrs/"
    "main/papers/%5B3%5D/ML_final_df_real.csv"
)


def read(url: str = URL) -> Table:
    """Read the data set from `VEILCAST_DATA`, the user's cache, or its public repository.

    Raises:
        DataError: it is nowhere to be had, or is not the published file.
    """
    raw = pd.read_csv(_locate(url)).drop(columns="Total")
    table = to_wide(raw, "paris-cdr")
    whole, *parts = (str(name) for name in table.columns[1:])
    # the commune contains the five zones (docs/concepts/shared-offsets.md)
    nested = {whole: tuple(parts)}
    return Table(table, "paris-cdr", public=True, regions_per_interval=2, nested=nested)


def copy() -> Path | None:
    """Return the file that `read` would read without a download, or None; it is not opened."""
    folder = os.environ.get("VEILCAST_DATA")
    places = [Path(folder) / "paris-cdr" / FILE] if folder else []
    return next((path for path in [*places, _cache() / FILE] if path.exists()), None)


def _locate(url: str) -> Path:
    """Return a verified copy of the file."""
    path = copy()
    if path is None:
        path = _cache() / FILE
        _download(url, path)
    return _verify(path)


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("veilcast")) / "paris-cdr"


def _verify(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise DataError(
            f"{path} is not the published file (SHA-256 {digest[:12]}…, expected {SHA256[:12]}…); "
            "remove it, or put the original there"
        )
    return path


def _download(url: str, path: Path) -> None:
    """Fetch the file to `path`, whole or not at all."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310  (https constant)
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"paris-cdr is not on this machine and cannot be downloaded ({error}); put {FILE} into "
            f"{path.parent}, or set VEILCAST_DATA to the folder above paris-cdr/{FILE}"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
        partial.write(content)
    os.replace(partial.name, path)
