// SPDX-License-Identifier: GPL-2.0-only
// Disks and files in trouble: full, read-only, damaged, somebody else's, too open. Each gives one clear error, and
// a store that is open already stays usable for what can still be done.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>

#include "harness/temp_dir.hpp"
#include "samples.hpp"
#include "store/sqlite_store.hpp"

namespace nfr::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Runs `body` with EXPECTs in a child of its own, so that limits, umask and uid end with it.
void in_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    std::cout.flush();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "child status " << status << "; its output is above";
}

void become_nobody() {
  if (::geteuid() != 0) return;
  ASSERT_EQ(::setgid(65534), 0);
  ASSERT_EQ(::setuid(65534), 0);
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

Error open_error(const std::string& path) {
  const auto store = SqliteStore::open(path);
  EXPECT_FALSE(store) << path << " was opened";
  return store ? Error(Code::kInvalid, "") : store.error();
}

std::size_t add_agents_until_error(core::StateStore& store, std::size_t first, Error& error) {
  for (std::size_t number = first; number < first + 20'000; ++number) {
    const auto id = store.put_agent(sample_agent("client" + std::to_string(number)));
    if (id) continue;
    error = id.error();
    return number;
  }
  return first + 20'000;
}

/// The disk fills up while the store is open: a clear error, nothing half-written, and it works again afterwards.
void expect_full_disk_is_survived(SqliteStore& store, const std::string& path, const std::function<void()>& make_room) {
  Error error(Code::kInvalid, "the disk never filled up");
  const std::size_t count = add_agents_until_error(store, 0, error);
  EXPECT_EQ(error.code(), Code::kExhausted) << error.message();
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path), HasSubstr("full"), HasSubstr("nothing was changed")));
  const auto state = store.load();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_EQ(state->agents.size(), count);
  make_room();
  const auto again = store.put_agent(sample_agent("client" + std::to_string(count)));
  EXPECT_TRUE(again) << again.error().message();
}

TEST(Trouble, FileLimitActsAsAFullDisk) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    auto store = SqliteStore::open(path);
    ASSERT_TRUE(store) << store.error().message();
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit unlimited = limit;
    limit.rlim_cur = 256 * 1024;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_full_disk_is_survived(**store, path, [&] { ::setrlimit(RLIMIT_FSIZE, &unlimited); });
  });
  const auto store = SqliteStore::open(path);
  EXPECT_TRUE(store) << store.error().message();
}

/// A directory on a disk of its own; umount in the destructor. `mounted` is false without the right to mount.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, const char* options) : path_(path) {
    std::filesystem::create_directory(path);
    mounted = ::mount("nfr-test", path.c_str(), "tmpfs", 0, options) == 0;
  }
  ~SmallDisk() {
    if (mounted) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted = false;

 private:
  std::string path_;
};

TEST(Trouble, FullDisk) {
  test::TempDir directory;
  const SmallDisk disk(directory.file("disk"), "size=512k,mode=700");
  if (!disk.mounted) GTEST_SKIP() << "needs capability: mount";
  const std::string path = directory.file("disk/state.db");
  {
    // Holds back the room that is given back later.
    std::ofstream(directory.file("disk/ballast")) << std::string(128 * 1024, 'x');
    auto store = SqliteStore::open(path);
    ASSERT_TRUE(store) << store.error().message();
    expect_full_disk_is_survived(**store, path, [&] { std::filesystem::remove(directory.file("disk/ballast")); });
  }
  EXPECT_TRUE(SqliteStore::open(path));
}

TEST(Trouble, DiskFullAtTheFirstStart) {
  test::TempDir directory;
  const SmallDisk disk(directory.file("disk"), "size=16k,mode=700");
  if (!disk.mounted) GTEST_SKIP() << "needs capability: mount";
  const Error error = open_error(directory.file("disk/state.db"));
  EXPECT_EQ(error.code(), Code::kExhausted) << error.message();
  EXPECT_THAT(error.message(), AllOf(HasSubstr("disk/state.db"), HasSubstr("full")));
  const SmallDisk larger(directory.file("disk"), "size=512k,mode=700");
  EXPECT_TRUE(SqliteStore::open(directory.file("disk/state.db")));
}

TEST(Trouble, ReadOnlyDirectory) {
  test::TempDir directory;
  const std::string inner = directory.file("inner");
  std::filesystem::create_directory(inner);
  const std::string path = inner + "/state.db";
  ASSERT_TRUE(SqliteStore::open(path));
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
    ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  }
  ASSERT_EQ(::chmod(inner.c_str(), 0555), 0);
  in_child([&] {
    become_nobody();
    const Error existing = open_error(path);
    EXPECT_THAT(existing.message(), AllOf(HasSubstr(path), HasSubstr("Permission denied"), HasSubstr(inner + " must")));
    const Error missing = open_error(inner + "/other.db");
    EXPECT_THAT(missing.message(), AllOf(HasSubstr("other.db"), HasSubstr("Permission denied"), HasSubstr("writable")));
  });
  ASSERT_EQ(::chmod(inner.c_str(), 0755), 0);
}

TEST(Trouble, ReadOnlyFileSystem) {
  test::TempDir directory;
  const SmallDisk disk(directory.file("disk"), "size=1m,mode=700");
  if (!disk.mounted) GTEST_SKIP() << "needs capability: mount";
  const std::string path = directory.file("disk/state.db");
  ASSERT_TRUE(SqliteStore::open(path));
  ASSERT_EQ(::mount("none", directory.file("disk").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_THAT(open_error(path).message(), AllOf(HasSubstr(path), HasSubstr("Read-only file system")));
}

TEST(Trouble, MissingDirectory) {
  test::TempDir directory;
  const Error error = open_error(directory.file("nowhere/state.db"));
  EXPECT_THAT(error.message(), AllOf(HasSubstr("No such file or directory"), HasSubstr("nowhere must exist")));
}

TEST(Trouble, DirectoryInPlaceOfTheFile) {
  test::TempDir directory;
  std::filesystem::create_directory(directory.file("state.db"));
  EXPECT_THAT(open_error(directory.file("state.db")).message(), HasSubstr("a directory is in its place"));
}

TEST(Trouble, FifoInPlaceOfTheFile) {
  test::TempDir directory;
  ASSERT_EQ(::mkfifo(directory.file("state.db").c_str(), 0600), 0);
  EXPECT_THAT(open_error(directory.file("state.db")).message(), HasSubstr("not a plain file"));
}

TEST(Trouble, PathThatCannotBeOne) {
  EXPECT_EQ(open_error("").code(), Code::kInvalid);
  EXPECT_EQ(open_error(std::string("a\0b", 3)).code(), Code::kInvalid);
}

TEST(Trouble, FileThatIsNoDatabase) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  std::ofstream(path) << std::string(8192, 'x');
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  const Error error = open_error(path);
  EXPECT_EQ(error.code(), Code::kInvalid);
  EXPECT_THAT(error.message(), AllOf(HasSubstr(path), HasSubstr("damaged"), HasSubstr("restore a backup")));
}

TEST(Trouble, EveryDamagedPageIsNoticedOrHarmless) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  {
    auto store = SqliteStore::open(path);
    ASSERT_TRUE(store);
    for (unsigned i = 0; i < 200; ++i) {
      const auto agent = (*store)->put_agent(sample_agent("client" + std::to_string(i)));
      ASSERT_TRUE((*store)->put_mapping(sample_mapping(*agent, std::to_string(1000 + i))));
    }
  }
  const auto size = std::filesystem::file_size(path);
  unsigned noticed_count = 0;
  for (std::uintmax_t page = 0; page < size; page += 4096) {
    const std::string copy = directory.file("copy.db");
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    {
      std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(page));
      file << std::string(4096, '\xA5');
    }
    const auto store = SqliteStore::open(copy);
    if (store) continue;
    ++noticed_count;
    EXPECT_THAT(store.error().message(), HasSubstr("damaged"));
  }
  EXPECT_EQ(noticed_count, size / 4096) << "every page of a fresh database is in use";
}

TEST(Trouble, FilesArePrivateWhateverTheUmask) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  for (const mode_t mask : {mode_t{0}, mode_t{0377}}) {
    in_child([&] {
      std::filesystem::remove(path);
      ::umask(mask);
      auto store = SqliteStore::open(path);
      ASSERT_TRUE(store) << store.error().message();
      ASSERT_TRUE((*store)->put_agent(sample_agent("client1")));
      EXPECT_EQ(mode_of(path), 0600u);
      EXPECT_EQ(mode_of(path + "-wal"), 0600u);
      EXPECT_EQ(mode_of(path + "-shm"), 0600u);
    });
  }
}

TEST(Trouble, FileOthersMayReadIsRefusedWithTheChmod) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  ASSERT_TRUE(SqliteStore::open(path));
  for (const mode_t mode : {0640u, 0604u, 0620u, 0601u}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const Error error = open_error(path);
    EXPECT_EQ(error.code(), Code::kDenied);
    EXPECT_THAT(error.message(), HasSubstr("chmod 600 " + path));
  }
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE(SqliteStore::open(path));
}

TEST(Trouble, LeftOverLogOthersMayReadIsRefused) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  std::ofstream(path + "-wal") << "";
  ASSERT_EQ(::chmod((path + "-wal").c_str(), 0644), 0);
  EXPECT_THAT(open_error(path).message(), HasSubstr("chmod 600 " + path + "-wal"));
}

TEST(Trouble, FileOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs capability: root";
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  ASSERT_TRUE(SqliteStore::open(path));
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  in_child([&] {
    become_nobody();
    EXPECT_THAT(open_error(path).message(), AllOf(HasSubstr("Permission denied"), HasSubstr("writable for uid 65534")));
  });
}

TEST(Trouble, LockedByAnotherProgram) {
  test::TempDir directory;
  const std::string path = directory.file("state.db");
  auto store = SqliteStore::open(path);
  ASSERT_TRUE(store);
  auto other = Database::open(path);
  ASSERT_TRUE(other);
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  const auto blocked = (*store)->put_agent(sample_agent("client1"));
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code(), Code::kUnavailable);
  EXPECT_THAT(blocked.error().message(), AllOf(HasSubstr("locked"), HasSubstr("nothing was changed")));
  EXPECT_TRUE((*store)->load()) << "reading goes on";
  ASSERT_TRUE(other->execute("ROLLBACK"));
  EXPECT_TRUE((*store)->put_agent(sample_agent("client1")));
}

TEST(Trouble, RelativePathThatLooksLikeAUri) {
  test::TempDir directory;
  in_child([&] {
    ASSERT_EQ(::chdir(directory.path().c_str()), 0);
    const auto store = SqliteStore::open("file:x?mode=memory");
    ASSERT_TRUE(store) << store.error().message();
    ASSERT_TRUE((*store)->put_agent(sample_agent("client1")));
    EXPECT_GT(std::filesystem::file_size("file:x?mode=memory-wal"), 0u);
  });
}

}  // namespace
}  // namespace nfr::store
