// SPDX-License-Identifier: GPL-2.0-only
// /proc/net/tcp and tcp6 as the holder reads them to say who has a port, and the name of the process that it finds.
#include "holder/port_owner.hpp"

#include <filesystem>

#include "fuzz/memory_directory.hpp"
#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  static const MemoryDirectory kProc;
  static const bool kMade = [] {
    std::filesystem::create_directories(kProc.path() + "/net");
    std::filesystem::create_directories(kProc.path() + "/812/fd");
    std::filesystem::create_symlink("socket:[4242]", kProc.path() + "/812/fd/3");
    return true;
  }();
  NFR_HOLDS(kMade);
  // After the first NUL, if there is one, stands the process's name.
  const std::size_t end = std::min(input.find('\0'), input.size());
  kProc.write("net/tcp", input.substr(0, end));
  kProc.write("net/tcp6", input.substr(0, end));
  kProc.write("812/comm", input.substr(std::min(end + 1, input.size())));
  for (const char* asked : {"0.0.0.0:8888", "[2001:db8::1]:8888"}) {
    const std::string owner = holder::port_owner(*net::Endpoint::parse(asked), kProc.path());
    NFR_HOLDS(owner.size() <= 63 && printable(owner));
  }
}
