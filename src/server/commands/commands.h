#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include "server/options.h"

namespace asahi::server {

/// A subcommand's work; returns the exit code.
using Command = std::function<int()>;

/// Each adds its subcommand(s) to `app` and puts what to do into `chosen` when one is given.
void add_serve(CLI::App& app, CommonOptions& common, Command& chosen);
void add_infer(CLI::App& app, CommonOptions& common, Command& chosen);
void add_test(CLI::App& app, CommonOptions& common, Command& chosen);
void add_benchmark(CLI::App& app, CommonOptions& common, Command& chosen);
void add_tune(CLI::App& app, CommonOptions& common, Command& chosen);
void add_cache(CLI::App& app, CommonOptions& common, Command& chosen);
void add_memory(CLI::App& app, CommonOptions& common, Command& chosen);
/// `memory` itself as a server, and what is asked of one: start, version, info, modes, healthcheck,
/// metrics, secrets.
void add_memory_roles(CLI::App& memory, CommonOptions& common, Command& chosen);
void add_events(CLI::App& app, CommonOptions& common, Command& chosen);
void add_metrics(CLI::App& app, CommonOptions& common, Command& chosen);
void add_audit(CLI::App& app, CommonOptions& common, Command& chosen);
void add_keys(CLI::App& app, CommonOptions& common, Command& chosen);
void add_demo(CLI::App& app, CommonOptions& common, Command& chosen);
void add_config(CLI::App& app, CommonOptions& common, Command& chosen);
void add_migrate(CLI::App& app, CommonOptions& common, Command& chosen);
void add_train(CLI::App& app, CommonOptions& common, Command& chosen);
void add_small(CLI::App& app, CommonOptions& common, Command& chosen);

/// The options that read configuration, on a subcommand.
void add_common(CLI::App& command, CommonOptions& common);

}  // namespace asahi::server
