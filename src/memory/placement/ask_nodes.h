#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/task.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::memory {

/// Asks several nodes at once: `ask(node)` is a Task<T>. One answer a node, in the order of
/// `nodes`; without `until` all are waited for, else what is not there by then is a timeout. A node
/// that is late ends by its own limits, when nobody waits any more. Loop thread.
template <class T, class Ask>
Aw<std::vector<Result<T>>> ask_nodes(
    std::vector<std::size_t> nodes, Ask ask,
    std::optional<std::chrono::steady_clock::time_point> until = {}) {
  struct Asked {
    explicit Asked(net::Loop& loop) : done(loop) {}
    net::Event done;
    std::vector<std::optional<Result<T>>> answers;
    std::size_t waiting = 0;
  };
  if (nodes.empty()) co_return std::vector<Result<T>>{};
  net::Loop& loop = *net::Loop::current();
  auto asked = std::make_shared<Asked>(loop);
  asked->answers.resize(nodes.size());
  asked->waiting = nodes.size();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    loop.spawn("asking a node",
               [](std::shared_ptr<Asked> state, Task<T> call, std::size_t at) -> Aw<void> {
                 auto answer = co_await std::move(call);
                 state->answers[at] = std::move(answer);
                 if (--state->waiting == 0) state->done.set();
               }(asked, ask(nodes[i]), i));
  }
  net::Loop::Deadline timer;
  if (until) timer = loop.at(*until, [asked] { asked->done.set(); });
  co_await asked->done.wait();
  std::vector<Result<T>> answers;
  answers.reserve(nodes.size());
  for (auto& answer : asked->answers) {
    answers.push_back(answer ? std::move(*answer)
                             : Result<T>(fail(Errc::kTimeout, "it did not answer in time")));
  }
  co_return answers;
}

/// The first error of them; nothing: there is none.
template <class T>
std::optional<Error> first_error(const std::vector<Result<T>>& answers) {
  for (const Result<T>& answer : answers) {
    if (!answer) return answer.error();
  }
  return std::nullopt;
}

}  // namespace asahi::memory
