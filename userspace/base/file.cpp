// SPDX-License-Identifier: GPL-2.0-only
#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.hpp"
#include "base/text.hpp"

namespace nfr {
namespace {

Status write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::system("write", errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status sync_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return Error::system("syncing " + escape(directory), errno);
  return {};
}

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && errno == ENOENT) return Error(Code::kNotFound, escape(path) + " does not exist");
  if (!fd.valid()) return Error::system("opening " + escape(path), errno);
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::system("reading " + escape(path), errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > bytes_max) {
      return Error(Code::kInvalid, fmt::format("{} is larger than {} bytes", escape(path), bytes_max));
    }
  }
}

Status write_private_file(const std::string& path, std::string_view content) {
  const std::string aside = path + ".new";
  ::unlink(aside.c_str());
  const Fd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return Error::system("creating " + escape(aside), errno);
  Status done = write_all(fd.get(), content);
  if (done && ::fsync(fd.get()) != 0) done = Error::system("fsync", errno);
  if (done && ::rename(aside.c_str(), path.c_str()) != 0) done = Error::system("rename", errno);
  if (done) return sync_directory_of(path);
  ::unlink(aside.c_str());
  return done.error().context("writing " + escape(path));
}

}  // namespace nfr
