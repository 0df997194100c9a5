"""Training in torch, of all members at once; the only module that imports it, and only when it is called."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from domain.errors import HeadroomError
from forecasting.network import Floats, Network
from forecasting.series import Vector

Progress = Callable[[int, int, float], None]
"""Called after each epoch with its number, the most there may be, and the error on the checked rows (NaN: none)."""


class TorchMissingError(HeadroomError):
    """Training was asked for where torch is not installed."""

    def __init__(self) -> None:
        super().__init__("training needs torch, which is not installed: run `make setup TORCH=1`")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained. Adam with decoupled decay, a cosine schedule, and averaged weights at the end."""

    hidden: tuple[int, ...] = (64, 32)
    members: int = 6
    dropout: float = 0.3
    rate: float = 3e-3
    decay: float = 1e-3
    batch: int = 128
    epochs: int = 40
    patience: int = 6
    averaging: float = 0.995
    seed: int = 0
    device: str = "auto"
    threads: int = 2


@dataclass
class Trained:
    """The network, the epoch that was best on the checked rows, and the squared error there (NaN: none given)."""

    network: Network
    epochs: int
    error: float


def torch_or_complain() -> Any:
    """The torch module; TorchMissingError where it is not installed."""
    try:
        import torch
    except ModuleNotFoundError as missing:
        raise TorchMissingError from missing
    return torch


def train(
    inputs: Floats,
    values: Vector,
    recipe: Recipe,
    *,
    checked: tuple[Floats, Vector] | None = None,
    epochs: int | None = None,
    start: Network | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Fit the members to `values`, minimising squared error; same seed and machine, same network.

    Args:
        inputs: [row, input].
        values: [row], scaled to about 1.
        recipe: the training's constants.
        checked: rows that stop it early and choose the epoch; without them it runs for `epochs`.
        epochs: how many to run of the schedule of `recipe.epochs`; None: all.
        start: weights to go on from (a warm update) instead of random ones.
        progress: told after each epoch.

    Raises:
        TorchMissingError: torch is not installed.
    """
    torch = torch_or_complain()
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, recipe.threads))
    try:
        return _Run(torch, inputs, values, recipe, start).go(checked, epochs, progress)
    finally:
        torch.set_num_threads(before)


class _Run:
    def __init__(self, torch: Any, inputs: Floats, values: Vector, recipe: Recipe, start: Network | None) -> None:
        self._torch, self._recipe = torch, recipe
        gpu = recipe.device == "cuda" or (recipe.device == "auto" and torch.cuda.is_available())
        self._device = torch.device("cuda" if gpu else "cpu")
        self._random = torch.Generator(device=self._device).manual_seed(recipe.seed)
        self._inputs = self._tensor(inputs)
        self._values = self._tensor(values[:, None])
        network = start if start is not None else _random_network(inputs.shape[1], recipe)
        self._weights = [self._tensor(layer).requires_grad_() for layer in network.weights]
        self._biases = [self._tensor(layer).requires_grad_() for layer in network.biases]
        self._average = [layer.detach().clone() for layer in (*self._weights, *self._biases)]
        self._adam = torch.optim.AdamW(
            [
                {"params": self._weights, "weight_decay": recipe.decay},
                {"params": self._biases, "weight_decay": 0.0},
            ],
            lr=recipe.rate,
        )
        self._done = 0
        self._warm = start is not None

    def go(self, checked: tuple[Floats, Vector] | None, epochs: int | None, progress: Progress | None) -> Trained:
        most = self._recipe.epochs if epochs is None else epochs
        best = Trained(self._averaged(), 0, float("inf"))
        for epoch in range(1, most + 1):
            self._epoch()
            error = float("nan")
            if checked is not None:
                candidate = self._averaged()
                error = float(np.mean((candidate.apply_in_chunks(checked[0]) - checked[1]) ** 2))
                if error < best.error:
                    best = Trained(candidate, epoch, error)
            if progress is not None:
                progress(epoch, most, error)
            if checked is not None and epoch - best.epochs >= self._recipe.patience:
                break
        return best if checked is not None else Trained(self._averaged(), most, float("nan"))

    def _epoch(self) -> None:
        torch, recipe, rows = self._torch, self._recipe, len(self._inputs)
        batch = min(recipe.batch, rows)
        batches = max(1, rows // batch)
        order = torch.rand(recipe.members, rows, generator=self._random, device=self._device).argsort(dim=1)
        for number in range(batches):
            chosen = order[:, number * batch : (number + 1) * batch]
            rate = self._rate(batches)
            for group in self._adam.param_groups:
                group["lr"] = rate
            error = self._forward(self._inputs[chosen]) - self._values[chosen]
            loss = (error * error).mean(dim=(1, 2)).sum()
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
            self._done += 1
            share = min(recipe.averaging, (1 + self._done) / (10 + self._done))
            with torch.no_grad():
                for mean, layer in zip(self._average, (*self._weights, *self._biases), strict=True):
                    mean.mul_(share).add_(layer, alpha=1.0 - share)

    def _rate(self, batches: int) -> float:
        """Rises over the first 200 steps and falls along a cosine; a warm update stays at a tenth."""
        if self._warm:
            return 0.1 * self._recipe.rate
        place = self._done / (self._recipe.epochs * batches)
        return self._recipe.rate * min(1.0, (self._done + 1) / 200) * 0.5 * (1.0 + float(np.cos(np.pi * place)))

    def _forward(self, state: Any) -> Any:
        torch, last = self._torch, len(self._weights) - 1
        for number, (weights, biases) in enumerate(zip(self._weights, self._biases, strict=True)):
            if number > 0 and self._recipe.dropout > 0.0:
                kept = torch.rand(state.shape, generator=self._random, device=self._device) > self._recipe.dropout
                state = state * kept / (1.0 - self._recipe.dropout)
            state = torch.baddbmm(biases, state, weights)
            if number < last:
                state = torch.relu(state)
        return state

    def _averaged(self) -> Network:
        arrays = [layer.detach().cpu().numpy().copy() for layer in self._average]
        return Network(tuple(arrays[: len(self._weights)]), tuple(arrays[len(self._weights) :]))

    def _tensor(self, array: Floats | Vector) -> Any:
        return self._torch.tensor(np.asarray(array, dtype=np.float32), device=self._device)


def _random_network(inputs: int, recipe: Recipe) -> Network:
    """He's initialisation (2015); the last layer starts near zero, so that the linear part speaks first."""
    random = np.random.default_rng(recipe.seed)
    widths = (inputs, *recipe.hidden, 1)
    weights, biases = [], []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths)):
        gain = 2.0 if number < len(recipe.hidden) else 0.01
        spread = np.sqrt(gain / fan_in)
        weights.append((spread * random.standard_normal((recipe.members, fan_in, fan_out))).astype(np.float32))
        biases.append(np.zeros((recipe.members, 1, fan_out), dtype=np.float32))
    return Network(tuple(weights), tuple(biases))


def torch_prediction(network: Network, inputs: Floats) -> Vector:
    """The same network run by torch: the oracle for `Network.apply`."""
    torch = torch_or_complain()
    state = torch.tensor(inputs).unsqueeze(0).expand(network.members, -1, -1)
    for number, (weights, biases) in enumerate(zip(network.weights, network.biases, strict=True)):
        state = torch.baddbmm(torch.tensor(biases), state, torch.tensor(weights))
        if number < len(network.weights) - 1:
            state = torch.relu(state)
    return np.asarray(state[:, :, 0].mean(dim=0).numpy(), dtype=np.float64)


def for_thesis(recipe: Recipe) -> Recipe:
    """Seed 004, section 4.2: 128-64-32, ReLU, Adam, one network; the rest is not stated and left plain."""
    return replace(recipe, hidden=(128, 64, 32), members=1, dropout=0.0, rate=1e-3, decay=0.0)
