#!/usr/bin/env bash
# Benchmarks of the gateway beside nginx and another gateway; `bench/run.sh --help` lists them. Needs a release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
die() { printf 'bench: %s\n' "$*" >&2; exit 1; }
# The semantic cache's measures need no server, nginx or Node.
if [ "${1:-}" = savings ]; then
  shift
  [ -x build/release/bench/bench_savings ] || die "build/release/bench/bench_savings is missing: run ./dev build first"
  exec build/release/bench/bench_savings "$@"
fi
for program in build/release/asahi build/release/bench/bench_load build/release/bench/bench_upstream; do
  [ -x "$program" ] || die "$program is missing: run ./dev build first"
done
for command in node npm taskset; do command -v "$command" >/dev/null || die "$command is not installed"; done
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || printf 'bench: nginx is not installed (package nginx): its columns stay empty\n' >&2
stamp=bench/node_modules/.installed
if [ ! -f "$stamp" ] || [ bench/package-lock.json -nt "$stamp" ]; then
  (cd bench && npm ci --no-audit --no-fund >&2) && touch "$stamp"
fi
exec node bench/run.mjs "$@"
