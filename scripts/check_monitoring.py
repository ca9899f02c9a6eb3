#!/usr/bin/env python3
"""Holds deploy/prometheus, deploy/alertmanager and deploy/grafana to their formats, to what they promise, and to the code.

check_monitoring.py files             promtool, amtool, routes of the four severities, dashboards, names against the source
check_monitoring.py alerts            the unit tests of the alerts (promtool test rules)
check_monitoring.py exposition FILE   every series of rules and dashboards is in an exposition, or comes with an incident

Exits 77 where promtool or amtool is missing: the test is then reported as skipped."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMETHEUS, ALERTMANAGER, GRAFANA = (ROOT / "deploy" / name for name in ("prometheus", "alertmanager", "grafana"))
RULES = [PROMETHEUS / "asahi.rules.yml", PROMETHEUS / "akosha.rules.yml"]
# No part of a recorded name, as in akosha:embedding_fallback_ratio:rate5m.
SERIES = re.compile(r"(?<![:\w])(?:asahi|akosha|analytics|circuit|embedding|kg|security)_[a-z0-9_]+\b(?!:)")
RECORD = re.compile(r"\b(?:asahi|akosha):[a-z0-9_:]+\b")
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")
# Of the gateway, and of the memory.
SEVERITIES = {"asahi": {"critical": "pagerduty", "high": "slack-alerts", "medium": "slack-ops", "low": "mail-digest"},
              "akosha": {"critical": "pagerduty", "warning": "slack-ops", "info": "mail-digest"}}

# Series that begin with what they count: in the source, but not in the exposition of a server that nothing happened to.
INCIDENTS = {
    "asahi_errors_total", "asahi_fallbacks_total", "asahi_provider_retries_total", "asahi_circuit_breaker_failures_total",
    "asahi_rate_limited_total", "asahi_pii_detections_total", "asahi_token_estimate_ratio", "asahi_quality_score",
    "asahi_batch_size",
    # With an archive only.
    "asahi_event_archive_files_total", "asahi_event_archive_bytes_total", "asahi_event_archive_waiting_files",
    "asahi_event_archive_last_success_timestamp_seconds",
    # With such a tier, such a store, or a webhook only.
    "akosha_warm_store_health_status", "akosha_cold_store_health_status", "akosha_storage_uploads", "akosha_storage_downloads",
    "akosha_cloud_storage_errors_total", "circuit_state", "circuit_success_rate", "circuit_rejected_calls", "circuit_total_calls",
    "circuit_consecutive_failures",
    # With replica buckets only.
    "akosha_replica_lag_seconds", "akosha_replica_last_compared_timestamp_seconds", "akosha_replica_reads_total",
    # Once something was taken in, or went wrong.
    "akosha_ingestion_requests_total", "akosha_ingestion_conversations_processed_total", "akosha_ingestion_errors_total",
    "akosha_ingestion_bytes_total", "akosha_ingestion_throughput", "akosha_alerts_total", "akosha_errors_total", "akosha_error_last_timestamp_seconds",
    # Once graph or series were asked about, or points came.
    "analytics_trend_completed_total", "analytics_anomaly_detected_total", "analytics_anomaly_rate", "analytics_correlation_completed_total",
    "analytics_metrics_added_total",
}


def run(*command: object) -> list[str]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    return [] if done.returncode == 0 else [f"{command[0]}: {(done.stdout + done.stderr).strip()}"]


def dashboards() -> dict[str, dict]:
    return {path.name: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}


def expressions() -> dict[str, list[str]]:
    """Where from -> PromQL."""
    found: dict[str, list[str]] = {path.name: [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
                                   for path in RULES}
    for name, content in dashboards().items():
        texts = [target["expr"] for panel in content["panels"] for target in panel["targets"]]
        texts += [variable["definition"] for variable in content["templating"]["list"] if "definition" in variable]
        found[name] = texts
    return found


def rules_text() -> str:
    return "\n".join(path.read_text() for path in RULES)


def base(name: str) -> str:
    return next((name.removesuffix(part) for part in HISTOGRAM_PARTS if name.endswith(part)), name)


def series_used() -> dict[str, str]:
    """Name -> where it stands first."""
    used: dict[str, str] = {}
    for place, texts in expressions().items():
        for text in texts:
            for name in SERIES.findall(text):
                used.setdefault(name, place)
    return used


def check_dashboards() -> list[str]:
    faults = []
    found = dashboards()
    if len(found) < 10:
        faults.append(f"only {len(found)} dashboards")
    uids: dict[str, str] = {}
    recorded = set(re.findall(r"record: (\S+)", rules_text()))
    for name, content in found.items():
        where = f"deploy/grafana/{name}"
        for key, kind in {"uid": str, "title": str, "schemaVersion": int, "panels": list, "templating": dict, "time": dict}.items():
            if not isinstance(content.get(key), kind):
                faults.append(f"{where}: {key} is missing")
        if content["uid"] in uids:
            faults.append(f"{where}: has the uid of {uids[content['uid']]}")
        uids[content["uid"]] = name
        if content.get("id") is not None:
            faults.append(f"{where}: has an id, so that Grafana refuses to import it")
        variables = {variable["name"]: variable for variable in content["templating"]["list"]}
        if variables.get("datasource", {}).get("type") != "datasource":
            faults.append(f"{where}: no variable for the data source")
        ids = [panel["id"] for panel in content["panels"]]
        if len(set(ids)) != len(ids):
            faults.append(f"{where}: panels share ids")
        taken: set[tuple[int, int]] = set()
        for panel in content["panels"]:
            title = f"{where}: {panel['title']}"
            if panel["datasource"]["uid"] != "${datasource}" or not panel["targets"]:
                faults.append(f"{title}: another data source, or nothing asked")
            box = panel["gridPos"]
            cells = {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
            if box["x"] + box["w"] > 24 or cells & taken:
                faults.append(f"{title}: lies over another panel or beyond the edge")
            taken |= cells
            for target in panel["targets"]:
                for unknown in set(RECORD.findall(target["expr"])) - recorded:
                    faults.append(f"{title}: nobody records {unknown}")
                for variable in set(re.findall(r"\$([a-z_]+)", target["expr"])) - set(variables) - {"__rate_interval", "__"}:
                    if not variable.startswith("__"):
                        faults.append(f"{title}: no variable ${variable}")
    return faults


def check_promql() -> list[str]:
    """Each query of a dashboard as a rule: promtool parses it."""
    rules = []
    for name, content in dashboards().items():
        for panel in content["panels"]:
            for target in panel["targets"]:
                text = target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
                rules.append({"record": "check:this", "expr": text, "labels": {"at": f"{name}:{panel['id']}:{target['refId']}"}})
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)  # JSON is YAML
        file.flush()
        return run("promtool", "check", "rules", "--lint=none", file.name)


def check_source() -> list[str]:
    source = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.[ch]*"))
                       if path.suffix in (".cc", ".h") and not path.name.endswith("_test.cc"))
    return [f"{place}: no series {name} in src/" for name, place in sorted(series_used().items())
            if f'"{name}"' not in source and f'"{base(name)}"' not in source]


def check_tests() -> list[str]:
    tests = "\n".join(path.read_text() for path in PROMETHEUS.glob("*.test.yml"))
    faults = []
    for alert in re.findall(r"alert: (\S+)", rules_text()):
        fires = re.search(rf'alertname="{alert}", alertstate="firing"[^\n]*\n[^\n]*\n\s*exp_samples: \[\{{', tests)
        quiet = re.search(rf'alertname="{alert}", alertstate="firing"[^\n]*\n[^\n]*\n\s*exp_samples: \[\]', tests)
        if not fires or not quiet:
            faults.append(f"{alert}: no test in which it {'fires' if not fires else 'keeps quiet'}")
    runbooks = re.findall(r"runbook: (\S+)#(\S+)", rules_text())
    for page, anchor in runbooks:
        headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
                    for line in (ROOT / page).read_text().splitlines() if line.startswith("#")}
        if anchor not in headings:
            faults.append(f"rules: {page}#{anchor} does not exist")
    return faults


def check_routes() -> list[str]:
    faults = []
    config = ALERTMANAGER / "alertmanager.yml"
    for service, severities in SEVERITIES.items():
        for severity, receiver in severities.items():
            faults += run("amtool", "config", "routes", "test", f"--config.file={config}", f"--verify.receivers={receiver}",
                          f"severity={severity}", f"service={service}", "alertname=Some")
    for severity, service in sorted(set(re.findall(r"severity: (\w+), service: (\w+)", rules_text()))):
        if severity not in SEVERITIES.get(service, {}):
            faults.append(f"rules: severity {severity} of {service} has no route")
    return faults


def check_files() -> list[str]:
    faults = run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    faults += run("promtool", "check", "rules", *RULES)
    faults += run("amtool", "check-config", ALERTMANAGER / "alertmanager.yml")
    faults += run(sys.executable, ROOT / "scripts/grafana_dashboards.py", "--check")
    return faults + check_dashboards() + check_promql() + check_source() + check_tests() + check_routes()


def check_exposition(path: str) -> list[str]:
    known = set(re.findall(r"^# TYPE (\S+)", pathlib.Path(path).read_text(), flags=re.M))
    return [f"{place}: {name} is not among the {len(known)} series of the server" for name, place in sorted(series_used().items())
            if name not in known and base(name) not in known and name not in INCIDENTS and base(name) not in INCIDENTS]


def main() -> int:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what in ("files", "alerts") and not (shutil.which("promtool") and shutil.which("amtool")):
        print("skipped: promtool and amtool are missing (packages prometheus, prometheus-alertmanager)")
        return 77
    if what == "files":
        faults = check_files()
    elif what == "alerts":
        faults = run("promtool", "test", "rules", *sorted(PROMETHEUS.glob("*.test.yml")))
    elif what == "exposition" and len(sys.argv) == 3:
        faults = check_exposition(sys.argv[2])
    else:
        print(__doc__)
        return 2
    for fault in faults:
        print(fault)
    if not faults:
        print("good")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
