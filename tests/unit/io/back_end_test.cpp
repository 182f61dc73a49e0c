// SPDX-License-Identifier: GPL-2.0-only
// Which back end is made: as asked for, or by trying where a sandbox forbids io_uring.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <thread>

#include "unit/io/fixture.hpp"

namespace nfr::io {
namespace {

constexpr LoopOptions kSmall{.entries = 8, .buffer_count = 2, .buffer_bytes = 64};

LoopOptions with(IoChoice choice) {
  LoopOptions options = kSmall;
  options.choice = choice;
  return options;
}

/// As Docker's default profile has it; for the calling thread only, and for ever.
void forbid_io_uring() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0) << std::strerror(errno);
}

TEST(BackEnd, TheOneThatWasAskedFor) {
  for (const auto& [choice, name] : {std::pair(IoChoice::kUring, "io_uring"), std::pair(IoChoice::kEpoll, "epoll")}) {
    const auto loop = Loop::create(with(choice));
    ASSERT_TRUE(loop) << loop.error().message();
    EXPECT_EQ((*loop)->back_end(), name);
    EXPECT_EQ((*loop)->fallback_reason(), "");
  }
}

TEST(BackEnd, WhereIoUringIsForbiddenEpollStandsInAndSaysWhy) {
  std::thread([] {
    forbid_io_uring();
    const auto loop = Loop::create(with(IoChoice::kAuto));
    ASSERT_TRUE(loop) << loop.error().message();
    EXPECT_EQ((*loop)->back_end(), "epoll");
    EXPECT_NE((*loop)->fallback_reason().find("Operation not permitted"), std::string::npos)
        << (*loop)->fallback_reason();
    EXPECT_FALSE(Loop::create(with(IoChoice::kUring)));
  }).join();
}

TEST(BackEnd, ABadOptionIsNoReasonToFallBack) {
  LoopOptions options = with(IoChoice::kAuto);
  options.buffer_count = 3;
  const auto loop = Loop::create(options);
  ASSERT_FALSE(loop);
  EXPECT_NE(loop.error().message().find("buffer_count 3"), std::string::npos);
}

}  // namespace
}  // namespace nfr::io
