// SPDX-License-Identifier: GPL-2.0-only
// relay.toml: every key, every range at both edges, and what each mistake is told.
#include "config/relay_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

RelayConfig good(std::string_view text) {
  const auto config = parse_relay_config(text, "relay.toml");
  EXPECT_TRUE(config) << config.error().message();
  return config ? *config : RelayConfig{};
}

std::string mistake(std::string_view text) {
  const auto config = parse_relay_config(text, "relay.toml");
  EXPECT_FALSE(config) << "accepted: " << text;
  if (config) return "";
  EXPECT_EQ(config.error().code(), Code::kInvalid);
  return config.error().message();
}

TEST(RelayConfig, EmptyFileIsAllDefaults) {
  const RelayConfig config = good("");
  ASSERT_EQ(config.listen.size(), 1u);
  EXPECT_TRUE(config.listen[0].address.is_wildcard());
  EXPECT_EQ(config.listen[0].port.value, 7707);
  EXPECT_TRUE(config.public_hosts.empty());
  EXPECT_FALSE(config.user);
  EXPECT_EQ(config.heartbeat, Millis(5000));
  EXPECT_EQ(config.open_timeout, Millis(10'000));
  EXPECT_EQ(config.agent_grace, Millis(3000));
  EXPECT_EQ(config.handshake_timeout, Millis(5000));
  EXPECT_EQ(config.limits.handshake_count_max, 256u);
  EXPECT_EQ(config.limits.flow_count_max, 200'000u);
  EXPECT_EQ(config.limits.pool_count_max, 512u);
  EXPECT_EQ(config.pool_age, Millis(60'000));
  EXPECT_FALSE(config.paths.state_dir || config.paths.run_dir || config.paths.bpffs_dir || config.paths.socket);
}

TEST(RelayConfig, EveryKeyIsRead) {
  const RelayConfig config = good(R"(
    listen = ["192.0.2.1:7000", "[2001:db8::1]:7000", 7001]
    public = ["203.0.113.5", "2001:DB8:0::5", "relay.example.com"]
    user = "netferry"
    workers = 3
    heartbeat_ms = 250
    handshake_timeout_ms = 300
    open_timeout_ms = 400
    agent_grace_ms = 0
    pool_age_ms = 2000
    state_dir = "/s"
    run_dir = "/r"
    bpffs_dir = "/b"
    socket = "/r/x.sock"
    [limits]
    handshake_count_max = 16
    flow_count_max = 1000
    pool_count_max = 0
  )");
  ASSERT_EQ(config.listen.size(), 3u);
  EXPECT_EQ(config.listen[0].text(), "192.0.2.1:7000");
  EXPECT_EQ(config.listen[1].text(), "[2001:db8::1]:7000");
  EXPECT_EQ(config.listen[2].text(), "0.0.0.0:7001");
  EXPECT_THAT(config.public_hosts, ElementsAre("203.0.113.5", "2001:db8::5", "relay.example.com"));
  EXPECT_EQ(config.user, "netferry");
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.heartbeat, Millis(250));
  EXPECT_EQ(config.handshake_timeout, Millis(300));
  EXPECT_EQ(config.open_timeout, Millis(400));
  EXPECT_EQ(config.agent_grace, Millis(0));
  EXPECT_EQ(config.paths.state_dir, "/s");
  EXPECT_EQ(config.paths.run_dir, "/r");
  EXPECT_EQ(config.paths.bpffs_dir, "/b");
  EXPECT_EQ(config.paths.socket, "/r/x.sock");
  EXPECT_EQ(config.limits.handshake_count_max, 16u);
  EXPECT_EQ(config.limits.flow_count_max, 1000u);
  EXPECT_EQ(config.limits.pool_count_max, 0u);
  EXPECT_EQ(config.pool_age, Millis(2000));
}

TEST(RelayConfig, ListenTakesOneValueToo) {
  EXPECT_EQ(good("listen = 7708").listen.at(0).port.value, 7708);
  EXPECT_EQ(good("listen = '7708'").listen.at(0).port.value, 7708);
  EXPECT_EQ(good("listen = '127.0.0.1:7708'").listen.at(0).text(), "127.0.0.1:7708");
  EXPECT_EQ(good("listen = '[::]:7708'").listen.at(0), good("listen = 7708").listen.at(0)) << "both families";
}

TEST(RelayConfig, WorkersFollowTheCoresUpToFour) {
  EXPECT_EQ(good("").worker_count(0), 1u);
  EXPECT_EQ(good("").worker_count(2), 2u);
  EXPECT_EQ(good("workers = 0").worker_count(64), 4u);
  EXPECT_EQ(good("workers = 64").worker_count(2), 64u);
}

TEST(RelayConfig, UnknownKeyNamesLineAndNearest) {
  EXPECT_EQ(mistake("workers = 2\n\nlisen = 7707\n"),
            "relay.toml, line 3: unknown key 'lisen'; did you mean 'listen'?");
  EXPECT_THAT(mistake("haertbeat_ms = 100"), HasSubstr("did you mean 'heartbeat_ms'?"));
  EXPECT_THAT(mistake("flow_count_max = 1"), HasSubstr("did you mean 'limits.flow_count_max'?"));
  EXPECT_THAT(mistake("[limits]\nflow_max = 1"), AllOf(HasSubstr("line 2"), HasSubstr("'limits.flow_max'")));
  EXPECT_THAT(mistake("[limit]\nflow_count_max = 1"), HasSubstr("line 1: unknown key 'limit'"));
  EXPECT_THAT(mistake("zzz = 1"),
              AllOf(HasSubstr("unknown key 'zzz'; the keys are listen, public"), Not(HasSubstr("mean"))));
  EXPECT_THAT(mistake("\"limits.flow_count_max\" = 1"), HasSubstr("unknown key 'limits.flow_count_max'"));
  EXPECT_THAT(mistake("[listen.deep]\nx = 1"), HasSubstr("listen = a table"));
  EXPECT_THAT(mistake("\"e\\u001b[2J\" = 1"), HasSubstr("unknown key 'e\\x1b[2J'"));
}

TEST(RelayConfig, WrongTypesNameValueAndExpectation) {
  EXPECT_EQ(mistake("workers = 'two'"), "relay.toml, line 1: workers = 'two': expected a whole number from 0 to 64");
  EXPECT_THAT(mistake("workers = 2.5"), HasSubstr("workers = 2.5: expected a whole number"));
  EXPECT_THAT(mistake("workers = true"), HasSubstr("workers = true"));
  EXPECT_THAT(mistake("workers = [1]"), HasSubstr("workers = an array"));
  EXPECT_THAT(mistake("workers = 1979-05-27"), HasSubstr("workers = a date or time"));
  EXPECT_THAT(mistake("user = 5"), HasSubstr("user = 5: expected a string in quotes"));
  EXPECT_THAT(mistake("public = [5]"), HasSubstr("public = 5: expected a string"));
  EXPECT_THAT(mistake("listen = [1.5]"), HasSubstr("listen = 1.5: expected a string in quotes, a port number"));
  EXPECT_THAT(mistake("limits = 5"), HasSubstr("limits = 5: expected a table, [limits]"));
  EXPECT_THAT(mistake("[[limits]]\nflow_count_max = 1"), HasSubstr("limits = an array: expected a table"));
}

struct Range {
  const char* key;
  std::int64_t min;
  std::int64_t max;
};

TEST(RelayConfig, RangesHoldAtBothEdges) {
  constexpr Range kRanges[] = {{"workers", 0, 64},
                               {"heartbeat_ms", 100, 60'000},
                               {"handshake_timeout_ms", 100, 60'000},
                               {"open_timeout_ms", 100, 120'000},
                               {"agent_grace_ms", 0, 60'000},
                               {"limits.handshake_count_max", 1, 65'536},
                               {"pool_age_ms", 1000, 600'000},
                               {"limits.pool_count_max", 0, 100'000},
                               {"limits.flow_count_max", 1, 10'000'000}};
  for (const auto& range : kRanges) {
    const std::string key = std::string(range.key) + " = ";
    good(key + std::to_string(range.min));
    good(key + std::to_string(range.max));
    const std::string expected = "from " + std::to_string(range.min) + " to " + std::to_string(range.max);
    EXPECT_THAT(mistake(key + std::to_string(range.min - 1)), HasSubstr(expected));
    EXPECT_THAT(mistake(key + std::to_string(range.max + 1)), HasSubstr(expected));
    EXPECT_THAT(mistake(key + "9223372036854775807"), HasSubstr("9223372036854775807: expected"));
  }
}

TEST(RelayConfig, ListenMistakes) {
  EXPECT_THAT(mistake("listen = []"), HasSubstr("listen: expected at least one"));
  EXPECT_THAT(mistake("listen = 0"), HasSubstr("listen = 0: expected a port"));
  EXPECT_THAT(mistake("listen = -1"), HasSubstr("listen = -1: expected a port"));
  EXPECT_THAT(mistake("listen = 65536"), HasSubstr("listen = 65536: expected a port"));
  EXPECT_THAT(mistake("listen = '1.2.3:7707'"), HasSubstr("'1.2.3' is not an IP address"));
  EXPECT_THAT(mistake("listen = '224.0.0.1:7707'"), HasSubstr("multicast"));
  EXPECT_THAT(mistake("listen = [\n 7707,\n '1.2.3.4:7707']"), AllOf(HasSubstr("line 3"), HasSubstr("is taken by")));
  EXPECT_THAT(mistake("listen = ['1.2.3.4:1', '1.2.3.4:1']"), HasSubstr("is taken by"));
  EXPECT_THAT(mistake("listen = [\n 'x'\n]"), AllOf(HasSubstr("line 2"), HasSubstr("listen = 'x'")));
}

TEST(RelayConfig, BackEndOfTheLoop) {
  EXPECT_EQ(good("").io, IoChoice::kAuto);
  EXPECT_EQ(good("io = 'epoll'").io, IoChoice::kEpoll);
  EXPECT_EQ(good("io = 'io_uring'").io, IoChoice::kUring);
  EXPECT_THAT(mistake("io = 'kqueue'"), HasSubstr("'kqueue': expected auto, io_uring or epoll"));
}

TEST(RelayConfig, PublicMistakes) {
  for (const char* host : {"", "300.1.2.3", "1.2.3", "a..b", "-a.example", "a-.example", "a_b", "host:80", "http://x",
                           "1.2.3.4:80", "[::1]", "a b", "a.", ".a", "123"}) {
    EXPECT_THAT(mistake("public = '" + std::string(host) + "'"), HasSubstr("expected an IP address or a DNS name"))
        << host;
  }
  EXPECT_THAT(mistake("public = '0.0.0.0'"), HasSubstr("nobody can connect"));
  EXPECT_THAT(mistake("public = 'ff02::1'"), HasSubstr("nobody can connect"));
  EXPECT_THAT(mistake("public = ['a.example', 'a.example']"), HasSubstr("listed twice"));
  EXPECT_THAT(mistake("public = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']"), HasSubstr("more than 8 entries"));
  EXPECT_EQ(good("public = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']").public_hosts.size(), 8u);
  const std::string label(63, 'a');
  EXPECT_EQ(good("public = '" + label + ".example'").public_hosts.size(), 1u);
  EXPECT_THAT(mistake("public = '" + label + "a.example'"), HasSubstr("DNS name"));
  const std::string longest = label + "." + label + "." + label + "." + std::string(48, 'b');
  EXPECT_EQ(good("public = '" + longest + "'").public_hosts.at(0).size(), 240u);
  EXPECT_THAT(mistake("public = '" + longest + "b'"), HasSubstr("DNS name"));
}

TEST(RelayConfig, UserIsNeverRoot) {
  EXPECT_EQ(good("user = '65534'").user, "65534");
  for (const char* user : {"root", "0", "00"}) {
    EXPECT_THAT(mistake("user = '" + std::string(user) + "'"), HasSubstr("must not be root"));
  }
  for (const char* user : {"", "-x", "a b", "a:b"}) {
    EXPECT_THAT(mistake("user = '" + std::string(user) + "'"), HasSubstr("expected a user name"));
  }
}

TEST(RelayConfig, PathsMustBeAbsolute) {
  for (const char* key : {"state_dir", "run_dir", "bpffs_dir", "socket"}) {
    EXPECT_THAT(mistake(std::string(key) + " = 'here'"),
                HasSubstr(std::string(key) + " = 'here': expected an absolute"));
    EXPECT_THAT(mistake(std::string(key) + " = \"/a\\u0000b\""), HasSubstr("expected an absolute"));
  }
}

TEST(RelayConfig, BrokenTomlNamesTheLine) {
  EXPECT_THAT(mistake("workers = 1\nlisten = [7707\nuser = 'x'\n"), HasSubstr("relay.toml, line 3"));
  EXPECT_THAT(mistake("workers = 1\nworkers = 2\n"), HasSubstr("relay.toml, line 2"));
  EXPECT_THAT(mistake("user = '\xff'"), HasSubstr("relay.toml, line 1"));
  EXPECT_THAT(mistake(std::string(5000, '[')), HasSubstr("relay.toml, line 1"));
}

TEST(RelayConfig, TheFirstOfSeveralMistakesIsShown) {
  const std::string text = mistake("lisen = 1\nworkers = 99\nuser = 'root'\n");
  EXPECT_THAT(text, AllOf(HasSubstr("line 1: unknown key 'lisen'"), HasSubstr("(2 more below it)")));
}

}  // namespace
}  // namespace nfr::config
