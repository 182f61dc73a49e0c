// SPDX-License-Identifier: GPL-2.0-only
// Small files: read whole within a limit, written whole or not at all, private, with errors that name the file.
#include "base/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/fd.hpp"
#include "harness/temp_dir.hpp"

namespace nfr {
namespace {

class FileTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return directory.path() + "/" + name; }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(directory.path()), std::filesystem::directory_iterator()));
  }
  test::TempDir directory;
};

TEST_F(FileTest, ComesBackWholeAndPrivate) {
  const std::string content("a\0b\xff\n", 5);
  ASSERT_TRUE(write_private_file(at("f"), content));
  EXPECT_EQ(*read_small_file(at("f"), 5), content);
  struct stat status {};
  ASSERT_EQ(::stat(at("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(entries(), 1U) << "nothing is left beside it";
  ASSERT_TRUE(write_private_file(at("f"), ""));
  EXPECT_EQ(*read_small_file(at("f"), 0), "");
}

TEST_F(FileTest, AWiderFileBecomesPrivateAndALeftoverIsReplaced) {
  Fd(::open(at("f").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  Fd(::open(at("f.new").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));  // a crash in the middle of a write
  ASSERT_TRUE(write_private_file(at("f"), "secret"));
  struct stat status {};
  ASSERT_EQ(::stat(at("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(FileTest, ALinkPlantedForTheAsideFileIsNotFollowed) {
  ASSERT_EQ(::symlink(at("victim").c_str(), at("f.new").c_str()), 0);
  ASSERT_TRUE(write_private_file(at("f"), "x"));
  EXPECT_EQ(read_small_file(at("victim"), 10).error().code(), Code::kNotFound);
}

TEST_F(FileTest, AFailureNamesTheFileAndLeavesTheOldContent) {
  ASSERT_TRUE(write_private_file(at("f"), "old"));
  const Status nowhere = write_private_file(at("no/such/f"), "x");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().os_errno(), ENOENT);
  EXPECT_NE(nowhere.error().message().find("no/such/f"), std::string::npos);
  ASSERT_EQ(::mkdir(at("d").c_str(), 0700), 0);
  const Status onto_directory = write_private_file(at("d"), "x");
  ASSERT_FALSE(onto_directory);
  EXPECT_NE(onto_directory.error().message().find("/d: rename: "), std::string::npos);
  EXPECT_EQ(entries(), 2U) << "the file aside is gone";
  EXPECT_EQ(*read_small_file(at("f"), 10), "old");
}

/// As on a full disk: the kernel takes the first bytes of a write and refuses the rest.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit low = before_;
    low.rlim_cur = bytes;
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  }
  ~FileSizeLimit() {
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(FileTest, AFullDiskLeavesTheOldContent) {
  ASSERT_TRUE(write_private_file(at("f"), "old"));
  Status full;
  {
    const FileSizeLimit limit(1000);
    full = write_private_file(at("f"), std::string(5000, 'x'));
  }
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().os_errno(), EFBIG);
  EXPECT_EQ(full.error().message(), "writing " + at("f") + ": write: File too large");
  EXPECT_EQ(*read_small_file(at("f"), 5000), "old");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(FileTest, ReadingSaysWhy) {
  const auto missing = read_small_file(at("none"), 10);
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  EXPECT_NE(missing.error().message().find("none does not exist"), std::string::npos);
  EXPECT_EQ(read_small_file(directory.path(), 10).error().os_errno(), EISDIR);
  ASSERT_TRUE(write_private_file(at("f"), "12345"));
  const auto large = read_small_file(at("f"), 4);
  EXPECT_EQ(large.error().code(), Code::kInvalid);
  EXPECT_NE(large.error().message().find("larger than 4 bytes"), std::string::npos);
  EXPECT_EQ(read_small_file("/dev/zero", 100'000).error().message(), "/dev/zero is larger than 100000 bytes");
  EXPECT_NE(read_small_file(at("a\x1b[31m"), 4).error().message().find("\\x1b"), std::string::npos);
}

TEST_F(FileTest, AFifoDoesNotHoldTheReader) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  EXPECT_EQ(*read_small_file(at("fifo"), 10), "");
}

TEST_F(FileTest, AReaderSeesOldOrNewNeverAMixture) {
  const std::string a(50'000, 'a'), b(60'000, 'b');
  ASSERT_TRUE(write_private_file(at("f"), a));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(write_private_file(at("f"), i % 2 == 0 ? b : a));
    done = true;
  });
  while (!done) {
    const auto content = read_small_file(at("f"), 100'000);
    EXPECT_TRUE(content && (*content == a || *content == b));
  }
  writer.join();
}

}  // namespace
}  // namespace nfr
