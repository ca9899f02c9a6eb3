#include "memory/ingest/scan_requests.h"

#include <fmt/format.h>

#include <utility>

#include "base/json.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kScan = "memory.scan";
constexpr std::chrono::seconds kPoll{1};
constexpr std::chrono::seconds kGrace{2};

}  // namespace

ScanRequests::ScanRequests(sql::Database& database, net::Loop& loop, const Clock& clock)
    : loop_(loop), clock_(clock), queue_(database, clock) {}

ScanRequests::~ScanRequests() { stop(); }

Task<std::string> ScanRequests::ask(UploadPriority priority, std::string system_id) {
  const bool high = priority == UploadPriority::kHigh;
  jobs::EnqueueOptions options;
  options.priority = high ? 1 : 0;
  // One look finds all that is there.
  options.unique_key = fmt::format("{} {}", high ? "high" : "normal", system_id);
  co_return co_await queue_.enqueue(
      std::string(kScan), json::object{{"high", high}, {"system_id", system_id}}, options);
}

void ScanRequests::answer(std::function<void(UploadPriority, const std::string&)> scan) {
  worker_ = std::make_unique<jobs::Worker>(queue_, loop_, clock_,
                                           jobs::Worker::Options{.concurrency = 1, .poll = kPoll});
  worker_->handle(std::string(kScan), [scan = std::move(scan)](const jobs::Job& job) -> Task<void> {
    const auto told = [&job](std::string_view name) {
      return job.payload.is_object() ? job.payload.get_object().if_contains(name) : nullptr;
    };
    const json::value* const high = told("high");
    const json::value* const system = told("system_id");
    scan(high != nullptr && *high == true ? UploadPriority::kHigh : UploadPriority::kNormal,
         system != nullptr && system->is_string() ? std::string(system->get_string()) : "");
    co_return Result<void>{};
  });
  worker_->start();
}

void ScanRequests::stop() {
  if (worker_ != nullptr) worker_->stop(kGrace);
  worker_.reset();
}

}  // namespace asahi::memory
