// SPDX-License-Identifier: GPL-2.0-only
// The whole holder as a process of its own, with the scripted relay process of relay_child_test.cpp.
#include "holder/holder.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <map>

#include "base/log.hpp"
#include "holder/relay_process.hpp"
#include "relay_child.hpp"

namespace nfr::holder {
namespace {

using test::connect_to;
using test::free_endpoint;
using test::read_text;
using test::wait_until;
using ::testing::HasSubstr;
using ::testing::Not;

class HolderTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // The holder in a child of ours; each script is one life of the relay process.
  void start(const std::vector<std::string>& lives) {
    options.run_dir = scratch / "run";
    options.state_dir = scratch / "state";
    options.relay_arguments = {"unit_holder", "--relay-process", scratch.path()};
    options.relay_arguments.insert(options.relay_arguments.end(), lives.begin(), lives.end());
    const std::string log = scratch / "log";
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ != 0) return;
    ::umask(0);  // the relay's user writes the scratch files that the first writer creates
    ::dup2(::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0666), STDERR_FILENO);
    log_init("nfrelayd");
    ::_exit(run_holder(options));
  }

  std::string notes() const { return read_text(scratch / "notes"); }
  std::string log() const { return read_text(scratch / "log"); }
  bool wait_for_note(const std::string& text) {
    const bool came = wait_until([&] { return notes().find(text) != std::string::npos; });
    EXPECT_TRUE(came) << "no '" << text << "' in:\n" << notes() << log();
    return came;
  }
  bool wait_for_life(int number) { return wait_for_note("life " + std::to_string(number) + " "); }
  void touch(const std::string& name) { std::ofstream(scratch / name) << "x"; }

  void signal(int number) { ::kill(pid_, number); }
  int exit_code() {
    int wait_status = -1;
    const bool ended = wait_until([&] { return ::waitpid(pid_, &wait_status, WNOHANG) == pid_; });
    EXPECT_TRUE(ended) << log();
    if (!ended) return -1;
    pid_ = 0;
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -2;
  }

  test::Scratch scratch;
  HolderOptions options;
  pid_t pid_ = 0;
};

TEST_F(HolderTest, ListenerAndItsQueueSurviveTheRelayProcess) {
  const auto endpoint = free_endpoint();
  const std::string open = "open=" + endpoint.text() + "=2,";
  start({open + "ready,await=die,die", "await=go," + open + "retain,ready,serve,stay"});
  ASSERT_TRUE(wait_for_note("ready status=0"));
  touch("die");
  ASSERT_TRUE(wait_for_life(2));
  const Fd visitor = connect_to(endpoint);  // nobody accepts now
  ASSERT_TRUE(visitor.valid());
  touch("go");
  char text[16] = {};
  EXPECT_GT(::recv(visitor.get(), text, sizeof text - 1, 0), 0) << log();
  EXPECT_TRUE(wait_for_note("served"));
  EXPECT_THAT(log(), HasSubstr("was killed by signal 9 (Killed)"));
  signal(SIGTERM);
  EXPECT_EQ(exit_code(), 0);
  EXPECT_FALSE(connect_to(endpoint).valid());
  EXPECT_FALSE(std::filesystem::exists(scratch / "run/ctl.sock"));
}

TEST_F(HolderTest, RestartsAtOnceThenWithDelays) {
  options.restart_delays = {Millis(0), Millis(100), Millis(300)};
  start({"exit=1", "exit=2", "die", "stay"});
  ASSERT_TRUE(wait_for_note("stay"));
  std::map<int, long> started;
  std::stringstream lines(notes());
  for (std::string line; std::getline(lines, line);) {
    int life = 0;
    long at_ms = 0;
    if (std::sscanf(line.c_str(), "life %d %ld", &life, &at_ms) == 2) started[life] = at_ms;
  }
  ASSERT_EQ(started.size(), 4U);
  EXPECT_GE(started[3] - started[2], 100);
  EXPECT_GE(started[4] - started[3], 300);
  EXPECT_THAT(log(), HasSubstr("ended with exit code 1"));
  EXPECT_THAT(log(), HasSubstr("starts again in 0 ms"));
  EXPECT_THAT(log(), HasSubstr("ended with exit code 2"));
}

TEST_F(HolderTest, UnclaimedListenersAreClosedByRetain) {
  const auto kept = free_endpoint();
  const auto dropped = free_endpoint();
  const std::string keep = "open=" + kept.text() + "=1,";
  start({keep + "open=" + dropped.text() + "=1,ready,await=die,die", keep + "await=go,retain,ready,stay"});
  ASSERT_TRUE(wait_for_note("ready status=0"));
  touch("die");
  ASSERT_TRUE(wait_for_life(2));
  EXPECT_TRUE(connect_to(dropped).valid());
  touch("go");
  ASSERT_TRUE(wait_for_note("stay"));
  EXPECT_FALSE(connect_to(dropped).valid());
  EXPECT_TRUE(connect_to(kept).valid());
}

TEST_F(HolderTest, QueuedVisitorsAreResetWhileNoRelayServes) {
  const auto endpoint = free_endpoint();
  options.restart_delays = {Millis(60'000)};
  options.reset_visitors_after = Millis(150);
  start({"open=" + endpoint.text() + "=2,ready,await=die,die"});
  ASSERT_TRUE(wait_for_note("ready status=0"));
  touch("die");
  ASSERT_TRUE(wait_until([&] { return log().find("starts again in 60000 ms") != std::string::npos; }));
  for (int round = 0; round < 8; ++round) {  // the first ones wait, the later ones end at once; over both sockets
    const Fd visitor = connect_to(endpoint);
    char byte;
    // On one processor the reset may be there before connect(2) has returned.
    EXPECT_TRUE(!visitor.valid() || ::recv(visitor.get(), &byte, 1, 0) == -1);
    EXPECT_EQ(errno, ECONNRESET);
  }
  signal(SIGTERM);
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(HolderTest, CrashingBeforeReadyDoesNotHoldVisitorsForEver) {
  const auto endpoint = free_endpoint();
  options.restart_delays = {Millis(20)};
  options.reset_visitors_after = Millis(200);
  const std::string open = "open=" + endpoint.text() + "=1,";
  start({open + "ready,await=die,die", open + "exit=1"});
  ASSERT_TRUE(wait_for_note("ready status=0"));
  touch("die");
  ASSERT_TRUE(wait_for_life(3));
  const Fd visitor = connect_to(endpoint);
  ASSERT_TRUE(visitor.valid());
  char byte;
  EXPECT_EQ(::recv(visitor.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(HolderTest, ConfigurationErrorEndsTheHolder) {
  start({"exit=78"});
  EXPECT_EQ(exit_code(), kExitConfiguration);
  EXPECT_THAT(log(), HasSubstr("configuration error"));
  EXPECT_THAT(notes(), Not(HasSubstr("life 2")));
}

TEST_F(HolderTest, ConfigurationErrorCountsThoughTheChannelClosedFirst) {
  start({"close-channel,await=go,exit=78"});
  ASSERT_TRUE(wait_for_life(1));
  touch("go");
  EXPECT_EQ(exit_code(), kExitConfiguration);
}

TEST_F(HolderTest, RelayWithoutAChannelIsReplaced) {
  options.stop_timeout = Millis(50);
  start({"close-channel,stay", "ready,stay"});
  EXPECT_TRUE(wait_for_note("ready status=0"));
  EXPECT_THAT(log(), HasSubstr("killing it"));
}

TEST_F(HolderTest, StubbornRelayIsKilledAfterTheTimeout) {
  options.stop_timeout = Millis(100);
  start({"ignore-term,stay"});
  ASSERT_TRUE(wait_for_note("stay"));
  signal(SIGTERM);
  EXPECT_EQ(exit_code(), 0);
  EXPECT_THAT(log(), HasSubstr("did not end within 100 ms"));
  EXPECT_THAT(log(), HasSubstr("was killed by signal 9"));
}

TEST_F(HolderTest, HangUpIsForwarded) {
  start({"stay", "stay"});
  ASSERT_TRUE(wait_for_note("stay"));
  signal(SIGHUP);  // without a handler it ends the stand-in
  EXPECT_TRUE(wait_for_life(2));
  EXPECT_THAT(log(), HasSubstr("was killed by signal 1"));
}

TEST_F(HolderTest, RelayDiesWithTheHolder) {
  start({"stay"});
  ASSERT_TRUE(wait_for_note("stay"));
  const std::string text = log();
  const std::size_t at = text.find("relay process ");
  ASSERT_NE(at, std::string::npos);
  const pid_t relay = std::atoi(text.c_str() + at + std::string("relay process ").size());
  ASSERT_EQ(::kill(relay, 0), 0);
  ::kill(pid_, SIGKILL);
  // A zombie still has its pid where nobody reaps orphans: look at what it is.
  EXPECT_TRUE(wait_until([&] {
    const std::string status = read_text("/proc/" + std::to_string(relay) + "/status");
    return status.empty() || status.find("State:\tZ") != std::string::npos;
  }));
}

TEST_F(HolderTest, RelayHasNoRightsAndNoForeignDescriptors) {
  ::setenv("NFR_TEST_SECRET", "1", 1);
  start({"admin,facts,stay"});
  ::unsetenv("NFR_TEST_SECRET");
  ASSERT_TRUE(wait_for_note("stay"));
  EXPECT_THAT(notes(), HasSubstr("admin status=0 fds=1"));
  const std::string status = read_text(scratch / "status");
  EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("CapAmb:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("PdeathSig: 9"));
  EXPECT_THAT(read_text(scratch / "environ"), Not(HasSubstr("NFR_TEST_SECRET")));
  const std::string descriptors = read_text(scratch / "descriptors");
  EXPECT_THAT(descriptors, Not(HasSubstr("/run/lock")));
  EXPECT_THAT(descriptors, Not(HasSubstr("signalfd")));
  if (::geteuid() != 0) GTEST_SKIP() << "capability root: changes user and bounding set";
  EXPECT_THAT(status, HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(status, Not(HasSubstr("Uid:\t0")));
  EXPECT_THAT(status, HasSubstr("Groups:\t \n"));
}

TEST_F(HolderTest, HolderKeepsOnlyItsCapabilities) {
  if (::geteuid() != 0) GTEST_SKIP() << "capability root: has capabilities to give up";
  start({"stay"});
  ASSERT_TRUE(wait_for_note("stay"));
  const std::string status = read_text("/proc/" + std::to_string(pid_) + "/status");
  const auto field = [&](const char* name) {
    const std::size_t at = status.find(name);
    return at == std::string::npos ? ~0ULL : std::strtoull(status.c_str() + at + std::strlen(name), nullptr, 16);
  };
  // KILL 5, SETGID 6, SETUID 7, SETPCAP 8, NET_BIND_SERVICE 10, NET_ADMIN 12, NET_RAW 13, PERFMON 38, BPF 39.
  constexpr unsigned long long kAllowed =
      1ULL << 5 | 1ULL << 6 | 1ULL << 7 | 1ULL << 8 | 1ULL << 10 | 1ULL << 12 | 1ULL << 13 | 1ULL << 38 | 1ULL << 39;
  EXPECT_EQ(field("CapPrm:\t") & ~kAllowed, 0U);
  EXPECT_EQ(field("CapEff:\t") & ~kAllowed, 0U);
  EXPECT_EQ(field("CapBnd:\t") & ~kAllowed, 0U);
  EXPECT_NE(field("CapEff:\t") & 1ULL << 10, 0U);
}

TEST_F(HolderTest, PortTakenIsNamedAsFarAsTheHolderMayLook) {
  const auto endpoint = free_endpoint();
  start({"await=go,open=" + endpoint.text() + "=1,stay"});
  ASSERT_TRUE(wait_for_life(1));
  const Fd taken = test::bound_socket(endpoint);  // not before: the forked holder would have it too
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  touch("go");
  ASSERT_TRUE(wait_for_note("stay"));
  // Root's descriptors are hidden from a holder without CAP_SYS_PTRACE; one's own are not.
  EXPECT_THAT(notes(), ::testing::AnyOf(HasSubstr("owner=a program of user root (see ss -ltnp)\n"),
                                        HasSubstr("owner=unit_holder (pid " + std::to_string(::getpid()) + ")\n")));
}

TEST_F(HolderTest, SecondHolderOfTheInstanceIsRefused) {
  start({"stay"});
  ASSERT_TRUE(wait_for_note("stay"));
  const pid_t first = std::exchange(pid_, 0);
  start({"stay"});
  EXPECT_EQ(exit_code(), 1);
  pid_ = first;
  EXPECT_THAT(log(), HasSubstr("another nfrelayd (pid " + std::to_string(first) + ") runs in " + scratch.path()));
}

TEST_F(HolderTest, UnknownUserIsAConfigurationError) {
  options.user = "no-such-user";
  start({"stay"});
  EXPECT_EQ(exit_code(), kExitConfiguration);
  EXPECT_THAT(log(), HasSubstr("no-such-user"));
}

}  // namespace
}  // namespace nfr::holder
