// SPDX-License-Identifier: GPL-2.0-only
#include "base/descriptors.hpp"

#include <sys/resource.h>

#include <filesystem>

namespace nfr {

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

std::size_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", failed); !failed && entry != end(entry);
       entry.increment(failed)) {
    ++count;
  }
  return count;
}

}  // namespace nfr
