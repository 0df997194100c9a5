"""Many feeders' models stacked, so that one pass of numpy answers for all of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from forecasting.narx import TREES_PART, HorizonModel
from forecasting.network import Encoder, Floats, between
from forecasting.series import Matrix, Vector
from forecasting.trees import TreesOfMany


class Fleet:
    """Models of one horizon and one shape (members, layers, features); equal to each one's `predict`.

    A first layer of steps and flags is mostly a choice of rows: a step that a value has passed adds its weights whole,
    one that it has not takes them whole. So it is the biases, the ranks times their rows, the rows of the flags that
    are set, and per stepped column one row of cumulated weights and a part of the next: a sparse matrix times one tall
    table of rows. That goes through a third of the weights, once, and the memory is what a prediction costs.
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
        """The first layer as a table of rows per model: biases, ranks, flags, steps; the others as they are."""
        members, hidden = self._models[0].network.members, self._models[0].network.weights[0].shape[2]
        self._members, self._hidden = members, hidden
        self._flags_at = 1 + len(self._ranked)
        self._steps_at = self._flags_at + len(self._flags)
        self._step_rows = self._lower.shape[2] + 2
        count, wide = len(self._models), members * hidden
        self._table_rows = self._steps_at + len(self._stepped) * self._step_rows
        table: Floats = np.empty((count, self._table_rows, wide), dtype=np.float32)
        for number, (model, encoder) in enumerate(zip(self._models, self._encoders, strict=True)):
            self._stack_first(table[number], model, encoder)
        self._table = table.reshape(-1, wide)
        self._weights = [
            np.stack([model.network.weights[layer] for model in self._models])
            for layer in range(1, len(self._models[0].network.weights))
        ]
        self._biases = [
            np.stack([model.network.biases[layer][:, 0, :] for model in self._models])
            for layer in range(1, len(self._models[0].network.biases))
        ]
        self._which: npt.NDArray[np.int64] = np.arange(count)

    def _stack_first(self, table: Floats, model: HorizonModel, encoder: Encoder) -> None:
        """One model's part of the table."""
        wide = table.shape[1]
        layer = model.network.weights[0].transpose(1, 0, 2).reshape(-1, wide)
        ranked, plain = len(self._ranked), len(self._ranked) + len(self._flags)
        # Every flag and every bin gives -0.5 when off and 0.5 when on: off is in the base, on adds the weights.
        table[0] = model.network.biases[0].reshape(wide) - 0.5 * layer[ranked:].sum(axis=0)
        table[1 : self._steps_at] = layer[:plain]
        for column in range(len(self._stepped)):
            mine = layer[plain:][encoder.bin_of == column]
            held = np.concatenate([np.zeros((1, wide)), np.cumsum(mine.astype(np.float64), axis=0)])
            start = self._steps_at + column * self._step_rows
            table[start : start + len(held)] = held
            table[start + len(held) : start + self._step_rows] = held[-1]

    def _first_layer(self, rows: Matrix) -> Floats:
        count = len(rows)
        current, part = self._steps_of(rows)
        # Each lower row beside its upper one, as they lie in memory.
        lower = self._steps_at + np.arange(len(self._stepped)) * self._step_rows + current
        steps = np.stack([lower, lower + 1], axis=2).reshape(count, -1)
        parts = np.stack([1.0 - part, part], axis=2).reshape(count, -1)
        # The flags that are set stand first; a model with fewer than another adds some of its own times nothing.
        flags = rows[:, self._flags] >= 0.5
        lit = int(flags.sum(axis=1).max(initial=0))
        on = np.argsort(~flags, axis=1, kind="stable")[:, :lit]
        fixed = np.broadcast_to(np.arange(self._flags_at), (count, self._flags_at))
        places = np.concatenate([fixed, self._flags_at + on, steps], axis=1)
        factors = np.concatenate(
            [
                np.ones((count, 1), dtype=np.float32),
                between(rows[:, self._ranked], self._knots, self._heights),
                np.take_along_axis(flags, on, axis=1),
                parts,
            ],
            axis=1,
            dtype=np.float32,
        )
        places += self._table_rows * self._which[:, None]
        starts = places.shape[1] * np.arange(count + 1)
        chosen = csr_array((factors.ravel(), places.ravel(), starts), shape=(count, len(self._table)))
        return np.asarray((chosen @ self._table).reshape(count, self._members, self._hidden))

    def _steps_of(self, rows: Matrix) -> tuple[npt.NDArray[np.int64], Floats]:
        """[model, column] the bin that each value lies in, and how far it is through it."""
        values = rows[:, self._stepped]
        passed = np.minimum((values[:, :, None] >= self._lower).sum(axis=2, dtype=np.uint8), self._bins)
        current = np.maximum(passed - 1, 0)
        models, columns = self._which[:, None], np.arange(len(self._stepped))[None, :]
        into = (values - self._lower[models, columns, current]) / self._width[models, columns, current]
        return current, np.where(passed > 0, np.clip(into, 0.0, 1.0), 0.0).astype(np.float32)
