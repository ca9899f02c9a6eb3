#include "gateway/governance/masking_audit.h"

#include "gateway/governance/guard/pii.h"

namespace asahi::gateway {
namespace {

class MaskingAudit final : public identity::AuditLog {
 public:
  explicit MaskingAudit(identity::AuditLog& inner) : inner_(inner) {}

  bool record(identity::AuditEntry entry) override {
    mask(entry.details);
    return inner_.record(std::move(entry));
  }
  Task<std::string> append(identity::AuditEntry entry) override {
    mask(entry.details);
    co_return co_await inner_.append(std::move(entry));
  }
  Task<std::vector<identity::StoredAuditEntry>> query(identity::AuditFilter filter) override {
    co_return co_await inner_.query(std::move(filter));
  }
  Task<identity::AuditVerification> verify(std::string org_id) override {
    co_return co_await inner_.verify(std::move(org_id));
  }
  Task<std::int64_t> trim(std::string org_id, Clock::Time before) override {
    co_return co_await inner_.trim(std::move(org_id), before);
  }
  bool flush(std::chrono::milliseconds limit) override { return inner_.flush(limit); }
  std::uint64_t dropped() const override { return inner_.dropped(); }

 private:
  identity::AuditLog& inner_;
};

}  // namespace

std::unique_ptr<identity::AuditLog> make_masking_audit(identity::AuditLog& inner) {
  return std::make_unique<MaskingAudit>(inner);
}

}  // namespace asahi::gateway
