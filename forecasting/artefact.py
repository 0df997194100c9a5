"""A trained NARX on disk: plain arrays in one .npz file, with a version and a checksum; no pickle, no torch."""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from domain.errors import HeadroomError
from forecasting.linear import RecursiveRidge, Ridge, Standard
from forecasting.narx import Checked, HorizonModel, Share, Skip
from forecasting.network import Encoder, Network
from forecasting.training import Recipe
from forecasting.trees import Trees

VERSION = 2
Arrays = dict[str, npt.NDArray[Any]]
_MANIFEST = "manifest"
_TREES = ("columns", "roots", "feature", "threshold", "left", "right", "value")


class ArtefactError(HeadroomError):
    """A model file that cannot be used; says why and what to do."""

    def __init__(self, file: Path | str, message: str) -> None:
        self.file = str(file)
        super().__init__(f"{file}: {message}")


@dataclass(frozen=True)
class Trained:
    """All horizons of one series, and what they were made of.

    `fingerprint` names data, preset and recipe: what a training that was interrupted may go on from.
    """

    series: str
    first: str
    last: str
    hours: int
    missing: int
    fingerprint: str
    recipe: Recipe
    models: Mapping[int, HorizonModel]


def fingerprint(load: npt.NDArray[np.float64], exogenous: npt.NDArray[np.float64], preset: str, recipe: Recipe) -> str:
    """Same data, preset and recipe, same text."""
    digest = hashlib.sha256(np.ascontiguousarray(load).tobytes())
    digest.update(np.ascontiguousarray(exogenous).tobytes())
    digest.update(json.dumps([preset, asdict(recipe)], sort_keys=True).encode())
    return digest.hexdigest()


def save(trained: Trained, file: Path) -> str:
    """Write atomically: a reader finds the old file or the new one, whole. Returns the checksum (SHA-256)."""
    manifest: dict[str, Any] = {
        "version": VERSION,
        "series": trained.series,
        "first": trained.first,
        "last": trained.last,
        "hours": trained.hours,
        "missing": trained.missing,
        "fingerprint": trained.fingerprint,
        "recipe": asdict(trained.recipe),
        "models": {},
    }
    arrays: Arrays = {}
    for horizon_h, model in trained.models.items():
        described, held = _packed(model)
        manifest["models"][str(horizon_h)] = described
        arrays |= {f"{horizon_h}/{name}": array for name, array in held.items()}
    manifest["sha256"] = _checksum(manifest, arrays)
    text = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=file.name, suffix=".new", delete=False) as scratch:
        try:
            np.savez_compressed(scratch, allow_pickle=False, **{_MANIFEST: text, **arrays})
            scratch.flush()
            os.fsync(scratch.fileno())
            Path(scratch.name).replace(file)
        except BaseException:
            Path(scratch.name).unlink(missing_ok=True)
            raise
    return str(manifest["sha256"])


def load(file: Path) -> Trained:
    """Read and verify.

    Raises:
        ArtefactError: not readable, of another version, or changed since it was written.
    """
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        manifest = json.loads(arrays.pop(_MANIFEST).tobytes())
    except OSError as problem:
        raise ArtefactError(file, f"cannot be read: {problem.strerror or problem}") from problem
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, UnicodeDecodeError) as problem:
        raise ArtefactError(
            file, "is no model of `headroom forecast train`, or it is damaged: train again"
        ) from problem
    if manifest.get("version") != VERSION:
        raise ArtefactError(file, f"has version {manifest.get('version')}, this program reads {VERSION}: train again")
    claimed = manifest.pop("sha256", None)
    if claimed != _checksum(manifest, arrays):
        raise ArtefactError(file, "does not match its checksum: it was changed or damaged, train again")
    recipe = manifest["recipe"]
    models = {
        int(horizon): _unpacked(int(horizon), described, _below(f"{horizon}/", arrays))
        for horizon, described in manifest["models"].items()
    }
    return Trained(
        manifest["series"],
        manifest["first"],
        manifest["last"],
        manifest["hours"],
        manifest["missing"],
        manifest["fingerprint"],
        Recipe(**{**recipe, "hidden": tuple(recipe["hidden"])}),
        models,
    )


def _checksum(manifest: Mapping[str, Any], arrays: Arrays) -> str:
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _below(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _packed(model: HorizonModel) -> tuple[dict[str, Any], Arrays]:
    described = {
        "preset": model.preset,
        "names": list(model.names),
        "bends": [list(pair) for pair in model.bends],
        "scale": model.scale,
        "share": asdict(model.share),
        "blend": model.blend,
        "reference": model.reference,
        "epochs": model.epochs,
        "skips": [_described(skip) for skip in model.skips],
        "layers": len(model.network.weights),
        "trees": None if model.trees is None else {"base": model.trees.base, "depth": model.trees.depth},
    }
    arrays: Arrays = {"checked/errors": model.checked.errors, "checked/hours": model.checked.hours}
    for number, skip in enumerate(model.skips):
        arrays |= {f"skip{number}/{name}": array for name, array in _skip_arrays(skip)}
    arrays |= {f"encoder/{part.name}": getattr(model.encoder, part.name) for part in fields(model.encoder)}
    for number, (weights, biases) in enumerate(zip(model.network.weights, model.network.biases, strict=True)):
        arrays |= {f"layer{number}/weights": weights, f"layer{number}/biases": biases}
    if model.trees is not None:
        arrays |= {f"trees/{name}": getattr(model.trees, name) for name in _TREES}
    return described, arrays


def _described(skip: Skip) -> dict[str, Any]:
    if isinstance(skip.ridge, Ridge):
        return {"kind": "ridge", "weight": skip.weight}
    ridge = skip.ridge
    return {
        "kind": "recursive",
        "weight": skip.weight,
        "penalty": ridge.penalty,
        "half_life_d": ridge.half_life_d,
    }


def _skip_arrays(skip: Skip) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "columns", skip.columns
    yield "mean", skip.ridge.standard.mean
    yield "deviation", skip.ridge.standard.deviation
    yield "weights", skip.ridge.weights
    if isinstance(skip.ridge, RecursiveRidge):
        yield "gram", skip.ridge.gram
        yield "moment", skip.ridge.moment


def _unpacked(horizon_h: int, described: Mapping[str, Any], arrays: Arrays) -> HorizonModel:
    encoder = _below("encoder/", arrays)
    layers = [_below(f"layer{number}/", arrays) for number in range(described["layers"])]
    return HorizonModel(
        horizon_h=horizon_h,
        preset=described["preset"],
        names=tuple(described["names"]),
        bends=tuple((float(low), float(high)) for low, high in described["bends"]),
        skips=tuple(_skip(kind, _below(f"skip{number}/", arrays)) for number, kind in enumerate(described["skips"])),
        encoder=Encoder(**encoder) if "knots" in encoder else Standard(**encoder),
        network=Network(tuple(one["weights"] for one in layers), tuple(one["biases"] for one in layers)),
        scale=described["scale"],
        share=Share(**described["share"]),
        blend=described["blend"],
        reference=described["reference"],
        checked=Checked(arrays["checked/errors"], arrays["checked/hours"]),
        epochs=described["epochs"],
        trees=_trees(described["trees"], _below("trees/", arrays)),
    )


def _trees(described: Mapping[str, Any] | None, arrays: Arrays) -> Trees | None:
    return None if described is None else Trees(base=described["base"], depth=described["depth"], **arrays)


def _skip(kind: Mapping[str, Any], arrays: Arrays) -> Skip:
    standard = Standard(arrays["mean"], arrays["deviation"])
    if kind["kind"] == "ridge":
        return Skip(arrays["columns"], kind["weight"], Ridge(standard, arrays["weights"]))
    ridge = RecursiveRidge(
        standard, kind["penalty"], kind["half_life_d"], arrays["gram"], arrays["moment"], arrays["weights"]
    )
    return Skip(arrays["columns"], kind["weight"], ridge)
