// SPDX-License-Identifier: GPL-2.0-only
// A directory in memory for targets whose parser reads files; made once a process, because making it costs more than
// most parsers.
#pragma once

#include <fcntl.h>

#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "fuzz/target.hpp"
#include "harness/temp_dir.hpp"

namespace nfr::fuzz {

class MemoryDirectory {
 public:
  MemoryDirectory() : directory_(test::TempDir::Where::kMemory) {}
  const std::string& path() const { return directory_.path(); }

  /// The whole file, mode 0600.
  void write(const std::string& name, std::string_view content) const {
    const Fd file(::open(directory_.file(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    NFR_HOLDS(file.valid());
    NFR_HOLDS(::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  }

 private:
  test::TempDir directory_;
};

}  // namespace nfr::fuzz
