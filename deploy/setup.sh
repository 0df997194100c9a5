#!/usr/bin/env bash
# Makes the virtual environment of `make setup`: pinned and hash-checked packages, the project, torch where it is at hand.
set -euo pipefail
venv="$1"
python="${PYTHON:-python3}"
say() { printf '%s\n' "$*" >&2; }

command -v "$python" >/dev/null || { say "setup needs Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "setup needs Python 3.11 or newer; $("$python" --version) was found. Name another: make setup PYTHON=python3.12"; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  say "setup needs Python's venv module: apt-get install python3-venv"; exit 1; }

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
say "installing the locked packages into $venv ..."
pip install -q --require-hashes -r requirements/lock.txt 2> >(grep -v '^WARNING: Location' >&2)
pip install -q --no-deps --no-build-isolation -e .

if "$venv/bin/python" -c 'import torch' 2>/dev/null; then exit 0; fi
if [ -n "${TORCH:-}" ]; then
  pip install -q torch==2.13.0
elif ! pip install -q --no-index torch==2.13.0 2>/dev/null; then
  say "torch is not installed (only 'forecast train' needs it): 'make setup TORCH=1' fetches it."
fi
