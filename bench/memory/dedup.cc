// Near-duplicates among generated memories: how many are found at each Jaccard index, how many
// are found that should not be, and what a memory costs.
//   bench_dedup [--memories N] [--bytes N] [--probes N] [--json]
#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "memory/dedup/duplicates.h"
#include "memory/dedup/normalise.h"
#include "memory/dedup/shingles.h"

namespace asahi::memory::dedup {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Text with the shape of English: few words often (Zipf), sentences, numbers.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {
    constexpr std::string_view kSyllables[] = {
        "de", "plo", "ser", "ver", "ta",  "ble", "con", "fig",   "mem", "ry",  "in", "dex",
        "la", "ten", "cy",  "re",  "try", "que", "ue",  "cache", "o",   "ken", "s",  "ing"};
    for (int i = 0; i < 8000; ++i) {
      std::string word;
      for (unsigned n = 1 + random_() % 3; n > 0; --n)
        word += kSyllables[random_() % std::size(kSyllables)];
      words_.push_back(word);
    }
  }
  std::string word() {
    if (random_() % 20 == 0) return std::to_string(random_() % 10'000);
    const double u = std::uniform_real_distribution<>(0, 1)(random_);
    return words_[static_cast<std::size_t>(std::pow(static_cast<double>(words_.size()), u)) - 1];
  }
  std::string text(std::size_t bytes) {
    std::string out;
    while (out.size() < bytes) {
      if (!out.empty()) out += random_() % 9 == 0 ? ". " : " ";
      out += word();
    }
    return out + '.';
  }
  /// Edits of `kind`: 0 words replaced, 1 words dropped or added, 2 neighbours swapped, 3 noise
  /// before, 4 noise behind, 5 case and spacing, 6 letters mistyped.
  std::string changed(const std::string& text, int kind, unsigned times) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      parts.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    for (; times > 0 && parts.size() > 3; --times) {
      const std::size_t at = random_() % (parts.size() - 1);
      switch (kind) {
        case 0:
          parts[at] = word();
          break;
        case 1:
          if (random_() % 2 == 0)
            parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at));
          else
            parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(at), word());
          break;
        case 2:
          std::swap(parts[at], parts[at + 1]);
          break;
        case 3:
          parts.insert(parts.begin(), word());
          break;
        case 4:
          parts.push_back(word());
          break;
        case 5:
          for (char& c : parts[at]) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
          parts[at] += " ";
          break;
        default:
          if (!parts[at].empty()) parts[at][random_() % parts[at].size()] = 'z';
      }
    }
    std::string out;
    for (const std::string& part : parts) {
      if (!out.empty()) out += ' ';
      out += part;
    }
    return out;
  }
  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_;
  std::vector<std::string> words_;
};

struct Bin {
  std::uint64_t pairs = 0, found = 0, found_blind = 0;
};

int run(std::size_t memories, std::size_t bytes, std::size_t probes, bool json) {
  Writer writer(20'261'122);
  std::vector<std::string> texts(memories);
  std::size_t total = 0;
  for (auto& text : texts) {
    text = writer.text(bytes / 2 + writer.random()() % bytes);
    total += text.size();
  }
  std::vector<Fingerprint> prints(memories);
  std::vector<Digest> hashes(memories);
  for (std::size_t i = 0; i < memories; ++i) hashes[i] = sha256(texts[i]);
  double start = cpu_seconds();
  for (std::size_t i = 0; i < memories; ++i) prints[i] = fingerprint(texts[i]);
  const double fingerprints = cpu_seconds() - start;

  Duplicates index;
  const ContentOf content_of = [&](std::uint64_t row) {
    return std::optional<std::string_view>(texts[row]);
  };
  std::uint64_t among = 0;
  double searching = 0, adding = 0;
  for (std::size_t i = 0; i < memories; ++i) {
    start = cpu_seconds();
    among += index.near(texts[i], prints[i], 0.85, content_of) ? 1 : 0;
    const double middle = cpu_seconds();
    index.add(hashes[i], prints[i], i);
    searching += middle - start;
    adding += cpu_seconds() - middle;
  }

  std::array<Bin, 21> bins{};  // by twentieths of Jaccard; the last: exactly 1
  std::uint64_t wanted = 0, found = 0, found_blind = 0, wrong = 0, wrong_blind = 0;
  double probing = 0;
  for (std::size_t i = 0; i < probes; ++i) {
    const std::size_t source = writer.random()() % memories;
    const std::string text =
        writer.changed(texts[source], static_cast<int>(i % 7), 1 + writer.random()() % 8);
    const double truth =
        jaccard(shingle_set(normalised(text)), shingle_set(normalised(texts[source])));
    start = cpu_seconds();
    const Fingerprint print = fingerprint(text);
    const auto hit = index.near(text, print, 0.85, content_of);
    probing += cpu_seconds() - start;
    const auto blind = index.near(text, print, 0.85, nullptr);
    Bin& bin = bins[static_cast<std::size_t>(truth * 20)];
    ++bin.pairs;
    bin.found += hit ? 1 : 0;
    bin.found_blind += blind ? 1 : 0;
    const auto is_false = [&](const std::optional<NearDuplicate>& near) {
      return near && jaccard(shingle_set(normalised(text)),
                             shingle_set(normalised(texts[near->row]))) < 0.85;
    };
    if (truth >= 0.85) {
      ++wanted;
      found += hit ? 1 : 0;
      found_blind += blind ? 1 : 0;
    }
    wrong += is_false(hit) ? 1 : 0;
    wrong_blind += is_false(blind) ? 1 : 0;
  }
  const auto share = [](std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  const double n = static_cast<double>(memories), mean = static_cast<double>(total) / n;
  if (json) {
    fmt::print(
        "{{\"memories\":{},\"probes\":{},\"mean_bytes\":{:.0f},\"found_percent\":{:.3f},\"false_"
        "percent\":{:.3f},"
        "\"found_blind_percent\":{:.3f},\"false_blind_percent\":{:.3f},\"fingerprint_us\":{:.2f},"
        "\"search_us\":{:.2f},\"add_us\":{:.2f},\"bytes_per_memory\":{:.0f}}}\n",
        memories, probes, mean, share(found, wanted), share(wrong, probes),
        share(found_blind, wanted), share(wrong_blind, probes), fingerprints / n * 1e6,
        searching / n * 1e6, adding / n * 1e6, static_cast<double>(index.memory_bytes()) / n);
    return 0;
  }
  fmt::print("{} memories, {:.0f} bytes on average; {} changed copies asked for\n\n", memories,
             mean, probes);
  fmt::print(
      "| Jaccard | copies | found, texts at hand | found, fingerprints only "
      "|\n|---|---|---|---|\n");
  for (std::size_t i = 8; i < bins.size(); ++i) {
    if (bins[i].pairs == 0) continue;
    const std::string range = i == 20 ? "1"
                                      : fmt::format("{:.2f} to {:.2f}", static_cast<double>(i) / 20,
                                                    static_cast<double>(i + 1) / 20);
    fmt::print("| {} | {} | {:.2f} % | {:.2f} % |\n", range, bins[i].pairs,
               share(bins[i].found, bins[i].pairs), share(bins[i].found_blind, bins[i].pairs));
  }
  fmt::print("\nJaccard of 0.85 and more: {:.2f} % of {} found (fingerprints only: {:.2f} %)\n",
             share(found, wanted), wanted, share(found_blind, wanted));
  fmt::print("found below 0.85: {:.2f} % of {} copies (fingerprints only: {:.2f} %)\n",
             share(wrong, probes), probes, share(wrong_blind, probes));
  fmt::print("a copy asked for, fingerprint and measuring included: {:.2f} µs\n",
             probing / static_cast<double>(probes) * 1e6);
  fmt::print(
      "a memory: fingerprint {:.2f} µs ({:.2f} µs/KiB), search {:.2f} µs, add {:.2f} µs; "
      "together {:.2f} µs, {:.0f}/s per core\n",
      fingerprints / n * 1e6, fingerprints / static_cast<double>(total) * 1024 * 1e6,
      searching / n * 1e6, adding / n * 1e6, (fingerprints + searching + adding) / n * 1e6,
      n / (fingerprints + searching + adding));
  fmt::print("index: {:.0f} bytes a memory; {} near-duplicates among the memories themselves\n",
             static_cast<double>(index.memory_bytes()) / n, among);
  return 0;
}

}  // namespace
}  // namespace asahi::memory::dedup

int main(int argc, char** argv) {
  CLI::App app{"Finding of near-duplicates: quality and cost"};
  std::size_t memories = 100'000, bytes = 300, probes = 20'000;
  bool json = false;
  app.add_option("--memories", memories)->check(CLI::Range(1, 10'000'000));
  app.add_option("--bytes", bytes)->check(CLI::Range(20, 100'000));
  app.add_option("--probes", probes)->check(CLI::Range(1, 10'000'000));
  app.add_flag("--json", json);
  CLI11_PARSE(app, argc, argv);
  return asahi::memory::dedup::run(memories, bytes, probes, json);
}
