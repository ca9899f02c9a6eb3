#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "llm/message.h"

namespace asahi::gateway {

/// Kinds of personal data, in the order in which they win where they overlap (spec §3.5).
enum class PiiType : std::uint8_t { kCard, kSsn, kEmail, kIp, kPhone };
inline constexpr std::size_t kPiiTypes = 5;
/// "credit_card", "ssn", "email", "ip_address", "phone".
std::string_view to_string(PiiType type);

class PiiTypes {
 public:
  void add(PiiType type) {
    bits_ = static_cast<std::uint8_t>(bits_ | 1U << static_cast<unsigned>(type));
  }
  bool has(PiiType type) const { return (bits_ >> static_cast<unsigned>(type) & 1U) != 0; }
  bool empty() const { return bits_ == 0; }
  PiiTypes& operator|=(PiiTypes other) {
    bits_ |= other.bits_;
    return *this;
  }
  /// In the order of the enumeration.
  std::vector<std::string> names() const;
  bool operator==(const PiiTypes&) const = default;

 private:
  std::uint8_t bits_ = 0;
};

/// What a text holds, without changing it.
PiiTypes find_pii(std::string_view text);
/// Puts a token in the place of each find: [CC_REDACTED], [SSN_REDACTED], [EMAIL_REDACTED],
/// [IP_REDACTED], [PHONE_REDACTED]. One pass, linear; clean text is not copied. Only ASCII is
/// replaced, so UTF-8 stays whole. Tokens hold no digits: masking twice changes nothing.
PiiTypes mask(std::string& text);
/// Every string and every whole number of the value (a number becomes its token); member names
/// stay. For audit details, and for tool arguments.
PiiTypes mask(json::value& value);
PiiTypes mask(json::object& object);

/// Every text of a call that a vendor or a log could see: messages of all roles, tool calls and
/// results, documents in plain text, the user's name. Images, sound and signatures stay.
PiiTypes find_pii(const llm::ChatRequest& request);
/// Sets `messages_changed` where a message changed, and mends `original` where another member
/// (user, metadata) held personal data.
PiiTypes mask(llm::ChatRequest& request);

}  // namespace asahi::gateway
