"""Trained models on disk, one file per phase of a feeder, and how they come into a running forecast."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.ids import FeederId, SiteId
from domain.site import Phase
from forecasting.artefact import Trained, load

SUFFIX = ".npz"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder: SITE/FEEDER.PHASE.npz, with the card beside each. Any process may put a file there, whole."""

    folder: Path

    def file(self, site: SiteId, feeder: FeederId, phase: Phase) -> Path:
        """Where that phase's model lies, whether or not it is there."""
        return self.folder / site / f"{feeder}.{phase.value}{SUFFIX}"

    def read(self, site: SiteId, feeder: FeederId, phase: Phase) -> Trained | None:
        """The model, verified; None where there is none. `ArtefactError` where it cannot be used."""
        file = self.file(site, feeder, phase)
        return load(file) if file.is_file() else None

    def take(self, candidate: Path, site: SiteId, feeder: FeederId, phase: Phase) -> Trained:
        """Verify a candidate and put it in the model's place: a reader finds the old one or the new one, whole.

        Raises:
            ArtefactError: it is damaged; the old one stays.
        """
        trained = load(candidate)
        file = self.file(site, feeder, phase)
        card = candidate.with_name(candidate.name + ".md")
        if card.is_file():
            card.replace(file.with_name(file.name + ".md"))
        candidate.replace(file)
        return trained


def newest_hour(trained: Trained) -> datetime:
    """The last hour that a model has learned from."""
    return datetime.fromisoformat(trained.last).replace(tzinfo=UTC)


def default_folder(database: str) -> Path | None:
    """Beside an SQLite file: NAME.forecast; None for a server, where nothing says which folder is kept."""
    scheme, _, path = database.partition(":///")
    if not scheme.startswith("sqlite") or not path or path.startswith(":memory:"):
        return None
    return Path(path + ".forecast")
