// SPDX-License-Identifier: GPL-2.0-only
// The HTTP proxy as people write it, and for whom NO_PROXY switches it off.
#include "config/proxy_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "config/agent_config.hpp"

namespace nfr::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Variable variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found != values.end() ? std::optional(found->second) : std::nullopt;
  };
}

TEST(ProxyServer, EveryForm) {
  EXPECT_EQ(*parse_proxy("http://proxy.corp:3128"), (ProxyServer{"proxy.corp", net::Port{3128}, "", ""}));
  EXPECT_EQ(*parse_proxy("Proxy.Corp:3128"), (ProxyServer{"proxy.corp", net::Port{3128}, "", ""}));
  EXPECT_EQ(*parse_proxy("HTTP://10.0.0.1:80/"), (ProxyServer{"10.0.0.1", net::Port{80}, "", ""}));
  EXPECT_EQ(parse_proxy("http://[fd00::1]:80")->text(), "[fd00::1]:80");
  EXPECT_EQ(*parse_proxy("http://user:p%40ss%3A@p:1"), (ProxyServer{"p", net::Port{1}, "user", "p@ss:"}));
  EXPECT_EQ(*parse_proxy("http://user:a@b@p:1"), (ProxyServer{"p", net::Port{1}, "user", "a@b"}));
  EXPECT_EQ(parse_proxy("http://user@p:1")->user, "user");
}

TEST(ProxyServer, NoErrorRepeatsTheSecret) {
  for (const char* text :
       {"https://u:hunter2@p:1", "socks5://u:hunter2@p:1", "http://u:hunter2@p", "http://u:hunter2@p:0",
        "http://u:hunter2%@p:1", "http://u:hunter2%0a@p:1", "http://:hunter2@p:1", "http://u:hunter2@:1",
        "http://u:hunter2@a b:1", "http://u:hunter2@::1:1", "http://u:hunter2@[p]:1", ""}) {
    const auto proxy = parse_proxy(text);
    ASSERT_FALSE(proxy) << text;
    EXPECT_THAT(proxy.error().message(), AllOf(HasSubstr("expected http://"), Not(HasSubstr("hunter2")))) << text;
  }
}

TEST(ProxyServer, NoProxyLists) {
  const auto names = [](const char* list, const char* host) { return no_proxy_names(list, host, net::Port{7707}); };
  EXPECT_TRUE(names("*", "relay.example"));
  EXPECT_TRUE(names("a.b, relay.example", "relay.example"));
  EXPECT_TRUE(names("example", "relay.example"));
  EXPECT_TRUE(names(".EXAMPLE", "Relay.example"));
  EXPECT_FALSE(names("ample", "relay.example"));
  EXPECT_TRUE(names("relay.example:7707", "relay.example"));
  EXPECT_FALSE(names("relay.example:443", "relay.example"));
  EXPECT_TRUE(names("10.0.0.0/8", "10.1.2.3"));
  EXPECT_FALSE(names("10.0.0.0/8", "11.1.2.3"));
  EXPECT_TRUE(names("fd00::/8", "fd00::5"));
  EXPECT_TRUE(names("[fd00::5]:7707", "fd00::5"));
  EXPECT_FALSE(names("", "relay.example"));
  EXPECT_FALSE(names(", ,[", "relay.example"));
}

TEST(ProxyServer, FromTheEnvironment) {
  EXPECT_FALSE(*proxy_of_environment(variables({{"HTTPS_PROXY", ""}, {"HTTP_PROXY", "http://x:1"}})));
  EXPECT_EQ((*proxy_of_environment(variables({{"HTTPS_PROXY", "http://up:1"}})))->host, "up");
  EXPECT_EQ((*proxy_of_environment(variables({{"HTTPS_PROXY", "http://up:1"}, {"https_proxy", "low:1"}})))->host,
            "low");
  EXPECT_THAT(proxy_of_environment(variables({{"https_proxy", "ftp://x"}})).error().message(),
              HasSubstr("https_proxy"));
  EXPECT_EQ(no_proxy_of_environment(variables({{"NO_PROXY", "a"}, {"no_proxy", "b"}})), "b");
}

TEST(AgentMappings, TablesAreRead) {
  const auto config = parse_agent_config(R"(
    proxy = "http://u:p@proxy.corp:3128"
    [[mapping]]
    public = 8888
    target = "3306"
    [[mapping]]
    public = "auto"
    target = "unix:/run/app.sock"
    leg = "tls"
    proxy = "v2"
  )",
                                         "agent.toml");
  ASSERT_TRUE(config) << config.error().message();
  ASSERT_EQ(config->mappings.size(), 2U);
  EXPECT_EQ(config->mappings[0].ports.text(), "8888/tcp");
  EXPECT_EQ(config->mappings[0].leg, std::nullopt);
  EXPECT_EQ(config->mappings[1].leg, core::Leg::kTls);
  EXPECT_EQ(config->mappings[1].proxy, core::ProxyHeader::kV2);
  EXPECT_EQ(config->proxy->password, "p");
  EXPECT_TRUE(parse_agent_config("proxy = \"none\"", "f")->proxy_none);
}

TEST(AgentMappings, MistakesAreNamedAtTheirLine) {
  const auto mistake = [](const char* text) {
    const auto config = parse_agent_config(text, "agent.toml");
    return config ? std::string("accepted") : config.error().message();
  };
  EXPECT_THAT(mistake("[[mapping]]\npublic = \"99999\"\ntarget = \"22\""),
              HasSubstr("agent.toml, line 2: public = '99999'"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = 80\ntarget = \"x\""), HasSubstr("line 3: target = 'x'"));
  EXPECT_THAT(mistake("\n[[mapping]]\npublic = 80"), HasSubstr("line 2: 'target' is missing"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = 80\ntarget = 22\ntaget = 1"),
              HasSubstr("line 4: unknown key 'taget'; did you mean 'target'?"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = \"80-81\"\ntarget = 22"), HasSubstr("has 2 port(s)"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = 80\ntarget = 1\n[[mapping]]\npublic = \"79-80\"\ntarget = \"1-2\""),
              HasSubstr("line 5: public: 80/tcp and 79-80/tcp of two tables overlap"));
  EXPECT_THAT(mistake("[mapping]\npublic = 80"), HasSubstr("line 1: mapping = a table: expected tables, [[mapping]]"));
  EXPECT_THAT(mistake("mapping = 5"), HasSubstr("expected tables"));
  EXPECT_THAT(mistake("mapping = []"), HasSubstr("accepted"));
  EXPECT_THAT(mistake("[[mapping]]\npublic = 80\ntarget = 1\nleg = \"x\""), HasSubstr("line 4"));
  EXPECT_THAT(mistake("proxy = \"https://u:hunter2@p:1\""),
              AllOf(HasSubstr("line 1: proxy: "), Not(HasSubstr("hunter2"))));
}

}  // namespace
}  // namespace nfr::config
