// SPDX-License-Identifier: GPL-2.0-only
#include "store/state_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.hpp"

namespace nfr::store {
namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Error refusal(const std::string& path, int os_errno, std::string_view advice) {
  return {Code::kSystem, fmt::format("state database {}: {}. {}", path, std::strerror(os_errno), advice)};
}

std::string directory_advice(const std::string& path) {
  return fmt::format("The directory {} must exist and be writable for uid {}", directory_of(path), ::geteuid());
}

Status create(const std::string& path) {
  // Never opened when it exists already: closing a second descriptor would drop SQLite's own locks on the file.
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return refusal(path, errno, directory_advice(path));
  // A umask may take bits away, even the owner's.
  if (::fchmod(file.get(), 0600) != 0) return refusal(path, errno, "The file system must support chmod");
  const Fd directory(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() && ::fsync(directory.get()) != 0) return refusal(path, errno, "Check the disk");
  return {};
}

Status check_private(const std::string& path, const struct stat& info) {
  if ((info.st_mode & 077) == 0) return {};
  return Error(Code::kDenied, fmt::format("state database {}: other users may read or change it (mode {:04o}). Mend it "
                                          "with: chmod 600 {}",
                                          path, info.st_mode & 07777, path));
}

Status check_existing(const std::string& path, const struct stat& info) {
  if (S_ISDIR(info.st_mode)) {
    return Error(Code::kInvalid, fmt::format("state database {}: a directory is in its place. Move it away, or name "
                                             "another state directory",
                                             path));
  }
  if (!S_ISREG(info.st_mode)) {
    return Error(Code::kInvalid, fmt::format("state database {}: not a plain file. Move it away", path));
  }
  if (auto status = check_private(path, info); !status) return status;
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0) {
    return refusal(path, errno, fmt::format("Make it readable and writable for uid {}", ::geteuid()));
  }
  if (::faccessat(AT_FDCWD, directory_of(path).c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return refusal(path, errno, directory_advice(path));
  }
  return {};
}

}  // namespace

Status prepare_state_file(const std::string& path) {
  struct stat info {};
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    const std::string side = path + suffix;
    if (::stat(side.c_str(), &info) != 0) continue;
    if (auto status = check_private(side, info); !status) return status;
  }
  if (::stat(path.c_str(), &info) == 0) return check_existing(path, info);
  if (errno != ENOENT) return refusal(path, errno, directory_advice(path));
  return create(path);
}

}  // namespace nfr::store
