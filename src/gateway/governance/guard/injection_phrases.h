#pragma once

#include <span>
#include <string_view>

#include "gateway/governance/guard/injection.h"

namespace asahi::gateway {

/// A wording as a sequence of words. "a|b" is either word; "~3" lets up to three other words stand
/// in between. Words are folded (folding.h) and hold no punctuation: "don't" is "dont".
struct InjectionPhrase {
  InjectionGroup group;
  std::string_view words;
};
std::span<const InjectionPhrase> injection_phrases();

/// A piece of folded text that is an attempt wherever it stands: chat-template tokens, and wordings
/// of scripts that put no blanks between words.
struct InjectionToken {
  InjectionGroup group;
  std::string_view text;
};
std::span<const InjectionToken> injection_tokens();

}  // namespace asahi::gateway
