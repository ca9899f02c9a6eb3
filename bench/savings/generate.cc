#include "savings/generate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace asahi::savings {
namespace {

namespace fs = std::filesystem;

bool text_file(const fs::path& path) {
  const std::string name = path.filename().string(), ending = path.extension().string();
  return ending == ".md" || ending == ".txt" || ending == ".rst" || ending == ".html" ||
         name.starts_with("README") || name == "NEWS";
}

// Tags, list signs and emphasis out, white space squeezed; empty lines end a paragraph.
std::vector<std::string> paragraphs(const std::string& text, bool html) {
  std::vector<std::string> out(1);
  bool tag = false, fence = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) fence = !fence;
    const std::size_t first = line.find_first_not_of(" \t");
    const bool skipped = fence || line.starts_with("    ") || line.starts_with("\t") ||
                         line.starts_with("|") || line.starts_with("#");
    if (first == std::string::npos || (skipped && !html)) {
      out.emplace_back();
      continue;
    }
    if (line[first] == '*' || line[first] == '-') out.emplace_back();
    for (const char c : line.substr(first)) {
      if (html && c == '<') tag = true;
      if (!tag && c != '*') out.back() += c == '\t' ? ' ' : c;
      if (html && c == '>') {
        tag = false;
        out.back() += ' ';
      }
    }
    out.back() += ' ';
  }
  return out;
}

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream in{std::string(text)};
  return {std::istream_iterator<std::string>(in), {}};
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

bool proper_sentence(const std::string& sentence, const std::vector<std::string>& words) {
  if (words.size() < 6 || words.size() > 40) return false;
  if (!std::isupper(static_cast<unsigned char>(sentence[0]))) return false;
  std::size_t letters = 0;
  for (const char c : sentence) {
    if (static_cast<unsigned char>(c) >= 0x80 || c == '|' || c == '{' || c == '\\') return false;
    letters += std::isalpha(static_cast<unsigned char>(c)) || c == ' ' ? 1 : 0;
  }
  return letters * 10 >= sentence.size() * 9;
}

struct Swap {
  std::string_view from, to;
};
// Rewordings as an editor would make them; longest first within a beginning.
constexpr auto kSwaps = std::to_array<Swap>({
    {"in order to", "so as to"},
    {"is able to", "can"},
    {"are able to", "can"},
    {"makes it possible to", "lets you"},
    {"it is possible to", "you can"},
    {"you can", "it is possible to"},
    {"allows you to", "makes it possible to"},
    {"allow you to", "make it possible to"},
    {"as well as", "and also"},
    {"due to", "because of"},
    {"because", "since"},
    {"such as", "for example"},
    {"for example", "for instance"},
    {"a number of", "several"},
    {"by default", "unless told otherwise"},
    {"at the moment", "currently"},
    {"should be", "ought to be"},
    {"must be", "has to be"},
    {"is used to", "serves to"},
    {"are used to", "serve to"},
    {"used for", "employed for"},
    {"provides", "offers"},
    {"provide", "offer"},
    {"provided", "supplied"},
    {"contains", "includes"},
    {"contain", "include"},
    {"use", "make use of"},
    {"uses", "makes use of"},
    {"using", "with the help of"},
    {"used", "employed"},
    {"create", "make"},
    {"creates", "makes"},
    {"created", "made"},
    {"remove", "delete"},
    {"removed", "deleted"},
    {"removes", "deletes"},
    {"show", "display"},
    {"shows", "displays"},
    {"shown", "displayed"},
    {"begin", "start"},
    {"start", "begin"},
    {"starts", "begins"},
    {"need", "require"},
    {"needs", "requires"},
    {"needed", "required"},
    {"requires", "needs"},
    {"require", "need"},
    {"required", "necessary"},
    {"change", "alter"},
    {"changes", "modifications"},
    {"changed", "modified"},
    {"fix", "repair"},
    {"fixed", "corrected"},
    {"help", "assist"},
    {"get", "obtain"},
    {"gets", "obtains"},
    {"find", "locate"},
    {"found", "located"},
    {"choose", "pick"},
    {"select", "choose"},
    {"method", "way"},
    {"way", "manner"},
    {"information", "details"},
    {"documentation", "manual"},
    {"error", "fault"},
    {"errors", "faults"},
    {"example", "sample"},
    {"examples", "samples"},
    {"directory", "folder"},
    {"directories", "folders"},
    {"several", "various"},
    {"various", "different"},
    {"many", "numerous"},
    {"large", "big"},
    {"small", "little"},
    {"fast", "quick"},
    {"simple", "easy"},
    {"easy", "simple"},
    {"important", "significant"},
    {"entire", "whole"},
    {"complete", "full"},
    {"main", "principal"},
    {"often", "frequently"},
    {"usually", "normally"},
    {"also", "additionally"},
    {"however", "yet"},
    {"therefore", "hence"},
    {"only", "solely"},
    {"allows", "permits"},
    {"allow", "permit"},
    {"allowed", "permitted"},
    {"describes", "explains"},
    {"describe", "explain"},
    {"described", "explained"},
    {"specify", "state"},
    {"specified", "given"},
    {"specifies", "states"},
    {"supported", "accepted"},
    {"supports", "can handle"},
    {"support", "handle"},
    {"works", "functions"},
    {"work", "function"},
    {"written", "composed"},
    {"distributed", "shipped"},
    {"build", "compile"},
    {"built", "compiled"},
    {"run", "execute"},
    {"runs", "executes"},
    {"running", "executing"},
    {"call", "invoke"},
    {"called", "named"},
    {"returns", "gives back"},
    {"return", "give back"},
    {"set", "put"},
    {"enables", "turns on"},
    {"ensure", "make sure"},
    {"ensures", "makes sure"},
    {"instead", "rather"},
    {"please", "kindly"},
    {"will be", "is going to be"},
    {"following", "next"},
    {"purpose", "aim"},
    {"available", "at hand"},
    {"different", "distinct"},
    {"additional", "extra"},
    {"optional", "not mandatory"},
    {"may", "might"},
    {"program", "tool"},
    {"programs", "tools"},
    {"list", "enumeration"},
    {"note that", "mind that"},
    {"see", "refer to"},
    {"like", "similar to"},
});

// Replaces whole words, each place with probability `chance`.
std::string reword(std::string_view sentence, Random& random, double chance) {
  std::vector<std::string> words = words_of(sentence);
  std::vector<std::string> out;
  const auto bare = [](std::string word) {
    while (!word.empty() && std::ispunct(static_cast<unsigned char>(word.back()))) word.pop_back();
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
    return word;
  };
  for (std::size_t i = 0; i < words.size();) {
    bool replaced = false;
    for (const Swap& swap : kSwaps) {
      const std::vector<std::string> from = words_of(swap.from);
      if (i + from.size() > words.size()) continue;
      bool fits = true;
      for (std::size_t k = 0; k < from.size() && fits; ++k) fits = bare(words[i + k]) == from[k];
      if (!fits || random.unit() >= chance) continue;
      const std::string& last = words[i + from.size() - 1];
      std::string to(swap.to);
      if (std::isupper(static_cast<unsigned char>(words[i][0])))
        to[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(to[0])));
      if (std::ispunct(static_cast<unsigned char>(last.back()))) to += last.back();
      out.push_back(std::move(to));
      i += from.size();
      replaced = true;
      break;
    }
    if (!replaced) out.push_back(words[i++]);
  }
  return joined(out);
}

std::string lower_first(std::string text) {
  const bool acronym = text.size() > 1 && std::isupper(static_cast<unsigned char>(text[1]));
  if (!text.empty() && !acronym) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

std::string upper_first(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

// "If X, Y." to "Y if X.", "Y when X." to "When X, Y."
std::string reorder(const std::string& sentence) {
  const char end = sentence.back();
  std::string body = sentence;
  if (end == '.' || end == '!' || end == '?') body.pop_back();
  for (const std::string_view opening :
       {"If ", "When ", "To ", "Because ", "After ", "Before ", "For ", "In ", "On ", "By "}) {
    const std::size_t comma = body.find(", ");
    if (!body.starts_with(opening) || comma == std::string::npos ||
        body.find(", ", comma + 2) != std::string::npos)
      continue;
    return upper_first(body.substr(comma + 2)) + " " + lower_first(body.substr(0, comma)) + end;
  }
  for (const std::string_view joint : {" if ", " when ", " because "}) {
    const std::size_t at = body.find(joint);
    if (at == std::string::npos || at < 12 || body.find(',') != std::string::npos) continue;
    return upper_first(body.substr(at + 1)) + ", " + lower_first(body.substr(0, at)) + end;
  }
  return sentence;
}

constexpr auto kTopics = std::to_array<std::string_view>(
    {"reset the router",       "back up the database",  "rotate the log files",
     "export the report",      "renew the certificate", "share the calendar",
     "mute the notifications", "scan the document",     "merge the branches",
     "resize the partition",   "invite a colleague",    "print the invoice",
     "archive the mailbox",    "restore the snapshot",  "calibrate the sensor",
     "verify the signature",   "schedule the backup",   "replace the battery",
     "pair the headset",       "update the firmware",   "format the disk",
     "translate the menu",     "compress the video",    "crop the photo",
     "filter the orders",      "sort the table",        "rename the project",
     "clone the machine",      "monitor the queue",     "encrypt the archive",
     "trim the recording",     "validate the form",     "lock the door",
     "descale the kettle",     "repot the orchid",      "sharpen the knife",
     "book the meeting room",  "tune the guitar",       "bleed the radiator",
     "patch the tyre"});
constexpr auto kPlaces = std::to_array<std::string_view>(
    {"in the office",     "at home",        "in the warehouse", "on the ship",
     "in the laboratory", "at the airport", "in the clinic",    "on the farm",
     "in the studio",     "at the school",  "in the library",   "on the terrace",
     "in the factory",    "at the station", "in the museum",    "on the campus",
     "in the workshop",   "at the harbour", "in the garage",    "at the theatre",
     "in the bakery",     "on the roof",    "in the basement",  "at the embassy",
     "in the observatory"});
constexpr auto kOwners = std::to_array<std::string_view>(
    {"Marta",   "Olaf",   "Priya",   "Tomasz", "Yuki",    "Amara",   "Lucien",  "Ingrid",
     "Mateo",   "Zofia",  "Hassan",  "Greta",  "Paulo",   "Noor",    "Sven",    "Chidi",
     "Anouk",   "Dmitri", "Leila",   "Rosa",   "Bjorn",   "Farah",   "Gustavo", "Helga",
     "Ibrahim", "Jelena", "Kwame",   "Linnea", "Manuela", "Nikolai", "Odette",  "Pavel",
     "Quentin", "Renata", "Stellan", "Tamar",  "Umberto", "Vesna",   "Wanda",   "Xenia"});

struct Slots {
  std::string_view kind;
  std::vector<std::string_view> frames;  ///< "{}" stands for the slot
  std::vector<std::string_view> values;
};

std::string filled(std::string_view frame, std::string_view a, std::string_view b = {}) {
  std::string out(frame);
  if (const std::size_t at = out.find("{}"); at != std::string::npos) out.replace(at, 2, a);
  if (const std::size_t at = out.find("{2}"); at != std::string::npos) out.replace(at, 3, b);
  return out;
}

const std::vector<Slots>& slot_kinds() {
  static const std::vector<Slots> kinds = {
      {"number",
       {"How do I split the bill between {} guests?",
        "What is the fine for driving {} over the limit?", "How much paint do I need for {} rooms?",
        "Write a poem with {} lines about the sea", "Which tent is right for {} campers in winter?",
        "How long does it take to roast {} potatoes?", "Can a lift carry {} passengers at once?",
        "Show the top {} customers by revenue"},
       {"3", "4", "7", "12", "15", "40", "200", "1,500", "2.5", "six", "nine", "eleven"}},
      {"date",
       {"What happened on {} in world history?", "Is the office open on {}?",
        "How many visitors came on {}?", "Which invoices are due on {}?",
        "What was the weather like on {}?", "Who was on call on {}?"},
       {"3 May 2021", "4 May 2021", "3 June 2021", "3 May 2022", "12 October 1998",
        "21 October 1998", "Monday", "Tuesday", "1 January", "31 December", "2024-02-03",
        "2024-03-02"}},
      {"name",
       {"What did {} say about the merger?", "When did {} join the board?",
        "Who is the manager of {} at the branch?", "Where can I read the thesis that {} wrote?",
        "Why did {} leave the orchestra?", "Summarise the letter that {} sent to the council"},
       {"Anna Berger", "Anna Bauer", "Peter Molnar", "Paul Molnar", "Lindqvist", "Lindgren",
        "Okonkwo", "Okafor", "Dr. Ferraro", "Dr. Ferrante", "Siobhan", "Sinead"}},
      {"unit",
       {"Convert 15 {} into the metric system", "How heavy is a parcel of 20 {}?",
        "Is 30 {} enough for the trip?", "What does a rate of 5 {} mean?",
        "How do I write 8 {} in words?"},
       {"miles", "kilometers", "pounds", "kilograms", "gallons", "liters", "inches", "feet",
        "hours", "minutes", "gigabytes", "megabytes"}},
      {"version",
       {"How do I install release {} on the server?", "What changed in version {} of the plugin?",
        "Is there a security fix for {}?", "Where is the changelog of v{}?",
        "Does the exporter work with version {}?"},
       {"2.1", "2.10", "2.2", "3.0.1", "3.0.2", "3.1.0", "11", "12", "1.9.4", "1.94", "20.04",
        "22.04"}},
      {"programming",
       {"How do I reverse a string in {}?", "Write a binary search in {}",
        "What is the fastest way to parse JSON in {}?", "How are exceptions handled in {}?",
        "Show how to open a socket in {}", "Is {} a good first language for children?"},
       {"Python", "Java", "JavaScript", "Rust", "Go", "C", "C++", "C#", "Ruby", "Kotlin", "PHP",
        "Haskell"}},
      {"language",
       {"Translate 'good evening' into {}", "How do I say thank you in {}?",
        "Write a short greeting in {}", "Which letters does the alphabet of {} have?",
        "Answer the customer in {}"},
       {"French", "German", "Spanish", "Italian", "Polish", "Japanese", "Korean", "Turkish",
        "Hindi", "Dutch", "Greek", "Swedish"}},
      {"place",
       {"What is the capital of {}?", "Do I need a visa for {}?", "How large is the economy of {}?",
        "Which vaccines are needed before a trip to {}?", "What time is it now in {}?"},
       {"Austria", "Australia", "Iran", "Iraq", "Niger", "Nigeria", "Sweden", "Switzerland",
        "Paraguay", "Uruguay", "Slovakia", "Slovenia"}},
      {"opposite",
       {"How do I {} two-factor login for my team?", "How can we {} the alarm at night?",
        "What happens when I {} the cache on the gateway?", "Who may {} the audit trail?"},
       {"enable", "disable", "encrypt", "decrypt", "mount", "unmount", "import", "export", "lock",
        "unlock", "install", "uninstall"}},
      {"quantity",
       {"Find the {} value in the list of prices", "What is the {} age for a licence?",
        "Show the {} temperature of the week", "Which shop sold the {} umbrella?"},
       {"maximum", "minimum", "highest", "lowest", "largest", "smallest", "most expensive",
        "cheapest", "first", "last", "oldest", "newest"}},
      {"question",
       {"{} was the bridge over the river built?", "{} did the crew repair the antenna?",
        "{} do the herons nest near the lake?", "{} was the treaty signed?"},
       {"When", "Where", "Why", "How", "By whom", "For how long"}},
      {"topic",
       {"How do I {} in the new app?", "What is the best way to {}?",
        "Can you explain how to {} step by step?"},
       {kTopics.begin(), kTopics.begin() + 24}}};
  return kinds;
}

constexpr auto kReversals = std::to_array<std::string_view>(
    {"How do I convert {} to {2}?", "What is the flight time from {} to {2}?",
     "How do I migrate the data from {} to {2}?", "Is {} bigger than {2}?",
     "Who came before {} and after {2}?", "Does {} depend on {2}?", "Did {} defeat {2}?",
     "Translate this letter from {} into {2}", "Can {} call {2} directly?",
     "How much does {} owe {2}?"});
constexpr auto kSubjects = std::to_array<std::string_view>(
    {"Lisbon", "Cairo", "Postgres", "Mongo", "Spanish", "Hindi", "Marta", "Olaf", "Norway", "Chile",
     "Jupiter", "Saturn", "euro", "yen", "Kafka", "Redis"});

struct Negation {
  std::string_view plain, negated;
};
constexpr auto kNegations = std::to_array<Negation>({
    {"Which of these {} are safe to eat?", "Which of these {} are not safe to eat?"},
    {"Why does the {} start in the morning?", "Why doesn't the {} start in the morning?"},
    {"Can I travel with {}?", "Can I travel without {}?"},
    {"Who has paid for the {}?", "Who has never paid for the {}?"},
    {"List the rooms that have {}", "List the rooms that have no {}"},
    {"Should I water the {} in winter?", "Should I not water the {} in winter?"},
    {"What must be done with old {}?", "What must not be done with old {}?"},
    {"Is the {} possible to repair?", "Is the {} impossible to repair?"},
});
constexpr auto kThings = std::to_array<std::string_view>(
    {"mushrooms", "berries", "tractor",   "generator", "insulin",  "scissors", "tickets",
     "balconies", "cactus",  "batteries", "passport",  "umbrella", "printer",  "kayak",
     "lantern",   "violin",  "curtains",  "ladder",    "helmet",   "bicycle",  "freezer",
     "blanket",   "camera",  "piano",     "harness"});

}  // namespace

std::vector<std::string> documentation_sentences(const std::vector<std::string>& folders,
                                                 std::size_t most) {
  std::vector<fs::path> files;
  for (const std::string& folder : folders) {
    std::error_code error;
    const auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator it(folder, options, error), end; it != end;
         it.increment(error)) {
      if (error) break;
      if (it->is_regular_file(error) && text_file(it->path()) && it->file_size(error) < 400'000)
        files.push_back(it->path());
    }
  }
  std::ranges::sort(files);
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (const fs::path& path : files) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    std::size_t of_this_file = 0;
    for (const std::string& paragraph : paragraphs(text, path.extension() == ".html")) {
      std::size_t begin = 0;
      for (std::size_t i = 0; i + 1 < paragraph.size() && of_this_file < 30; ++i) {
        if ((paragraph[i] != '.' && paragraph[i] != '?') || paragraph[i + 1] != ' ') continue;
        const std::vector<std::string> words =
            words_of(std::string_view(paragraph).substr(begin, i + 1 - begin));
        begin = i + 2;
        std::string sentence = joined(words);
        if (!proper_sentence(sentence, words) || !seen.insert(sentence).second) continue;
        out.push_back(std::move(sentence));
        ++of_this_file;
      }
    }
    if (out.size() >= most * 4) break;
  }
  // Spread over all files rather than the first ones.
  Random random(11);
  for (std::size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[random.below(i)]);
  if (out.size() > most) out.resize(most);
  return out;
}

std::string paraphrase(std::string_view sentence, Random& random) {
  const std::string turned = reorder(std::string(sentence));
  std::string out = reword(turned, random, 0.85);
  constexpr auto kOpenings = std::to_array<std::string_view>(
      {"", "", "In short, ", "Basically, ", "As a rule, ", "Keep in mind that "});
  const std::string_view opening = kOpenings[random.below(kOpenings.size())];
  if (!opening.empty()) out = std::string(opening) + lower_first(out);
  const std::vector<std::string> before = words_of(sentence), after = words_of(out);
  const std::set<std::string> known(before.begin(), before.end());
  const auto changed = static_cast<std::size_t>(
      std::ranges::count_if(after, [&](const std::string& word) { return !known.contains(word); }));
  return changed * 5 >= before.size() || (turned != sentence && changed > 0) ? out : "";
}

std::vector<Pair> hard_negatives(std::size_t at_least, std::uint64_t seed) {
  Random random(seed);
  std::vector<Pair> out;
  for (const Slots& slots : slot_kinds()) {
    for (const std::string_view frame : slots.frames) {
      for (std::size_t i = 0; i < slots.values.size(); ++i) {
        for (std::size_t k = i + 1; k < slots.values.size(); ++k) {
          // Members of this kind may mean the same.
          const bool near = slots.kind == "quantity" && (i / 2 != k / 2 || k != i + 1);
          const bool pair_only = slots.kind == "opposite" && (i / 2 != k / 2);
          if (near || pair_only) continue;
          std::string cached = filled(frame, slots.values[i]),
                      asked = filled(frame, slots.values[k]);
          if (random.below(2) == 0) std::swap(cached, asked);
          out.push_back({std::move(cached), std::move(asked), false, std::string(slots.kind)});
        }
      }
    }
  }
  for (const std::string_view frame : kReversals) {
    for (std::size_t i = 0; i + 1 < kSubjects.size(); i += 2) {
      out.push_back({filled(frame, kSubjects[i], kSubjects[i + 1]),
                     filled(frame, kSubjects[i + 1], kSubjects[i]), false, "reversed"});
    }
  }
  for (const Negation& negation : kNegations) {
    for (const std::string_view thing : kThings) {
      Pair pair{filled(negation.plain, thing), filled(negation.negated, thing), false, "negation"};
      if (random.below(2) == 0) std::swap(pair.cached, pair.asked);
      out.push_back(std::move(pair));
    }
  }
  for (std::size_t i = 0; out.size() < at_least; ++i) {
    out.push_back({topic_question(i, 0), topic_question(i + 1, 1), false, "topic"});
  }
  return out;
}

std::string topic_question(std::size_t topic, std::size_t wording) {
  constexpr auto kFrames = std::to_array<std::string_view>(
      {"How do I {} {2}?", "How can I {} {2}?", "What is the best way to {} {2}?",
       "Can you tell me how to {} {2}?", "What are the steps to {} {2}?",
       "please explain how to {} {2}"});
  const std::size_t verb = topic % kTopics.size();
  const std::size_t place = topic / kTopics.size() % kPlaces.size();
  const std::size_t owner = topic / (kTopics.size() * kPlaces.size());
  std::string what(kPlaces[place]);
  if (owner > 0) {
    what += " for ";
    what += kOwners[(owner - 1) % kOwners.size()];
    if (owner > kOwners.size()) what += " in group " + std::to_string((owner - 1) / kOwners.size());
  }
  return filled(kFrames[wording % kFrames.size()], kTopics[verb], what);
}

}  // namespace asahi::savings
