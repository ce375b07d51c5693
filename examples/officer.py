# %% [markdown]
# # The privacy officer: what was promised to whom, and what is left
# Set a cap, let a forecaster be trained, read what it promises, and see that nothing passes the cap.

# %%
from dp import BudgetRefused, Ledger, PrivacyUnit
from dp.ledger import verify
from flows.notebook import train
from flows.settings import open_home

# %% [markdown]
# One training on a made-up city: whatever one person did on one day stays hidden.

# %%
promise = {"privacy.unit": "user-day", "privacy.epsilon": 1.0, "privacy.delta": 1e-7}
settings = {"source.name": "synthetic:days=42", "model.name": "ridge", **promise}
run = train(settings=settings)
run.statement()  # a notebook shows it as text; `print` does elsewhere

# %%
print(run.statement())

# %% [markdown]
# What an attacker gains, and epsilon at other deltas: the same promise in other words.

# %%
values = run.statement().values
print(values["attacker"]["text"])
print([(point["delta"], round(point["epsilon"], 2)) for point in values["curve"]])

# %% [markdown]
# The ledger: every charge, chained, so that a change would be found. The cap is per data set and unit.

# %%
ledger = Ledger(open_home().database_url)
account = run.result.ledger.dataset
for entry in ledger.entries(account, PrivacyUnit.USER_DAY):
    print(
        entry.id,
        entry.purpose,
        f"epsilon {entry.epsilon:.3g} at delta {entry.delta:g}",
        entry.unit.value,
        entry.unit.neighbours,
    )
print("spent", ledger.spent(account, PrivacyUnit.USER_DAY, 1e-7), verify(ledger))

# %% [markdown]
# A cap of 1.2: a second, independent draw of the noise does not fit. Nothing is drawn.

# %%
try:
    train(settings={**settings, "privacy.draw": 1, "privacy.cap_epsilon": 1.2})
except BudgetRefused as refused:
    print(refused)
