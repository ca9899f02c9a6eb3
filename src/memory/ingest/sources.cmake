list(APPEND MEMORY_SRCS
  ingest/bundle.cc
  ingest/decoder.cc
  ingest/discovery.cc
  ingest/import.cc
  ingest/intake.cc
  ingest/ledger.cc
  ingest/ledger_systems.cc
  ingest/manifest.cc
  ingest/metrics.cc
  ingest/migrations.cc
  ingest/payload.cc
  ingest/push.cc
  ingest/scan_requests.cc
  ingest/scanner.cc
  ingest/times.cc
  ingest/worker.cc)
list(APPEND MEMORY_TESTS
  ingest/decoder_test.cc
  ingest/discovery_test.cc
  ingest/ledger_test.cc
  ingest/manifest_test.cc
  ingest/payload_test.cc
  ingest/pipeline_test.cc
  ingest/push_test.cc)
