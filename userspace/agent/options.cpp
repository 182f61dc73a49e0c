// SPDX-License-Identifier: GPL-2.0-only
#include "agent/options.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cxxopts.hpp>
#include <iostream>

#include "base/file.hpp"
#include "base/text.hpp"

namespace nfr::agent {
namespace {

constexpr const char* kUsage = R"(Netferry agent: publishes ports of this machine through a relay.

Usage:
  nfagent join LINE          join a relay with the line `nfctl agent add NAME` printed, then serve
  nfagent join -             the same, the line comes from standard input
  nfagent join --file FILE   the same, from a file (or from the variable NETFERRY_JOIN: nfagent join)
  nfagent run                serve; this machine has joined before
  nfagent expose TARGET      publish a target of this agent until Ctrl-C, show visitors: 3000, 192.168.1.5:80,
                             unix:/run/app.sock; needs an agent that runs
  nfagent status [--json]    is it connected, since when, and what it publishes
  nfagent allow [RULE...]    let the relay reach more than this machine: 192.168.1.0/24, 192.168.1.5:22, lan

Flags of expose:
  --auto              the relay chooses a public port, the same again each time (the default)
  --port N            this public port, if the relay's operator gave the right to it
  --public P          the same with an address or a range: 203.0.113.5:8888, 5000-5100
  --leg tls|plain     how bytes travel between here and the relay
  --proxy-header v1|v2  tell the target who the visitor is (PROXY protocol)

Flags:
  --config FILE   configuration (default /etc/netferry/agent.toml)
  --state DIR     key and membership (default /var/lib/netferry/agent; without root ~/.local/state/netferry/agent)
  --run DIR       run directory (default /run/netferry)
  --version       print the version
)";

Error usage(std::string text) { return {Code::kInvalid, std::move(text) + "; see nfagent --help"}; }

cxxopts::Options describe() {
  cxxopts::Options options("nfagent");
  options.add_options()("config", "", cxxopts::value<std::string>())("state", "", cxxopts::value<std::string>())(
      "run", "", cxxopts::value<std::string>())("port", "", cxxopts::value<std::string>())("auto", "")(
      "public", "", cxxopts::value<std::string>())("leg", "", cxxopts::value<std::string>())(
      "proxy-header", "", cxxopts::value<std::string>())("json", "")("file", "", cxxopts::value<std::string>())(
      "version", "")("h,help", "")("words", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional("words");
  return options;
}

std::optional<std::string> text_flag(const cxxopts::ParseResult& flags, const char* name) {
  if (flags.count(name) == 0) return std::nullopt;
  return flags[name].as<std::string>();
}

Result<std::string> join_text(const std::vector<std::string>& words, const std::optional<std::string>& file) {
  if (file) return read_small_file(*file, 8192);
  if (words.size() > 2) return usage("join takes one line");
  if (words.size() == 2 && words[1] != "-") return words[1];
  if (words.size() == 2) {
    std::string line;
    std::getline(std::cin, line);
    return line;
  }
  const char* line = std::getenv("NETFERRY_JOIN");
  if (line != nullptr && *line != '\0') return std::string(line);
  return usage("join needs the line that `nfctl agent add NAME` printed on the relay");
}

/// The words' own checks; errors of values come from their parsers.
Status read_public(const cxxopts::ParseResult& flags, ExposeOptions& expose) {
  const auto port = text_flag(flags, "port");
  const auto public_ports = text_flag(flags, "public");
  if ((port ? 1 : 0) + (public_ports ? 1 : 0) + (flags.count("auto") > 0 ? 1 : 0) > 1) {
    return usage("--port, --public and --auto exclude one another");
  }
  if (port) {
    const auto number = core::PortRange::parse(*port);
    if (!number || number->count != 1)
      return usage(fmt::format("--port '{}': expected a port from 1 to 65535", escape(*port)));
  }
  if (port || public_ports) expose.public_ports = port ? *port : *public_ports;
  const auto parsed = core::PublicPorts::parse(expose.public_ports);
  return parsed ? Status{} : Status(parsed.error());
}

Status read_expose(const std::vector<std::string>& words, const cxxopts::ParseResult& flags, ExposeOptions& expose) {
  if (words.size() != 2) return usage("expose takes one target, such as 3000 or 192.168.1.5:80");
  const auto target = core::Target::parse(words[1]);
  if (!target) return target.error();
  expose.target = words[1];
  expose.shown_target = target->text();
  if (auto status = read_public(flags, expose); !status) return status;
  expose.leg = text_flag(flags, "leg").value_or("");
  expose.proxy_header = text_flag(flags, "proxy-header").value_or("");
  if (!expose.leg.empty()) {
    if (const auto leg = core::parse_leg(expose.leg); !leg) return leg.error().context("--leg");
  }
  if (expose.proxy_header.empty()) return {};
  const auto header = core::parse_proxy_header(expose.proxy_header);
  return header ? Status{} : Status(header.error().context("--proxy-header"));
}

Status check_flags(const std::string& verb, const cxxopts::ParseResult& flags) {
  for (const char* name : {"port", "auto", "public", "leg", "proxy-header"}) {
    if (flags.count(name) > 0 && verb != "expose") return usage(fmt::format("--{} belongs to expose", name));
  }
  if (flags.count("json") > 0 && verb != "status") return usage("--json belongs to status");
  if (flags.count("file") > 0 && verb != "join") return usage("--file belongs to join");
  return {};
}

Status read_verb(const std::vector<std::string>& words, const cxxopts::ParseResult& flags, Options& options) {
  if (words.empty()) return usage("what to do? join, run, expose, status or allow");
  if (auto status = check_flags(words[0], flags); !status) return status;
  if (words[0] == "join") {
    auto text = join_text(words, text_flag(flags, "file"));
    if (!text) return text.error();
    options.verb = Verb::kJoin;
    options.join_text = std::move(*text);
    return {};
  }
  if (words[0] == "allow") {
    options.verb = Verb::kAllow;
    options.rules.assign(words.begin() + 1, words.end());
    return {};
  }
  if (words[0] == "expose") {
    options.verb = Verb::kExpose;
    return read_expose(words, flags, options.expose);
  }
  const bool status = words[0] == "status";
  if (!status && words[0] != "run")
    return usage(fmt::format("'{}' is no command of nfagent: join, run, expose, status or allow", escape(words[0])));
  if (words.size() > 1) return usage(fmt::format("{} takes no '{}'", words[0], escape(words[1])));
  if (status) options.verb = Verb::kStatus;
  options.json = flags.count("json") > 0;
  return {};
}

/// agent.toml's proxy, else the environment's where NO_PROXY does not say otherwise.
Status resolve_proxy(const config::Environment& environment, Options& options) {
  options.proxy = options.config.proxy;
  if (options.proxy || options.config.proxy_none) return {};
  auto proxy = config::proxy_of_environment(environment.variable);
  if (!proxy) return proxy.error();
  options.proxy = std::move(*proxy);
  options.no_proxy = config::no_proxy_of_environment(environment.variable);
  return {};
}

/// Commands that only talk to a running agent do not need to read what may hold a password.
Result<config::AgentConfig> load_config(const config::ConfigFile& file, Verb verb) {
  auto config = config::load_agent_config(file);
  const bool client = verb == Verb::kExpose || verb == Verb::kStatus;
  const bool denied = !config && (config.error().os_errno() == EACCES || config.error().os_errno() == EPERM);
  if (client && denied && !file.named) return config::AgentConfig{};
  return config;
}

Status resolve(const cxxopts::ParseResult& flags, Options& options) {
  const config::Environment environment = config::Environment::of_process();
  const config::PathFlags paths{text_flag(flags, "config"), text_flag(flags, "state"), text_flag(flags, "run"), {}, {}};
  const auto file = config::resolve_config_file(config::Role::kAgent, paths, environment);
  if (!file) return file.error();
  auto config = load_config(*file, options.verb);
  if (!config) return config.error();
  auto directories = config::resolve_directories(config::Role::kAgent, paths, environment, config->paths);
  if (!directories) return directories.error();
  options.config = std::move(*config);
  options.directories = std::move(*directories);
  const auto set = [&](const char* name) { return environment.variable(name).has_value(); };
  options.socket_named = paths.state || paths.run || options.config.paths.run_dir || options.config.paths.socket ||
                         set("NETFERRY_RUN") || set("NETFERRY_SOCKET") || set("NETFERRY_STATE");
  if (options.verb != Verb::kJoin && options.verb != Verb::kRun) return {};
  return resolve_proxy(environment, options);
}

}  // namespace

Result<ParsedCommandLine> parse_command_line(int argc, char** argv) {
  ParsedCommandLine parsed;
  try {
    cxxopts::Options description = describe();
    const auto flags = description.parse(argc, argv);
    if (flags.count("help") > 0) parsed.print = kUsage;
    if (flags.count("version") > 0) parsed.print = fmt::format("nfagent {}\n", NFR_VERSION);
    if (!parsed.print.empty()) return parsed;
    std::vector<std::string> words;
    if (flags.count("words") > 0) words = flags["words"].as<std::vector<std::string>>();
    Options options;
    Status read = read_verb(words, flags, options);
    if (read) read = resolve(flags, options);
    if (!read) return read.error();
    parsed.options = std::move(options);
  } catch (const cxxopts::exceptions::exception& problem) {
    return usage(escape(problem.what()));
  }
  return parsed;
}

}  // namespace nfr::agent
