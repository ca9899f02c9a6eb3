#include "identity/audit/cli.h"

#include "identity/audit/audit.h"

namespace asahi::identity {

int run_audit_verify(sql::Database& database, std::string_view head_key, const std::string& org_id,
                     std::ostream& out) {
  const auto checked = verify_audit_chain(database, head_key, org_id);
  if (!checked) {
    out << "audit chain of " << org_id << " could not be read: " << checked.error().message << '\n';
    return 1;
  }
  if (checked->valid) {
    out << "audit chain of " << org_id << " is whole: " << checked->checked << " entries checked"
        << (head_key.empty() ? ", heads are not signed" : "") << '\n';
    return 0;
  }
  out << "audit chain of " << org_id << " is BROKEN, found among the first " << checked->checked
      << " entries: " << checked->problem;
  if (!checked->first_bad_entry.empty()) out << " at " << checked->first_bad_entry;
  out << '\n';
  return 1;
}

}  // namespace asahi::identity
