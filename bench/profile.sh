#!/usr/bin/env bash
# Renews cmake/release.profdata, by which the release is optimised: builds an instrumented program, puts it under the loads
# of the benchmarks (misses, exact hits, streams) and keeps the counts. For when the way of a request has changed much.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/profile
cmake --preset profile
cmake --build "$build" --target asahi bench_load bench_upstream

work=$(mktemp -d)
pids=()
clean_up() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean_up EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

vendor_port=$(free_port)
"$build/bench/bench_upstream" "$vendor_port" >"$work/upstream" &
pids+=($!)
port=$(free_port)
LLVM_PROFILE_FILE=$work/counts.profraw ASAHI_DATA_DIR=$work/data ASAHI_OPENAI_BASE_URL=http://127.0.0.1:$vendor_port \
  OPENAI_API_KEY=sk-bench ASAHI_OBSERVABILITY_PROMETHEUS_PORT=0 LOG_LEVEL=WARNING \
  "$build/asahi" gateway --env-file /dev/null --host 127.0.0.1 --port "$port" --workers 1 >"$work/asahi" &
gateway=$!
pids+=("$gateway")
for _ in $(seq 100); do
  curl -sf "http://127.0.0.1:$port/health/ready" >/dev/null && break
  sleep 0.1
done
load=("$build/bench/bench_load" --port "$port" --path /v1/chat/completions --warmup 0)
"${load[@]}" --connections 64 --requests 20000
"${load[@]}" --connections 64 --requests 4000 --repeat-percent 100 --pool 50
"${load[@]}" --connections 8 --requests 200 --chunks 30
kill "$gateway"
wait "$gateway"
llvm-profdata-19 merge -sparse -o cmake/release.profdata "$work/counts.profraw"
