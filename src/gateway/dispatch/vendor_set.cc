#include "gateway/dispatch/vendor_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/config.h"
#include "llm/wire/wire.h"

namespace asahi::gateway {
namespace {

Result<std::unique_ptr<llm::VendorCodec>> codec_of(const VendorSettings& settings) {
  if (settings.kind == "openai") return llm::make_openai_chat_codec();
  if (settings.kind == "anthropic") return llm::make_anthropic_codec();
  if (settings.kind == "google") return llm::make_google_codec();
  if (settings.kind == "ollama") return llm::make_ollama_codec();
  if (settings.kind == "cohere") return llm::make_cohere_codec();
  return fail_field(
      fmt::format("providers.{}.kind", settings.name),
      fmt::format("'{}' is no wire format; use openai, anthropic, google, ollama or cohere",
                  settings.kind));
}

}  // namespace

std::vector<VendorSettings> vendor_settings(const ProvidersConfig& providers) {
  std::vector<VendorSettings> settings;
  for (const auto& [name, vendor] : providers.vendors) {
    settings.push_back({.name = name,
                        .kind = vendor.shape,
                        .base_url = vendor.base_url,
                        .api_key = vendor.api_key,
                        .needs_key = !vendor.api_key_env.empty()});
  }
  return settings;
}

Result<std::unique_ptr<VendorSet>> VendorSet::make(Options options,
                                                   net::PerLoop<http::Client>& clients,
                                                   const Clock& clock) {
  std::unique_ptr<VendorSet> set(new VendorSet(std::move(options), clock));
  if (set->options_.mock) {
    set->mock_chat_ = llm::make_mock_vendor(
        {.seed = set->options_.mock_seed, .answers = set->options_.mock_answers});
    set->mock_embedder_ = llm::make_mock_embedder(set->options_.mock_seed, 1024);
    return set;
  }
  for (const VendorSettings& settings : set->options_.vendors) {
    auto origin = http::Origin::parse(settings.base_url);
    if (!origin)
      return fail_field(fmt::format("providers.{}.base_url", settings.name),
                        origin.error().message);
    ASAHI_TRY(auto codec, codec_of(settings));
    llm::VendorOptions vendor{.name = settings.name,
                              .origin = *origin,
                              .api_key = settings.api_key,
                              .needs_key = settings.needs_key};
    Wired wired;
    wired.chat = std::make_unique<llm::Vendor>(vendor, std::move(codec), clients);
    // The Responses API is OpenAI's own; others that copy the chat format do not serve it.
    if (settings.name == "openai") {
      wired.responses =
          std::make_unique<llm::Vendor>(vendor, llm::make_openai_responses_codec(), clients);
      // So are its batches.
      wired.batches =
          std::make_unique<llm::VendorBatches>(*wired.chat, llm::make_openai_batch_codec());
    }
    if (settings.name == "anthropic" && settings.kind == "anthropic") {
      wired.batches =
          std::make_unique<llm::VendorBatches>(*wired.chat, llm::make_anthropic_batch_codec());
    }
    set->wired_.emplace(settings.name, std::move(wired));
    VendorStatus status{.name = settings.name};
    if (settings.needs_key && settings.api_key.empty())
      status.state = VendorStatus::State::kNotConfigured;
    set->statuses_.emplace(settings.name, std::move(status));
  }
  return set;
}

llm::ChatModel* VendorSet::chat(const std::string& provider, llm::Shape shape) {
  if (options_.mock) return mock_chat_.get();
  const auto found = wired_.find(provider);
  if (found == wired_.end()) return nullptr;
  if (shape == llm::Shape::kOpenAiResponses && found->second.responses != nullptr)
    return found->second.responses.get();
  return found->second.chat.get();
}

llm::Embedder* VendorSet::embedder(const std::string& provider) {
  if (options_.mock) return mock_embedder_.get();
  const auto found = wired_.find(provider);
  return found == wired_.end() ? nullptr : found->second.chat.get();
}

llm::VendorBatches* VendorSet::batches(const std::string& provider) {
  const auto found = wired_.find(provider);
  return found == wired_.end() || !usable(provider) ? nullptr : found->second.batches.get();
}

bool VendorSet::usable(const std::string& provider) const {
  if (options_.mock) return true;
  const auto found = wired_.find(provider);
  if (found == wired_.end()) return false;
  const llm::Vendor& vendor = *found->second.chat;
  return !vendor.options().needs_key || vendor.has_key();
}

void VendorSet::use_key(const std::string& provider, const Secret& key) {
  const auto found = wired_.find(provider);
  if (found == wired_.end()) return;
  found->second.chat->use_key(key);
  if (found->second.responses != nullptr) found->second.responses->use_key(key);
  const std::scoped_lock lock(mutex_);
  VendorStatus& status = statuses_[provider];
  if (key.empty() && needs_key(provider)) {
    status.state = VendorStatus::State::kNotConfigured;
  } else if (status.state == VendorStatus::State::kNotConfigured) {
    status.state = VendorStatus::State::kUnknown;
  }
}

bool VendorSet::needs_key(const std::string& provider) const {
  const auto found = wired_.find(provider);
  return found != wired_.end() && found->second.chat->options().needs_key;
}

std::vector<std::string> VendorSet::names() const {
  std::vector<std::string> names;
  for (const VendorSettings& settings : options_.vendors) names.push_back(settings.name);
  return names;
}

Aw<void> VendorSet::poll(std::chrono::milliseconds timeout) {
  if (options_.mock) co_return;
  for (const VendorSettings& settings : options_.vendors) {
    if (!usable(settings.name)) continue;
    llm::CallContext context;
    context.deadline = clock_.steady_now() + timeout;
    context.idle_timeout = timeout;
    auto reached = co_await wired_.at(settings.name).chat->probe(context);
    VendorStatus status{.name = settings.name, .checked = clock_.now()};
    status.state = reached ? VendorStatus::State::kHealthy : VendorStatus::State::kUnreachable;
    if (!reached) status.error = reached.error().message;
    const std::scoped_lock lock(mutex_);
    VendorStatus& known = statuses_[settings.name];
    status.seen = known.seen || status.state == VendorStatus::State::kHealthy;
    known = std::move(status);
  }
}

std::vector<VendorStatus> VendorSet::statuses() const {
  const std::scoped_lock lock(mutex_);
  std::vector<VendorStatus> all;
  for (const auto& [name, status] : statuses_) all.push_back(status);
  std::ranges::sort(all, {}, &VendorStatus::name);
  return all;
}

VendorStatus VendorSet::status(const std::string& provider) const {
  const std::scoped_lock lock(mutex_);
  const auto found = statuses_.find(provider);
  return found == statuses_.end() ? VendorStatus{.name = provider} : found->second;
}

bool VendorSet::unreachable_since(const std::string& provider, Clock::Time since) const {
  const std::scoped_lock lock(mutex_);
  const auto found = statuses_.find(provider);
  return found != statuses_.end() && found->second.state == VendorStatus::State::kUnreachable &&
         found->second.checked > since;
}

}  // namespace asahi::gateway
