// SPDX-License-Identifier: GPL-2.0-only
// Arguments of admin requests: each member missing, of another type, and at its limits.
#include "relayd/arguments.hpp"

#include <gtest/gtest.h>

namespace nfr::relayd {
namespace {

using nlohmann::json;

const json kGood = {{"public", "8888"}, {"agent", "client1"}, {"target", "3306"}};

json with(const char* key, json value) {
  json args = kGood;
  args[key] = std::move(value);
  return args;
}

core::Mapping mapping_of(const json& args) {
  const auto request = map_request(args, WallTime{});
  EXPECT_TRUE(request) << args << ": " << (request ? "" : request.error().message());
  return request ? request->mapping : core::Mapping{};
}

TEST(MapRequest, TakesWhatNfctlSends) {
  const auto request = map_request(kGood, WallTime{});
  ASSERT_TRUE(request) << request.error().message();
  EXPECT_EQ(request->mapping.public_ports.text(), "8888/tcp");
  EXPECT_EQ(request->agent, "client1");
  EXPECT_EQ(request->mapping.target.text(), "127.0.0.1:3306");
  EXPECT_FALSE(request->mapping.leg);
  EXPECT_FALSE(request->mapping.expires);
  EXPECT_EQ(request->mapping.idle_timeout, Millis{0});
  EXPECT_EQ(mapping_of(with("leg", "tls")).leg, core::Leg::kTls);
  EXPECT_EQ(mapping_of(with("idle_timeout_ms", 1000)).idle_timeout, Millis{1000});
  EXPECT_EQ(mapping_of(with("idle_timeout_ms", 2'592'000'000)).idle_timeout, Millis{2'592'000'000});
  EXPECT_EQ(mapping_of(with("proxy", "v2")).proxy, core::ProxyHeader::kV2);
  EXPECT_EQ(mapping_of(with("for_ms", 7'200'000)).expires, WallTime{Millis{7'200'000}});
  EXPECT_TRUE(mapping_of(with("public", "auto")).public_ports.automatic());
}

TEST(MapRequest, TakesWhoMayVisit) {
  json args = with("allow", json::array({"10.0.0.0/8", "2001:db8::/32", "10.0.0.0/8"}));
  args["deny"] = json::array({"10.1.2.3"});
  args["max_flows"] = 100;
  args["max_per_source"] = 5;
  args["rate"] = 10;
  const core::Admission admission = mapping_of(args).admission;
  EXPECT_EQ(admission.allow.size(), 2u);
  ASSERT_EQ(admission.deny.size(), 1u);
  EXPECT_EQ(admission.deny[0].text(), "10.1.2.3/32");
  EXPECT_EQ(admission.flows_max, 100u);
  EXPECT_EQ(admission.flows_per_source_max, 5u);
  EXPECT_EQ(admission.rate_per_source, 10u);
}

TEST(MapRequest, NamesWhatIsWrong) {
  const std::pair<json, const char*> cases[] = {
      {json::object(), "'' is not a port"},
      {with("public", 8888), "'' is not a port"},
      {with("public", "70000"), "'70000' is not a port from 1 to 65535"},
      {with("public", "1.2.3.4:"), "public endpoint"},
      {with("public", "9-8"), "write the lower port first"},
      {with("public", "8888/udp"), "UDP is not supported yet"},
      {with("target", nullptr), "'' is not a port"},
      {with("target", "192.168.1.300:80"), "this is no address and no name"},
      {with("target", "::1:80"), "an IPv6 address stands in brackets"},
      {with("target", "unix:run/app.sock"), "the socket's path must be absolute"},
      {with("target", "0.0.0.0:80"), "no machine has this address"},
      {with("target", "\x1b[2J"), "'\\x1b[2J"},
      {with("leg", "wg"), "leg 'wg': expected plain or tls"},
      {with("leg", 5), "leg '': expected plain or tls"},
      {with("proxy", "v3"), "PROXY protocol 'v3': expected v1, v2 or none"},
      {with("allow", "10.0.0.0/8"), "allow: expected a list of networks"},
      {with("deny", json::array({"10.0.0.1/8"})), "has bits set beyond its prefix length"},
      {with("rate", -1), "rate -1: expected a whole number from 0 to 1000000"},
      {with("max_flows", "many"), "max_flows \"many\": expected a whole number"},
      {with("for_ms", 999), "--for 999 ms: expected 1 s to 10 years"},
      {with("idle_timeout_ms", 999), "idle timeout 999 ms: expected 0 (never) or 1 s to 30 d"},
      {with("idle_timeout_ms", -1), "idle timeout -1 ms"},
      {with("idle_timeout_ms", 2'592'000'001), "idle timeout 2592000001 ms"},
      {with("idle_timeout_ms", UINT64_MAX), "idle timeout 18446744073709551615 ms"},
      {with("idle_timeout_ms", 1.5), "idle timeout 1.5 ms"},
      {with("idle_timeout_ms", "10m"), "idle timeout \"10m\" ms"},
  };
  for (const auto& [args, reason] : cases) {
    const auto request = map_request(args, WallTime{});
    ASSERT_FALSE(request) << args;
    EXPECT_EQ(request.error().code(), Code::kInvalid);
    EXPECT_NE(request.error().message().find(reason), std::string::npos) << request.error().message();
  }
}

TEST(ApplyRequests, NameTheEntryAtFault) {
  EXPECT_TRUE(apply_requests({{"mappings", json::array()}}));
  EXPECT_EQ(apply_requests({{"mappings", json::array({kGood, with("public", "auto")})}})->size(), 2u);
  const auto failed = apply_requests({{"mappings", json::array({kGood, with("target", "x")})}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message().rfind("mapping 2: ", 0), 0u) << failed.error().message();
  EXPECT_FALSE(apply_requests(json::object()));
  EXPECT_FALSE(apply_requests({{"mappings", json::array({1})}}));
  EXPECT_FALSE(apply_requests({{"mappings", json::array({with("for_ms", 5000)})}}));
}

TEST(AdmissionChange, AddsClearsAndKeepsTheRest) {
  core::Admission before;
  before.allow = {*net::Network::parse("10.0.0.0/8")};
  before.flows_max = 7;
  auto after = admission_change({{"allow_add", json::array({"192.0.2.0/24"})}, {"rate", 3}}, before);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->allow.size(), 2u);
  EXPECT_EQ(after->flows_max, 7u);
  EXPECT_EQ(after->rate_per_source, 3u);
  after =
      admission_change({{"allow_clear", true}, {"allow_add", json::array({"192.0.2.7"})}, {"max_flows", 0}}, before);
  ASSERT_TRUE(after);
  ASSERT_EQ(after->allow.size(), 1u);
  EXPECT_EQ(after->allow[0].text(), "192.0.2.7/32");
  EXPECT_EQ(after->flows_max, 0u);
}

TEST(RightsChange, ReadsPortLists) {
  auto rights = rights_change({{"ports", "8000-8999,22,auto"}, {"max_mappings", 20}, {"max_flows", 500}}, {});
  ASSERT_TRUE(rights);
  EXPECT_EQ(rights->ports.size(), 2u);
  EXPECT_TRUE(rights->automatic);
  EXPECT_EQ(rights->mappings_max, 20u);
  EXPECT_EQ(rights->flows_max, 500u);
  rights = rights_change({{"ports", "none"}}, *rights);
  ASSERT_TRUE(rights);
  EXPECT_TRUE(rights->ports.empty());
  EXPECT_FALSE(rights->automatic);
  EXPECT_EQ(rights->mappings_max, 20u);
  for (const char* bad : {"", "8000-", "auto,", "7,,8", "65536"})
    EXPECT_FALSE(rights_change({{"ports", bad}}, {})) << bad;
  EXPECT_FALSE(rights_change({{"max_mappings", 65}}, {}));
}

TEST(Arguments, OnlyTheRightTypeCounts) {
  const json args = {{"text", "x"}, {"true", true}, {"one", 1}, {"word", "true"}, {"list", {1}}};
  EXPECT_EQ(text_argument(args, "text"), "x");
  EXPECT_EQ(text_argument(args, "one"), "");
  EXPECT_EQ(text_argument(args, "none"), "");
  EXPECT_TRUE(flag_argument(args, "true"));
  for (const char* name : {"one", "word", "list", "none"}) EXPECT_FALSE(flag_argument(args, name)) << name;
}

}  // namespace
}  // namespace nfr::relayd
