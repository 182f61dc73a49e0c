// SPDX-License-Identifier: GPL-2.0-only
#include "config/directories.hpp"

#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/text.hpp"

namespace nfr::config {
namespace {

using MaybePath = std::optional<std::string>;

std::string_view role_name(Role role) { return role == Role::kRelay ? "relay" : "agent"; }

Result<MaybePath> absolute(const std::string& path, const std::string& source, const Environment& environment) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return Error(Code::kInvalid, fmt::format("{}: the path is empty or holds a zero byte", source));
  }
  if (path.starts_with('/')) return MaybePath(path);
  if (!environment.working_dir.starts_with('/')) {
    return Error(Code::kInvalid,
                 fmt::format("{} = {}: the working directory is unknown; give an absolute path", source, escape(path)));
  }
  return MaybePath((std::filesystem::path(environment.working_dir) / path).string());
}

/// Flag, else environment, else key. An empty variable counts as unset, an empty flag is an error.
Result<MaybePath> chosen(const std::string& name, const MaybePath& flag, const MaybePath& key,
                         const Environment& environment) {
  if (flag) return absolute(*flag, "--" + name, environment);
  std::string variable = "NETFERRY_";
  for (const char c : name) variable += static_cast<char>(c - 'a' + 'A');
  const auto value = environment.variable(variable);
  if (value && !value->empty()) return absolute(*value, variable, environment);
  return key;
}

Result<std::string> default_state(Role role, const Environment& environment) {
  if (environment.uid == 0) return fmt::format("/var/lib/netferry/{}", role_name(role));
  if (environment.home.starts_with('/')) {
    return fmt::format("{}/.local/state/netferry/{}", environment.home, role_name(role));
  }
  return Error(Code::kInvalid, "no home directory for the state: set HOME, or name a directory with --state DIR");
}

std::string default_run(const std::string& state, const Environment& environment) {
  if (environment.uid == 0) return "/run/netferry";
  const auto runtime = environment.variable("XDG_RUNTIME_DIR");
  // The XDG specification: a relative value must be ignored.
  if (runtime && runtime->starts_with('/')) return *runtime + "/netferry";
  return state + "/run";
}

/// "DIR/" and "DIR" are one instance.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Status check_socket(const std::string& path) {
  constexpr std::size_t kMaxBytes = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= kMaxBytes) return {};
  return Error(Code::kInvalid,
               fmt::format("control socket {}: {} bytes, and Linux allows {}; choose a shorter --run or "
                           "--socket",
                           path, path.size(), kMaxBytes));
}

}  // namespace

Environment Environment::of_process() {
  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
  environment.uid = ::geteuid();
  environment.home = environment.variable("HOME").value_or("");
  std::error_code failed;
  environment.working_dir = std::filesystem::current_path(failed).string();
  return environment;
}

Result<ConfigFile> resolve_config_file(Role role, const PathFlags& flags, const Environment& environment) {
  const auto path = chosen("config", flags.config, std::nullopt, environment);
  if (!path) return path.error();
  if (*path) return ConfigFile{**path, true};
  return ConfigFile{fmt::format("/etc/netferry/{}.toml", role_name(role)), false};
}

Result<Directories> resolve_directories(Role role, const PathFlags& flags, const Environment& environment,
                                        const PathKeys& keys) {
  const auto state = chosen("state", flags.state, keys.state_dir, environment);
  if (!state) return state.error();
  const auto run = chosen("run", flags.run, keys.run_dir, environment);
  if (!run) return run.error();
  const auto bpffs = chosen("bpffs", flags.bpffs, keys.bpffs_dir, environment);
  if (!bpffs) return bpffs.error();
  const auto socket = chosen("socket", flags.socket, keys.socket, environment);
  if (!socket) return socket.error();

  Directories directories;
  const auto state_path = *state ? Result<std::string>(**state) : default_state(role, environment);
  if (!state_path) return state_path.error();
  directories.state = without_slash(*state_path);
  directories.run = without_slash(*run ? **run : default_run(directories.state, environment));
  directories.bpffs = without_slash(bpffs->value_or("/sys/fs/bpf/netferry"));
  const char* socket_name = role == Role::kRelay ? "ctl.sock" : "agent.sock";
  directories.socket = *socket ? **socket : directories.run + "/" + socket_name;
  if (auto status = check_socket(directories.socket); !status) return status.error();
  return directories;
}

}  // namespace nfr::config
