// SPDX-License-Identifier: GPL-2.0-only
// TempDir: a directory of one test of any room, removed with its contents at the end. In /tmp or $TMPDIR, or in memory
// for a test that makes thousands of commits and does not care whether they reach a disk.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/assert.hpp"

namespace nfr::test {

class TempDir {
 public:
  enum class Where { kDisk, kMemory };

  explicit TempDir(Where where = Where::kDisk) {
    const bool in_memory = where == Where::kMemory && ::access("/dev/shm", W_OK | X_OK) == 0;
    const std::filesystem::path base = in_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (base / "nfr-test-XXXXXX").string();
    NFR_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace nfr::test
