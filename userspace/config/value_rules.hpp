// SPDX-License-Identifier: GPL-2.0-only
// Rules for single values that both config files share. Pure functions; errors say what was expected, the reader
// adds file, line, key and value.
#pragma once

#include <string>
#include <string_view>

#include "base/io_choice.hpp"
#include "base/result.hpp"
#include "config/directories.hpp"
#include "net/address.hpp"

namespace nfr::config {

class TomlReader;

/// "7707" (all addresses) or "ADDRESS:PORT".
Result<net::Endpoint> parse_listen(std::string_view text);
/// An IP address other than wildcard and multicast, or a DNS name; no port.
Result<std::string> parse_public_host(std::string_view text);
/// A user name such as "netferry", or a number; never root.
Result<std::string> parse_user(std::string_view text);
/// An absolute path.
Result<std::string> parse_directory(std::string_view text);

/// Key io: auto, io_uring or epoll.
void read_io(TomlReader& reader, IoChoice& into);

/// The keys state_dir, run_dir, bpffs_dir and socket.
void read_path_keys(TomlReader& reader, PathKeys& paths);

}  // namespace nfr::config
