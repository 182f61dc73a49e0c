// SPDX-License-Identifier: GPL-2.0-only
// nf-stream: many test connections through whatever stands between --connect and --listen, every byte checked.
// Exit code 0 all well, 1 something broke without a reason or got stuck, 3 a violation of exactness, 2 usage.
#include <fmt/format.h>
#include <sys/resource.h>

#include <csignal>
#include <cxxopts.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "stream/engine.hpp"

namespace nfr::stream {
namespace {

constexpr int kExitViolation = 3;
Engine* running = nullptr;

cxxopts::Options describe() {
  cxxopts::Options options("nf-stream", "Keyed test streams; both ends in one process.");
  auto add = options.add_options();
  add("listen", "ADDRESS:PORT of a server (repeat)", cxxopts::value<std::vector<std::string>>());
  add("connect", "ADDRESS:PORT for clients (repeat)", cxxopts::value<std::vector<std::string>>());
  add("listen-ns", "namespace of the servers", cxxopts::value<std::string>()->default_value(""));
  add("connect-ns", "namespace of the clients", cxxopts::value<std::string>()->default_value(""));
  add("kind", "mix, up, down, both or pingpong", cxxopts::value<std::string>()->default_value("mix"));
  add("size", "largest stream, or with another kind the size",
      cxxopts::value<std::uint64_t>()->default_value("1048576"));
  add("resets", "percent of sides that reset", cxxopts::value<unsigned>()->default_value("15"));
  add("streams", "connections in all", cxxopts::value<std::uint64_t>()->default_value("1000"));
  add("concurrency", "connections at once", cxxopts::value<std::size_t>()->default_value("64"));
  add("seconds", "instead of --streams: for so long", cxxopts::value<double>()->default_value("0"));
  add("stall", "seconds without progress that count as stuck", cxxopts::value<double>()->default_value("20"));
  add("seed", "", cxxopts::value<std::uint64_t>()->default_value("1"));
  add("faults", "processes are being killed: errors need no other reason");
  add("stop-on-violation", "end at the first");
  add("json", "file for the result", cxxopts::value<std::string>()->default_value(""));
  add("h,help", "this text");
  return options;
}

Result<std::vector<net::Endpoint>> endpoints(const cxxopts::ParseResult& flags, const char* name) {
  std::vector<net::Endpoint> out;
  if (flags.count(name) == 0) return Error(Code::kInvalid, fmt::format("--{} is missing", name));
  for (const std::string& text : flags[name].as<std::vector<std::string>>()) {
    const auto parsed = net::Endpoint::parse(text);
    if (!parsed) return parsed.error();
    out.push_back(*parsed);
  }
  return out;
}

std::chrono::milliseconds millis(const cxxopts::ParseResult& flags, const char* name) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(flags[name].as<double>() * 1000));
}

Result<EngineOptions> read(const cxxopts::ParseResult& flags) {
  EngineOptions options;
  const auto listen = endpoints(flags, "listen");
  if (!listen) return listen.error();
  const auto connect = endpoints(flags, "connect");
  if (!connect) return connect.error();
  options.listen = *listen;
  options.connect = *connect;
  options.listen_namespace = flags["listen-ns"].as<std::string>();
  options.connect_namespace = flags["connect-ns"].as<std::string>();
  options.mixture = {flags["kind"].as<std::string>(), flags["size"].as<std::uint64_t>(), flags["resets"].as<unsigned>(),
                     true};
  options.stream_count = flags["streams"].as<std::uint64_t>();
  options.concurrency = flags["concurrency"].as<std::size_t>();
  options.duration = millis(flags, "seconds");
  options.stall = millis(flags, "stall");
  options.seed = flags["seed"].as<std::uint64_t>();
  options.faults = flags.count("faults") > 0;
  options.stop_on_violation = flags.count("stop-on-violation") > 0;
  return options;
}

nlohmann::json result_of(const Engine& engine, const EngineOptions& options, double seconds) {
  const Totals& totals = engine.totals();
  nlohmann::json paths;
  for (std::size_t i = 0; i < options.connect.size(); ++i) paths[options.connect[i].text()] = engine.started()[i];
  return {{"seed", options.seed},
          {"connections", totals.connections},
          {"connect_failures", totals.connect_failures},
          {"exact", totals.exact},
          {"broken", totals.broken},
          {"unexplained", totals.unexplained},
          {"stuck", totals.stuck},
          {"violations", totals.violations},
          {"bytes", totals.bytes},
          {"seconds", seconds},
          {"paths", paths}};
}

int report(const nlohmann::json& result, const Totals& totals, const EngineOptions& options, const std::string& file) {
  fmt::print(
      "seed {}: {} connections ({} failed to connect), {} directions exact, {} broken, {} unexplained, {} stuck, "
      "{} violations, {:.1f} MiB in {:.1f} s\n",
      options.seed, totals.connections, totals.connect_failures, totals.exact, totals.broken, totals.unexplained,
      totals.stuck, totals.violations, static_cast<double>(totals.bytes) / (1 << 20), result["seconds"].get<double>());
  if (!file.empty()) std::ofstream(file) << result.dump(1) << "\n";
  if (totals.violations > 0) return kExitViolation;
  const bool refused = !options.faults && totals.connect_failures > 0;
  return totals.unexplained > 0 || totals.stuck > 0 || refused ? 1 : 0;
}

int run(const EngineOptions& options, const std::string& file) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Engine engine(options);
  if (const Status ready = engine.prepare(); !ready) {
    fmt::print(stderr, "error: {}\n", ready.error().message());
    return 2;
  }
  running = &engine;
  std::signal(SIGTERM, [](int) { running->stop_soon(); });
  fmt::print(stderr, "running, seed {}\n", options.seed);
  const auto began = std::chrono::steady_clock::now();
  engine.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  return report(result_of(engine, options, took.count()), engine.totals(), options, file);
}

int main(int argc, char** argv) {
  try {
    auto description = describe();
    const auto flags = description.parse(argc, argv);
    if (flags.count("help") > 0) {
      fmt::print("{}", description.help());
      return 0;
    }
    const auto options = read(flags);
    if (options) return run(*options, flags["json"].as<std::string>());
    fmt::print(stderr, "error: {}\n", options.error().message());
  } catch (const cxxopts::exceptions::exception& problem) {
    fmt::print(stderr, "error: {}\n", problem.what());
  }
  return 2;
}

}  // namespace
}  // namespace nfr::stream

int main(int argc, char** argv) { return nfr::stream::main(argc, argv); }
