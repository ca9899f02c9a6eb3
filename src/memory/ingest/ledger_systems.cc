#include "memory/ingest/ledger.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kNotErased = " AND coalesce(erased_as_of_ms, -1) <> updated_at_ms";

}  // namespace

Task<std::map<std::string, Ledger::LastUpload>> Ledger::last_uploads(std::string tenant,
                                                                     std::string only) {
  // More systems than this do not share one tenant's page; the rest is found one by one.
  constexpr std::string_view kMost = "100000";
  std::string text =
      "SELECT system_id, COUNT(*) AS uploads, MAX(updated_at_ms) AS last FROM memory_uploads "
      "WHERE tenant = ?";
  std::vector<sql::Value> params{tenant};
  if (!only.empty()) {
    text += " AND system_id = ?";
    params.emplace_back(only);
  }
  text += kNotErased;
  text += " GROUP BY system_id ORDER BY system_id LIMIT ";
  text += kMost;
  ASAHI_CO_TRY(const sql::Rows rows, co_await db_.query({std::move(text), std::move(params)}));
  std::map<std::string, LastUpload> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    found[rows.text(i, "system_id")] = {
        .uploads = static_cast<std::uint64_t>(rows.integer(i, "uploads")),
        .at = Clock::Time(std::chrono::milliseconds(rows.integer(i, "last")))};
  }
  co_return found;
}

Task<std::uint64_t> Ledger::erased_system(std::string tenant, std::string system_id) {
  std::string text =
      "UPDATE memory_uploads SET erased_as_of_ms = updated_at_ms WHERE tenant = ? AND system_id = ?"
      " AND state IN ('done', 'partial', 'rejected', 'failed')";
  text += kNotErased;
  ASAHI_CO_TRY(const auto rows,
               co_await db_.query({std::move(text), {std::move(tenant), std::move(system_id)}}));
  co_return static_cast<std::uint64_t>(rows.affected());
}

}  // namespace asahi::memory
