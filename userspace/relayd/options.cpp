// SPDX-License-Identifier: GPL-2.0-only
#include "relayd/options.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cxxopts.hpp>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "net/socket_names.hpp"

namespace nfr::relayd {
namespace {

cxxopts::Options describe() {
  cxxopts::Options options("nfrelayd", "Netferry relay: makes machines behind NAT reachable through this one.");
  options.add_options()("config", "configuration file (default /etc/netferry/relay.toml)",
                        cxxopts::value<std::string>(),
                        "FILE")("state", "keys and database", cxxopts::value<std::string>(), "DIR")(
      "run", "lock and control socket", cxxopts::value<std::string>(), "DIR")("bpffs", "pinned BPF objects",
                                                                              cxxopts::value<std::string>(), "DIR")(
      "user", "user of the relay process (default netferry, else 65534)", cxxopts::value<std::string>(), "NAME")(
      "single", "one process without a privileged holder; implied without root")(
      "relay-process", "internal: started by the holder", cxxopts::value<int>(), "FD")("version", "print the version")(
      "h,help", "print this help");
  return options;
}

std::optional<std::string> text_flag(const cxxopts::ParseResult& flags, const char* name) {
  if (flags.count(name) == 0) return std::nullopt;
  return flags[name].as<std::string>();
}

Result<Options> resolve(const cxxopts::ParseResult& flags) {
  const config::Environment environment = config::Environment::of_process();
  const config::PathFlags paths{text_flag(flags, "config"), text_flag(flags, "state"), text_flag(flags, "run"),
                                text_flag(flags, "bpffs"), std::nullopt};
  Options options;
  auto file = config::resolve_config_file(config::Role::kRelay, paths, environment);
  if (!file) return file.error();
  auto config = config::load_relay_config(*file);
  if (!config) return config.error();
  auto directories = config::resolve_directories(config::Role::kRelay, paths, environment, config->paths);
  if (!directories) return directories.error();
  options.config_file = std::move(*file);
  options.config = std::move(*config);
  options.directories = std::move(*directories);
  options.user = text_flag(flags, "user").value_or(options.config.user.value_or(""));
  options.single = flags.count("single") > 0;
  if (flags.count("relay-process") > 0) options.relay_channel = flags["relay-process"].as<int>();
  if (!options.relay_channel && ::geteuid() != 0) options.single = true;
  return options;
}

// connect() on a UDP socket sends nothing; it only asks the routing table.
std::optional<std::string> default_route_source(const char* beyond) {
  const auto to = net::Endpoint::parse(beyond);
  sockaddr_storage storage{};
  const socklen_t length = to->to_sockaddr(storage);
  const Fd socket(::socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0)
    return std::nullopt;
  const auto source = net::local_name(socket.get());
  return source ? std::optional(source->address.text()) : std::nullopt;
}

}  // namespace

Result<ParsedCommandLine> parse_command_line(int argc, char** argv) {
  cxxopts::Options description = describe();
  ParsedCommandLine parsed;
  try {
    const auto flags = description.parse(argc, argv);
    if (flags.count("help") > 0) parsed.print = description.help();
    if (flags.count("version") > 0) parsed.print = fmt::format("nfrelayd {}\n", NFR_VERSION);
    if (!parsed.print.empty()) return parsed;
    if (!flags.unmatched().empty()) {
      return Error(Code::kInvalid,
                   fmt::format("'{}' is not a flag; see nfrelayd --help", escape(flags.unmatched()[0])));
    }
    auto options = resolve(flags);
    if (!options) return options.error();
    parsed.options = std::move(*options);
  } catch (const cxxopts::exceptions::exception& problem) {
    return Error(Code::kInvalid, fmt::format("{}; see nfrelayd --help", escape(problem.what())));
  }
  return parsed;
}

std::vector<std::string> relay_arguments(const Options& options, int channel) {
  std::vector<std::string> arguments = {"nfrelayd",
                                        "--relay-process",
                                        std::to_string(channel),
                                        "--state",
                                        options.directories.state,
                                        "--run",
                                        options.directories.run,
                                        "--bpffs",
                                        options.directories.bpffs};
  if (options.config_file.named) {
    arguments.push_back("--config");
    arguments.push_back(options.config_file.path);
  }
  return arguments;
}

Result<std::vector<std::string>> public_hosts(const Options& options) {
  if (!options.config.public_hosts.empty()) return options.config.public_hosts;
  std::vector<std::string> hosts;
  // Documentation addresses (RFC 5737, RFC 3849): never on a link, so the default route decides.
  for (const char* beyond : {"192.0.2.1:9", "[2001:db8::1]:9"}) {
    if (auto source = default_route_source(beyond)) hosts.push_back(std::move(*source));
  }
  if (!hosts.empty()) return hosts;
  return Error(Code::kInvalid,
               fmt::format("no default route tells this relay's public address: set public = [\"ADDRESS\"] in {}",
                           options.config_file.path));
}

std::string public_host_doubt(const std::vector<std::string>& hosts, bool configured, const std::string& config_file) {
  const auto address = net::IpAddress::parse(hosts.front());
  if (configured || !address || !address->is_private()) return {};
  return fmt::format(
      "{} comes from the default route and is private, as behind a cloud's NAT: join lines and mappings name it, and "
      "nobody elsewhere reaches it; set public = [\"ADDRESS\"] in {}, then: nfctl reload",
      hosts.front(), config_file);
}

}  // namespace nfr::relayd
