#include "identity/audit/audit.h"

namespace asahi::identity {
namespace {

// A row may be deleted once an anchor covers it: whoever shortens a chain leaves a mark that says
// so, and the same rule holds on both engines without a switch that could stay on.
constexpr std::string_view kUpPostgres = R"sql(
ALTER TABLE audit_entries ADD COLUMN seq BIGINT;
UPDATE audit_entries e SET seq = n.seq
  FROM (SELECT id, row_number() OVER (PARTITION BY org_id ORDER BY id) AS seq FROM audit_entries) n
  WHERE e.id = n.id;
ALTER TABLE audit_entries ALTER COLUMN seq SET NOT NULL;
DROP INDEX idx_audit_org_id;
CREATE UNIQUE INDEX idx_audit_org_id ON audit_entries (org_id, seq);
CREATE TABLE audit_heads (
  org_id VARCHAR(255) PRIMARY KEY,
  seq BIGINT NOT NULL,
  hash VARCHAR(64) NOT NULL,
  mac VARCHAR(64),
  updated_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE audit_anchors (
  org_id VARCHAR(255) NOT NULL,
  seq BIGINT NOT NULL,
  hash VARCHAR(64) NOT NULL,
  entries BIGINT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  mac VARCHAR(64),
  PRIMARY KEY (org_id, seq)
);
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_entries' THEN
    IF EXISTS (
        SELECT 1 FROM audit_anchors a WHERE a.org_id = OLD.org_id AND a.seq >= OLD.seq) THEN
      RETURN OLD;
    END IF;
  ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_heads' THEN
    IF NEW.org_id = OLD.org_id AND NEW.seq >= OLD.seq THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION '% of % is not allowed: the audit log only grows', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entries_guard BEFORE UPDATE OR DELETE ON audit_entries
  FOR EACH ROW EXECUTE FUNCTION audit_guard();
CREATE TRIGGER audit_heads_guard BEFORE UPDATE OR DELETE ON audit_heads
  FOR EACH ROW EXECUTE FUNCTION audit_guard();
CREATE TRIGGER audit_anchors_guard BEFORE UPDATE OR DELETE ON audit_anchors
  FOR EACH ROW EXECUTE FUNCTION audit_guard();
CREATE TRIGGER audit_entries_truncate BEFORE TRUNCATE ON audit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
CREATE TRIGGER audit_heads_truncate BEFORE TRUNCATE ON audit_heads
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
CREATE TRIGGER audit_anchors_truncate BEFORE TRUNCATE ON audit_anchors
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
)sql";

constexpr std::string_view kDownPostgres = R"sql(
DROP TRIGGER audit_entries_guard ON audit_entries;
DROP TRIGGER audit_entries_truncate ON audit_entries;
DROP TABLE audit_heads;
DROP TABLE audit_anchors;
DROP FUNCTION audit_guard();
DROP INDEX idx_audit_org_id;
ALTER TABLE audit_entries DROP COLUMN seq;
CREATE INDEX idx_audit_org_id ON audit_entries (org_id);
)sql";

constexpr std::string_view kUpSqlite = R"sql(
ALTER TABLE audit_entries ADD COLUMN seq INTEGER;
UPDATE audit_entries SET seq = (SELECT count(*) FROM audit_entries b
  WHERE b.org_id = audit_entries.org_id AND b.id <= audit_entries.id);
DROP INDEX idx_audit_org_id;
CREATE UNIQUE INDEX idx_audit_org_id ON audit_entries (org_id, seq);
CREATE TABLE audit_heads (
  org_id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  mac TEXT,
  updated_at TEXT NOT NULL
);
CREATE TABLE audit_anchors (
  org_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  entries INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  mac TEXT,
  PRIMARY KEY (org_id, seq)
);
CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries BEGIN
  SELECT RAISE(ABORT, 'UPDATE of audit_entries is not allowed: the audit log only grows');
END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
WHEN NOT EXISTS (SELECT 1 FROM audit_anchors WHERE org_id = OLD.org_id AND seq >= OLD.seq) BEGIN
  SELECT RAISE(ABORT, 'DELETE of audit_entries is not allowed: the audit log only grows');
END;
-- INSERT OR REPLACE removes rows without asking the trigger above.
CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
WHEN EXISTS (SELECT 1 FROM audit_entries WHERE entry_id = NEW.entry_id)
  OR EXISTS (SELECT 1 FROM audit_entries WHERE org_id = NEW.org_id AND seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id) BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: audit_entries');
END;
CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads
WHEN NEW.seq < OLD.seq OR NEW.org_id <> OLD.org_id BEGIN
  SELECT RAISE(ABORT, 'UPDATE of audit_heads is not allowed: the audit log only grows');
END;
CREATE TRIGGER audit_heads_no_delete BEFORE DELETE ON audit_heads BEGIN
  SELECT RAISE(ABORT, 'DELETE of audit_heads is not allowed: the audit log only grows');
END;
CREATE TRIGGER audit_heads_no_replace BEFORE INSERT ON audit_heads
WHEN EXISTS (SELECT 1 FROM audit_heads WHERE org_id = NEW.org_id) BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: audit_heads');
END;
CREATE TRIGGER audit_anchors_no_update BEFORE UPDATE ON audit_anchors BEGIN
  SELECT RAISE(ABORT, 'UPDATE of audit_anchors is not allowed: the audit log only grows');
END;
CREATE TRIGGER audit_anchors_no_delete BEFORE DELETE ON audit_anchors BEGIN
  SELECT RAISE(ABORT, 'DELETE of audit_anchors is not allowed: the audit log only grows');
END;
CREATE TRIGGER audit_anchors_no_replace BEFORE INSERT ON audit_anchors
WHEN EXISTS (SELECT 1 FROM audit_anchors WHERE org_id = NEW.org_id AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: audit_anchors');
END;
)sql";

constexpr std::string_view kDownSqlite = R"sql(
DROP TRIGGER audit_entries_no_update;
DROP TRIGGER audit_entries_no_delete;
DROP TRIGGER audit_entries_no_replace;
DROP TABLE audit_heads;
DROP TABLE audit_anchors;
DROP INDEX idx_audit_org_id;
ALTER TABLE audit_entries DROP COLUMN seq;
CREATE INDEX idx_audit_org_id ON audit_entries (org_id);
)sql";

}  // namespace

std::vector<sql::Migration> audit_migrations() {
  return {
      {.version = 230,
       .name = "audit_chain",
       .up = {.sqlite = kUpSqlite, .postgres = kUpPostgres},
       .down = {.sqlite = kDownSqlite, .postgres = kDownPostgres}},
  };
}

}  // namespace asahi::identity
