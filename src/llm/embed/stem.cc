#include "llm/embed/stem.h"

#include <algorithm>
#include <array>
#include <utility>

namespace asahi::llm::text {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// Sorted by the first word. The second is a stem already.
constexpr std::array kIrregular = std::to_array<Pair>({
    {"added", "add"},
    {"adding", "add"},
    {"adds", "add"},
    {"ageing", "ag"},
    {"aging", "ag"},
    {"analyses", "analysi"},
    {"analysis", "analysi"},
    {"ate", "eat"},
    {"beaten", "beat"},
    {"became", "becom"},
    {"began", "begin"},
    {"begun", "begin"},
    {"being", "be"},
    {"better", "better"},
    {"bitten", "bit"},
    {"blew", "blow"},
    {"blown", "blow"},
    {"bought", "buy"},
    {"bound", "bind"},
    {"bred", "breed"},
    {"broke", "break"},
    {"broken", "break"},
    {"brought", "bring"},
    {"built", "build"},
    {"came", "com"},
    {"caught", "catch"},
    {"children", "child"},
    {"chose", "choos"},
    {"chosen", "choos"},
    {"criteria", "criterion"},
    {"data", "data"},
    {"dealt", "deal"},
    {"did", "do"},
    {"died", "die"},
    {"dies", "die"},
    {"does", "do"},
    {"doing", "do"},
    {"done", "do"},
    {"drank", "drink"},
    {"drew", "draw"},
    {"driven", "driv"},
    {"drove", "driv"},
    {"drunk", "drink"},
    {"dying", "die"},
    {"eaten", "eat"},
    {"fallen", "fall"},
    {"fed", "feed"},
    {"feet", "foot"},
    {"fell", "fall"},
    {"felt", "feel"},
    {"fled", "flee"},
    {"flew", "fly"},
    {"forgot", "forget"},
    {"forgotten", "forget"},
    {"fought", "fight"},
    {"found", "find"},
    {"froze", "freez"},
    {"frozen", "freez"},
    {"gave", "giv"},
    {"given", "giv"},
    {"goes", "go"},
    {"going", "go"},
    {"gone", "go"},
    {"got", "get"},
    {"gotten", "get"},
    {"grew", "grow"},
    {"grown", "grow"},
    {"halves", "half"},
    {"heard", "hear"},
    {"held", "hold"},
    {"hid", "hid"},
    {"hidden", "hid"},
    {"hung", "hang"},
    {"indices", "index"},
    {"kept", "keep"},
    {"knew", "know"},
    {"knives", "knif"},
    {"known", "know"},
    {"laid", "lay"},
    {"learnt", "learn"},
    {"leaves", "leav"},
    {"led", "lead"},
    {"left", "leav"},
    {"lent", "lend"},
    {"lied", "lie"},
    {"lit", "light"},
    {"lives", "lif"},
    {"lost", "los"},
    {"lying", "lie"},
    {"made", "mak"},
    {"meant", "mean"},
    {"men", "man"},
    {"met", "meet"},
    {"mice", "mous"},
    {"news", "news"},
    {"paid", "pay"},
    {"people", "people"},
    {"proven", "prov"},
    {"ran", "run"},
    {"ridden", "rid"},
    {"risen", "rise"},
    {"rises", "rise"},
    {"rising", "rise"},
    {"rode", "rid"},
    {"rose", "rise"},
    {"said", "say"},
    {"sang", "sing"},
    {"sank", "sink"},
    {"sat", "sit"},
    {"saw", "see"},
    {"seen", "see"},
    {"sent", "send"},
    {"series", "series"},
    {"shelves", "shelf"},
    {"shone", "shin"},
    {"shot", "shoot"},
    {"shown", "show"},
    {"shut", "shut"},
    {"slept", "sleep"},
    {"sold", "sell"},
    {"sought", "seek"},
    {"species", "species"},
    {"spent", "spend"},
    {"spoke", "speak"},
    {"spoken", "speak"},
    {"spun", "spin"},
    {"stolen", "steal"},
    {"stood", "stand"},
    {"struck", "strik"},
    {"stuck", "stick"},
    {"swam", "swim"},
    {"swore", "swear"},
    {"swum", "swim"},
    {"taken", "tak"},
    {"taught", "teach"},
    {"taxes", "tax"},
    {"teeth", "tooth"},
    {"thought", "think"},
    {"threw", "throw"},
    {"thrown", "throw"},
    {"tied", "tie"},
    {"told", "tell"},
    {"took", "tak"},
    {"tooth", "tooth"},
    {"tore", "tear"},
    {"torn", "tear"},
    {"tying", "tie"},
    {"understood", "understand"},
    {"used", "use"},
    {"using", "use"},
    {"vertices", "vertex"},
    {"went", "go"},
    {"wept", "weep"},
    {"withdrawn", "withdraw"},
    {"withdrew", "withdraw"},
    {"wives", "wif"},
    {"woke", "wak"},
    {"women", "woman"},
    {"won", "win"},
    {"wore", "wear"},
    {"worn", "wear"},
    {"wound", "wind"},
    {"written", "writ"},
    {"wrote", "writ"},
});
static_assert(std::ranges::is_sorted(kIrregular, {}, &Pair::first));

bool vowel(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y'; }

bool has_vowel(std::string_view word) { return std::ranges::any_of(word, vowel); }

// "stopp" to "stop", but "call", "pass", "buzz" stay.
void undouble(std::string& word) {
  const std::size_t n = word.size();
  if (n < 4 || word[n - 1] != word[n - 2]) return;
  const char last = word[n - 1];
  if (last != 'l' && last != 's' && last != 'z' && !vowel(last)) word.pop_back();
}

}  // namespace

std::string stem(std::string_view word) {
  const auto known = std::ranges::lower_bound(kIrregular, word, {}, &Pair::first);
  if (known != kIrregular.end() && known->first == word) return std::string(known->second);
  std::string out(word);
  if (word.size() <= 3 || !std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; }))
    return out;
  if (out.ends_with("ies") && out.size() > 4) {
    out.replace(out.size() - 3, 3, "y");
  } else if (out.ends_with("sses") || out.ends_with("xes") || out.ends_with("ches") ||
             out.ends_with("shes") || out.ends_with("zzes")) {
    out.resize(out.size() - 2);
  } else if (out.ends_with("s") && !out.ends_with("ss") && !out.ends_with("us") &&
             !out.ends_with("is")) {
    out.pop_back();
  }
  if (out.ends_with("ing") && out.size() > 5 &&
      has_vowel(std::string_view(out).substr(0, out.size() - 3))) {
    out.resize(out.size() - 3);
    undouble(out);
  } else if (out.ends_with("ied") && out.size() > 4) {
    out.replace(out.size() - 3, 3, "y");
  } else if (out.ends_with("ed") && out.size() > 4 && !out.ends_with("eed") &&
             has_vowel(std::string_view(out).substr(0, out.size() - 2))) {
    out.resize(out.size() - 2);
    undouble(out);
  } else if (out.ends_with("ily") && out.size() > 5) {
    out.replace(out.size() - 3, 3, "y");
  } else if (out.ends_with("ly") && out.size() > 5) {
    out.resize(out.size() - 2);
  }
  if (out.size() > 3 && out.back() == 'e') out.pop_back();
  if (out.size() > 3 && out.back() == 'y' && !vowel(out[out.size() - 2])) out.back() = 'i';
  return out;
}

}  // namespace asahi::llm::text
