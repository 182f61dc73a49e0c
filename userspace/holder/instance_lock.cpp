// SPDX-License-Identifier: GPL-2.0-only
#include "holder/instance_lock.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/text.hpp"

namespace nfr::holder {
namespace {

// mkdir -p; the last component gets `mode`, the umask apart.
Status make_directories(const std::string& path, mode_t mode) {
  if (path.empty() || path.find('\0') != std::string::npos) return Error(Code::kInvalid, "empty directory name");
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const bool last = end == std::string::npos;
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), last ? mode : 0755) < 0 && errno != EEXIST) {
      return Error::system(fmt::format("making directory {}", escape(part)), errno);
    }
    if (last) return {};
  }
}

Result<Fd> open_directory(const std::string& path) {
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid() && (errno == ENOTDIR || errno == ELOOP)) {
    return Error(Code::kInvalid, fmt::format("{} is a link or a file: name the directory itself", escape(path)));
  }
  if (!directory.valid()) return Error::system(fmt::format("opening directory {}", escape(path)), errno);
  return directory;
}

std::string without_last_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

bool is_empty(const Fd& directory) {
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy), &::closedir);
  if (!stream) return false;
  unsigned count = 0;
  while (::readdir(stream.get()) != nullptr) ++count;
  return count <= 2;  // "." and ".."
}

// Who writes to RUN decides which socket nfctl talks to.
Status check_private(const Fd& directory, const std::string& path) {
  struct stat info {};
  if (::fstat(directory.get(), &info) < 0) return Error::system(fmt::format("reading {}", escape(path)), errno);
  if ((info.st_mode & 022) == 0) return {};
  return Error(Code::kDenied, fmt::format("{} may be written to by others (mode {:o}): run chmod go-w {}", escape(path),
                                          info.st_mode & 07777U, escape(path)));
}

std::string recorded_pid(const Fd& lock) {
  std::array<char, 16> text{};
  const ssize_t length = ::pread(lock.get(), text.data(), text.size(), 0);
  long pid = 0;
  if (length <= 0 || std::from_chars(text.data(), text.data() + length, pid).ec != std::errc()) return "unknown";
  return fmt::format("{}", pid);
}

Status record_pid(const Fd& lock) {
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.get(), 0) < 0) return Error::system("emptying the lock file", errno);
  if (::pwrite(lock.get(), text.data(), text.size(), 0) < 0) return Error::system("writing the lock file", errno);
  return {};
}

// Looks without opening: a holder whose rights do not include CAP_DAC_OVERRIDE may not read the relay's directory.
bool is_private_of(const std::string& path, const RelayUser& owner) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == owner.uid &&
         (info.st_mode & 07777) == 0700;
}

}  // namespace

Result<InstanceLock> InstanceLock::acquire(const std::string& wanted) {
  const std::string run_dir = without_last_slashes(wanted);
  if (const Status made = make_directories(run_dir, 0755); !made) return made.error();
  const auto directory = open_directory(run_dir);
  if (!directory) return directory.error();
  if (const Status safe = check_private(*directory, run_dir); !safe) return safe.error();
  Fd lock(::openat(directory->get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!lock.valid()) return Error::system(fmt::format("opening {}/lock", escape(run_dir)), errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return Error::system(fmt::format("locking {}/lock", escape(run_dir)), errno);
    return Error(Code::kExists, fmt::format("another nfrelayd (pid {}) runs in {}: stop it, or give this one "
                                            "directories of its own with --run and --state",
                                            recorded_pid(lock), escape(run_dir)));
  }
  if (const Status recorded = record_pid(lock); !recorded) return recorded.error().context(escape(run_dir));
  return InstanceLock(run_dir, std::move(lock));
}

Status prepare_state_dir(const std::string& wanted, const RelayUser& owner) {
  const std::string state_dir = without_last_slashes(wanted);
  if (const Status made = make_directories(state_dir, 0700); !made) return made.error();
  if (is_private_of(state_dir, owner)) return {};
  const auto directory = open_directory(state_dir);
  if (!directory) return directory.error();
  struct stat info {};
  if (::fstat(directory->get(), &info) < 0) return Error::system(fmt::format("reading {}", escape(state_dir)), errno);
  // A slip such as --state /etc must not close /etc to the rest of the machine.
  const bool ours = info.st_uid == owner.uid || is_empty(*directory);
  // Mode before owner: afterwards only CAP_FOWNER could change it.
  const bool mode_ok = ours && ((info.st_mode & 07777) == 0700 || ::fchmod(directory->get(), 0700) == 0);
  const bool owner_ok = ours && (info.st_uid == owner.uid || ::fchown(directory->get(), owner.uid, owner.gid) == 0);
  if (mode_ok && owner_ok) return {};
  return Error(Code::kDenied,
               fmt::format("{} must belong to user {} with mode 0700: run chown -R {} {} && chmod 0700 {}",
                           escape(state_dir), owner.name, owner.uid, escape(state_dir), escape(state_dir)));
}

}  // namespace nfr::holder
