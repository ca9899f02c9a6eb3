#include "storage/cache/redis/pipeline.h"

#include <algorithm>

namespace asahi::cache {
namespace {

Result<Reply> timed_out() {
  return fail(Errc::kTimeout, "Redis did not answer in time; see redis.timeout_ms");
}

}  // namespace

Pipeline::Pipeline(RespLimits limits) : parser_(limits), limits_(limits) {}

void Pipeline::push(std::string wire, Time deadline, Handler handler) {
  queued_bytes_ += wire.size();
  queued_.push_back({std::move(wire), deadline, std::move(handler)});
}

std::string Pipeline::take_output(std::size_t most) {
  std::string out;
  while (!queued_.empty() && (out.empty() || out.size() + queued_.front().wire.size() <= most)) {
    Queued& next = queued_.front();
    queued_bytes_ -= next.wire.size();
    if (out.empty()) {
      out = std::move(next.wire);
    } else {
      out.append(next.wire);
    }
    sent_.push_back({next.deadline, std::move(next.handler)});
    queued_.pop_front();
  }
  return out;
}

Pipeline::Fed Pipeline::feed(std::string_view bytes) {
  Fed fed;
  while (!bytes.empty()) {
    auto reply = parser_.parse(bytes);
    if (!reply) {
      fed.error = std::move(reply.error());
      break;
    }
    if (!*reply) break;
    if ((*reply)->type == Reply::Type::kPush) continue;  // out of band; nothing here asked for it
    if (sent_.empty()) {
      fed.error = fail(Errc::kUpstream, "Redis sent a reply that no command asked for").error();
      break;
    }
    Sent command = std::move(sent_.front());
    sent_.pop_front();
    if (command.handler) fed.answers.push_back({std::move(command.handler), std::move(**reply)});
  }
  return fed;
}

std::vector<Pipeline::Answer> Pipeline::expire(Time now) {
  std::vector<Answer> answers;
  for (Sent& command : sent_) {
    if (command.deadline > now || command.timed_out) continue;
    command.timed_out = true;
    if (command.handler) answers.push_back({std::exchange(command.handler, {}), timed_out()});
  }
  std::erase_if(queued_, [&](Queued& command) {
    if (command.deadline > now) return false;
    queued_bytes_ -= command.wire.size();
    if (command.handler) answers.push_back({std::move(command.handler), timed_out()});
    return true;
  });
  return answers;
}

std::optional<Pipeline::Time> Pipeline::next_deadline() const {
  std::optional<Time> earliest;
  const auto consider = [&](Time when) { earliest = earliest ? std::min(*earliest, when) : when; };
  for (const Sent& command : sent_) {
    if (!command.timed_out) consider(command.deadline);
  }
  for (const Queued& command : queued_) consider(command.deadline);
  return earliest;
}

std::optional<Pipeline::Time> Pipeline::overdue_since() const {
  if (sent_.empty() || !sent_.front().timed_out) return std::nullopt;
  return sent_.front().deadline;
}

std::vector<Pipeline::Answer> Pipeline::connection_lost(const Error& error) {
  std::vector<Answer> answers;
  for (Sent& command : sent_) {
    if (command.handler) answers.push_back({std::move(command.handler), std::unexpected(error)});
  }
  sent_.clear();
  parser_ = RespParser(limits_);
  return answers;
}

std::vector<Pipeline::Answer> Pipeline::fail_queued(const Error& error) {
  std::vector<Answer> answers;
  for (Queued& command : queued_) {
    if (command.handler) answers.push_back({std::move(command.handler), std::unexpected(error)});
  }
  queued_.clear();
  queued_bytes_ = 0;
  return answers;
}

}  // namespace asahi::cache
