// SPDX-License-Identifier: GPL-2.0-only
// Result, Error and the assertion behind them; Fd as the one owner of a descriptor; randomness that is random.
#include "base/result.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

#include "base/fd.hpp"
#include "base/id.hpp"
#include "base/random.hpp"

namespace nfr {
namespace {

Result<std::unique_ptr<int>> make(bool good) {
  if (!good) return Error(Code::kNotFound, "no such thing");
  return std::make_unique<int>(7);
}

TEST(Result, HoldsAValueOrAnError) {
  auto good = make(true);
  ASSERT_TRUE(good);
  EXPECT_EQ(**good, 7);
  const std::unique_ptr<int> moved = *std::move(good);
  EXPECT_EQ(*moved, 7);
  const auto bad = make(false);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code(), Code::kNotFound);
  EXPECT_EQ(bad.error().os_errno(), 0);
}

TEST(Result, LookingAtTheWrongSideIsABug) {
  EXPECT_DEATH((void)*make(false), "bug: .*please report it");
  EXPECT_DEATH((void)make(true).error(), "bug: ");
  EXPECT_DEATH((void)Status().error(), "bug: ");
}

TEST(Error, GrowsFromTheInside) {
  const Error inner = Error::system("pinning nfr_flow4", EACCES);
  EXPECT_EQ(inner.code(), Code::kSystem);
  const Error outer = inner.context("adding mapping 17");
  EXPECT_EQ(outer.message(), "adding mapping 17: pinning nfr_flow4: Permission denied");
  EXPECT_EQ(outer.os_errno(), EACCES);
  EXPECT_EQ(outer.code(), Code::kSystem);
}

TEST(Error, CodesHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::kSystem); ++code) names.insert(code_name(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Code::kSystem) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, ClosesOnceAndMovesOwnership) {
  int raw = -1;
  {
    Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = first.get();
    ASSERT_TRUE(first.valid());
    Fd second(std::move(first));
    EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move): the moved-from state is promised
    EXPECT_EQ(second.get(), raw);
    Fd& same = second;
    second = std::move(same);
    EXPECT_TRUE(is_open(raw)) << "moved onto itself";
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(Fd, ReleaseAndResetGiveItUp) {
  Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = fd.release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(is_open(raw));
  fd.reset(raw);
  fd.reset();
  EXPECT_FALSE(is_open(raw));
  EXPECT_FALSE(Fd().valid());
}

TEST(Random, BytesDifferAndBoundsHold) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.u64());
  EXPECT_EQ(seen.size(), 1000U);
  std::set<std::uint64_t> small;
  for (int i = 0; i < 1000; ++i) small.insert(random.below(3));
  EXPECT_EQ(small, (std::set<std::uint64_t>{0, 1, 2}));
  std::array<std::byte, 10'000> large{};  // more than one getrandom(2) returns under a signal
  random.fill(large);
  EXPECT_GT(std::set<std::byte>(large.begin(), large.end()).size(), 200U);
  random.fill({});
}

TEST(Id, ZeroIsNone) {
  using ThingId = Id<struct ThingTag>;
  EXPECT_FALSE(ThingId{});
  EXPECT_TRUE(ThingId{1});
  EXPECT_LT(ThingId{1}, ThingId{2});
}

}  // namespace
}  // namespace nfr
