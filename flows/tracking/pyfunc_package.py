"""A trained model as MLflow serves it: weights, the code that reads them, and a made-up example."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from mlflow import pyfunc
from mlflow.models import infer_signature

import data
import models
from data.sources import synthetic
from models.checkpoint import SavedModel, open_model

_NEEDED = ("mlflow", "numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "scipy", "torch")


@contextmanager
def package(files: Path) -> Iterator[Path]:
    """A folder in MLflow's pyfunc flavour, for as long as the block runs.

    Nothing in it is pickled: the model is read by `pyfunc_model.py`, which comes along with the packages
    that it imports. Signature and example are of made-up counts.

    Args:
        files: a folder by `models.checkpoint.save`.
    """
    example = made_up(open_model(files))
    from flows.tracking.pyfunc_model import Served

    shown = Served(files).predict(None, example)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(scratch) / "serving"
        pyfunc.save_model(
            folder,
            python_model=str(Path(__file__).parent / "pyfunc_model.py"),
            artifacts={"model": str(files)},
            signature=infer_signature(example, shown, params={"level": 0.9}),
            input_example=None,
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in _NEEDED],
            code_paths=[str(Path(one.__path__[0])) for one in (data, models)],
        )
        payload = example.assign(time=example["time"].astype(str)).to_json(
            orient="split", index=False
        )
        (folder / "example.json").write_text(f'{{"dataframe_split": {payload}}}')
        yield folder


def made_up(saved: SavedModel) -> pd.DataFrame:
    """Counts of the made-up city under a model's regions and interval: as many as it needs to read."""
    city = synthetic.panel().values
    regions = saved.model.config.regions
    rows = [city[row % len(city)] for row in range(saved.spec.reach)]
    interval = pd.Timedelta(seconds=saved.interval_seconds)
    times = pd.date_range("2024-01-01", periods=saved.spec.reach, freq=interval, name="time")
    return pd.DataFrame(
        {name: [row[at % len(row)] for row in rows] for at, name in enumerate(regions)}, times
    ).reset_index()
