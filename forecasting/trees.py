"""A small part of boosted trees in the forecast: fitted by scikit-learn, kept and run as plain arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.series import Matrix, Vector, Whole

_RATE, _LEAVES, _DEPTH, _LEAST, _MOST = 0.1, 31, 6, 40, 200
_PATIENCE = 15
_CHUNK = 2048


@dataclass(frozen=True)
class Trees:
    """Regression trees, one after another in flat arrays; a leaf points at itself: every row takes `depth` steps.

    `columns`: the features that they look at. A row goes left where feature <= threshold.
    """

    columns: Whole
    base: float
    depth: int
    roots: Whole
    feature: Whole
    threshold: Vector
    left: Whole
    right: Whole
    value: Vector

    def predict(self, rows: Matrix) -> Vector:
        """One value per row of all features."""
        parts = [self._predict(rows[at : at + _CHUNK]) for at in range(0, len(rows), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _predict(self, rows: Matrix) -> Vector:
        looked = rows[:, self.columns]
        which: npt.NDArray[np.int64] = np.arange(len(rows))[:, None]
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        for _ in range(self.depth):
            node = np.where(
                looked[which, self.feature[node]] <= self.threshold[node], self.left[node], self.right[node]
            )
        return np.asarray(self.base + self.value[node].sum(axis=1))


def fit_trees(
    rows: Matrix, values: Vector, columns: Whole, *, checked: tuple[Matrix, Vector] | None = None, count: int = _MOST
) -> Trees:
    """Histogram gradient boosting of squared error; stopped by the checked rows where there are any. One thread."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

    boosting = HistGradientBoostingRegressor(
        learning_rate=_RATE,
        max_leaf_nodes=_LEAVES,
        max_depth=_DEPTH,
        min_samples_leaf=_LEAST,
        l2_regularization=5.0,
        max_iter=count,
        early_stopping=checked is not None,
        n_iter_no_change=_PATIENCE,
        random_state=0,
    )
    with threadpool_limits(1):
        if checked is None:
            boosting.fit(rows[:, columns], values)
        else:
            boosting.fit(rows[:, columns], values, X_val=checked[0][:, columns], y_val=checked[1])
    return _flat(boosting, columns)


def _flat(boosting: object, columns: Whole) -> Trees:
    # The attributes are private; the tests compare with scikit-learn's own predictions.
    nodes = [one[0].nodes for one in boosting._predictors]  # type: ignore[attr-defined]
    sizes = np.array([len(tree) for tree in nodes])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    whole, start = np.concatenate(nodes), np.repeat(roots, sizes)
    itself, leaf = np.arange(len(whole)), whole["is_leaf"].astype(bool)
    return Trees(
        columns=columns,
        base=float(np.ravel(boosting._baseline_prediction)[0]),  # type: ignore[attr-defined]
        depth=int(whole["depth"].max()),
        roots=roots,
        feature=np.where(leaf, 0, whole["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0.0, whole["num_threshold"]).astype(np.float64),
        left=np.where(leaf, itself, start + whole["left"]).astype(np.int64),
        right=np.where(leaf, itself, start + whole["right"]).astype(np.int64),
        value=np.where(leaf, whole["value"], 0.0).astype(np.float64),
    )


class TreesOfMany:
    """Several models' trees in one go, one row for each; equal to each one's `predict`."""

    def __init__(self, several: list[Trees]) -> None:
        """All must look at the same number of features."""
        sizes = np.array([len(one.value) for one in several])
        start = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._columns = np.stack([one.columns for one in several])
        self._base = np.array([one.base for one in several])
        self._depth = max(one.depth for one in several)
        self._roots = np.concatenate([at + one.roots for at, one in zip(start, several, strict=True)])
        self._owner = np.repeat(np.arange(len(several)), [len(one.roots) for one in several])
        # Flat places, and both children side by side: three gathers a level are all that a prediction costs.
        wide = self._columns.shape[1]
        self._feature = np.concatenate([wide * place + one.feature for place, one in enumerate(several)])
        self._threshold = np.concatenate([one.threshold for one in several])
        pairs = [at + np.stack([one.left, one.right], axis=1) for at, one in zip(start, several, strict=True)]
        self._children = np.ascontiguousarray(np.concatenate(pairs).ravel())
        self._value = np.concatenate([one.value for one in several])

    def predict(self, rows: Matrix) -> Vector:
        """One value per model from `rows` [model, feature]."""
        looked = np.take_along_axis(rows, self._columns, axis=1).ravel()
        node = self._roots
        for _ in range(self._depth):
            right = looked.take(self._feature.take(node)) > self._threshold.take(node)
            node = self._children.take(2 * node + right)
        return np.asarray(self._base + np.bincount(self._owner, self._value.take(node), len(self._base)))
