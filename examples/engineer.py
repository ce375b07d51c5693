# %% [markdown]
# # The engineer: from a file of counts to the next forecast
# Check the file, train under a promise, and forecast from what was released. Counts are made up here;
# put the path of your own CSV in place of `path`. Everything is kept under `VEILCAST_HOME` (or `var/`).

# %%
from pathlib import Path
from tempfile import mkdtemp

from data import load
from flows.notebook import list_runs, load_run, train

# %%
city = load.from_source("synthetic:days=42,seed=7")
path = Path(mkdtemp()) / "counts.csv"
city.counts.astype(int).to_csv(path)

# %% [markdown]
# Reading it validates it: a fault stops here and says where it is and what to do.

# %%
panel = load.from_csv(path, regions_per_interval=1, persons=4_000)
panel.plot()  # the title says "raw, not private": keep this picture to yourself

# %% [markdown]
# Train. The charge is in the ledger before any noise is drawn, and the same request never pays twice.

# %%
run = train(
    settings={
        "source.name": str(path),
        "source.regions_per_interval": 1,
        "source.persons": 4_000,
        "privacy.unit": "user-day",
        "privacy.epsilon": 1.0,
        "privacy.delta": 1e-6,
        "windows.horizon": 4,
        "windows.calibration": "7d",
        "model.name": "ridge",
    }
)
print(run.result.rmse.mean, run.result.evaluation)

# %% [markdown]
# The next two hours, from noised counts: post-processing, so nothing more is spent.

# %%
forecast = load_run(run.run_id).forecast()
print(forecast.values.round(0))
print(forecast.privacy)
forecast.plot()

# %%
print(list_runs()[["run_id", "mechanism", "unit", "epsilon", "delta", "rmse"]].head().to_string())
