#include "gateway/traces/fault_reporter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/exception_text.h"
#include "base/ids.h"
#include "gateway/traces/request_notes.h"

namespace asahi::gateway {
namespace {

constexpr std::chrono::seconds kBetweenLikes{60};
constexpr std::size_t kMostKinds = 256;
constexpr std::size_t kRememberedRequests = 32;

Outbox::Options outbox_options(const SentryDsn& dsn) {
  Outbox::Options options;
  options.name = "sentry";
  options.origin = dsn.origin;
  options.target = dsn.target();
  options.headers.add("Content-Type", "application/x-sentry-envelope");
  options.headers.add("X-Sentry-Auth", dsn.auth());
  options.headers.add("User-Agent", "asahi/" ASAHI_VERSION);
  options.max_items = 100;
  options.max_bytes = 1024 * 1024;
  options.batch_items = 1;  // an envelope holds one event
  options.interval = std::chrono::milliseconds(50);
  return options;
}

std::string text_of(const LogField& field) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, field.value);
}

double draw() { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

}  // namespace

FaultReporter::FaultReporter(Options options, net::Loop& loop, http::Client& client,
                             telemetry::Registry& metrics, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      outbox_(outbox_options(options_.dsn),
              {.loop = loop,
               .client = client,
               .metrics = metrics,
               .compose = [](std::vector<std::string> items) { return std::move(items.front()); },
               .judge =
                   [this](const Result<http::ClientResponse>& reply, int) {
                     if (reply) {
                       const std::scoped_lock lock(mutex_);
                       limits_.note(reply->status, reply->headers, clock_.steady_now());
                     }
                     return judge_sentry(reply);
                   }}) {}

bool FaultReporter::is_due(const std::string& kind, Clock::Steady now) {
  const auto found = next_.find(kind);
  if (found != next_.end() && now < found->second) return false;
  if (next_.size() >= kMostKinds) next_.clear();
  next_[kind] = now + kBetweenLikes;
  return true;
}

bool FaultReporter::reported(const std::string& request_id) const {
  return !request_id.empty() && std::ranges::find(requests_, request_id) != requests_.end();
}

void FaultReporter::report(Fault fault) {
  {
    const std::scoped_lock lock(mutex_);
    if (reported(fault.request_id)) return;
    if (!fault.request_id.empty()) {
      requests_.push_back(fault.request_id);
      if (requests_.size() > kRememberedRequests) requests_.pop_front();
    }
    const Clock::Steady now = clock_.steady_now();
    // What is lost is always told; of everything else a share.
    if (fault.level != LogLevel::kCritical && draw() >= options_.sample_rate) return;
    if (limits_.limited(now) ||
        !is_due(fmt::format("{}\x1f{}\x1f{}", fault.logger, fault.type, fault.transaction), now))
      return;
  }
  const std::string id = random_id("", 32);
  const Clock::Time now = clock_.now();
  (void)outbox_.offer(sentry_envelope(id, now, sentry_event(fault, options_.settings, id, now)));
}

void FaultReporter::report_line(LogLevel level, std::string_view logger, std::string_view message,
                                std::span<const LogField> fields) {
  Fault fault;
  fault.level = level;
  fault.logger = logger;
  fault.type = message;
  fault.message = message;
  for (const LogField& field : fields) {
    std::string value = text_of(field);
    if (field.key == "error") {
      std::string_view rest = value;
      const auto next = [&rest] {
        const std::size_t end = rest.find(kBecauseOf);
        const std::string_view part = rest.substr(0, end);
        rest = end == rest.npos ? std::string_view() : rest.substr(end + kBecauseOf.size());
        return std::string(part);
      };
      fault.message = next();
      while (!rest.empty()) fault.causes.push_back(next());
    } else if (field.key == "request_id") {
      fault.request_id = std::move(value);
    } else if (field.key == "route" || field.key == "task") {
      fault.transaction = std::move(value);
    } else if (field.key == "org_id" || field.key == "dependency") {
      fault.tags.emplace_back(field.key, std::move(value));
    } else if (field.key != "user_id" && field.key != "path") {
      fault.extra.emplace_back(field.key, std::move(value));
    }
  }
  report(std::move(fault));
}

void FaultReporter::report_request(const http::Context& context, int status) {
  if (status < 500) return;
  const auto* notes = dynamic_cast<const RequestNotes*>(context.notes.get());
  // Without a reason of its own such an error is about a store of ours; vendors' have reasons.
  const bool ours =
      status == 500 || (notes != nullptr && (notes->event.error_code == "unavailable" ||
                                             notes->event.error_code == "corrupt" ||
                                             notes->event.error_code == "internal"));
  if (!ours) return;
  Fault fault;
  fault.logger = "requests";
  fault.transaction = fmt::format("{} {}", http::to_string(context.request.method), context.route);
  fault.request_id = context.request_id;
  fault.tags.emplace_back("status", fmt::to_string(status));
  if (notes != nullptr) {
    const InferenceEvent& event = notes->event;
    fault.type = event.error_code;
    fault.message = notes->message;
    fault.where = notes->where;
    fault.given_up = notes->given_up;
    fault.trace = {event.trace_high, event.trace_low, 0, false};
    fault.tags.emplace_back("org_id", event.org_id);
    fault.tags.emplace_back("model", event.model_selected);
    if (!event.provider.empty()) fault.tags.emplace_back("provider", event.provider);
  } else {
    fault.type = "internal";
    fault.message = fmt::format("a request was answered with {}", status);
  }
  report(std::move(fault));
}

}  // namespace asahi::gateway
