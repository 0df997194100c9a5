"""The file of a backup: a zip of SQLite files, the database's and the spools', and a manifest with their checksums.

Everything in it can be looked at with common tools, and it can be restored into SQLite and into PostgreSQL.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from domain.errors import HeadroomError

MANIFEST = "manifest.json"
DATABASE = "headroom.db"
FORMAT = 1
_CHUNK = 1 << 20


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself. `schema`: the newest migration in it. `files`: SHA-256 (hex) by name."""

    format: int
    made_at: str
    version: str
    schema: str
    source: str
    rows: dict[str, int]
    files: dict[str, str]

    @property
    def spools(self) -> list[str]:
        """The spool files in it, in their order."""
        return sorted(name for name in self.files if name != DATABASE)


def spool_name(number: int) -> str:
    """The name of the nth spool, counted from 1, in the file."""
    return f"spool-{number:03}.db"


def pack(target: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Writes the file, for its owner's eyes alone; whole or not at all."""
    partial = target.with_name(target.name + ".partial")
    try:
        with (
            os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
            zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=1, allowZip64=True) as archive,
        ):
            archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            for name, path in files.items():
                archive.write(path, name)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise HeadroomError(f"--out {target}: cannot be written: {error.strerror}") from None


def unpack(source: Path, folder: Path) -> Manifest:
    """Reads a backup into a folder and checks every byte of it.

    Raises:
        HeadroomError: it is no backup, it is damaged, or a newer Headroom made it.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = _manifest(source, archive)
            for name, digest in manifest.files.items():
                path = folder / Path(name).name
                with archive.open(name) as packed, path.open("wb") as out:
                    while chunk := packed.read(_CHUNK):
                        out.write(chunk)
                if digest_of(path) != digest:
                    raise HeadroomError(f"{source}: '{name}' is damaged: its checksum is another. Take another backup")
    except FileNotFoundError:
        raise HeadroomError(f"{source}: there is no such file") from None
    except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
        raise HeadroomError(f"{source}: is no backup, or is damaged: {error}. Take another backup") from None
    return manifest


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def _manifest(source: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except msgspec.DecodeError as error:
        raise HeadroomError(f"{source}: its manifest cannot be read: {error}. Take another backup") from None
    if manifest.format > FORMAT:
        raise HeadroomError(f"{source}: made by a newer Headroom ({manifest.version}): restore it with that one")
    _names_are_ours(source, [*manifest.files])
    return manifest


def _names_are_ours(source: Path, names: Sequence[str]) -> None:
    if DATABASE not in names or any(Path(name).name != name for name in names):
        raise HeadroomError(f"{source}: is no backup: its manifest names {', '.join(names) or 'nothing'}")
