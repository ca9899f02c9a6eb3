#include "gateway/quality/answer_screen.h"
#include "gateway/quality/folded_text.h"

// Refusals are known by how they open. A wrong guess costs a call each time the question is asked
// again, so an answer must both open as refusals do and say so in their words: poems, letters,
// proofs and people in stories say "I can't" too.
namespace asahi::gateway {
namespace {

constexpr std::size_t kRefusalBytes = 240;  // a refusal says so at once
constexpr std::size_t kOpeningBytes = 120;

/// What may stand before "I can't".
constexpr std::string_view kOpenings[] = {"i'm sorry",
                                          "i am sorry",
                                          "i'm really sorry",
                                          "i'm very sorry",
                                          "i'm so sorry",
                                          "sorry",
                                          "my apologies",
                                          "apologies",
                                          "i apologize",
                                          "i apologise",
                                          "unfortunately",
                                          "regrettably",
                                          "i'm afraid",
                                          "i am afraid",
                                          "as an ai",
                                          "as a language model",
                                          "as a large language model",
                                          "i'm an ai",
                                          "i am an ai",
                                          "i'm just an ai",
                                          "i understand",
                                          "i appreciate",
                                          "thank you",
                                          "thanks",
                                          "no, ",
                                          "no. ",
                                          "while i ",
                                          "although i ",
                                          "hello",
                                          "hi, ",
                                          "hi! ",
                                          "i must be clear",
                                          "to be clear"};

constexpr std::string_view kWont[] = {"i can't ",        "i cannot ",        "i can not ",
                                      "i am unable to ", "i'm unable to ",   "i won't ",
                                      "i will not ",     "i'm not able to ", "i am not able to "};

/// What is refused; verbs that also say other things ("I can't help but smile", "I won't give up")
/// with what follows them.
constexpr std::string_view kWhat[] = {
    "assist",       "provide",     "comply",         "fulfill",           "fulfil",
    "answer that",  "answer this", "answer your",    "answer the",        "answer questions",
    "do that",      "discuss",     "create",         "generate",          "complete",
    "share",        "support",     "engage in",      "engage with",       "participate",
    "write",        "respond to",  "give you",       "give out",          "give advice",
    "give medical", "give legal",  "give financial", "give instructions", "give specific",
    "help you",     "help with",   "help in",        "help on",           "help create",
    "help write",   "help make",   "help."};

constexpr std::string_view kOutright[] = {"against my guidelines", "violates my guidelines",
                                          "against my programming", "as an ai language model, i"};

/// Requests whose answer is somebody else's words.
constexpr std::string_view kCopies[] = {"translat",  "rephras",   "rewrit",      "paraphras",
                                        "repeat",    "proofread", "correct the", "fix the",
                                        "grammar",   "transcri",  "quote",       "in english",
                                        "in french", "in german", "in spanish"};
/// What only one who refuses this very request says.
constexpr std::string_view kThisRequest[] = {"with that",    "with this",     "this request",
                                             "that request", "your request",  "as an ai",
                                             "guidelines",   "language model"};

bool begins_as_refusals_do(std::string_view before) {
  return before.empty() || std::ranges::any_of(kOpenings, [before](std::string_view opening) {
           return before.starts_with(opening);
         });
}

bool says_refusal(std::string_view text) {
  if (contains_any(text.substr(0, kOpeningBytes), kOutright)) return true;
  for (const std::string_view wont : kWont) {
    const std::size_t at = text.find(wont);
    if (at == std::string_view::npos || at > kOpeningBytes ||
        !begins_as_refusals_do(text.substr(0, at)))
      continue;
    const std::string_view rest = text.substr(at + wont.size());
    if (std::ranges::any_of(kWhat,
                            [rest](std::string_view verb) { return rest.starts_with(verb); }))
      return true;
  }
  return false;
}

}  // namespace

bool is_refusal(std::string_view answer, std::string_view prompt) {
  const std::size_t first = answer.find_first_not_of(" \t\r\n*_#>");
  if (first == std::string_view::npos) return false;
  const std::string text = folded(answer.substr(first, kRefusalBytes));
  if (!says_refusal(text)) return false;
  const std::string asked = folded(prompt.substr(0, 400));
  return !contains_any(asked, kCopies) || contains_any(text, kThisRequest);
}

}  // namespace asahi::gateway
