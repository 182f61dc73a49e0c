// SPDX-License-Identifier: GPL-2.0-only
#include "holder/port_owner.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include "base/text.hpp"

namespace nfr::holder {
namespace {

constexpr std::size_t kNameBytesMax = 32;
constexpr unsigned kStateListen = 0x0A;

struct Listening {
  net::IpAddress address;
  unsigned port = 0;
  unsigned uid = 0;
  unsigned long inode = 0;
};

// The kernel prints an address as 32-bit words in the machine's byte order.
std::optional<net::IpAddress> parse_hex_address(std::string_view digits) {
  if (digits.size() != 8 && digits.size() != 32) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t word = 0; word * 8 < digits.size(); ++word) {
    std::uint32_t value = 0;
    const char* begin = digits.data() + word * 8;
    if (std::from_chars(begin, begin + 8, value, 16).ptr != begin + 8) return std::nullopt;
    std::memcpy(bytes.data() + word * 4, &value, sizeof value);
  }
  if (digits.size() == 32) return net::IpAddress::v6(bytes);
  std::uint32_t host_order = 0;
  for (std::size_t i = 0; i < 4; ++i) host_order = host_order << 8 | bytes[i];
  return net::IpAddress::v4(host_order);
}

std::optional<Listening> parse_line(const std::string& line) {
  char address[33] = {};
  unsigned state = 0;
  Listening found;
  const int fields = std::sscanf(line.c_str(), " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u %*u %lu",
                                 address, &found.port, &state, &found.uid, &found.inode);
  if (fields != 5 || state != kStateListen) return std::nullopt;
  const auto parsed = parse_hex_address(address);
  if (!parsed) return std::nullopt;
  found.address = *parsed;
  return found;
}

bool overlaps(const net::IpAddress& one, const net::IpAddress& other) {
  return one == other || one.is_wildcard() || other.is_wildcard();
}

std::optional<Listening> find_listening(const net::Endpoint& endpoint, const std::string& file) {
  std::ifstream table(file);
  for (std::string line; std::getline(table, line);) {
    const auto found = parse_line(line);
    if (found && found->port == endpoint.port.value && overlaps(found->address, endpoint.address)) return found;
  }
  return std::nullopt;
}

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;
Directory open_directory(const std::string& path) { return {::opendir(path.c_str()), &::closedir}; }

bool holds_socket(const std::string& fd_directory, std::string_view target) {
  const Directory directory = open_directory(fd_directory);
  if (!directory) return false;
  while (const dirent* entry = ::readdir(directory.get())) {
    char link[64];
    const ssize_t length = ::readlinkat(::dirfd(directory.get()), entry->d_name, link, sizeof link);
    if (length > 0 && std::string_view(link, static_cast<std::size_t>(length)) == target) return true;
  }
  return false;
}

// The lowest pid that holds the socket: of a master and its workers, the master.
long find_process(unsigned long inode, const std::string& proc) {
  const std::string target = fmt::format("socket:[{}]", inode);
  const Directory directory = open_directory(proc);
  long lowest = 0;
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    long pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (lowest != 0 && pid > lowest) continue;
    if (holds_socket(fmt::format("{}/{}/fd", proc, pid), target)) lowest = pid;
  }
  return lowest;
}

std::string process_name(long pid, const std::string& proc) {
  std::ifstream file(fmt::format("{}/{}/comm", proc, pid));
  std::string name;
  std::getline(file, name);
  return name.empty() ? "a program" : escape(name, kNameBytesMax);
}

std::string user_name(unsigned uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry != nullptr ? escape(entry->pw_name, kNameBytesMax) : fmt::format("{}", uid);
}

}  // namespace

std::string port_owner(const net::Endpoint& endpoint, std::string_view proc_directory) {
  const std::string proc(proc_directory);
  auto found = find_listening(endpoint, proc + "/net/tcp");
  if (!found) found = find_listening(endpoint, proc + "/net/tcp6");
  if (!found) return {};
  const long pid = find_process(found->inode, proc);
  if (pid != 0) return fmt::format("{} (pid {})", process_name(pid, proc), pid);
  return fmt::format("a program of user {}", user_name(found->uid));
}

}  // namespace nfr::holder
