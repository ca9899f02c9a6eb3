#include "memory/graph/extract.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/json.h"
#include "base/utf8.h"
#include "memory/summary/sentences.h"

namespace asahi::memory::graph {
namespace {

constexpr std::size_t kMostFacts = 200, kMostTags = 16, kMostOfAKind = 16;
constexpr std::size_t kMostText = 64 * 1024;
constexpr std::size_t kMostName = 200;

constexpr auto kExtensions = std::to_array<std::string_view>(
    {"c",   "cc",   "cfg", "conf",  "cpp",  "cs",  "css",  "csv",  "env", "go",   "h",
     "hpp", "html", "ini", "ipynb", "java", "js",  "json", "jsx",  "kt",  "lock", "log",
     "md",  "mjs",  "php", "proto", "py",   "rb",  "rs",   "scss", "sh",  "sql",  "swift",
     "tf",  "toml", "ts",  "tsx",   "txt",  "vue", "xml",  "yaml", "yml"});
static_assert(std::ranges::is_sorted(kExtensions));

bool path_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == '/';
}

/// Whether a word is a file by its form: "src/main.cc", "config.yaml".
bool is_file(std::string_view word) {
  if (word.size() < 4 || word.size() > 160 || !std::ranges::all_of(word, path_letter)) return false;
  if (word.starts_with("//") || word.find("..") != std::string_view::npos) return false;
  const std::size_t slash = word.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? word : word.substr(slash + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  return std::ranges::binary_search(kExtensions, name.substr(dot + 1));
}

/// "TimeoutError", "IOException": what programs call their errors.
bool is_error(std::string_view word) {
  const bool form = word.size() > 6 && word.size() <= 80 && word[0] >= 'A' && word[0] <= 'Z' &&
                    (word.ends_with("Error") || word.ends_with("Exception"));
  return form && std::ranges::all_of(word, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.';
         });
}

/// A string, or the strings of a list.
std::vector<std::string> texts_of(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const json::value* const value = object.if_contains(key);
  if (value == nullptr) return out;
  const auto take = [&](const json::value& one) {
    const auto* const text = one.if_string();
    if (text != nullptr && !text->empty() && text->size() <= kMostName && out.size() < kMostTags)
      out.emplace_back(text->data(), text->size());
  };
  take(*value);
  if (const auto* const list = value->if_array()) {
    for (const json::value& one : *list) take(one);
  }
  return out;
}

std::string cut(std::string_view text, std::size_t most) {
  return mended_utf8(text.substr(0, std::min(text.size(), most)), most);
}

class Extraction {
 public:
  Extraction(const Memory& memory, Time now)
      : memory_(memory), since_(std::min(memory.timestamp, now)) {
    out_.source = {memory.key.system_id, memory.key.conversation_id};
  }

  Statement take() {
    system_ =
        entity(entity_id("system", memory_.key.system_id, Case::kKeep), memory_.key.system_id);
    metadata();
    text();
    if (memory_.near_duplicate_of) near_duplicate(*memory_.near_duplicate_of);
    return std::move(out_);
  }

 private:
  void metadata() {
    const auto value = parse_json(memory_.metadata, 32);
    static const json::object kNothing;
    const json::object& fields = value && value->is_object() ? value->get_object() : kNothing;
    if (const auto user = texts_of(fields, "user_id"); !user.empty())
      user_ = entity(entity_id("user", user[0], Case::kKeep), user[0]);
    if (const auto project = texts_of(fields, "project"); !project.empty()) {
      project_ = entity(entity_id("project", project[0], Case::kKeep), project[0]);
      state(system_, project_, "contains");
      if (!user_.empty()) state(user_, project_, "worked_on");
    } else if (!user_.empty()) {
      state(user_, system_, "worked_with");
    }
    const std::string& place = project_.empty() ? system_ : project_;

    std::vector<std::string> concepts;
    bool fixed = false;
    for (const std::string_view key : {"tags", "topic"}) {
      for (const std::string& tag : texts_of(fields, key)) {
        if (tag == "fix" || tag == "fixed" || tag == "bugfix" || tag == "resolved") fixed = true;
        if (tag.starts_with("error:")) {
          error(tag.substr(6));
          continue;
        }
        if (is_error(tag)) {
          error(tag);
          continue;
        }
        if (concepts.size() >= kMostTags) break;
        concepts.push_back(entity(entity_id("concept", tag, Case::kFold), tag));
        state(place, concepts.back(), "mentioned");
      }
    }
    // What is tagged together belongs together, a little.
    constexpr std::size_t kMostPaired = 5;
    for (std::size_t i = 0; i < std::min(concepts.size(), kMostPaired); ++i) {
      for (std::size_t k = i + 1; k < std::min(concepts.size(), kMostPaired); ++k) {
        const bool order = concepts[i] < concepts[k];
        state(concepts[order ? i : k], concepts[order ? k : i], "related_to", 0.2);
      }
    }
    for (const std::string_view key : {"error", "errors", "error_type"}) {
      for (const std::string& name : texts_of(fields, key)) error(name);
    }
    for (const std::string_view key : {"file", "files"}) {
      for (const std::string& name : texts_of(fields, key)) file(name);
    }
    fixed_ = fixed;
  }

  void text() {
    const std::string_view all = std::string_view(memory_.content).substr(0, kMostText);
    for (const Sentence& sentence : split_sentences(all)) {
      std::string_view said = sentence.of(all);
      by_form(said);
      if (sentence.kind == Sentence::kCode || sentence.kind == Sentence::kHeading) continue;
      std::string speaker = drop_speaker(said);
      if (speaker.empty()) speaker = speaker_;
      if (sentence.kind == Sentence::kItem) speaker_ = speaker;
      for (const Phrase& phrase : phrases(said, memory_.timestamp)) fact(phrase, said, speaker);
    }
    if (!fixed_) return;
    for (const std::string& id : errors_)
      state(user_.empty() ? (project_.empty() ? system_ : project_) : user_, id, "fixed");
  }

  /// Takes "Ana: " away from the front; returns who speaks.
  static std::string drop_speaker(std::string_view& said) {
    for (const std::string_view mark : {"- ", "* ", "> "}) {
      if (said.starts_with(mark)) said.remove_prefix(mark.size());
    }
    const std::size_t colon = said.substr(0, 41).find(": ");
    if (colon == std::string_view::npos || colon == 0) return {};
    const std::string_view name = said.substr(0, colon);
    if (name.find_first_of(".,!?\"()") != std::string_view::npos) return {};
    said.remove_prefix(colon + 2);
    return std::string(name);
  }

  void by_form(std::string_view said) {
    constexpr std::string_view kAround = " \t\r\n,;:!?()[]{}<>\"'`*=|";
    for (std::size_t at = 0; at < said.size();) {
      const std::size_t begin = said.find_first_not_of(kAround, at);
      if (begin == std::string_view::npos) break;
      at = std::min(said.find_first_of(kAround, begin), said.size());
      std::string_view word = said.substr(begin, at - begin);
      while (word.ends_with('.')) word.remove_suffix(1);
      if (is_file(word)) file(word);
      if (is_error(word)) error(word);
    }
  }

  void file(std::string_view name) {
    if (files_.size() >= kMostOfAKind) return;
    const std::string id = entity(entity_id("file", name, Case::kKeep), name);
    if (files_.insert(id).second) state(project_.empty() ? system_ : project_, id, "mentioned");
  }
  void error(std::string_view name) {
    if (name.empty() || errors_.size() >= kMostOfAKind) return;
    const std::string id = entity(entity_id("error", name, Case::kKeep), name);
    if (errors_.insert(id).second) state(project_.empty() ? system_ : project_, id, "mentioned");
  }

  /// The user or project of the metadata where it has this name, else a concept.
  std::string named(std::string_view name) {
    for (const std::string& known : {user_, project_}) {
      if (known.empty()) continue;
      if (entity_id(entity_type(known), name, Case::kFold) ==
          entity_id(entity_type(known), known.substr(known.find(':') + 1), Case::kFold))
        return known;
    }
    return entity(entity_id("concept", name, Case::kFold), name);
  }

  void fact(const Phrase& phrase, std::string_view said, const std::string& speaker) {
    std::string from;
    if (phrase.from == "I") {
      // Who "user" and "assistant" are, a chat does not say; the metadata may.
      const bool role = speaker.empty() || speaker == "User" || speaker == "user" ||
                        speaker == "Human" || speaker == "Me";
      const bool machine = speaker == "Assistant" || speaker == "assistant" || speaker == "AI" ||
                           speaker == "System" || speaker == "Bot";
      if (machine || (role && user_.empty())) return;
      from = role ? user_ : named(speaker);
    } else {
      from = named(phrase.from);
    }
    const std::string to = named(phrase.to);
    if (from == to || out_.facts.size() >= kMostFacts) return;
    StatedFact fact{.from = from, .to = to, .type = phrase.type, .exclusive = phrase.exclusive};
    fact.valid_from = phrase.since.value_or(since_);
    fact.evidence = cut(said, 400);
    out_.facts.push_back(std::move(fact));
  }

  void near_duplicate(const Key& other) {
    const auto id = [](const Key& key) {
      return entity_id("memory", key.system_id + "/" + key.conversation_id, Case::kKeep);
    };
    const std::string own = entity(id(memory_.key), memory_.key.conversation_id);
    const std::string like = entity(id(other), other.conversation_id);
    state(own, like, "similar_to");
  }

  std::string entity(std::string id, std::string_view name) {
    if (known_.insert(id).second) {
      StatedEntity stated{.id = id};
      // Only where the id does not say it.
      if (id.substr(id.find(':') + 1) != name) {
        stated.properties = "{\"name\":";
        append_json_string(stated.properties, cut(name, kMostName));
        stated.properties += '}';
      }
      out_.entities.push_back(std::move(stated));
    }
    return id;
  }

  void state(const std::string& from, const std::string& to, std::string_view type,
             double weight = 1) {
    if (from == to || out_.facts.size() >= kMostFacts) return;
    out_.facts.push_back({.from = from,
                          .to = to,
                          .type = std::string(type),
                          .weight = weight,
                          .valid_from = since_});
  }

  const Memory& memory_;
  const Time since_;
  Statement out_;
  std::set<std::string> known_, files_, errors_;
  std::string system_, user_, project_, speaker_;
  bool fixed_ = false;
};

}  // namespace

Statement extract(const Memory& memory, Time now) { return Extraction(memory, now).take(); }

}  // namespace asahi::memory::graph
