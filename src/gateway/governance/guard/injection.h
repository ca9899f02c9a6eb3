#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/message.h"

namespace asahi::gateway {

/// What an attempt tries (spec §3.5).
enum class InjectionGroup : std::uint8_t {
  kOverride,      ///< cancel earlier instructions
  kReveal,        ///< print the system prompt
  kRole,          ///< speak as system or assistant: role lines, chat-template tokens
  kJailbreak,     ///< "developer mode", "do anything now"
  kEncoded,       ///< have an encoded payload decoded and obeyed
  kExfiltration,  ///< send what is known to an address
  kCustom,        ///< security.injection_patterns
};
std::string_view to_string(InjectionGroup group);

enum class InjectionAction : std::uint8_t { kBlock, kFlag, kOff };
std::optional<InjectionAction> parse_injection_action(std::string_view word);

/// Finds prompt injections by wording. Letter case, blanks, punctuation, zero-width characters,
/// accents, full-width and common look-alike letters make no difference. Linear in the text,
/// whatever it says. Immutable, so thread-safe.
///
/// It is a screen, not a proof: it stops the known wordings.
class InjectionScreen {
 public:
  static constexpr std::size_t kMaxPatterns = 256;
  static constexpr std::size_t kMaxPatternBytes = 500;

  /// `patterns`: further wordings, plain text without regard to case; "*" stands for up to 64
  /// characters. Errors: invalid_argument with the field "security.injection_patterns[n]" for a
  /// pattern that is empty, too long or but stars.
  static Result<std::unique_ptr<InjectionScreen>> make(const std::vector<std::string>& patterns);
  ~InjectionScreen();

  std::optional<InjectionGroup> find(std::string_view text) const;
  /// User and document text of a call: user messages, tool and search results, plain-text files.
  /// Not the operator's system prompt, not what the assistant said.
  std::optional<InjectionGroup> find(const llm::ChatRequest& request) const;

 private:
  struct Impl;
  std::optional<InjectionGroup> find(const json::value& value) const;
  explicit InjectionScreen(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace asahi::gateway
