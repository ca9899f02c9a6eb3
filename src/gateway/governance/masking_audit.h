#pragma once

#include <memory>

#include "identity/audit/audit.h"

namespace asahi::gateway {

/// An audit log whose details hold no personal data, whoever writes them (spec §3.5): masks and
/// passes on. `inner` outlives it.
std::unique_ptr<identity::AuditLog> make_masking_audit(identity::AuditLog& inner);

}  // namespace asahi::gateway
