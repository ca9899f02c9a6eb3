#include "gateway/tokens/prompt_parts.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "gateway/tokens/phrases.h"
#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

constexpr std::int64_t kShortPrompt = 100;  ///< words; shorter ones are all question

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

struct Paragraph {
  std::size_t begin, end;  // with the blank lines behind it
  std::string_view text;   // without
};

/// Split at blank lines; a fenced block is one paragraph.
std::vector<Paragraph> paragraphs_of(std::string_view text) {
  std::vector<Paragraph> paragraphs;
  std::size_t begin = 0, at = 0;
  bool fenced = false, blank = false;
  const auto close = [&](std::size_t end) {
    if (trimmed(text.substr(begin, end - begin)).empty()) return;
    paragraphs.push_back({begin, end, trimmed(text.substr(begin, end - begin))});
    begin = end;
  };
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view line = trimmed(text.substr(at, end - at));
    if (blank && !line.empty() && !fenced) close(at);
    blank = line.empty();
    if (line.starts_with("```") || line.starts_with("~~~")) fenced = !fenced;
    at = end;
  }
  close(text.size());
  // Blank lines at the very end belong to the last paragraph.
  if (!paragraphs.empty()) paragraphs.back().end = text.size();
  if (!paragraphs.empty()) paragraphs.front().begin = 0;
  return paragraphs;
}

bool has_question_mark(std::string_view text) { return text.find('?') != std::string_view::npos; }

/// "Document:", "Here is the article:", "<context>": what follows is a text to read.
bool opens_document(std::string_view line) {
  line = trimmed(line);
  static const WordSet nouns(
      "document documents context article articles text texts passage passages background "
      "reference "
      "references knowledge excerpt excerpts source sources transcript report reports notes email "
      "emails message messages letter page content chapter section story review reviews policy "
      "manual description summary data information below following material essay post thread log "
      "conversation minutes memo");
  if (line.starts_with('<') && line.ends_with('>') && line.size() < 40 && line[1] != '/') {
    std::string_view tag = line.substr(1, line.size() - 2);
    tag = tag.substr(0, tag.find(' '));
    return nouns.contains(tag);
  }
  if (!line.ends_with(':') || count_words(line) > 25) return false;
  for (const std::uint64_t word : content_words(line)) {
    if (nouns.contains(word)) return true;
  }
  return false;
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }
std::string_view last_line(std::string_view text) {
  const std::size_t at = text.rfind('\n');
  return at == std::string_view::npos ? text : text.substr(at + 1);
}

bool is_fenced(std::string_view text) { return text.starts_with("```") || text.starts_with("~~~"); }

/// "Question:", "Task:", "Instructions:" …
bool opens_question(std::string_view text) {
  const std::string_view line = first_line(text);
  const std::size_t colon = line.substr(0, 40).find(':');
  if (colon == std::string_view::npos) return false;
  static const WordSet labels(
      "question questions task query request instruction instructions ask "
      "problem todo input");
  for (const std::uint64_t word : content_words(line.substr(0, colon))) {
    if (labels.contains(word)) return true;
  }
  return false;
}

bool is_closing_tag(std::string_view line) {
  line = trimmed(line);
  return line.starts_with("</");
}

/// Most of it tells what to do.
bool is_request(std::string_view paragraph) {
  return opens_question(paragraph) ||
         (count_words(paragraph) <= 60 && is_instruction(first_line(paragraph)));
}

}  // namespace

Task task_of(std::string_view query) {
  static const WordSet wording(
      "translate translated translation translations proofread proofreading rewrite rewriting "
      "rephrase "
      "paraphrase reword wording edit edited editing correct corrected correction grammar "
      "grammatical "
      "spelling typo typos punctuation count verbatim transcribe convert converted reformat tone "
      "style "
      "sentiment emotion mood continue polish plagiarism essay poem lyrics rhyme classify "
      "classification label categorize redact anonymize anonymise shorten tokens characters "
      "letters "
      "repeat copy quote quotes word-for-word exact sentence sentences redraft formal informal "
      "improve "
      "improved better fix check mistakes errors draft score grade markdown plain simpler "
      "simplify adapt replace");
  static const WordSet digest(
      "summarize summarise summarized summary summaries summarization tldr overview recap brief "
      "list "
      "extract enumerate themes theme points takeaways analyze analyse analysis review evaluate "
      "assess "
      "critique opinion argument arguments outline complaints compare comparison contrast "
      "everything "
      "pros cons insights feedback");
  Task task = Task::kAnswer;
  for (const std::uint64_t word : content_words(query)) {
    if (wording.contains(word)) return Task::kWording;
    if (digest.contains(word)) task = Task::kDigest;
  }
  static const WordSet totals("all every each any");
  std::size_t begin = 0;
  while (begin < query.size()) {
    while (begin < query.size() && !is_letter(query[begin])) ++begin;
    std::size_t end = begin;
    while (end < query.size() && is_letter(query[end])) ++end;
    if (end > begin && totals.contains(query.substr(begin, end - begin))) task = Task::kDigest;
    begin = end;
  }
  return task;
}

std::vector<Part> parts_of_prompt(std::string_view prompt) {
  std::vector<Part> parts;
  const auto add = [&](Part::Kind kind, std::size_t begin, std::size_t end) {
    if (!parts.empty() && parts.back().kind == kind) {
      parts.back().end = end;
    } else {
      parts.push_back({.kind = kind, .begin = begin, .end = end});
    }
  };
  const std::vector<Paragraph> paragraphs = paragraphs_of(prompt);
  if (paragraphs.size() < 2 || count_words(prompt) < kShortPrompt) {
    add(Part::Kind::kQuery, 0, prompt.size());
    return parts;
  }
  const auto asks = [](std::string_view text) {
    return !is_fenced(text) && (has_question_mark(text) || opens_question(text));
  };
  // The question: the last paragraph that asks, else one that requests, else the last.
  std::optional<std::size_t> question;
  for (std::size_t i = 0; i < paragraphs.size(); ++i) {
    if (asks(paragraphs[i].text)) question = i;
  }
  for (std::size_t i = 0; !question && i < paragraphs.size(); ++i) {
    if (is_request(paragraphs[i].text)) question = i;
  }
  if (!question) question = paragraphs.size() - 1;
  bool document = false;
  for (std::size_t i = 0; i < paragraphs.size(); ++i) {
    const Paragraph& paragraph = paragraphs[i];
    const std::string_view text = paragraph.text;
    if (i == *question || asks(text) || is_fenced(text) ||
        (i + 1 == paragraphs.size() && count_words(text) < 40)) {
      add(Part::Kind::kQuery, paragraph.begin, paragraph.end);
      document = opens_document(last_line(text));
      continue;
    }
    const bool labelled = opens_document(first_line(text));
    if (count_words(text) <= 25 && (labelled || is_request(text))) {
      add(Part::Kind::kQuery, paragraph.begin, paragraph.end);
      document = labelled || opens_document(last_line(text));
      continue;
    }
    document = document || labelled || (i > 0 && count_words(text) >= 30 && !is_request(text)) ||
               (i == 0 && *question > 0 && count_words(text) >= 60 && !is_request(text));
    add(document ? Part::Kind::kDocument : Part::Kind::kSystem, paragraph.begin, paragraph.end);
    if (is_closing_tag(last_line(text))) document = false;
  }
  return parts;
}

namespace {

/// The query without lines that only announce a text: "Summary of the study:" asks for no summary.
std::string without_labels(std::string_view query) {
  std::string rest;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('\n'), query.size() - 1) + 1;
    const std::string_view line = query.substr(0, end);
    if (!opens_document(line) || is_instruction(trimmed(line))) rest += line;
    query.remove_prefix(end);
  }
  return rest;
}

bool is_text_only(const llm::Message& message) {
  return message.name.empty() && !message.parts.empty() &&
         std::ranges::all_of(message.parts, [](const llm::Part& part) {
           return std::holds_alternative<llm::TextPart>(part);
         });
}

/// The first message behind the last cache breakpoint.
std::size_t behind_breakpoints(const llm::ChatRequest& request) {
  std::size_t first = 0;
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    for (const llm::Part& part : request.messages[i].parts) {
      const auto* text = std::get_if<llm::TextPart>(&part);
      // Blocks of a vendor's own, and results of tools, may carry one that is not seen here.
      if ((text != nullptr && !text->cache_control.is_null()) ||
          std::holds_alternative<llm::OpaquePart>(part))
        first = i + 1;
    }
  }
  return first;
}

Part::Care care_for(Task task) {
  switch (task) {
    case Task::kAnswer:
      return Part::Care::kFull;
    case Task::kDigest:
      return Part::Care::kLight;
    case Task::kWording:
      return Part::Care::kUntouched;
  }
  return Part::Care::kUntouched;
}

}  // namespace

RequestParts parts_of(const llm::ChatRequest& request, const PartOptions& options) {
  RequestParts found;
  const auto& messages = request.messages;
  std::size_t last = messages.size();
  for (std::size_t i = messages.size(); i-- > 0 && last == messages.size();) {
    if (messages[i].role == llm::Role::kUser) last = i;
  }
  if (last == messages.size()) return found;
  const std::size_t first = behind_breakpoints(request);

  // The question first: what it asks decides how much of the rest is needed.
  std::vector<Part> in_last;
  if (is_text_only(messages[last])) {
    for (std::size_t p = 0; p < messages[last].parts.size(); ++p) {
      const std::string& text = std::get<llm::TextPart>(messages[last].parts[p]).text;
      for (Part part : parts_of_prompt(text)) {
        part.message = last;
        part.part = p;
        if (part.kind == Part::Kind::kQuery) {
          found.query += std::string_view(text).substr(part.begin, part.end - part.begin);
          found.query += '\n';
        } else {
          in_last.push_back(part);
        }
      }
    }
  } else {
    found.query = messages[last].text();
  }
  found.task = task_of(without_labels(found.query));

  std::size_t leading = 0;
  while (leading < last && (messages[leading].role == llm::Role::kSystem ||
                            messages[leading].role == llm::Role::kDeveloper))
    ++leading;
  if (options.examples > 0 && leading >= first && leading + 2 * options.examples <= last) {
    found.first_example = leading;
    found.examples = options.examples;
  }
  std::size_t turns_behind = 0;  // user messages from here to the last
  std::vector<Part> history;
  for (std::size_t i = last; i-- > first;) {
    const llm::Message& message = messages[i];
    if (message.role == llm::Role::kUser) ++turns_behind;
    if (found.examples > 0 && i >= found.first_example &&
        i < found.first_example + 2 * found.examples)
      continue;
    if (!is_text_only(message)) continue;
    const bool system = message.role == llm::Role::kSystem || message.role == llm::Role::kDeveloper;
    for (std::size_t p = message.parts.size(); p-- > 0;) {
      const std::string& text = std::get<llm::TextPart>(message.parts[p]).text;
      Part part{.message = i, .part = p, .begin = 0, .end = text.size()};
      if (system) {
        part.kind = Part::Kind::kSystem;
        part.care = Part::Care::kLight;
        part.moods_may_go = true;
        // Texts to read that the application has put into its prompt.
        std::vector<Part> inside = parts_of_prompt(text);
        bool any = false;
        for (const Part& piece : inside) any |= piece.kind == Part::Kind::kDocument;
        if (any && found.task == Task::kAnswer) {
          for (auto piece = inside.rbegin(); piece != inside.rend(); ++piece) {
            piece->message = i;
            piece->part = p;
            const bool labelled =
                piece->kind == Part::Kind::kDocument && piece->begin > 0 &&
                opens_document(last_line(trimmed(std::string_view(text).substr(0, piece->begin))));
            piece->care = labelled ? Part::Care::kFull : Part::Care::kLight;
            if (!labelled) piece->kind = Part::Kind::kSystem;
            piece->moods_may_go = !labelled;
            history.push_back(*piece);
          }
          continue;
        }
      } else {
        part.kind = Part::Kind::kHistory;
        // The user's own words stay, but for their wordiness, and so does the latest answer.
        part.old = turns_behind >= options.max_history_turns;
        const bool settled = message.role == llm::Role::kAssistant && turns_behind > 0;
        part.care = found.task == Task::kWording ? Part::Care::kUntouched
                    : settled                    ? care_for(found.task)
                                                 : Part::Care::kLight;
        part.moods_may_go = message.role == llm::Role::kAssistant && found.task == Task::kAnswer;
      }
      if (part.care != Part::Care::kUntouched) history.push_back(part);
    }
  }
  found.parts.assign(history.rbegin(), history.rend());
  if (last >= first) {
    for (Part part : in_last) {
      part.care = part.kind == Part::Kind::kDocument ? care_for(found.task) : Part::Care::kLight;
      part.moods_may_go = part.kind == Part::Kind::kSystem;
      if (found.task == Task::kWording) part.care = Part::Care::kUntouched;
      if (part.care != Part::Care::kUntouched) found.parts.push_back(part);
    }
  }
  return found;
}

}  // namespace asahi::gateway::tokens
