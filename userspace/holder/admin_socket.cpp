// SPDX-License-Identifier: GPL-2.0-only
#include "holder/admin_socket.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "base/text.hpp"

namespace nfr::holder {
namespace {

constexpr int kBacklog = 64;

Status remove_stale(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) < 0) {
    if (errno == ENOENT) return {};
    return Error::system(fmt::format("reading {}", escape(path)), errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Error(Code::kExists, fmt::format("{} is not a socket: remove it", escape(path)));
  }
  if (::unlink(path.c_str()) < 0) return Error::system(fmt::format("removing the stale {}", escape(path)), errno);
  return {};
}

// Never wider than 0600 before its group is right, so that no one slips in between.
Status bind_private(const Fd& socket, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(Code::kInvalid, fmt::format("{} is longer than the {} bytes a socket's path may have: choose a "
                                             "shorter --run",
                                             escape(path), sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const mode_t before = ::umask(0177);
  const int result = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (result < 0) return Error::system(fmt::format("binding {}", escape(path)), error);
  return {};
}

// A new file takes the file-system gid: needs CAP_SETGID only, where chown() would need CAP_CHOWN or membership.
class FileGroup {
 public:
  explicit FileGroup(gid_t gid) : before_(static_cast<gid_t>(::setfsgid(gid))) {}
  ~FileGroup() { ::setfsgid(before_); }
  FileGroup(const FileGroup&) = delete;
  FileGroup& operator=(const FileGroup&) = delete;

 private:
  gid_t before_;
};

void open_to_group(const std::string& path, const group* entry) {
  if (entry == nullptr) return;
  struct stat info {};
  const bool given = ::lstat(path.c_str(), &info) == 0 &&
                     (info.st_gid == entry->gr_gid || ::lchown(path.c_str(), ~uid_t{0}, entry->gr_gid) == 0);
  if (given && ::chmod(path.c_str(), 0660) == 0) return;
  spdlog::warn("{} could not be given to group {}: only its owner may use nfctl", escape(path), entry->gr_name);
}

}  // namespace

Result<AdminSocket> AdminSocket::create(const InstanceLock& lock, const std::string& group_name) {
  const std::string path = lock.run_dir() + "/ctl.sock";
  if (const Status removed = remove_stale(path); !removed) return removed.error();
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error::system("making the control socket", errno);
  const group* entry = ::getgrnam(group_name.c_str());
  {
    const FileGroup file_group(entry != nullptr ? entry->gr_gid : ::getegid());
    if (const Status bound = bind_private(socket, path); !bound) return bound.error();
  }
  AdminSocket admin(path, std::move(socket));
  open_to_group(path, entry);
  if (::listen(admin.fd(), kBacklog) < 0) return Error::system(fmt::format("listening on {}", escape(path)), errno);
  return admin;
}

AdminSocket::~AdminSocket() {
  if (socket_.valid()) ::unlink(path_.c_str());
}

}  // namespace nfr::holder
