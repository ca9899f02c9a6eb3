#pragma once

#include <string>

namespace asahi::net_testing {

/// A self-signed certificate and its key as PEM files in a new temporary folder, removed with the
/// object.
class TemporaryCertificate {
 public:
  enum class Validity { kNow, kOver, kNotYet };
  /// `host` becomes the common name and the subject alternative name (DNS, or IP when it is an
  /// address).
  explicit TemporaryCertificate(const std::string& host, Validity validity = Validity::kNow);
  ~TemporaryCertificate();
  TemporaryCertificate(const TemporaryCertificate&) = delete;
  TemporaryCertificate& operator=(const TemporaryCertificate&) = delete;

  const std::string& certificate_file() const { return certificate_file_; }
  const std::string& private_key_file() const { return private_key_file_; }

 private:
  std::string folder_;
  std::string certificate_file_;
  std::string private_key_file_;
};

}  // namespace asahi::net_testing
