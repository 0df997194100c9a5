"""Many feeders' models stacked, so that one pass of numpy answers for all of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from forecasting.narx import TREES_PART, HorizonModel
from forecasting.network import Encoder, Floats
from forecasting.series import Matrix, Vector
from forecasting.trees import TreesOfMany


class Fleet:
    """Models of one horizon and one shape (members, layers, features); equal to each one's `predict`.

    A first layer of steps and flags is mostly a choice of rows: a step that a value has passed adds its weights whole,
    one that it has not takes them whole. So the first layer is a product of the ranks alone, plus, per stepped column,
    one row of cumulated weights and a part of the next; about a third of the memory to go through, which is what a
    prediction costs.
    """

    def __init__(self, models: Sequence[HorizonModel]) -> None:
        """Stacks the arrays; models of another shape, or with no network of steps, raise ValueError."""
        encoders = [model.encoder for model in models]
        self._models = tuple(models)
        self._encoders = [encoder for encoder in encoders if isinstance(encoder, Encoder)]
        if not models or len(self._encoders) != len(models) or len({model.names for model in models}) != 1:
            raise ValueError("a fleet needs models of the default preset with the same features")
        if len({tuple(layer.shape[::2] for layer in model.network.weights) for model in models}) != 1:
            raise ValueError("a fleet needs networks of the same shape")
        trees = [model.trees for model in models if model.trees is not None]
        if len(trees) not in (0, len(models)):
            raise ValueError("a fleet needs trees in all of its models, or in none")
        self._trees = TreesOfMany(trees) if trees else None
        first = self._encoders[0]
        self._ranked, self._stepped, self._flags = first.ranked, first.stepped, first.flags
        self._knots = np.stack([encoder.knots for encoder in self._encoders])
        self._heights = np.stack([encoder.heights for encoder in self._encoders])
        self._stack_steps()
        self._stack_layers()
        self.refresh()

    def refresh(self) -> None:
        """Take up the newest linear weights and shares of the models."""
        # Members that look at the same columns on the same scale are one product: the half-lives of each kind.
        kinds: dict[bytes, list[int]] = {}
        for number, skip in enumerate(self._models[0].skips):
            kinds.setdefault(skip.columns.tobytes(), []).append(number)
        self._skips = []
        for numbers in kinds.values():
            standards = [model.skips[numbers[0]].ridge.standard for model in self._models]
            weights = [
                np.sum([model.skips[number].weight * model.skips[number].ridge.weights for number in numbers], axis=0)
                for model in self._models
            ]
            self._skips.append(
                (
                    self._models[0].skips[numbers[0]].columns,
                    np.stack([standard.mean for standard in standards]),
                    1.0 / np.stack([standard.deviation for standard in standards]),
                    np.stack(weights),
                )
            )
        self._factor = np.array([model.share.now * model.scale for model in self._models])

    def predict(self, rows: Matrix) -> Vector:
        """One forecast per model from `rows` [model, feature]."""
        linear = np.zeros(len(rows))
        for columns, mean, sharpness, weights in self._skips:
            scaled = np.minimum(np.maximum((rows[:, columns] - mean) * sharpness, -8.0), 8.0)
            linear += np.einsum("mf,mf->m", scaled, weights[:, :-1]) + weights[:, -1]
        state = self._first_layer(rows)
        for weights32, biases32 in zip(self._weights, self._biases, strict=True):
            state = np.maximum(state, np.float32(0.0))
            state = np.matmul(state[:, :, None, :], weights32)[:, :, 0, :] + biases32
        correction = state[:, :, 0].mean(axis=1).astype(np.float64)
        whole = linear + self._factor * correction
        if self._trees is not None:
            whole = (1.0 - TREES_PART) * whole + TREES_PART * self._trees.predict(rows)
        return np.asarray(np.maximum(0.0, whole))

    def _stack_steps(self) -> None:
        """[model, column, edge]: edges of the bins, missing ones at infinity."""
        most = max(int(np.bincount(encoder.bin_of, minlength=len(self._stepped)).max()) for encoder in self._encoders)
        shape = (len(self._encoders), len(self._stepped), most)
        self._lower, self._width = np.full(shape, np.inf), np.ones(shape)
        self._bins = np.zeros(shape[:2], dtype=np.int64)
        for number, encoder in enumerate(self._encoders):
            for column in range(len(self._stepped)):
                mine = encoder.bin_of == column
                count = int(mine.sum())
                self._bins[number, column] = count
                self._lower[number, column, :count] = encoder.lower[mine]
                self._width[number, column, :count] = encoder.width[mine]

    def _stack_layers(self) -> None:
        """The first layer as ranks, flags and cumulated steps; the others as they are."""
        ranked, flags, most = len(self._ranked), len(self._flags), self._lower.shape[2]
        members, hidden = self._models[0].network.members, self._models[0].network.weights[0].shape[2]
        wide = members * hidden
        count = len(self._models)
        self._rank_weights: Floats = np.empty((count, ranked, wide), dtype=np.float32)
        self._flag_weights: Floats = np.empty((count, flags, wide), dtype=np.float32)
        self._steps: Floats = np.zeros((count, len(self._stepped), most + 2, wide), dtype=np.float32)
        self._base: Floats = np.empty((count, wide), dtype=np.float32)
        for number, (model, encoder) in enumerate(zip(self._models, self._encoders, strict=True)):
            layer = model.network.weights[0].transpose(1, 0, 2).reshape(-1, wide)
            self._rank_weights[number] = layer[:ranked]
            self._flag_weights[number] = layer[ranked : ranked + flags]
            steps = layer[ranked + flags :]
            # Every flag and every bin gives -0.5 when off and 0.5 when on: off is in the base, on adds the weights.
            base = model.network.biases[0].reshape(wide) - 0.5 * layer[ranked:].sum(axis=0)
            self._base[number] = base
            for column in range(len(self._stepped)):
                mine = steps[encoder.bin_of == column]
                held = np.concatenate([np.zeros((1, wide)), np.cumsum(mine.astype(np.float64), axis=0)])
                self._steps[number, column, : len(held)] = held
                self._steps[number, column, len(held) :] = held[-1]
        self._members, self._hidden = members, hidden
        self._below: Floats = np.empty((count, len(self._stepped), wide), dtype=np.float32)
        self._above: Floats = np.empty_like(self._below)
        self._weights = [
            np.stack([model.network.weights[layer] for model in self._models])
            for layer in range(1, len(self._models[0].network.weights))
        ]
        self._biases = [
            np.stack([model.network.biases[layer][:, 0, :] for model in self._models])
            for layer in range(1, len(self._models[0].network.biases))
        ]
        self._which: npt.NDArray[np.int64] = np.arange(count)

    def _first_layer(self, rows: Matrix) -> Floats:
        values = rows[:, self._stepped]
        passed = np.minimum((values[:, :, None] >= self._lower).sum(axis=2), self._bins)
        current = np.maximum(passed - 1, 0)
        models, columns = self._which[:, None], np.arange(len(self._stepped))[None, :]
        into = (values - self._lower[models, columns, current]) / self._width[models, columns, current]
        part = np.where(passed > 0, np.clip(into, 0.0, 1.0), 0.0).astype(np.float32)
        chosen = (models * len(self._stepped) + columns) * self._steps.shape[2] + current
        flat = self._steps.reshape(-1, self._steps.shape[-1])
        # Into arrays that are kept: fresh ones of this size cost more than all the arithmetic.
        below = np.take(flat, chosen, axis=0, out=self._below, mode="clip")
        above = np.take(flat, chosen + 1, axis=0, out=self._above, mode="clip")
        state: Floats = self._base + np.matmul(self._ranks(rows)[:, None, :], self._rank_weights)[:, 0, :]
        state += (np.matmul((1.0 - part)[:, None, :], below) + np.matmul(part[:, None, :], above))[:, 0, :]
        on = np.argsort(rows[:, self._flags] < 0.5, axis=1, kind="stable")
        lit = int((rows[:, self._flags] >= 0.5).sum(axis=1).max())
        for place in range(lit):
            flag = on[:, place]
            active = (rows[self._which, self._flags[flag]] >= 0.5).astype(np.float32)
            state += active[:, None] * self._flag_weights[self._which, flag]
        return np.asarray(state.reshape(len(rows), self._members, self._hidden))

    def _ranks(self, rows: Matrix) -> Floats:
        values = rows[:, self._ranked]
        last = self._knots.shape[2] - 1
        right = np.clip((values[:, :, None] >= self._knots).sum(axis=2), 1, last)
        models, columns = self._which[:, None], np.arange(len(self._ranked))[None, :]
        low, high = self._knots[models, columns, right - 1], self._knots[models, columns, right]
        base, top = self._heights[models, columns, right - 1], self._heights[models, columns, right]
        into = np.clip((values - low) / (high - low), 0.0, 1.0)
        return np.asarray(base + into * (top - base), dtype=np.float32)
