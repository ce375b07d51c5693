# %% [markdown]
# # The researcher: mechanisms, units and budgets side by side
# Account by hand, then measure: what a unit costs, what a per-window epsilon hides, what noise does.

# %%
from datetime import timedelta

import matplotlib.pyplot as plt

from data import load
from dp import (
    Budget,
    PrivacyUnit,
    WindowReach,
    affected_windows,
    calibrate,
    derive_bound,
    epsilon_of,
    gaussian_epsilon,
    naive_epsilon,
    parse_unit,
)
from flows.notebook import train

# %% [markdown]
# Input perturbation: noise in persons for epsilon = 1 at delta = 1e-7, by privacy unit (neighbours: add
# or remove the records of one unit). 72 days of half-hours; one person is in up to two regions at once.

# %%
budget, interval = Budget(1.0, 1e-7), timedelta(minutes=30)
for unit in PrivacyUnit:
    bound, why = derive_bound(
        unit, observed=72 * 48, interval=interval, regions=6, regions_per_interval=2
    )
    noise = calibrate(budget, bound)
    check = gaussian_epsilon(bound.sensitivity / noise.sigma, budget.delta)
    print(f"{unit.value:14} sigma {noise.sigma:7.2f}  epsilon {check:.3f}  {why[0]}")

# %% [markdown]
# DP-SGD: one interval sits in several windows, so that the epsilon of a window promises it nothing.

# %%
reach = WindowReach(lags=6)
hit, _ = affected_windows(parse_unit("interval-1"), reach, windows=3114, interval=interval)
rate, steps, multiplier = 512 / 3114, 300, 30.0
print("interval-1: epsilon", round(epsilon_of(hit, rate, multiplier, steps, 1e-7), 2))
print("naive, per window, no guarantee:", round(naive_epsilon(rate, multiplier, steps, 1e-7), 2))

# %% [markdown]
# Measured: error against epsilon on a made-up city (evaluated on raw data, which is public here).

# %%
city = {"source.name": "synthetic:days=42", "model.name": "ridge", "privacy.unit": "user"}
points = {e: train(settings={**city, "privacy.epsilon": e}).result for e in (0.5, 2.0)}
figure, axis = plt.subplots()
axis.plot(list(points), [result.rmse.mean for result in points.values()], marker="o")
axis.set(xlabel="epsilon (unit user, delta 1e-7, add or remove)", ylabel="RMSE, persons")
load.from_source("synthetic:days=42").plot(["region 1", "region 2"])
