"""A model on disk: whole, verified, swapped atomically, and resumed after an interruption."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loads import TINY as SMALL
from loads import measured
from needs import needs_torch

from forecasting import artefact, teaching
from forecasting.artefact import ArtefactError
from forecasting.teaching import teach

HOUSE = measured().until(1600)
TINY = replace(SMALL, members=1, epochs=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_torch()
    path = tmp_path_factory.mktemp("models") / "house.npz"
    teach(HOUSE, [1, 24], path, recipe=TINY)
    return path


def test_what_is_loaded_predicts_and_learns_as_what_was_saved(file: Path, tmp_path: Path) -> None:
    trained, checksum = teach(HOUSE, [1], tmp_path / "again.npz", recipe=TINY)
    found = artefact.load(tmp_path / "again.npz")
    assert found.recipe == TINY
    assert found.hours == 1600
    ours, theirs = trained.models[1], found.models[1]
    rows = ours.table(HOUSE).values[700:800]
    np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
    np.testing.assert_array_equal(ours.checked.errors, theirs.checked.errors)
    for model in (ours, theirs):
        model.learn(rows, rows[:, 0] + 1.0, np.zeros(100), 24.0)
    np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
    assert checksum in (tmp_path / "again.npz.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in file.parent.iterdir()) == ["house.npz", "house.npz.md"]


def test_the_card_says_what_it_is(file: Path) -> None:
    text = (file.parent / "house.npz.md").read_text(encoding="utf-8")
    for part in ("Load forecast of energy_kwh", "1600 hours", "seed 0", "| 1 h |", "| 24 h |", "SHA-256", "load-0"):
        assert part in text


def test_a_changed_model_is_refused(file: Path, tmp_path: Path) -> None:
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["1/layer0/weights"] = arrays["1/layer0/weights"] + np.float32(1e-3)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (tmp_path / "changed.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ArtefactError, match="does not match its checksum"):
        artefact.load(tmp_path / "changed.npz")


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 cut off"])
def test_what_is_no_model_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ArtefactError, match="train again"):
        artefact.load(tmp_path / "bad.npz")
    with pytest.raises(ArtefactError, match="cannot be read"):
        artefact.load(tmp_path / "none.npz")


def test_another_version_is_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = artefact.load(file)
    monkeypatch.setattr(artefact, "VERSION", 99)
    artefact.save(found, tmp_path / "newer.npz")
    monkeypatch.undo()
    with pytest.raises(ArtefactError, match="has version 99, this program reads 2"):
        artefact.load(tmp_path / "newer.npz")


def test_a_failed_save_leaves_the_old_file_whole(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = artefact.load(file)
    target = tmp_path / "kept.npz"
    artefact.save(found, target)
    before = target.read_bytes()

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        artefact.save(found, target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]


def test_an_interrupted_training_goes_on_with_the_horizon_it_was_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_torch()
    asked: list[int] = []
    fit = teaching.fit

    def interrupted(series: object, horizon_h: int, **options: object) -> object:
        asked.append(horizon_h)
        if asked == [1, 24]:
            raise KeyboardInterrupt
        return fit(series, horizon_h, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(teaching, "fit", interrupted)
    path = tmp_path / "house.npz"
    with pytest.raises(KeyboardInterrupt):
        teach(HOUSE, [1, 24], path, recipe=TINY)
    assert not path.exists()
    teach(HOUSE, [1, 24], path, recipe=TINY)
    assert asked == [1, 24, 24]
    assert sorted(artefact.load(path).models) == [1, 24]
    assert not (tmp_path / "house.npz.partial").exists()
    teach(HOUSE.until(1590), [1], path, recipe=TINY)  # other data: nothing of the old is taken over
    assert asked == [1, 24, 24, 1]
