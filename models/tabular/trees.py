"""Extremely randomised trees on the residuals of ridge regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from torch import Tensor

from models.config import ForecasterConfig
from models.tabular.base import Floats, Tabular
from models.tabular.ridge import Ridge

TREES = 150
_LEAF, _SHARE = 3, 0.5


class Trees(Tabular):
    """Ridge regression plus the mean of many trees fitted to its residuals (Geurts et al. 2006).

    Trees are stored as plain arrays of nodes, at most M in each of T trees: nothing is unpickled, and
    they run on any device. The children of a leaf are the leaf itself.

    Attributes:
        split: feature that a node compares, [T, M].
        below: the largest value that goes left, [T, M].
        left, right: nodes, [T, M].
        values: steps in a leaf, [T, M, H·R].
    """

    split: Tensor
    below: Tensor
    left: Tensor
    right: Tensor
    values: Tensor

    def __init__(self, config: ForecasterConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.linear = Ridge(config, seed)
        for name in ("split", "left", "right"):
            self.register_buffer(name, torch.zeros(1, 1, dtype=torch.int64))
        self.register_buffer("below", torch.zeros(1, 1))
        self.register_buffer("values", torch.zeros(1, 1, self.outputs))

    def fit_rows(self, features: Tensor, steps: Floats) -> None:
        """Fit the linear part, then trees to its residuals."""
        self.linear.fit_rows(features, steps)
        residuals = steps - self.linear.steps(features).numpy()
        forest = ExtraTreesRegressor(
            TREES,
            # leaves of all H steps, so that the size of the model does not grow with the horizon
            min_samples_leaf=_LEAF * self.config.horizon,
            max_features=_SHARE,
            random_state=self.seed,
            n_jobs=-1,
        ).fit(features.numpy(), residuals)
        self._keep([tree.tree_ for tree in forest.estimators_])

    def steps(self, features: Tensor) -> Tensor:
        """Return the linear step plus the mean leaf of each window."""
        linear = self.linear.steps(features)
        trees = torch.arange(len(self.split), device=features.device)
        node = torch.zeros(len(features), len(trees), dtype=torch.int64, device=features.device)
        while True:
            goes_left = features.gather(1, self.split[trees, node]) <= self.below[trees, node]
            after = torch.where(goes_left, self.left[trees, node], self.right[trees, node])
            if torch.equal(after, node):
                break
            node = after
        total = torch.zeros_like(linear)
        for tree in range(len(trees)):  # [B, T, H·R] at once would be large for long horizons
            total += self.values[tree, node[:, tree]]
        return linear + total / len(trees)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Allocate trees of the saved size, which depends on the data, and load them."""
        for name in ("split", "below", "left", "right", "values"):
            setattr(self, name, torch.empty_like(state[prefix + name]))
        super()._load_from_state_dict(state, prefix, *rest)

    def _keep(self, trees: list[Any]) -> None:
        """Copy scikit-learn's nodes into tensors of one size."""
        most = max(tree.node_count for tree in trees)
        own = np.arange(most)
        shape = (len(trees), most)
        split, below = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        left, right = np.tile(own, (len(trees), 1)), np.tile(own, (len(trees), 1))
        values = np.zeros((*shape, self.outputs), np.float32)
        for number, tree in enumerate(trees):
            inner = np.flatnonzero(tree.children_left >= 0)
            split[number, inner] = tree.feature[inner]
            below[number, inner] = _not_above(tree.threshold[inner])
            left[number, inner] = tree.children_left[inner]
            right[number, inner] = tree.children_right[inner]
            values[number, : tree.node_count] = tree.value.reshape(tree.node_count, -1)
        for name, array in (
            ("split", split),
            ("below", below),
            ("left", left),
            ("right", right),
            ("values", values),
        ):
            setattr(self, name, torch.from_numpy(array))


def _not_above(thresholds: Floats) -> NDArray[np.float32]:
    """Return the largest float32 ≤ each threshold: features are float32, so none changes sides."""
    rounded = thresholds.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.asarray(np.where(rounded > thresholds, lower, rounded), dtype=np.float32)
