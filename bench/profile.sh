#!/usr/bin/env bash
# Renews cmake/release.profdata, by which the release is optimised: builds an instrumented program, puts it under the loads
# of the benchmarks (misses, exact hits, streams; once as it comes and once with every rule in force) and keeps the counts.
# For when the way of a request has changed much.
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

# Vendor and load are instrumented too; only the gateways' counts, named below, are kept.
export LLVM_PROFILE_FILE=/dev/null
vendor_port=$(free_port)
"$build/bench/bench_upstream" "$vendor_port" >"$work/upstream" &
pids+=($!)

# start NAME [VARIABLE=VALUE …]: a gateway that writes its counts to NAME.profraw when it ends; sets gateway and port.
start() {
  local name=$1
  shift
  port=$(free_port)
  env LLVM_PROFILE_FILE="$work/$name.profraw" ASAHI_DATA_DIR="$work/$name" ASAHI_OPENAI_BASE_URL="http://127.0.0.1:$vendor_port" \
    OPENAI_API_KEY=sk-bench ASAHI_OBSERVABILITY_PROMETHEUS_PORT=0 LOG_LEVEL=WARNING "$@" \
    "$build/asahi" gateway --env-file /dev/null --host 127.0.0.1 --port "$port" --workers 1 >"$work/$name.log" &
  gateway=$!
  pids+=("$gateway")
  for _ in $(seq 100); do
    curl -sf "http://127.0.0.1:$port/health/ready" >/dev/null && return
    sleep 0.1
  done
  cat "$work/$name.log" >&2
  return 1
}
# load [OPTION …]: further options of bench_load, such as a credential.
load() {
  local run=("$build/bench/bench_load" --port "$port" --path /v1/chat/completions --warmup 0 "$@")
  "${run[@]}" --connections 64 --requests 20000
  "${run[@]}" --connections 64 --requests 4000 --repeat-percent 100 --pool 50
  "${run[@]}" --connections 8 --requests 200 --chunks 30
}
stop() {
  kill "$gateway"
  wait "$gateway"
}

start plain
load
stop

secret=operator-secret-of-the-profile
administer() {
  curl -sSf -X "$1" "http://127.0.0.1:$port$2" -H "X-Admin-Secret: $secret" -H 'Content-Type: application/json' -d "$3"
}
minute='"rate_limit_per_minute":1000000000,"tokens_per_minute":1000000000'
each='{"requests_per_minute":1000000000,"tokens_per_minute":1000000000}'
start governed ASAHI_AUTH_API_KEY_REQUIRED=true ASAHI_ADMIN_SECRET=$secret
# Within the 100,000 requests a day of the largest plan.
administer POST /tenants '{"org_id":"bench","name":"bench","plan":"enterprise"}' >"$work/tenant"
administer PUT /governance/policies/bench "{$minute,\"per_user\":$each,\"per_model\":{\"gpt-4o-mini\":$each},
  \"allowed_models\":[\"gpt-*\"],\"max_cost_per_day\":1000000,\"max_cost_per_month\":1000000,
  \"max_requests_per_day\":1000000000,\"max_requests_per_month\":1000000000}" >"$work/policy"
administer PUT /governance/compliance/profile/bench '{"pii_detection_enabled":true,"pii_action":"redact"}' >"$work/profile"
key=$(administer POST /governance/api-keys "{\"org_id\":\"bench\",\"user_id\":\"u\",\"scopes\":[\"infer\"],$minute}" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["api_key"])')
load --key "$key"
stop

llvm-profdata-19 merge -sparse -o cmake/release.profdata "$work"/*.profraw
