"""The network as plain arrays: how rows become inputs, and the forward pass in numpy. No torch here."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.features import Table
from forecasting.series import Matrix, Vector, Whole

Floats = npt.NDArray[np.float32]

_KNOTS = 65
_LIMIT = 3.0
_STEPS = 8
_FEW = 24


@dataclass(frozen=True)
class Encoder:
    """Makes network inputs of features: ranks, and steps.

    Rank: a column's place among the training values, as a normal deviate clipped at 3 (linear between 65 quantiles),
    so that a spike of a kettle and a heat pump are apart by how rare they are. Steps: the columns that thresholds
    matter for, as piecewise-linear bins between their octiles (Gorishniy et al., "On Embeddings for Numerical Features
    in Tabular Deep Learning", 2022), which gives a small network what boosting gets from its splits. 0/1 columns pass
    as -0.5 or 0.5.

    `ranked`, `stepped`, `flags`: column numbers. `knots` and `heights` [ranked, 65], `lower` and `width` [bins],
    `bin_of` [bins] the place in `stepped` of each bin.
    """

    ranked: Whole
    stepped: Whole
    flags: Whole
    knots: Matrix
    heights: Matrix
    lower: Vector
    width: Vector
    bin_of: Whole

    @property
    def inputs(self) -> int:
        """How many inputs a row gives."""
        return len(self.ranked) + len(self.flags) + len(self.lower)

    def apply(self, rows: Matrix) -> Floats:
        """[row, input], in float32."""
        if len(rows) <= _FEW:
            # The service asks row by row: there a call of numpy per column is most of the price.
            ranked = between(rows[:, self.ranked], self.knots, self.heights)
        else:
            ranked = np.empty((len(rows), len(self.ranked)))
            for place, column in enumerate(self.ranked.tolist()):
                ranked[:, place] = np.interp(rows[:, column], self.knots[place], self.heights[place])
        steps = np.clip((rows[:, self.stepped[self.bin_of]] - self.lower) / self.width, 0.0, 1.0) - 0.5
        return np.concatenate([ranked, rows[:, self.flags] - 0.5, steps], axis=1).astype(np.float32)


def encoder_of(features: Table, rows: Matrix) -> Encoder:
    """Quantiles and bins of the training rows."""
    from scipy.stats import norm

    places = np.linspace(0.0, 1.0, _KNOTS)
    heights = np.clip(norm.ppf(np.clip(places, 1e-6, 1 - 1e-6)), -_LIMIT, _LIMIT)
    ranked = np.flatnonzero(features.compact & ~features.binary)
    knots = np.quantile(rows[:, ranked], places, axis=0).T
    stepped = np.flatnonzero(features.stepwise)
    lower, width, bin_of = [], [], []
    for place, column in enumerate(stepped.tolist()):
        edges = np.unique(np.quantile(rows[:, column], np.linspace(0.0, 1.0, _STEPS + 1)))
        lower += edges[:-1].tolist()
        width += np.diff(edges).tolist()
        bin_of += [place] * (len(edges) - 1)
    return Encoder(
        ranked=ranked,
        stepped=stepped,
        flags=np.flatnonzero(features.binary),
        knots=_increasing(knots),
        heights=np.array([_level(column, heights) for column in knots]).reshape(knots.shape),
        lower=np.array(lower),
        width=np.array(width),
        bin_of=np.array(bin_of, dtype=np.int64),
    )


def between(values: Matrix, knots: Matrix, heights: Matrix) -> Matrix:
    """Linear interpolation as `numpy.interp` does it, for every place of `values` [..., column] at once.

    `knots` (increasing, fewer than 256) and `heights` are [..., column, knot].
    """
    right = np.clip((values[..., None] >= knots).sum(axis=-1, dtype=np.uint8), 1, knots.shape[-1] - 1)
    which = np.stack([right - 1, right], axis=-1).astype(np.int64)
    shape = (*values.shape, knots.shape[-1])
    ends = np.take_along_axis(np.broadcast_to(knots, shape), which, axis=-1)
    levels = np.take_along_axis(np.broadcast_to(heights, shape), which, axis=-1)
    into = np.clip((values - ends[..., 0]) / (ends[..., 1] - ends[..., 0]), 0.0, 1.0)
    return np.asarray(levels[..., 0] + into * (levels[..., 1] - levels[..., 0]))


def _increasing(knots: Matrix) -> Matrix:
    """Equal quantiles made strictly increasing by a step too small to matter: what interpolation needs."""
    step = 1e-9 * np.maximum(1.0, np.abs(knots).max(axis=1, keepdims=True))
    return np.asarray(np.maximum.accumulate(knots, axis=1) + step * np.arange(knots.shape[1]))


def _level(knots: Vector, heights: Vector) -> Vector:
    """Equal quantiles get one height, the mean of theirs."""
    _, group = np.unique(knots, return_inverse=True)
    return np.asarray((np.bincount(group, heights) / np.bincount(group))[group])


@dataclass(frozen=True)
class Network:
    """`members` networks of the same shape, averaged: ReLU between layers, the last linear.

    `weights` [member, inputs, outputs] and `biases` [member, 1, outputs] of every layer, float32.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @property
    def members(self) -> int:
        """How many networks are averaged."""
        return len(self.weights[0])

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(layer.shape[2] for layer in self.weights[:-1])

    def apply(self, inputs: Floats) -> Vector:
        """The mean of the members for each row of `inputs` [row, input]."""
        state: Floats = inputs[None, :, :]
        for number, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            state = np.matmul(state, weights) + biases
            if number < len(self.weights) - 1:
                state = np.maximum(state, np.float32(0.0))
        return np.asarray(state[:, :, 0].mean(axis=0), dtype=np.float64)

    def apply_in_chunks(self, inputs: Floats, rows: int = 4096) -> Vector:
        """`apply` in pieces, for long series."""
        return np.concatenate(
            [self.apply(inputs[at : at + rows]) for at in range(0, len(inputs), rows)] or [np.empty(0)]
        )
