#include "server/commands/demo/month.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <span>
#include <vector>

namespace asahi::server::demo {
namespace {

using gateway::InferenceEvent;
using gateway::ModelProfile;

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view kKeyLetters = "abcdefghijklmnopqrstuvwxyz0123456789";

/// splitmix64 (Steele, Lea, Flood 2014): the same stream on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1).
  double draw() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  bool chance(double p) { return draw() < p; }
  /// Log-normal with this median (Box and Muller 1958).
  double around(double median, double sigma) {
    const double radius = std::sqrt(-2 * std::log(1 - draw()));
    return median * std::exp(sigma * radius * std::cos(2 * std::numbers::pi * draw()));
  }
  std::string text(std::string_view alphabet, std::size_t length) {
    std::string out(length, ' ');
    for (char& c : out) c = alphabet[bits() % alphabet.size()];
    return out;
  }
  /// One of `choices`, each as likely as `weight_of` says.
  template <class Choice, class Weight>
  const Choice& pick(std::span<const Choice> choices, Weight weight_of) {
    double total = 0;
    for (const Choice& choice : choices) total += weight_of(choice);
    double left = draw() * total;
    for (const Choice& choice : choices) {
      left -= weight_of(choice);
      if (left < 0) return choice;
    }
    return choices.back();
  }

 private:
  std::uint64_t state_;
};

struct Task {
  std::string_view name;
  double input_tokens, output_tokens;  ///< medians
  double hits;                         ///< share that warm caches answer
  /// Models and their shares before and after the move in the middle of the month.
  struct Use {
    std::string_view model;
    double before, after;
  };
  std::array<Use, 4> models;
};
constexpr std::array<Task, 9> kTasks = {{
    {"faq",
     180,
     120,
     0.78,
     {{{"gpt-4o", 0.5, 0.05},
       {"gpt-4o-mini", 0.3, 0.45},
       {"claude-3-5-haiku", 0.2, 0.1},
       {"gemini-2.5-flash", 0, 0.4}}}},
    {"general",
     420,
     260,
     0.42,
     {{{"gpt-4-turbo", 0.35, 0.02},
       {"gpt-4o", 0.4, 0.2},
       {"gpt-4o-mini", 0.2, 0.38},
       {"gemini-2.5-flash", 0.05, 0.4}}}},
    {"summarization",
     1'900,
     240,
     0.36,
     {{{"gpt-4o", 0.4, 0.1},
       {"claude-3-5-sonnet", 0.4, 0.2},
       {"gemini-2.5-flash", 0.1, 0.5},
       {"mistral-small-latest", 0.1, 0.2}}}},
    {"coding",
     1'200,
     620,
     0.22,
     {{{"claude-3-5-sonnet", 0.6, 0.3},
       {"claude-sonnet-4-6", 0.1, 0.25},
       {"codestral-latest", 0.1, 0.3},
       {"deepseek-coder", 0.2, 0.15}}}},
    {"reasoning",
     900,
     880,
     0.18,
     {{{"o3", 0.35, 0.1},
       {"claude-opus-4-6", 0.2, 0.05},
       {"deepseek-reasoner", 0.2, 0.5},
       {"gemini-2.5-pro", 0.25, 0.35}}}},
    {"translation",
     350,
     360,
     0.45,
     {{{"gpt-4o-mini", 0.6, 0.3},
       {"mistral-small-latest", 0.2, 0.3},
       {"gemini-2.0-flash", 0.2, 0.4},
       {"gpt-4o", 0, 0}}}},
    {"classification",
     240,
     12,
     0.55,
     {{{"gpt-4o-mini", 0.7, 0.2},
       {"gemini-2.0-flash-lite", 0.1, 0.5},
       {"claude-haiku-4-5", 0.2, 0.3},
       {"gpt-4o", 0, 0}}}},
    {"creative",
     300,
     700,
     0.12,
     {{{"claude-opus-4", 0.3, 0.05},
       {"claude-3-5-sonnet", 0.4, 0.35},
       {"claude-sonnet-4-6", 0.1, 0.4},
       {"gpt-4o", 0.2, 0.2}}}},
    {"legal",
     3'200,
     520,
     0.30,
     {{{"claude-opus-4-6", 0.3, 0.1},
       {"gpt-4-turbo", 0.3, 0.05},
       {"mistral-large-latest", 0.3, 0.6},
       {"claude-sonnet-4-6", 0.1, 0.25}}}},
}};

constexpr const Task& task(std::string_view name) {
  for (const Task& task : kTasks) {
    if (task.name == name) return task;
  }
  return kTasks.front();
}

struct Application {
  std::string_view route;
  double share;    ///< of the requests by day
  double streams;  ///< share of its requests
  std::string_view mode;
  struct Part {
    std::string_view task;
    double share;
  };
  std::array<Part, 4> tasks;
  std::array<std::string_view, 12> users;  ///< those in front ask most; some names are not Latin
};
constexpr std::array<Application, 5> kApplications = {{
    {"/v1/chat/completions",
     0.34,
     0.85,
     "autopilot",
     {{{"general", 0.45}, {"faq", 0.25}, {"creative", 0.15}, {"translation", 0.15}}},
     {"maria.lopez", "j.okafor", "渡辺 健", "elif.kaya", "tom.baker", "Ольга Иванова", "s.nguyen",
      "priya.raman", "l.dubois", "m.haddad", "anna.kowalska", "عمر حداد"}},
    {"/v1/messages",
     0.28,
     0.35,
     "autopilot",
     {{{"faq", 0.65}, {"classification", 0.15}, {"translation", 0.12}, {"general", 0.08}}},
     {"support-bot", "support-bot-eu", "chat-widget", "ticket-triage", "voice-desk", "returns-desk",
      "billing-desk", "shop-assistant", "mail-reader", "kiosk", "forum-helper", "status-page"}},
    {"/v1/chat/completions",
     0.2,
     0.7,
     "guided",
     {{{"coding", 0.75}, {"reasoning", 0.15}, {"general", 0.07}, {"summarization", 0.03}}},
     {"dev.ahmed", "dev.lin", "dev.sofia", "dev.björn", "dev.kim", "dev.raj", "dev.chloe",
      "dev.mateo", "ci-review", "dev.zoë", "dev.yuki", "release-notes"}},
    {"/infer",
     0.12,
     0.1,
     "explicit",
     {{{"summarization", 0.5}, {"legal", 0.3}, {"translation", 0.12}, {"reasoning", 0.08}}},
     {"contracts", "legal.weber", "research", "due-diligence", "legal.rossi", "board-papers",
      "procurement", "patents", "policy-desk", "legal.李", "compliance", "archive"}},
    {"/v1/chat/completions",
     0.06,
     0,
     "autopilot",
     {{{"classification", 0.7}, {"summarization", 0.2}, {"translation", 0.07}, {"faq", 0.03}}},
     {"nightly-tagging", "nightly-digest", "catalogue", "reviews", "feed-import", "log-triage",
      "survey", "newsletter", "crm-sync", "price-watch", "moderation", "leads"}},
}};
constexpr std::size_t kDocuments = 3, kNightly = 4;

/// Of an hour, from the month's plan.
struct Hour {
  Clock::Time start;
  double progress = 0;  ///< 0 at the month's begin, 1 at its end
  double weight = 0;    ///< of its requests among all
  double nightly = 0;   ///< weight of the nightly batches, as a multiple of their share
  bool outage = false;  ///< of Anthropic
  bool cold = false;    ///< the caches were emptied
  double dear = 0;      ///< share of requests that long texts on the dearest model make up
};

std::vector<Hour> plan_hours(const MonthOptions& options, Dice& dice) {
  const int hours = options.days * 24;
  std::vector<Hour> plan;
  plan.reserve(static_cast<std::size_t>(hours));
  for (int i = 0; i < hours; ++i) {
    Hour hour{.start = options.end - std::chrono::hours(hours - i)};
    hour.progress = static_cast<double>(i) / hours;
    const auto day = std::chrono::floor<std::chrono::days>(hour.start);
    const unsigned weekday = std::chrono::weekday(day).c_encoding();  // 0: Sunday
    const double clock =
        std::chrono::duration<double, std::ratio<3'600>>(hour.start - day).count();  // UTC
    const auto hump = [clock](double at, double width) {
      return std::exp(-(clock - at) * (clock - at) / (2 * width * width));
    };
    const double week = weekday == 0 ? 0.28 : weekday == 6 ? 0.36 : 1;
    const double growth = 1 + 0.75 * hour.progress;
    const bool night = clock >= 1 && clock < 4;
    hour.nightly = night ? 14 : 0.25;
    hour.weight = growth *
                  (week * (0.08 + hump(9.5, 2.2) + 0.9 * hump(14.5, 2.6)) + (night ? 0.35 : 0)) *
                  (0.9 + 0.2 * dice.draw());
    const int before_end = hours - i;  // 1: the last
    hour.outage = before_end <= 11 * 24 && before_end > 11 * 24 - 2;
    hour.cold = before_end <= 18 * 24 && before_end > 18 * 24 - 12;
    if (before_end <= 6 * 24 && before_end > 6 * 24 - 4) {
      hour.weight *= 1.5;
      hour.dear = 0.08;
    }
    if (before_end == 1) hour.dear = 0.2;
    plan.push_back(hour);
  }
  return plan;
}

std::string ulid(Clock::Time time, Dice& dice) {
  auto ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
  std::string id = dice.text(kCrockford, 26);
  for (std::size_t i = 10; i-- > 0; ms >>= 5) id[i] = kCrockford[ms & 31];
  return id;
}

class Month {
 public:
  Month(const MonthOptions& options, const gateway::Registry& registry,
        gateway::BaselineRates baseline)
      : options_(options), registry_(registry), baseline_(baseline), dice_(options.seed) {
    std::string org = options.org.substr(0, 4);
    while (org.size() < 4) org += 'x';
    for (std::string& prefix : prefixes_)
      prefix = fmt::format("ask_{}_{}", org, dice_.text(kKeyLetters, 3));
  }

  void tell(const std::function<void(const InferenceEvent&)>& visit) {
    const std::vector<Hour> plan = plan_hours(options_, dice_);
    double total = 0;
    for (const Hour& hour : plan) total += hour.weight;
    double due = 0;
    std::vector<Clock::Time> times;
    for (const Hour& hour : plan) {
      due += static_cast<double>(options_.events) * hour.weight / total;
      // The last hour must hold enough for its mean to say something.
      if (&hour == &plan.back()) due = std::max(due, std::min(40.0, options_.events / 24.0));
      const double count = std::floor(due);
      due -= count;
      times.resize(static_cast<std::size_t>(count));
      for (Clock::Time& time : times)
        time = hour.start +
               std::chrono::milliseconds(static_cast<std::int64_t>(dice_.draw() * 3'600'000));
      std::ranges::sort(times);
      for (const Clock::Time time : times) {
        auto event = request(hour, time);
        if (event) visit(*event);
      }
    }
  }

 private:
  const ModelProfile* model_for(const Task& kind, double progress) {
    // The move takes some days around the middle.
    const double moved = 1 / (1 + std::exp(-(progress - 0.5) * 18));
    const auto weight = [&](const Task::Use& use) {
      return registry_.get(use.model) == nullptr ? 0 : use.before * (1 - moved) + use.after * moved;
    };
    const Task::Use& use = dice_.pick(std::span<const Task::Use>(kind.models), weight);
    return registry_.get(use.model);
  }

  std::optional<InferenceEvent> request(const Hour& hour, Clock::Time time) {
    InferenceEvent event;
    const bool dear = dice_.chance(hour.dear);
    const auto weight = [&](const Application& app) {
      return app.share * (&app == &kApplications[kNightly] ? hour.nightly : 1);
    };
    const Application& app = dear ? kApplications[kDocuments]
                                  : dice_.pick(std::span<const Application>(kApplications), weight);
    const auto number = static_cast<std::size_t>(&app - kApplications.data());
    const Task& kind =
        dear ? task("legal")
             : task(dice_
                        .pick(std::span<const Application::Part>(app.tasks),
                              [](const Application::Part& part) { return part.share; })
                        .task);
    const ModelProfile* model =
        dear ? registry_.get("claude-opus-4-6") : model_for(kind, hour.progress);
    if (model == nullptr) return std::nullopt;

    event.timestamp = time;
    event.event_id = ulid(time, dice_);
    event.request_id = "req_" + dice_.text(kHex, 12);
    event.org_id = options_.org;
    const double place = dice_.draw();
    event.user_id = app.users[static_cast<std::size_t>(place * place * place * 12)];
    event.api_key_prefix = prefixes_[number];
    event.task_type = kind.name;
    event.model_selected = model->name;
    event.provider = model->provider;
    event.routing_mode = app.mode;
    event.route = app.route;
    event.streamed = dice_.chance(app.streams);
    const auto input = static_cast<std::int64_t>(
        std::max(8.0, dear ? dice_.around(14'000, 0.3) : dice_.around(kind.input_tokens, 0.6)));
    const auto output = static_cast<std::int64_t>(
        std::max(2.0, dear ? dice_.around(1'400, 0.3) : dice_.around(kind.output_tokens, 0.5)));

    const bool vendor_is_away = hour.outage && model->provider == "anthropic";
    if (!dear && lookup(hour, kind, event)) {
      answer_from_cache(event, *model, input, output);
      return event;
    }
    event.lookup_ms = dice_.around(0.9, 0.3);
    if (dice_.chance(vendor_is_away ? 0.55 : 0.006)) {
      fail(event, vendor_is_away);
      return event;
    }
    if (vendor_is_away || dice_.chance(0.006)) fall_back(event, model);
    answer(event, *model, kind, input, output);
    return event;
  }

  /// Sets tier and similarity on a hit.
  bool lookup(const Hour& hour, const Task& kind, InferenceEvent& event) {
    const double warm = 0.45 + 0.55 * std::min(1.0, hour.progress * 1.6);
    if (!dice_.chance(kind.hits * warm * (hour.cold ? 0.15 : 1))) return false;
    const double tier = dice_.draw();
    event.cache_hit = true;
    event.cache_tier = tier < 0.58 ? 1 : tier < 0.92 ? 2 : 3;
    if (event.cache_tier == 2) event.cache_similarity = 0.9 + 0.099 * dice_.draw();
    return true;
  }

  void answer_from_cache(InferenceEvent& event, const ModelProfile& model, std::int64_t input,
                         std::int64_t output) {
    event.routing_reason = event.cache_tier == 1   ? "exact cache hit"
                           : event.cache_tier == 2 ? "semantic cache hit"
                                                   : "every step was cached";
    event.answer_input_tokens = input;
    event.answer_output_tokens = output;
    event.tokens_saved = input + output;
    event.baseline_cost = gateway::baseline_cost(input, output, baseline_);
    event.lookup_ms = dice_.around(event.cache_tier == 1   ? 0.3
                                   : event.cache_tier == 2 ? 3.2
                                                           : 7,
                                   0.4);
    event.latency_ms = event.lookup_ms + dice_.around(0.2, 0.3);
    event.quality_score = quality(model);
  }

  void answer(InferenceEvent& event, const ModelProfile& model, const Task& kind,
              std::int64_t input, std::int64_t output) {
    event.routing_reason =
        event.routing_mode == "autopilot"
            ? fmt::format("Autopilot: task {}; {} has the best quality per dollar", kind.name,
                          model.name)
        : event.routing_mode == "guided" ? fmt::format("Guided: task {}; {}", kind.name, model.name)
                                         : fmt::format("Explicit: the caller named {}", model.name);
    event.input_tokens = event.answer_input_tokens = input;
    event.output_tokens = event.answer_output_tokens = output;
    if (dice_.chance(0.12))
      event.tokens_saved =
          static_cast<std::int64_t>(static_cast<double>(input) * 0.4 * dice_.draw());
    const auto cost = gateway::price_call({.input = input, .output = output}, &model, baseline_);
    event.cost = cost.cost;
    event.baseline_cost = gateway::baseline_cost(input + event.tokens_saved, output, baseline_);
    if (event.api_key_prefix == prefixes_[kNightly] && dice_.chance(0.5)) {
      event.batching_savings = {cost.cost.nanos / 4};
      event.cost = event.cost - event.batching_savings;
      event.routing_reason += "; shared a call";
    }
    const double longer = static_cast<double>(output) / kind.output_tokens;
    event.vendor_ms += dice_.around(static_cast<double>(model.avg_latency_ms), 0.3) *
                       (0.5 + 0.5 * std::min(longer, 6.0));
    event.latency_ms = event.lookup_ms + event.vendor_ms + dice_.around(0.1, 0.3);
    event.quality_score = quality(model);
  }

  void fail(InferenceEvent& event, bool vendor_is_away) {
    event.event_type = "error";
    const double kind = dice_.draw();
    event.error_code = vendor_is_away ? (kind < 0.7 ? "upstream" : "circuit_open")
                       : kind < 0.4   ? "timeout"
                       : kind < 0.7   ? "rate_limited"
                       : kind < 0.9   ? "upstream"
                                      : "budget_exceeded";
    event.retries = event.error_code == "timeout" || event.error_code == "upstream" ? 2 : 0;
    event.vendor_ms = event.retries > 0 ? dice_.around(2'400, 0.3) : 0;
    event.latency_ms = event.lookup_ms + event.vendor_ms + 0.2;
  }

  /// The next model answers, after the first was tried.
  void fall_back(InferenceEvent& event, const ModelProfile*& model) {
    const ModelProfile* other = registry_.get("gpt-4o");
    if (other == nullptr) return;
    model = other;
    event.fallback_used = true;
    event.retries = 1;
    event.model_selected = model->name;
    event.provider = model->provider;
    event.vendor_ms = dice_.around(700, 0.3);
  }

  double quality(const ModelProfile& model) {
    return std::clamp(model.quality - 0.15 + 0.3 * dice_.draw(), 0.1, 5.0);
  }

  const MonthOptions& options_;
  const gateway::Registry& registry_;
  const gateway::BaselineRates baseline_;
  Dice dice_;
  std::array<std::string, kApplications.size()> prefixes_;
};

}  // namespace

void each_event_of_month(const MonthOptions& options, const gateway::Registry& registry,
                         gateway::BaselineRates baseline,
                         const std::function<void(const InferenceEvent&)>& visit) {
  Month(options, registry, baseline).tell(visit);
}

}  // namespace asahi::server::demo
