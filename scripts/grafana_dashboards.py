#!/usr/bin/env python3
"""Writes deploy/grafana/*.json: one file per dashboard, importable as they are. Panels are described here once, so that all
look alike. `--check` writes nothing and fails where a file differs from its description."""
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "deploy/grafana"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
J = 'job=~"$job", instance=~"$instance"'


def variables():
    def query(name, label, text):
        return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "query": {"query": text, "refId": name},
                "definition": text, "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
                "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": [], "hide": 0, "regex": "", "skipUrlSync": False}
    return [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0,
             "includeAll": False, "multi": False, "options": [], "regex": "", "skipUrlSync": False, "current": {}},
            query("job", "Job", "label_values(asahi_build_info, job)"),
            query("instance", "Instance", 'label_values(asahi_build_info{job=~"$job"}, instance)')]


def panel(title, kind, targets, unit="short", width=12, height=8, description="", **more):
    """`targets`: expressions, or (expression, legend). `stacked`, `lowest`, `highest`, `steps` refine it."""
    defaults = {"unit": unit, "mappings": [], "color": {"mode": "palette-classic" if kind != "stat" else "thresholds"},
                "thresholds": {"mode": "absolute", "steps": more.get("steps", [{"color": "green", "value": None}])}}
    if "lowest" in more:
        defaults["min"] = more["lowest"]
    if "highest" in more:
        defaults["max"] = more["highest"]
    if "mappings" in more:
        defaults["mappings"] = more["mappings"]
    options = {}
    if kind == "timeseries":
        defaults["custom"] = {"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "showPoints": "never", "spanNulls": False,
                              "fillOpacity": 30 if more.get("stacked") else 10,
                              "stacking": {"mode": "normal" if more.get("stacked") else "none", "group": "A"}}
        options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
                   "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value", "graphMode": "area",
                   "justifyMode": "auto", "textMode": "auto", "orientation": "auto"}
    elif kind == "piechart":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "pieType": "donut",
                   "legend": {"displayMode": "table", "placement": "right", "showLegend": True, "values": ["value", "percent"]},
                   "tooltip": {"mode": "single", "sort": "none"}}
    elif kind == "table":
        options = {"showHeader": True, "sortBy": [{"displayName": "Value", "desc": True}]}
    elif kind == "state-timeline":
        defaults["custom"] = {"fillOpacity": 70, "lineWidth": 0}
        options = {"showValue": "auto", "mergeValues": True, "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    elif kind == "heatmap":
        options = {"calculate": False, "yAxis": {"unit": unit}, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                   "cellGap": 1, "legend": {"show": True}, "tooltip": {"show": True, "yHistogram": False}}
    elif kind == "bargauge":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "displayMode": "gradient",
                   "orientation": "horizontal", "showUnfilled": True}
    written = []
    for index, target in enumerate(targets):
        expression, legend = target if isinstance(target, tuple) else (target, "")
        one = {"datasource": DATASOURCE, "expr": expression, "legendFormat": legend or "__auto", "refId": chr(ord("A") + index),
               "editorMode": "code", "range": kind not in ("piechart", "table", "bargauge"), "instant": kind in ("piechart", "table", "bargauge")}
        if kind == "heatmap":
            one["format"] = "heatmap"
        if kind == "table":
            one["format"] = "table"
        written.append(one)
    return {"title": title, "type": kind, "description": description, "datasource": DATASOURCE, "targets": written,
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options, "size": (width, height)}


def dashboard(name, title, description, panels, refresh="30s", product="Asahi", service="asahi"):
    x = y = row = 0
    laid = []
    for number, each in enumerate(panels, 1):
        width, height = each.pop("size")
        if x + width > 24:
            x, y, row = 0, y + row, 0
        laid.append({"id": number, **each, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, row = x + width, max(row, height)
    return name, {"uid": f"asahi-{name}", "title": f"{product} / {title}", "description": description, "tags": ["asahi"],
                  "schemaVersion": 38, "version": 1, "editable": True, "graphTooltip": 1, "refresh": refresh, "timezone": "utc",
                  "time": {"from": "now-6h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0, "weekStart": "", "liveNow": False,
                  "annotations": {"list": [{"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
                                            "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"},
                                           {"datasource": DATASOURCE, "enable": True, "iconColor": "red", "name": "Alerts",
                                            "expr": f'ALERTS{{alertstate="firing", service="{service}"}}', "titleFormat": "{{alertname}}",
                                            "textFormat": "{{severity}}", "step": "60s"}]},
                  "templating": {"list": variables()}, "panels": laid,
                  "links": [{"title": "Asahi", "type": "dashboards", "tags": ["asahi"], "asDropdown": True, "includeVars": True,
                             "keepTime": True, "icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}]}


def rate(series, by="", more="", window="$__rate_interval"):
    return f"sum by ({by}) (rate({series}{{{J}{', ' + more if more else ''}}}[{window}]))" if by else \
        f"sum(rate({series}{{{J}{', ' + more if more else ''}}}[{window}]))"


def increase(series, window, by="", more=""):
    inner = f"increase({series}{{{J}{', ' + more if more else ''}}}[{window}])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantile(q, series, by="", more=""):
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({series}_bucket{{{J}{', ' + more if more else ''}}}[$__rate_interval])))"


ERRORS = f'(sum(rate(asahi_requests_total{{{J}, status="error"}}[$__rate_interval])) or vector(0)) / (sum(rate(asahi_requests_total{{{J}}}[$__rate_interval])) > 0)'
HITS = f'sum(increase(asahi_cache_hits_total{{{J}}}[1h])) / sum(increase(asahi_requests_total{{{J}, status="success"}}[1h]))'
TIGHT = [{"color": "green", "value": None}, {"color": "orange", "value": 0.01}, {"color": "red", "value": 0.05}]
STATES = [{"type": "value", "options": {"0": {"text": "closed", "color": "green"}, "1": {"text": "open", "color": "red"},
                                        "2": {"text": "half open", "color": "orange"}}}]

# The memory's dashboards (spec/memory 8.3).
INGESTED = f'sum(rate(akosha_ingestion_requests_total{{{J}}}[$__rate_interval])) > 0'
QUERY_ERRORS = (f'(sum(rate(akosha_query_requests_total{{{J}, status="error"}}[$__rate_interval])) or vector(0)) '
                f'/ (sum(rate(akosha_query_requests_total{{{J}}}[$__rate_interval])) > 0)')
GOOD_UPLOADS = f'sum(rate(akosha_ingestion_requests_total{{{J}, status=~"success|done|partial"}}[$__rate_interval])) / ({INGESTED})'
BAD_UPLOADS = f'(sum(rate(akosha_ingestion_requests_total{{{J}, status!~"success|done|partial|retry"}}[$__rate_interval])) or vector(0)) / ({INGESTED})'
UP_DOWN = [{"type": "value", "options": {"0": {"text": "away", "color": "red"}, "1": {"text": "healthy", "color": "green"}}}]
CIRCUITS = [{"type": "value", "options": {"0": {"text": "open", "color": "red"}, "1": {"text": "closed", "color": "green"},
                                          "2": {"text": "half open", "color": "orange"}}}]
TIERS = ("hot", "warm", "cold")
# Of three shares, each 1 when all is well; what there is none of is well.
HEALTH = (f'((avg({{__name__=~"akosha_(hot|warm|cold)_store_health_status", {J}}}) or vector(1))'
          f' + (sum(rate(akosha_operations_total{{{J}, status="success"}}[5m])) / (sum(rate(akosha_operations_total{{{J}}}[5m])) > 0) or vector(1))'
          f' + (avg(circuit_state{{{J}}} == bool 1) or vector(1))) / 3')
# What a GiB of each tier costs, in dollars: change them for your disks and bucket.
PRICES = {"hot": "0.0002", "warm": "0.00005", "cold": "0.00001"}
STORE_COST = "(" + " + ".join(f"sum(akosha_{tier}_store_size_bytes{{{J}}}) * {PRICES[tier]}" for tier in TIERS) + ") / 1073741824"
MEMORY = {"product": "Akosha", "service": "akosha"}

DASHBOARDS = [
    dashboard("ingestion", "Ingestion", "How memories come in: uploads, their time, the queue, what fails.", [
        panel("Uploads per minute", "stat", [f"60 * sum(rate(akosha_ingestion_requests_total{{{J}}}[$__rate_interval]))"], "short", 6, 5),
        panel("Queue", "stat", [f"sum(akosha_ingestion_queue_size{{{J}}})"], "short", 6, 5,
              steps=[{"color": "green", "value": None}, {"color": "orange", "value": 500}, {"color": "red", "value": 1000}]),
        panel("Success rate", "stat", [GOOD_UPLOADS], "percentunit", 6, 5,
              steps=[{"color": "red", "value": None}, {"color": "orange", "value": 0.95}, {"color": "green", "value": 0.99}]),
        panel("Error rate", "stat", [BAD_UPLOADS], "percentunit", 6, 5, steps=TIGHT),
        panel("Uploads per minute by outcome", "timeseries", [(f"60 * sum by (status) (rate(akosha_ingestion_requests_total{{{J}}}[$__rate_interval]))", "{{status}}")], "short", stacked=True),
        panel("Time: p50, p99", "timeseries", [(quantile(q, "akosha_ingestion_duration_seconds", "operation"), "{{operation}}, p" + str(int(q * 100))) for q in (0.5, 0.99)], "s"),
        panel("Queue by process", "timeseries", [(f"akosha_ingestion_queue_size{{{J}}}", "{{instance}}"), (f"max(akosha_ingestion_backlog_count{{{J}}})", "whole queue")], "short"),
        panel("Memories per second by outcome", "timeseries", [(rate("akosha_ingestion_conversations_processed_total", "status"), "{{status}}")], "short", stacked=True),
        panel("Errors by kind", "timeseries", [(rate("akosha_ingestion_errors_total", "error_type"), "{{error_type}}")], "short", stacked=True),
        panel("Bytes read", "timeseries", [(rate("akosha_ingestion_bytes_total"), "bytes")], "Bps"),
        panel("Busiest systems, 1 h", "table", [f"topk(20, {increase('akosha_ingestion_requests_total', '1h', 'system_id')})"], "short", 24),
    ], refresh="10s", **MEMORY),
    dashboard("query", "Query", "How searches are answered: how many, how fast, from where.", [
        panel("Searches per second", "stat", [rate("akosha_query_requests_total")], "reqps", 6, 5),
        panel("p99", "stat", [quantile(0.99, "akosha_query_duration_seconds")], "s", 6, 5,
              steps=[{"color": "green", "value": None}, {"color": "orange", "value": 1}, {"color": "red", "value": 2}]),
        panel("Failed", "stat", [QUERY_ERRORS], "percentunit", 6, 5, steps=TIGHT),
        panel("Results of a search", "stat", [f"{rate('akosha_query_results_size_sum')} / ({rate('akosha_query_results_size_count')} > 0)"], "short", 6, 5),
        panel("Searches by kind", "timeseries", [(rate("akosha_query_requests_total", "query_type"), "{{query_type}}")], "reqps", stacked=True),
        panel("Time: p50, p95, p99", "timeseries", [(quantile(q, "akosha_query_duration_seconds"), f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)], "s"),
        panel("Answered by level", "timeseries", [(f"sum by (cache_level) (rate(akosha_query_cache_hits_total{{{J}}}[$__rate_interval])) / ignoring(cache_level) group_left sum(rate(akosha_query_cache_hits_total{{{J}}}[$__rate_interval]))", "{{cache_level}}")],
              "percentunit", stacked=True, lowest=0, highest=1),
        panel("p99 by kind", "timeseries", [(quantile(0.99, "akosha_query_duration_seconds", "query_type"), "{{query_type}}")], "s"),
        panel("Shards and tiers", "table", [(f"akosha_hot_store_health_status{{{J}}}", "hot"), (f"akosha_warm_store_health_status{{{J}}}", "warm"), (f"akosha_cold_store_health_status{{{J}}}", "cold")],
              "short", 12, description="1: the tier of this instance answers.", mappings=UP_DOWN),
        panel("Searches without a tier", "timeseries", [(rate("akosha_query_partial_total"), "partial")], "reqps", 12),
    ], refresh="10s", **MEMORY),
    dashboard("storage", "Storage", "What the tiers hold, what moves between them, what it costs.", [
        *[panel(f"{tier.capitalize()} tier", "stat", [f"sum(akosha_{tier}_store_size_bytes{{{J}}})"], "bytes", 6, 5) for tier in TIERS],
        panel("Cost estimate", "stat", [STORE_COST], "currencyUSD", 6, 5, "Sizes times the prices in scripts/grafana_dashboards.py."),
        panel("Bytes by tier", "timeseries", [(f"sum(akosha_{tier}_store_size_bytes{{{J}}})", tier) for tier in TIERS], "bytes", stacked=True),
        panel("Share of bytes", "piechart", [(f"sum(akosha_{tier}_store_size_bytes{{{J}}})", tier) for tier in TIERS], "bytes"),
        panel("Memories by tier", "timeseries", [(f"sum(akosha_{tier}_store_record_count{{{J}}})", tier) for tier in TIERS], "short", stacked=True),
        panel("Memories moved per second", "timeseries", [(rate("akosha_migration_records_total", "source_tier, target_tier, status"), "{{source_tier}} to {{target_tier}}, {{status}}")], "short"),
        panel("Time of an ageing run, p95", "timeseries", [(f"histogram_quantile(0.95, sum by (le) (increase(akosha_migration_duration_seconds_bucket{{{J}}}[1d])))", "p95")], "s"),
        panel("Last good ageing run", "stat", [f"1000 * max(akosha_migration_last_success_timestamp_seconds{{{J}}} > 0)"], "dateTimeFromNow", 6, 8),
        panel("Last good backup", "stat", [f"1000 * max(akosha_backup_last_success_timestamp_seconds{{{J}}} > 0)"], "dateTimeFromNow", 6, 8),
        panel("Disk", "timeseries", [(f"akosha_system_disk_usage_bytes{{{J}}} / akosha_system_disk_size_bytes{{{J}}}", "{{instance}}")], "percentunit", lowest=0, highest=1),
        panel("Object store calls", "timeseries", [(rate("akosha_storage_uploads", "tier, success"), "write, {{tier}}, {{success}}"), (rate("akosha_storage_downloads", "tier, success"), "read, {{tier}}, {{success}}")], "reqps"),
    ], **MEMORY),
    dashboard("circuits", "Breakers and processes", "Outside services as the memory sees them, and the processes themselves.", [
        panel("Breakers", "state-timeline", [(f"min by (service_name) (circuit_state{{{J}}})", "{{service_name}}")], "short", 24, 8, mappings=CIRCUITS),
        panel("Success rate", "timeseries", [(f"min by (service_name) (circuit_success_rate{{{J}}})", "{{service_name}}")], "percentunit", lowest=0, highest=1),
        panel("Calls refused by open breakers", "timeseries", [(f"sum by (service_name) (circuit_rejected_calls{{{J}}})", "{{service_name}}")], "short"),
        panel("Alerts by type, per hour", "timeseries", [(increase("akosha_alerts_total", "1h", "alert_type"), "{{alert_type}}")], "short", stacked=True),
        panel("Webhooks", "timeseries", [(increase("akosha_alert_deliveries_total", "1h", "outcome"), "{{outcome}}")], "short"),
        panel("CPU, share of a core", "timeseries", [(f"akosha_system_cpu_usage_percent{{{J}}}", "{{instance}}")], "percent"),
        panel("Resident memory", "timeseries", [(f"akosha_system_memory_usage_bytes{{{J}}}", "{{instance}}")], "bytes"),
    ], **MEMORY),
    dashboard("embedding", "Embedding performance", "Vectors of memories and questions: who makes them, how fast, from what.", [
        panel("Real and stand-in, per second", "timeseries", [(rate("embedding_generated_total", "mode"), "{{mode}}")], "short", stacked=True),
        panel("Share of the one that stands in", "timeseries", ["akosha:embedding_fallback_ratio:rate5m"], "percentunit", lowest=0, highest=1,
              description="Where a model made vectors within the last day."),
        panel("Time of a batch", "timeseries", [(quantile(q, "akosha_embedding_generation_duration_seconds"), f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)], "s"),
        panel("Bytes of a text", "timeseries", [(quantile(q, "embedding_text_length"), f"p{int(q * 100)}") for q in (0.5, 0.95)], "bytes"),
        panel("Batches per second", "timeseries", [(rate("embedding_batch_generated_total", "mode"), "{{mode}}")], "short", stacked=True),
        panel("Texts of a batch", "timeseries", [(quantile(q, "akosha_embedding_batch_size"), f"p{int(q * 100)}") for q in (0.5, 0.95)], "short"),
        panel("Vectors that searches compare", "timeseries", [(f"sum by (index_name) (akosha_vector_index_size_vectors{{{J}}})", "{{index_name}}")], "short"),
        panel("Time spent on the index", "timeseries", [(f"sum by (index_name) (rate(akosha_vector_index_build_duration_seconds{{{J}}}[$__rate_interval]))", "{{index_name}}")], "percentunit"),
        panel("Errors per hour", "timeseries", [(f'sum by (error_type) (increase(akosha_errors_total{{{J}, component="vector_indexer"}}[1h]))', "{{error_type}}")], "short", 24),
    ], **MEMORY),
    dashboard("system", "System health", "The memory at one look: what fails, how far behind things are, how series and graph grow.", [
        panel("Health", "stat", [HEALTH], "percentunit", 6, 5, lowest=0, highest=1,
              steps=[{"color": "red", "value": None}, {"color": "orange", "value": 0.8}, {"color": "green", "value": 0.99}],
              description="The mean of: tiers that answer, work that succeeds, breakers that are closed."),
        panel("Requests in work", "stat", [f"sum(akosha_http_active_requests{{{J}}})"], "short", 6, 5),
        panel("Oldest write not on the disk", "stat", [f"max(akosha_wal_lag_seconds{{{J}}})"], "s", 6, 5),
        panel("Warm disk used", "stat", [f"max(akosha_warm_storage_usage_percent{{{J}}})"], "percent", 6, 5,
              steps=[{"color": "green", "value": None}, {"color": "orange", "value": 75}, {"color": "red", "value": 90}]),
        panel("Errors per hour, by part", "timeseries", [(increase("akosha_errors_total", "1h", "component"), "{{component}}")], "short", stacked=True),
        panel("Errors per hour, by type", "timeseries", [(increase("akosha_errors_total", "1h", "error_type"), "{{error_type}}")], "short", stacked=True),
        panel("Work per second", "timeseries", [(rate("akosha_operations_total", "operation_type"), "{{operation_type}}")], "short", stacked=True),
        panel("p95 of work", "timeseries", [(quantile(0.95, "akosha_operation_duration_seconds", "operation_type"), "{{operation_type}}")], "s"),
        panel("Store calls per second", "timeseries", [(rate("akosha_store_operations_total", "tier, operation"), "{{tier}} {{operation}}")], "short"),
        panel("p95 of store calls", "timeseries", [(quantile(0.95, "akosha_store_operation_duration_seconds", "tier, operation"), "{{tier}} {{operation}}")], "s"),
        panel("Analytics: questions answered per minute", "timeseries", [
            (f"60 * ({rate('analytics_trend_completed_total')})", "trends"), (f"60 * ({rate('analytics_correlation_completed_total')})", "correlations"),
            (f"60 * ({rate('analytics_anomaly_detected_total')})", "anomalies found")], "short"),
        panel("Analytics: points taken in per second", "timeseries", [rate("analytics_metrics_added_total")], "short"),
        panel("Graph: size", "timeseries", [(f"max(kg_entities_total{{{J}}})", "entities"), (f"max(kg_edges_total{{{J}}})", "edges")], "short"),
        panel("Graph: growth per hour", "timeseries", [(increase("kg_entities_added_total", "1h"), "entities"), (increase("kg_edges_added_total", "1h"), "edges")], "short"),
        panel("Graph: writings not read yet", "timeseries", [f"max(akosha_knowledge_graph_behind_writings{{{J}}})"], "short"),
        panel("Memories taken in per second", "timeseries", [(f"sum(akosha_ingestion_throughput{{{J}}})", "all systems")], "short"),
    ], **MEMORY),
    dashboard("overview", "Overview", "One look: traffic, errors, time, money, caches.", [
        panel("Requests per second", "stat", [rate("asahi_requests_total")], "reqps", 4, 5),
        panel("Failed", "stat", [ERRORS], "percentunit", 4, 5, steps=TIGHT),
        panel("p95", "stat", [quantile(0.95, "asahi_request_latency_seconds")], "s", 4, 5),
        panel("Answered from caches, 1 h", "stat", [HITS], "percentunit", 4, 5),
        panel("Cost today", "stat", [increase("asahi_cost_dollars_total", "24h")], "currencyUSD", 4, 5),
        panel("Saved today", "stat", [increase("asahi_savings_dollars_total", "24h")], "currencyUSD", 4, 5),
        panel("Requests", "timeseries", [(rate("asahi_requests_total", "status"), "{{status}}")], "reqps", stacked=True),
        panel("Time of a request", "timeseries", [(quantile(q, "asahi_request_latency_seconds"), f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)], "s"),
        panel("Cost and savings per hour", "timeseries", [(increase("asahi_cost_dollars_total", "1h"), "cost"), (increase("asahi_savings_dollars_total", "1h"), "saved")], "currencyUSD"),
        panel("Hits by tier", "timeseries", [(rate("asahi_cache_hits_total", "tier"), "tier {{tier}}")], "reqps", stacked=True),
        panel("Alerts", "table", ['ALERTS{alertstate="firing", service="asahi"}'], "short", 12),
        panel("Breakers", "state-timeline", [(f"max by (provider) (asahi_circuit_breaker_state{{{J}}})", "{{provider}}")], "short", 12, mappings=STATES),
    ]),
    dashboard("requests", "Request rate", "How much is asked, of what kind, by which instance.", [
        panel("Requests by status", "timeseries", [(rate("asahi_requests_total", "status"), "{{status}}")], "reqps", 24, stacked=True),
        panel("By task", "timeseries", [(rate("asahi_requests_total", "task_type"), "{{task_type}}")], "reqps", stacked=True),
        panel("By model", "timeseries", [(rate("asahi_requests_total", "model"), "{{model}}")], "reqps", stacked=True),
        panel("By route", "timeseries", [(rate("asahi_request_latency_seconds_count", "route"), "{{route}}")], "reqps", stacked=True),
        panel("By instance", "timeseries", [(rate("asahi_requests_total", "instance"), "{{instance}}")], "reqps", stacked=True),
        panel("Turned away by limits", "timeseries", [(rate("asahi_rate_limited_total", "scope"), "{{scope}}")], "reqps"),
        panel("Turned away by rules", "timeseries", [(rate("asahi_policy_denials_total", "reason"), "{{reason}}")], "reqps"),
    ]),
    dashboard("latency", "Latency", "p50, p95 and p99 of requests, vendors and lookups.", [
        panel("Requests: p50, p95, p99", "timeseries", [(quantile(q, "asahi_request_latency_seconds"), f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)], "s", 24),
        panel("p95 by route", "timeseries", [(quantile(0.95, "asahi_request_latency_seconds", "route"), "{{route}}")], "s"),
        panel("p95 by tier that answered", "timeseries", [(quantile(0.95, "asahi_request_latency_seconds", "cache_tier"), "tier {{cache_tier}}")], "s"),
        panel("Vendors: p95 by model", "timeseries", [(quantile(0.95, "asahi_model_latency_seconds", "model"), "{{model}}")], "s",
              steps=[{"color": "green", "value": None}, {"color": "red", "value": 5}]),
        panel("Lookups: p99 by tier", "timeseries", [(quantile(0.99, "asahi_cache_lookup_latency_seconds", "tier"), "tier {{tier}}")], "s"),
        panel("Requests by time, ms", "heatmap", [(f"sum by (le) (increase(asahi_latency_ms_bucket{{{J}}}[$__rate_interval]))", "{{le}}")], "ms", 24),
        panel("p95 against the average of a day", "timeseries", [("asahi:request_latency_seconds:p95_5m", "p95"), ("2 * asahi:request_latency_seconds:p95_average1d", "alert above")], "s", 24),
    ]),
    dashboard("cache", "Caches", "Hit rate by tier, what a lookup costs, what it misses.", [
        panel("Answered by tier", "timeseries", [(f'sum by (tier) (rate(asahi_cache_hits_total{{{J}}}[$__rate_interval])) / ignoring(tier) group_left sum(rate(asahi_requests_total{{{J}, status="success"}}[$__rate_interval]))', "tier {{tier}}")],
              "percentunit", 24, 10, "Share of answered requests that each tier answered.", stacked=True, lowest=0, highest=1),
        panel("Hit rate, 1 h", "stat", [HITS], "percentunit", 6, 6, steps=[{"color": "red", "value": None}, {"color": "green", "value": 0.1}]),
        panel("Hit rate of each tier's lookups since start", "bargauge", [(f"avg by (tier) (asahi_cache_hit_rate{{{J}}})", "tier {{tier}}")], "percentunit", 9, 6, lowest=0, highest=1),
        panel("Hits and misses", "timeseries", [(rate("asahi_cache_hits_total", "tier"), "hit, tier {{tier}}"), (rate("asahi_cache_misses_total", "tier"), "miss, tier {{tier}}")], "reqps", 9, 6),
        panel("Lookup p99 by tier", "timeseries", [(quantile(0.99, "asahi_cache_lookup_latency_seconds", "tier"), "tier {{tier}}")], "s", 12,
              steps=[{"color": "green", "value": None}, {"color": "red", "value": 0.005}]),
        panel("Saved by caches per hour", "timeseries", [(increase("asahi_savings_dollars_total", "1h", "phase", 'phase=~"cache_t."'), "{{phase}}")], "currencyUSD", 12, stacked=True),
    ]),
    dashboard("cost", "Cost", "Money by hour and day, by model.", [
        panel("Today", "stat", [increase("asahi_cost_dollars_total", "24h")], "currencyUSD", 6, 5),
        panel("Daily average of the week before", "stat", ["sum(asahi:cost_dollars:daily_average7d)"], "currencyUSD", 6, 5),
        panel("Per request, 1 h", "stat", [f"{increase('asahi_cost_dollars_total', '1h')} / {increase('asahi_requests_total', '1h')}"], "currencyUSD", 6, 5),
        panel("At this pace, a month", "stat", [f"30 * {increase('asahi_cost_dollars_total', '24h')}"], "currencyUSD", 6, 5),
        panel("Cost per hour by model", "timeseries", [(increase("asahi_cost_dollars_total", "1h", "model"), "{{model}}")], "currencyUSD", 24, 9, stacked=True),
        panel("Cost per day by model", "timeseries", [(increase("asahi_cost_dollars_total", "1d", "model"), "{{model}}")], "currencyUSD", 12, stacked=True),
        panel("Share of the day by model", "piechart", [(increase("asahi_cost_dollars_total", "24h", "model"), "{{model}}")], "currencyUSD", 12),
        panel("Day against twice the average", "timeseries", [("sum(asahi:cost_dollars:increase1d)", "24 hours"), ("2 * sum(asahi:cost_dollars:daily_average7d)", "alert above")], "currencyUSD", 24),
    ]),
    dashboard("models", "Models", "Which models answer, how fast, how well.", [
        panel("Distribution, 24 h", "piechart", [(increase("asahi_requests_total", "24h", "model"), "{{model}}")], "short", 8, 10),
        panel("Requests by model", "timeseries", [(rate("asahi_requests_total", "model"), "{{model}}")], "reqps", 16, 10, stacked=True),
        panel("Vendor time, p95", "timeseries", [(quantile(0.95, "asahi_model_latency_seconds", "model"), "{{model}}")], "s"),
        panel("Failures by model", "timeseries", [(rate("asahi_requests_total", "model", 'status="error"'), "{{model}}")], "reqps"),
        panel("Quality", "timeseries", [(f"avg by (model) (asahi_quality_score{{{J}}})", "{{model}}")], "short", lowest=0, highest=5),
        panel("Cost per hour", "timeseries", [(increase("asahi_cost_dollars_total", "1h", "model"), "{{model}}")], "currencyUSD"),
        panel("Fallbacks", "timeseries", [(rate("asahi_fallbacks_total", "from, to"), "{{from}} to {{to}}")], "reqps", 24),
    ]),
    dashboard("errors", "Errors", "What fails, how often, where.", [
        panel("Share of requests that fail", "timeseries", [(ERRORS, "failed"), ("0.01 + 0 * sum(asahi:requests:rate5m)", "alert"), ("0.05 + 0 * sum(asahi:requests:rate5m)", "high")], "percentunit", 24, lowest=0),
        panel("By kind", "timeseries", [(rate("asahi_errors_total", "type"), "{{type}}")], "reqps", stacked=True),
        panel("By component", "timeseries", [(rate("asahi_errors_total", "component"), "{{component}}")], "reqps", stacked=True),
        panel("Kinds, 24 h", "table", [increase("asahi_errors_total", "24h", "type, component")], "short"),
        panel("Failures by model", "timeseries", [(rate("asahi_requests_total", "model", 'status="error"'), "{{model}}")], "reqps"),
        panel("Lost records", "stat", [(increase("asahi_events_dropped_total", "24h"), "events"), (increase("asahi_audit_entries_dropped_total", "24h"), "audit entries")], "short", 24, 5,
              steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
    ]),
    dashboard("instances", "Instances", "Active pods and what each is busy with.", [
        panel("Active instances", "stat", ['sum(up{job=~"$job"})'], "short", 6, 5),
        panel("Down", "stat", ['count(up{job=~"$job"} == 0) or vector(0)'], "short", 6, 5, steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
        panel("Versions", "table", [f"count by (version) (asahi_build_info{{{J}}})"], "short", 12, 5),
        panel("Up", "state-timeline", [('up{job=~"$job"}', "{{instance}}")], "short", 24, 6,
              mappings=[{"type": "value", "options": {"0": {"text": "down", "color": "red"}, "1": {"text": "up", "color": "green"}}}]),
        panel("Requests by instance", "timeseries", [(rate("asahi_requests_total", "instance"), "{{instance}}")], "reqps", stacked=True),
        panel("Active requests by instance", "timeseries", [(f"asahi_active_requests{{{J}}}", "{{instance}}"), (f"0.8 * max(asahi_max_active_requests{{{J}}})", "alert above")], "short"),
        panel("Database connections", "timeseries", [(f"asahi_db_pool_in_use{{{J}}}", "{{instance}}")], "short"),
        panel("Settings with warnings", "timeseries", [(f"asahi_config_warnings{{{J}}}", "{{instance}}")], "short"),
    ]),
    dashboard("savings", "Savings", "What was saved against the baseline model, and by what.", [
        panel("Saved today", "stat", [increase("asahi_savings_dollars_total", "24h")], "currencyUSD", 8, 5),
        panel("Saving against the baseline, 24 h", "stat", [f"{increase('asahi_savings_dollars_total', '24h')} / ({increase('asahi_savings_dollars_total', '24h')} + {increase('asahi_cost_dollars_total', '24h')})"], "percentunit", 8, 5),
        panel("Cost today", "stat", [increase("asahi_cost_dollars_total", "24h")], "currencyUSD", 8, 5),
        panel("Saved per hour by technique", "timeseries", [(increase("asahi_savings_dollars_total", "1h", "phase"), "{{phase}}")], "currencyUSD", 24, 9, stacked=True),
        panel("Share by technique, 24 h", "piechart", [(increase("asahi_savings_dollars_total", "24h", "phase"), "{{phase}}")], "currencyUSD", 12),
        panel("Paid and saved per day", "timeseries", [(increase("asahi_cost_dollars_total", "1d"), "paid"), (increase("asahi_savings_dollars_total", "1d"), "saved")], "currencyUSD", 12, stacked=True),
    ]),
    dashboard("tokens", "Tokens", "How long prompts and answers are, how well tokens are estimated.", [
        panel("Tokens per second", "timeseries", [(rate("asahi_token_count_sum", "direction"), "{{direction}}")], "short"),
        panel("Median and p95 by direction", "timeseries", [(quantile(q, "asahi_token_count", "direction"), "{{direction}}, p" + str(int(q * 100))) for q in (0.5, 0.95)], "short"),
        panel("Prompts by length", "heatmap", [(f'sum by (le) (increase(asahi_token_count_bucket{{{J}, direction="input"}}[$__rate_interval]))', "{{le}}")], "short"),
        panel("Answers by length", "heatmap", [(f'sum by (le) (increase(asahi_token_count_bucket{{{J}, direction="output"}}[$__rate_interval]))', "{{le}}")], "short"),
        panel("Billed over estimated", "timeseries", [(f"max by (model) (asahi_token_estimate_ratio{{{J}}})", "{{model}}"), ("1.2 + 0 * sum(asahi:requests:rate5m)", "alert above")], "short", 12),
        panel("Saved by trimming per hour", "timeseries", [(increase("asahi_savings_dollars_total", "1h", "phase", 'phase="tokens"'), "trimming")], "currencyUSD", 12),
    ]),
    dashboard("vendors", "Vendors", "Breakers, retries and fallbacks.", [
        panel("Breakers", "state-timeline", [(f"max by (provider) (asahi_circuit_breaker_state{{{J}}})", "{{provider}}")], "short", 24, 8, mappings=STATES),
        panel("Failed calls", "timeseries", [(rate("asahi_circuit_breaker_failures_total", "provider"), "{{provider}}")], "reqps"),
        panel("Repeated calls", "timeseries", [(rate("asahi_provider_retries_total", "provider"), "{{provider}}")], "reqps"),
        panel("Fallbacks", "timeseries", [(rate("asahi_fallbacks_total", "from, to"), "{{from}} to {{to}}")], "reqps"),
        panel("Vendor time by model, p95", "timeseries", [(quantile(0.95, "asahi_model_latency_seconds", "model"), "{{model}}")], "s"),
    ]),
    dashboard("load", "Load", "How near the limits: requests in flight, queue, batches.", [
        panel("Active requests", "timeseries", [(f"asahi_active_requests{{{J}}}", "{{instance}}"), (f"asahi_max_active_requests{{{J}}}", "limit of {{instance}}")], "short"),
        panel("Use of the limit", "bargauge", [(f"asahi_active_requests{{{J}}} / asahi_max_active_requests{{{J}}}", "{{instance}}")], "percentunit", lowest=0, highest=1,
              steps=[{"color": "green", "value": None}, {"color": "red", "value": 0.8}]),
        panel("Queue of events", "timeseries", [(f"asahi_request_queue_depth{{{J}}}", "{{instance}}"), (f"100 + 0 * max(asahi_request_queue_depth{{{J}}})", "scale out above")], "short"),
        panel("Requests in a shared call", "timeseries", [(quantile(q, "asahi_batch_size"), f"p{int(q * 100)}") for q in (0.5, 0.95)], "short"),
        panel("Database connections", "timeseries", [(f"asahi_db_pool_in_use{{{J}}}", "{{instance}}")], "short"),
        panel("Turned away by limits", "timeseries", [(rate("asahi_rate_limited_total", "scope"), "{{scope}}")], "reqps"),
    ]),
    dashboard("tenants", "Organisations", "Use per organisation, the first 200 by name; exact views per organisation come from the API.", [
        panel("Requests by organisation", "timeseries", [(f"topk(20, {rate('asahi_tenant_requests_total', 'org_id')})", "{{org_id}}")], "reqps", 24, 9, stacked=True),
        panel("Cost per hour", "timeseries", [(f"topk(20, {increase('asahi_tenant_cost_dollars_total', '1h', 'org_id')})", "{{org_id}}")], "currencyUSD", 12, stacked=True),
        panel("Cost, 24 h", "table", [increase("asahi_tenant_cost_dollars_total", "24h", "org_id")], "currencyUSD", 12),
        panel("Requests, 24 h", "table", [increase("asahi_tenant_requests_total", "24h", "org_id")], "short", 12),
        panel("Personal data in requests", "timeseries", [(rate("asahi_pii_detections_total", "type"), "{{type}}")], "reqps", 12),
    ]),
    dashboard("archive", "Archive", "Event files on their way to the object store.", [
        panel("Last success", "stat", [f"1000 * max by (instance) (asahi_event_archive_last_success_timestamp_seconds{{{J}}} > 0)"], "dateTimeFromNow", 8, 5),
        panel("Files that wait", "stat", [f"sum(asahi_event_archive_waiting_files{{{J}}})"], "short", 8, 5, steps=[{"color": "green", "value": None}, {"color": "red", "value": 1}]),
        panel("Bytes archived, 30 days", "stat", [increase("asahi_event_archive_bytes_total", "30d")], "bytes", 8, 5),
        panel("Files per day", "timeseries", [(increase("asahi_event_archive_files_total", "1d", "result"), "{{result}}")], "short", 24),
    ]),
]


def main() -> int:
    check = "--check" in sys.argv[1:]
    faults = []
    names = set()
    for name, content in DASHBOARDS:
        names.add(f"{name}.json")
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        path = FOLDER / f"{name}.json"
        if check:
            if not path.exists() or path.read_text() != text:
                faults.append(f"{path.name} differs from its description: run scripts/grafana_dashboards.py")
        else:
            path.write_text(text)
    faults += [f"{path.name} is described nowhere" for path in FOLDER.glob("*.json") if path.name not in names]
    for fault in faults:
        print(fault)
    if not faults:
        print(f"{len(names)} dashboards")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
