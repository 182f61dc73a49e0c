// SPDX-License-Identifier: GPL-2.0-only
#include "admin/unix_socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace nfr::admin {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error(Code::kInvalid,
                 fmt::format("socket path '{}': must have 1 to {} bytes", escape(path), sizeof address.sun_path - 1));
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

Result<Fd> open_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Error::system("unix socket", errno);
  return fd;
}

Status set_non_blocking(const Fd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0) return Error::system("O_NONBLOCK", errno);
  return {};
}

const sockaddr* as_sockaddr(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

// Only a socket that refuses connections is taken away; a file of another kind stays and bind() names it.
Status remove_stale(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) < 0 || !S_ISSOCK(info.st_mode)) return {};
  const Result<Fd> live = connect_unix(path, Millis(1000));
  if (live.ok() || live.error().code() == Code::kTimeout) {
    return Error(Code::kExists, fmt::format("{} is in use by another process", escape(path)));
  }
  if (live.error().os_errno() != ECONNREFUSED) return live.error();
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return Error::system("removing stale " + escape(path), errno);
  return {};
}

}  // namespace

Result<Fd> listen_unix(const std::string& path, mode_t mode, gid_t group) {
  const auto address = address_of(path);
  if (!address) return address.error();
  if (const Status removed = remove_stale(path); !removed) return removed.error();
  Result<Fd> fd = open_socket();
  if (!fd) return fd;
  // The file takes the mode of the socket's inode: set before bind there is no moment with wider rights.
  if (::fchmod(fd->get(), mode) < 0) return Error::system("mode of " + escape(path), errno);
  if (::bind(fd->get(), as_sockaddr(*address), sizeof *address) < 0) {
    return Error::system("binding " + escape(path), errno);
  }
  if (group != static_cast<gid_t>(-1) && ::chown(path.c_str(), static_cast<uid_t>(-1), group) < 0) {
    return Error::system("group of " + escape(path), errno);
  }
  // bind() took the umask off.
  if (::chmod(path.c_str(), mode) < 0) return Error::system("mode of " + escape(path), errno);
  if (::listen(fd->get(), 128) < 0) return Error::system("listening at " + escape(path), errno);
  if (const Status status = set_non_blocking(*fd); !status) return status.error();
  return fd;
}

Result<Fd> connect_unix(const std::string& path, Millis timeout) {
  const auto address = address_of(path);
  if (!address) return address.error();
  Result<Fd> fd = open_socket();
  if (!fd) return fd;
  // connect() on a unix socket waits for room in the queue, at most for the send timeout.
  const timeval wait{timeout.count() / 1000, timeout.count() % 1000 * 1000};
  if (::setsockopt(fd->get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0) {
    return Error::system("send timeout", errno);
  }
  int failed = 0;
  do {
    failed = ::connect(fd->get(), as_sockaddr(*address), sizeof *address);
  } while (failed < 0 && errno == EINTR);
  if (failed < 0 && errno == EAGAIN) {
    return Error(Code::kTimeout,
                 fmt::format("{} does not take connections within {} ms", escape(path), timeout.count()));
  }
  if (failed < 0) return Error::system("connecting to " + escape(path), errno);
  if (const Status status = set_non_blocking(*fd); !status) return status.error();
  return fd;
}

}  // namespace nfr::admin
