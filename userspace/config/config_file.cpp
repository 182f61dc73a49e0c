// SPDX-License-Identifier: GPL-2.0-only
#include "config/config_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.hpp"

namespace nfr::config {

Result<std::string> read_config_file(const ConfigFile& file) {
  constexpr std::size_t kMaxBytes = 1 << 20;
  const std::string where = fmt::format("config file {}", file.path);
  const Fd fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT && !file.named) return std::string();
    return Error::system(where, errno);
  }
  std::string text;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error::system(where, errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxBytes) {
      return Error(Code::kInvalid, fmt::format("{}: longer than {} bytes; is it the right file?", where, kMaxBytes));
    }
  }
}

}  // namespace nfr::config
