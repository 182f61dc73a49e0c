// SPDX-License-Identifier: GPL-2.0-only
#include "agent/options.hpp"

#include <fmt/format.h>

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
  nfagent allow [RULE...]    let the relay reach more than this machine: 192.168.1.0/24, 192.168.1.5:22, lan

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
      "run", "", cxxopts::value<std::string>())("file", "", cxxopts::value<std::string>())("version", "")("h,help", "")(
      "words", "", cxxopts::value<std::vector<std::string>>());
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

Status read_verb(const std::vector<std::string>& words, const std::optional<std::string>& file, Options& options) {
  if (words.empty()) return usage("what to do? join, run or allow");
  if (words[0] == "join") {
    auto text = join_text(words, file);
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
  if (words[0] != "run")
    return usage(fmt::format("'{}' is no command of nfagent: join, run or allow", escape(words[0])));
  if (words.size() > 1) return usage(fmt::format("run takes no '{}'", escape(words[1])));
  return {};
}

Status resolve(const cxxopts::ParseResult& flags, Options& options) {
  const config::Environment environment = config::Environment::of_process();
  const config::PathFlags paths{text_flag(flags, "config"), text_flag(flags, "state"), text_flag(flags, "run"), {}, {}};
  const auto file = config::resolve_config_file(config::Role::kAgent, paths, environment);
  if (!file) return file.error();
  auto config = config::load_agent_config(*file);
  if (!config) return config.error();
  auto directories = config::resolve_directories(config::Role::kAgent, paths, environment, config->paths);
  if (!directories) return directories.error();
  options.config = std::move(*config);
  options.directories = std::move(*directories);
  return {};
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
    Status read = read_verb(words, text_flag(flags, "file"), options);
    if (read) read = resolve(flags, options);
    if (!read) return read.error();
    parsed.options = std::move(options);
  } catch (const cxxopts::exceptions::exception& problem) {
    return usage(escape(problem.what()));
  }
  return parsed;
}

}  // namespace nfr::agent
