#!/usr/bin/env bash
# Benchmarks of the gateway beside nginx and another gateway; `bench/run.sh --help` lists them. Needs a release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
die() { printf 'bench: %s\n' "$*" >&2; exit 1; }
# What savings bring and what they risk: no server beside, no nginx. With options: the semantic cache alone.
if [ "${1:-}" = savings ]; then
  shift
  for program in asahi bench/bench_savings bench/bench_tokens bench/bench_router; do
    [ -x "build/release/$program" ] || die "build/release/$program is missing: run ./dev build first"
  done
  [ $# -eq 0 ] || exec build/release/bench/bench_savings "$@"
  build/release/bench/bench_savings
  for prompts in verbose_prompts verbose_prompts_second; do
    printf '\nTokens saved: %s\n' "$prompts"
    build/release/bench/bench_tokens "bench/savings/$prompts.jsonl" src/llm/tokens/golden.json
  done
  printf '\nLearned router, on rows held out\n'
  build/release/bench/bench_router | sed '$d'  # the last line is for programs
  printf '\nThe whole gateway, on its own mix of questions\n'
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  ASAHI_DATA_DIR=$scratch build/release/asahi benchmark --mock --num_queries 200 2>/dev/null
  exit
fi
# Event writer and dashboard queries over millions of events: --rows 10000000 for the table of docs/benchmarks.md.
if [ "${1:-}" = analytics ]; then
  shift
  [ -x build/release/bench/bench_analytics ] || die "build/release/bench/bench_analytics is missing: run ./dev build first"
  exec build/release/bench/bench_analytics "$@"
fi
# The memory module's parts; its peers from npm are optional, each for itself.
if [ "${1:-}" = memory ]; then
  shift
  stamp=bench/memory/node_modules/.installed
  if [ ! -f "$stamp" ] || [ bench/memory/package-lock.json -nt "$stamp" ]; then
    # A registry that does not carry other platforms' builds makes `npm ci` doubt the lock file.
    if (cd bench/memory && { npm ci --no-audit --no-fund >&2 || npm install --no-save --no-audit --no-fund >&2; }); then touch "$stamp"; else printf 'bench: peers from npm are not installed: their rows stay empty\n' >&2; fi
  fi
  exec node bench/memory/run.mjs "$@"
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
