#include "memory/outside/queue_listener.h"

#include <utility>

namespace asahi::memory {
namespace {

/// Writers put it last: an event of another object comes too early.
bool completes_a_bundle(std::string_view key) { return key.ends_with("/manifest.json"); }

bool is_nobodys_fault(const Error& error) {
  return error.code != Errc::kInvalidArgument && error.code != Errc::kNotFound;
}

}  // namespace

void QueueListener::count(const char* outcome) {
  parts_.metrics
      .counter("akosha_ingestion_queue_messages_total",
               "Messages of the bucket's queue by what became of them.", {{"outcome", outcome}})
      .add();
}

Aw<QueueListener::End> QueueListener::take(QueueMessage message) {
  const auto keys = created_keys(message.body);
  if (!keys) {
    logger_.warning("a message of the queue is not understood",
                    {{"message_id", message.id}, {"error", keys.error().message}});
    co_return End::kBury;
  }
  End end = End::kPassedOver;
  for (const std::string& key : *keys) {
    if (!completes_a_bundle(key)) continue;
    const auto fresh = co_await parts_.notice(key);
    if (fresh) {
      if (end != End::kNoticed) end = *fresh ? End::kNoticed : End::kKnown;
      continue;
    }
    logger_.warning("an event of the bucket led to no upload",
                    {{"message_id", message.id}, {"key", key}, {"error", fresh.error().message}});
    if (!is_nobodys_fault(fresh.error())) co_return End::kBury;
    // The queue gives it out again; after some times it is looked at by people, and by the scan.
    co_return message.receives >= options_.most_receives ? End::kBury : End::kKept;
  }
  co_return end;
}

Aw<bool> QueueListener::poll() {
  if (!circuit_.allow()) co_return false;
  auto messages = co_await parts_.receive();
  if (!messages) {
    circuit_.failed();
    logger_.warning("the queue of the bucket's events does not answer; scans go on",
                    {{"error", messages.error().message}});
    co_return false;
  }
  circuit_.succeeded();
  std::vector<QueueMessage> done;
  bool good = true;
  for (QueueMessage& message : *messages) {
    const End end = co_await take(message);
    if (end == End::kKept) {
      count("kept");
      good = false;
      continue;
    }
    if (end == End::kBury) {
      // What could not be put aside stays, and comes again.
      if (!co_await parts_.bury(message)) {
        count("kept");
        good = false;
        continue;
      }
      count("buried");
    } else {
      count(end == End::kNoticed ? "noticed" : end == End::kKnown ? "known" : "passed_over");
    }
    done.push_back(std::move(message));
  }
  if (done.empty()) co_return good;
  const auto removed = co_await parts_.remove(std::move(done));
  if (!removed) {
    logger_.warning("messages that are done stay in the queue",
                    {{"error", removed.error().message}});
  }
  co_return good&& removed.has_value();
}

Aw<void> QueueListener::run(std::function<Aw<bool>(std::chrono::nanoseconds)> sleep) {
  for (;;) {
    const bool good = co_await poll();
    const auto pause = good ? std::chrono::seconds(0) : options_.pause_after_error;
    if (!co_await sleep(pause)) co_return;
  }
}

}  // namespace asahi::memory
