// SPDX-License-Identifier: GPL-2.0-only
// Lock, directories, control socket, relay user, notification: what the holder prepares before it starts anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <fstream>
#include <functional>

#include "holder/admin_socket.hpp"
#include "holder/instance_lock.hpp"
#include "holder/notify.hpp"
#include "holder/relay_process.hpp"
#include "relay_child.hpp"

namespace nfr::holder {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct stat info_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

unsigned mode_of(const std::string& path) { return info_of(path).st_mode & 07777U; }

RelayUser self() { return {::geteuid(), ::getegid(), "me"}; }

TEST(InstanceLock, SecondDaemonIsToldPidAndDirectory) {
  const test::Scratch scratch;
  const std::string run = scratch / "deep/run";
  {
    const auto first = InstanceLock::acquire(run + "/");
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(mode_of(run) & 022U, 0U);
    const auto second = InstanceLock::acquire(run);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kExists);
    EXPECT_THAT(second.error().message(), HasSubstr("(pid " + std::to_string(::getpid()) + ") runs in " + run));
    EXPECT_TRUE(InstanceLock::acquire(scratch / "other"));
  }
  EXPECT_TRUE(InstanceLock::acquire(run));
}

TEST(InstanceLock, RefusesADirectoryOthersWriteTo) {
  const test::Scratch scratch;  // mode 0777
  const auto lock = InstanceLock::acquire(scratch.path());
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message(), HasSubstr("chmod go-w"));
}

TEST(InstanceLock, RefusesALinkAndAFile) {
  const test::Scratch scratch;
  std::filesystem::create_directory(scratch / "real");
  std::filesystem::create_symlink(scratch / "real", scratch / "link");
  std::ofstream(scratch / "file") << "x";
  EXPECT_FALSE(InstanceLock::acquire(scratch / "link"));
  EXPECT_FALSE(InstanceLock::acquire(scratch / "file"));
  EXPECT_FALSE(InstanceLock::acquire(""));
}

TEST(StateDirectory, IsPrivateAndOwnedByTheRelay) {
  const test::Scratch scratch;
  RelayUser owner = self();
  if (::geteuid() == 0) owner = {65534, 65534, "nobody"};
  ASSERT_TRUE(prepare_state_dir(scratch / "a/state", owner));
  EXPECT_EQ(mode_of(scratch / "a/state"), 0700U);
  EXPECT_EQ(info_of(scratch / "a/state").st_uid, owner.uid);
  ::chmod((scratch / "a/state").c_str(), 0755);
  ASSERT_TRUE(prepare_state_dir(scratch / "a/state", owner));
  EXPECT_EQ(mode_of(scratch / "a/state"), 0700U);
}

// The rights the unit file gives the holder: root, but bound by file modes as anybody else.
bool without_dac_rights(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr std::array<cap_value_t, 3> kGone = {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_CHOWN};
    const cap_t rights = ::cap_get_proc();
    ::cap_set_flag(rights, CAP_EFFECTIVE, kGone.size(), kGone.data(), CAP_CLEAR);
    ::_exit(::cap_set_proc(rights) == 0 && body() ? 0 : 1);
  }
  int status = -1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

TEST(StateDirectory, OfTheRelayNeedsNoRightToReadIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "capability root: needs a directory of another user";
  const test::Scratch scratch;
  const RelayUser owner{65534, 65534, "nobody"};
  const std::string state = scratch / "state";
  ASSERT_TRUE(prepare_state_dir(state, owner));
  std::ofstream(state + "/relay.db") << "x";
  EXPECT_TRUE(without_dac_rights([&] { return prepare_state_dir(state, owner).ok(); }));
  ::chmod(state.c_str(), 0750);  // wrong, and not to be put right with these rights
  EXPECT_FALSE(without_dac_rights([&] { return prepare_state_dir(state, owner).ok(); }));
}

TEST(StateDirectory, ForeignContentIsLeftAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "capability root: needs a directory of another user";
  const test::Scratch scratch;
  std::filesystem::create_directories(scratch / "etc/content");
  ::chmod((scratch / "etc").c_str(), 0755);
  const Status refused = prepare_state_dir(scratch / "etc", {65534, 65534, "nobody"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("run chown -R 65534 "));
  EXPECT_EQ(mode_of(scratch / "etc"), 0755U);
  EXPECT_EQ(info_of(scratch / "etc").st_uid, 0U);
}

TEST(AdminSocket, IsPrivateReplacedWhenStaleAndRemovedAtTheEnd) {
  const test::Scratch scratch;
  const auto lock = InstanceLock::acquire(scratch / "run");
  ASSERT_TRUE(lock);
  const std::string path = scratch / "run/ctl.sock";
  {
    const auto admin = AdminSocket::create(*lock, "no-such-group");
    ASSERT_TRUE(admin) << admin.error().message();
    EXPECT_EQ(mode_of(path), 0600U);
    // Another file at the path, as a killed daemon leaves one.
    const auto again = AdminSocket::create(*lock, "no-such-group");
    ASSERT_TRUE(again);
    const Fd client(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_TRUE(Fd(::accept(again->fd(), nullptr, nullptr)).valid());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(AdminSocket, GroupMayUseIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "capability root: gives a file to a group";
  const test::Scratch scratch;
  const auto lock = InstanceLock::acquire(scratch / "run");
  ASSERT_TRUE(lock);
  const auto admin = AdminSocket::create(*lock, "daemon");
  ASSERT_TRUE(admin);
  EXPECT_EQ(mode_of(scratch / "run/ctl.sock"), 0660U);
  EXPECT_EQ(info_of(scratch / "run/ctl.sock").st_gid, 1U);  // daemon, on every Debian
}

TEST(AdminSocket, RefusesAFileThatIsNoSocketAndALongPath) {
  const test::Scratch scratch;
  const auto lock = InstanceLock::acquire(scratch / "run");
  ASSERT_TRUE(lock);
  std::ofstream(scratch / "run/ctl.sock") << "precious";
  EXPECT_FALSE(AdminSocket::create(*lock));
  EXPECT_EQ(test::read_text(scratch / "run/ctl.sock"), "precious");
  const auto deep = InstanceLock::acquire(scratch / std::string(120, 'd'));
  ASSERT_TRUE(deep);
  const auto refused = AdminSocket::create(*deep);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("shorter --run"));
}

TEST(RelayUser, NamesNumbersAndRefusals) {
  if (::geteuid() != 0) {
    EXPECT_EQ(resolve_relay_user("")->uid, ::geteuid());
    EXPECT_EQ(resolve_relay_user("root").error().code(), Code::kDenied);
    GTEST_SKIP() << "capability root: becomes other users";
  }
  EXPECT_EQ(resolve_relay_user("daemon")->uid, 1U);
  EXPECT_EQ(resolve_relay_user("54321")->uid, 54321U);
  EXPECT_EQ(resolve_relay_user("54321")->gid, 54321U);
  EXPECT_EQ(resolve_relay_user("root").error().code(), Code::kInvalid);
  EXPECT_EQ(resolve_relay_user("0").error().code(), Code::kInvalid);
  const auto unknown = resolve_relay_user("no\nsuch");
  EXPECT_EQ(unknown.error().code(), Code::kNotFound);
  EXPECT_THAT(unknown.error().message(), HasSubstr("there is no user 'no\\x0asuch'"));
  EXPECT_FALSE(resolve_relay_user("-1"));
  EXPECT_FALSE(resolve_relay_user("4294967295"));
  const passwd* netferry = ::getpwnam("netferry");
  const uid_t expected = netferry != nullptr ? netferry->pw_uid : 65534;
  EXPECT_EQ(resolve_relay_user("")->uid, expected);
}

TEST(Notify, SendsOneDatagramOrNothing) {
  const test::Scratch scratch;
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify_service_manager("READY=1"));
  const Fd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = scratch / "notify";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  EXPECT_TRUE(notify_service_manager("READY=1"));
  char text[32] = {};
  EXPECT_EQ(::recv(manager.get(), text, sizeof text, 0), 7);
  EXPECT_STREQ(text, "READY=1");
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(notify_service_manager("READY=1"));
  ::setenv("NOTIFY_SOCKET", (scratch / "nobody").c_str(), 1);
  EXPECT_FALSE(notify_service_manager("READY=1"));
  ::unsetenv("NOTIFY_SOCKET");
}

TEST(RelayEnvironment, KeepsOnlyWhatIsListed) {
  const char* const environment[] = {"LD_PRELOAD=/tmp/x.so",
                                     "NOTIFY_SOCKET=/run/n",
                                     "NETFERRY_LOG=debug",
                                     "PATH=/tmp",
                                     "LC_ALL=C.UTF-8",
                                     "TZ=UTC",
                                     "LISTEN_FDS=3",
                                     "LANG=C",
                                     "OPENSSL_CONF=/tmp/o",
                                     "TZDIR=/tmp",
                                     nullptr};
  EXPECT_THAT(relay_environment(environment), ElementsAre("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NETFERRY_LOG=debug",
                                                          "LC_ALL=C.UTF-8", "TZ=UTC", "LANG=C"));
}

TEST(RestartDelay, GrowsAndStartsAgainAfterAHealthyLife) {
  RestartDelay delay({Millis(0), Millis(200), Millis(1000), Millis(2000)}, Millis(10'000));
  EXPECT_EQ(delay.after_death(Millis(20'000)), Millis(0));
  EXPECT_EQ(delay.after_death(Millis(5)), Millis(200));
  EXPECT_EQ(delay.after_death(Millis(9'999)), Millis(1000));
  EXPECT_EQ(delay.after_death(Millis(5)), Millis(2000));
  EXPECT_EQ(delay.after_death(Millis(5)), Millis(2000));
  EXPECT_EQ(delay.after_death(Millis(10'000)), Millis(0));
  EXPECT_EQ(delay.after_death(Millis(5)), Millis(200));
}

}  // namespace
}  // namespace nfr::holder
