#include "storage/vector/testing/fake_database.h"

#include <algorithm>
#include <stdexcept>

#include "storage/vector/testing/vectors.h"

namespace asahi::vector_testing {

using namespace std::chrono_literals;

FakeDatabase::~FakeDatabase() {
  if (server_) server_->drain(0ms);
  server_.reset();
  loops_.stop();
}

std::string FakeDatabase::url() const { return "http://127.0.0.1:" + std::to_string(port()); }

void FakeDatabase::fail_next(Fault fault, int times) {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < times; ++i) faults_.push_back(fault);
}

std::vector<std::string> FakeDatabase::requests() {
  const std::lock_guard lock(mutex_);
  return std::exchange(requests_, {});
}

void FakeDatabase::wipe() {
  const std::lock_guard lock(mutex_);
  collections_.clear();
  faults_.clear();
}

void FakeDatabase::tamper(const std::function<void(std::map<std::string, Collection>&)>& change) {
  const std::lock_guard lock(mutex_);
  change(collections_);
}

void FakeDatabase::require(std::string header, std::string value) {
  key_header_ = std::move(header);
  key_value_ = std::move(value);
}

void FakeDatabase::on(http::Method method, std::string pattern, Answer answer) {
  router_.add(
      {.method = method,
       .pattern = std::move(pattern),
       .handler = [this, answer = std::move(answer)](http::Context& context) -> Aw<http::Response> {
         return handle(context, answer);
       },
       .access = "public",
       .max_body_bytes = 64 << 20});
}

void FakeDatabase::start() {
  http::ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.errors = [](const Error& error, const http::Context&) {
    return http::Response::json(http::http_status(error.code), "{\"message\":\"fake\"}");
  };
  auto bound = http::Server::bind(loops_, std::move(options), std::move(router_));
  if (!bound) throw std::runtime_error(bound.error().message);
  server_ = std::move(*bound);
  loops_.start();
  server_->start();
}

Aw<http::Response> FakeDatabase::handle(http::Context& context, const Answer& answer) {
  std::optional<Fault> fault;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::string(http::to_string(context.request.method)) + " " +
                        context.request.path);
    if (!faults_.empty()) {
      fault = faults_.front();
      faults_.pop_front();
    }
  }
  if (fault) {
    http::Response out = http::Response::json(200, "{}");
    switch (fault->kind) {
      case Fault::kStatus:
        out.status = fault->status;
        if (!fault->retry_after.empty()) out.headers.add("Retry-After", fault->retry_after);
        break;
      case Fault::kSlow:
        co_await context.loop.sleep_for(20s, &context.cancel);
        break;
      case Fault::kCut:
        out.stream = [](http::BodyWriter& writer) -> Task<void> {
          auto sent = co_await writer.write("{\"");
          co_return fail(Errc::kInternal, "cut on purpose");
        };
        break;
      case Fault::kNonsense:
        out = http::Response::text(200, "<html>it works</html>");
        break;
    }
    co_return out;
  }
  if (!key_header_.empty() && context.request.headers.get(key_header_) != key_value_) {
    co_return json(401, {{"message", "unauthorized"}});
  }
  json::value body;
  if (!context.request.body.empty()) {
    auto parsed = parse_json(context.request.body);
    if (!parsed) co_return json(400, {{"message", parsed.error().message}});
    body = std::move(*parsed);
  }
  const std::lock_guard lock(mutex_);
  try {
    co_return answer(context, body);
  } catch (const std::exception& error) {
    // A member is missing or of another kind: what the real one refuses, too.
    co_return json(400, {{"message", error.what()}});
  }
}

http::Response FakeDatabase::json(int status, const json::value& value) {
  return http::Response::json(status, write_json(value));
}

std::vector<FakeDatabase::Scored> FakeDatabase::nearest(const Collection& collection,
                                                        const std::vector<float>& vector,
                                                        std::size_t k, const Match& match) {
  if (vector.size() != collection.dimensions) throw std::invalid_argument("wrong dimension");
  std::vector<Scored> all;
  for (const auto& [id, point] : collection.points) {
    if (match(id, point)) all.push_back({cosine(vector, point.vector), &id, &point});
  }
  std::ranges::stable_sort(all, std::greater<>{}, &Scored::cosine);
  if (all.size() > k) all.resize(k);
  return all;
}

std::vector<float> FakeDatabase::floats(const json::value& value) {
  std::vector<float> out;
  for (const json::value& each : value.as_array()) {
    out.push_back(static_cast<float>(each.to_number<double>()));
  }
  return out;
}

FakeDatabase::Collection* FakeDatabase::find(std::string_view name) {
  const auto at = collections_.find(std::string(name));
  return at == collections_.end() ? nullptr : &at->second;
}

}  // namespace asahi::vector_testing
