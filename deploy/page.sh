#!/usr/bin/env bash
# Builds the page (dashboard/) into headroom/page/, where Node is present; the service runs without it.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '%s\n' "$*" >&2; }
left_out() {
  say "the page is left out: $*. Everything else works; the REST API is at /api/v1."
  # In continuous integration nothing is left out.
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

command -v node >/dev/null && command -v npm >/dev/null || left_out "it needs Node 20.19 or newer, and npm"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  left_out "it needs Node 20.19 or newer; $(node --version) was found"
say "building the page ..."
if [ dashboard/package-lock.json -nt dashboard/node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --silent --prefix dashboard || left_out "npm could not install what it is made of"
fi
npm run --silent build --prefix dashboard >&2 || left_out "its build failed"
