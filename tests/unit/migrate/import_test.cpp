// SPDX-License-Identifier: GPL-2.0-only
// Files of frp, rathole and port-proxy: what becomes a mapping, and that everything else is named with its line.
#include "migrate/import.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nfr::migrate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> mappings_of(const Imported& imported) {
  std::vector<std::string> out;
  for (const auto& [agent, mapping] : imported.mappings) {
    std::string line = fmt::format("{} -> {} {}", mapping.public_ports.text(), agent, mapping.target.text());
    if (mapping.leg) line += fmt::format(" leg {}", core::leg_name(*mapping.leg));
    if (mapping.proxy != core::ProxyHeader::kNone)
      line += fmt::format(" proxy {}", core::proxy_header_name(mapping.proxy));
    out.push_back(line);
  }
  return out;
}

std::vector<std::string> left_of(const Imported& imported) {
  std::vector<std::string> out;
  for (const Leftover& left : imported.leftovers) {
    EXPECT_FALSE(left.why.empty());
    out.push_back(fmt::format("{}:{} {}", left.file, left.line, left.setting));
  }
  return out;
}

Imported good(const std::vector<Source>& sources, std::optional<Format> format = std::nullopt) {
  auto imported = import_files(sources, format, "client1");
  EXPECT_TRUE(imported) << imported.error().message();
  return imported ? *imported : Imported{};
}

std::string why_of(const Imported& imported, const std::string& setting) {
  for (const Leftover& left : imported.leftovers) {
    if (left.setting == setting) return left.why;
  }
  return "not told";
}

const char* const kFrpc = R"(serverAddr = "203.0.113.5"
serverPort = 7000
user = "Home"
auth.method = "token"
auth.token = "secret"
transport.protocol = "quic"

[[proxies]]
name = "ssh"
type = "tcp"
localPort = 22
remotePort = 6000

[[proxies]]
name = "db"
type = "tcp"
localIP = "192.168.1.5"
localPort = 3306
transport.useEncryption = true
transport.useCompression = true
transport.bandwidthLimit = "1MB"
transport.proxyProtocolVersion = "v2"
healthCheck.type = "tcp"

[[proxies]]
name = "web"
type = "http"
localPort = 80

[[proxies]]
name = "dns"
type = "udp"
localPort = 53

[[proxies]]
name = "docker"
type = "tcp"
remotePort = 6001
[proxies.plugin]
type = "unix_domain_socket"
unixPath = "/var/run/docker.sock"

[[proxies]]
name = "socks"
type = "tcp"
remotePort = 6002
plugin.type = "socks5"

[[proxies]]
name = "six"
type = "tcp"
localIP = "::1"
localPort = 80
remotePort = 6003
annotations.owner = "me"

[[visitors]]
name = "secret"
type = "stcp"
)";

TEST(Frpc, ProxiesBecomeMappingsOfOneAgent) {
  const Imported imported = good({{"frpc.toml", kFrpc}});
  EXPECT_THAT(mappings_of(imported),
              ElementsAre("6000/tcp -> home 127.0.0.1:22", "auto -> home 192.168.1.5:3306 leg tls proxy v2",
                          "6001/tcp -> home unix:/var/run/docker.sock", "6003/tcp -> home [::1]:80"));
  EXPECT_THAT(imported.commands, ElementsAre("nfctl agent add home"));
}

TEST(Frpc, EverythingElseIsNamedWithItsLine) {
  const Imported imported = good({{"frpc.toml", kFrpc}});
  EXPECT_THAT(
      left_of(imported),
      ElementsAre("frpc.toml:1 serverAddr", "frpc.toml:2 serverPort", "frpc.toml:4 auth.method",
                  "frpc.toml:5 auth.token", "frpc.toml:6 transport.protocol",
                  "frpc.toml:20 proxies.db.transport.useCompression",
                  "frpc.toml:21 proxies.db.transport.bandwidthLimit", "frpc.toml:23 proxies.db.healthCheck.type",
                  "frpc.toml:25 proxies.web", "frpc.toml:30 proxies.dns", "frpc.toml:43 proxies.socks",
                  "frpc.toml:55 proxies.six.annotations.owner", "frpc.toml:57 visitors"));
  EXPECT_THAT(why_of(imported, "proxies.dns"), HasSubstr("type udp: UDP cannot be mapped yet"));
  EXPECT_THAT(why_of(imported, "proxies.web"), HasSubstr("type http: "));
  EXPECT_THAT(why_of(imported, "proxies.socks"), HasSubstr("plugin socks5: of frp's plugins only unix_domain_socket"));
  EXPECT_THAT(why_of(imported, "auth.token"), HasSubstr("key of their own"));
}

TEST(Frpc, TheOlderIniIsRead) {
  const Imported imported =
      good({{"frpc.ini",
             "; a comment\n[common]\nserver_addr = 203.0.113.5\ntoken = x\n\n[range:games]\n"
             "type = tcp\nlocal_port = 6000-6006\nremote_port = 6000-6006\nuse_encryption = true\n"
             "[web]\ntype = tcp\nlocal_port=80\nremote_port=81\nhealth_check_type = tcp\n"
             "[peer]\nrole = visitor\ntype = stcp\n[odd]\nlocal_port=1\nremote_port=6000\n"}});
  EXPECT_THAT(mappings_of(imported),
              ElementsAre("6000-6006/tcp -> client1 127.0.0.1:6000-6006 leg tls", "81/tcp -> client1 127.0.0.1:80"));
  EXPECT_THAT(left_of(imported),
              ElementsAre("frpc.ini:3 server_addr", "frpc.ini:4 token", "frpc.ini:15 proxies.web.health_check_type",
                          "frpc.ini:16 peer", ":0 6000/tcp -> 127.0.0.1:1"));
}

TEST(Frpc, NothingOfTheFileReachesTheTerminalAsItIs) {
  const Imported imported = good({{"frpc.ini", "[common]\nserver_addr = x\n[odd]\nplugin = \x1b[2J\n"}});
  EXPECT_THAT(why_of(imported, "proxies.odd"), HasSubstr(R"(plugin \x1b[2J: of frp's plugins)"));
}

TEST(Frps, WhatIsNoListOfPortsStaysOutOfTheCommand) {
  const Imported imported =
      good({{"frps.ini", "[common]\nbind_port = 7000\nallow_ports = 2000-3000,x; reboot,4000\n"}});
  EXPECT_THAT(imported.commands, Contains("nfctl agent set client1 --ports 2000-3000,4000"));
  EXPECT_THAT(why_of(imported, "allow_ports"), HasSubstr("no range of ports"));
}

TEST(Frps, PortsBecomeRights) {
  const Imported imported = good({{"frps.toml",
                                   "bindPort = 7000\nauth.token = 'x'\nmaxPortsPerClient = 5\n"
                                   "allowPorts = [{ start = 2000, end = 3000 }, { single = 3001 }, { start = 'x' }]\n"
                                   "vhostHTTPPort = 80\nmoon = 1\n"}});
  EXPECT_THAT(imported.mappings, IsEmpty());
  EXPECT_THAT(imported.commands, ElementsAre("nfctl agent add client1",
                                             "nfctl agent set client1 --ports 2000-3000,3001 --max-mappings 5"));
  EXPECT_THAT(left_of(imported), ElementsAre("frps.toml:1 bindPort", "frps.toml:2 auth.token", "frps.toml:4 allowPorts",
                                             "frps.toml:5 vhostHTTPPort", "frps.toml:6 moon"));
  EXPECT_EQ(why_of(imported, "moon"), "Netferry has no such setting");
  EXPECT_THAT(good({{"frps.ini", "[common]\nbind_port = 7000\nallow_ports = 2000-3000\n"}}).commands,
              ElementsAre("nfctl agent add client1", "nfctl agent set client1 --ports 2000-3000"));
}

const Source kRatholeClient = {
    "c.toml",
    "[client]\nremote_addr = 'example.com:2333'\ndefault_token = 'x'\n[client.services.ssh]\n"
    "local_addr = '127.0.0.1:22'\nnodelay = true\n[client.services.game]\ntype = 'udp'\n"
    "local_addr = '127.0.0.1:34254'\n[client.transport]\ntype = 'noise'\n"};
const Source kRatholeServer = {"s.toml",
                               "[server]\nbind_addr = '0.0.0.0:2333'\n[server.services.ssh]\ntoken = 'y'\n"
                               "bind_addr = '0.0.0.0:5202'\n[server.services.other]\nbind_addr = '192.0.2.1:5203'\n"};

TEST(Rathole, BothFilesAreJoinedByTheServicesName) {
  for (const auto& sources :
       {std::vector{kRatholeClient, kRatholeServer}, std::vector{kRatholeServer, kRatholeClient}}) {
    const Imported imported = good(sources);
    EXPECT_THAT(mappings_of(imported), ::testing::UnorderedElementsAre("5202/tcp -> client1 127.0.0.1:22",
                                                                       "192.0.2.1:5203/tcp -> client1 127.0.0.1:5203"));
    EXPECT_THAT(why_of(imported, "services.other"), HasSubstr("the same port of the agent is used"));
    EXPECT_THAT(why_of(imported, "client.services.game"), HasSubstr("type udp"));
    EXPECT_THAT(why_of(imported, "server.services.ssh.token"), HasSubstr("key of their own"));
    EXPECT_THAT(why_of(imported, "client.transport.type"), HasSubstr("transport"));
    EXPECT_EQ(imported.leftovers.size(), 8U);
  }
}

TEST(Rathole, OneFileAloneSaysWhatIsAssumed) {
  const Imported imported = good({kRatholeClient});
  EXPECT_THAT(mappings_of(imported), ElementsAre("auto -> client1 127.0.0.1:22"));
  EXPECT_THAT(why_of(imported, "services.ssh"), HasSubstr("the public port stands in the server's file"));
}

TEST(PortProxy, RemotesBecomeAgents) {
  const Imported imported = good({{"port-proxy.yaml",
                                   "remotes:\n  office:\n    - type: tcp\n      bind: 0.0.0.0:8888\n"
                                   "      remote: 127.0.0.1:3306\n    - type: http\n      bind: ':8080'\n"
                                   "      remote: 192.168.1.7:80\n    - {type: udp, bind: 53, remote: 53}\n"
                                   "    - {type: tcp, bind: x, remote: 53, colour: red}\n"
                                   "  \"Bad Name\":\n    - {bind: 1, remote: 2}\nlisten: 9015\n"}});
  EXPECT_THAT(mappings_of(imported),
              ElementsAre("8888/tcp -> office 127.0.0.1:3306", "8080/tcp -> office 192.168.1.7:80"));
  EXPECT_THAT(left_of(imported),
              ElementsAre("port-proxy.yaml:6 office[1].type", "port-proxy.yaml:9 office[2]",
                          "port-proxy.yaml:10 office[3]", "port-proxy.yaml:11 Bad Name", "port-proxy.yaml:13 listen"));
  EXPECT_THAT(why_of(imported, "office[1].type"), HasSubstr("Host header"));
}

TEST(PortProxy, RemotesMayStandAtTheTop) {
  const Imported imported =
      good({{"x", "a:\n  - {bind: 1000, remote: 2000}\nb:\n  - {type: tcp, bind: '1001', remote: ':2001'}\n"}},
           Format::kPortProxy);
  EXPECT_THAT(mappings_of(imported), ElementsAre("1000/tcp -> a 127.0.0.1:2000", "1001/tcp -> b 127.0.0.1:2001"));
  EXPECT_THAT(imported.commands, ElementsAre("nfctl agent add a", "nfctl agent add b"));
}

TEST(Import, BrokenFilesNameFileAndLine) {
  const std::pair<Source, const char*> cases[] = {
      {{"a.toml", "x = \n"}, "a.toml, line 1: "},
      {{"a.yaml", "x: [1\n"}, "a.yaml, line 2: "},
      {{"a.ini", "[common]\nbroken\n"}, "a.ini, line 2: 'broken': expected [section] or key = value"},
      {{"a.toml", "x = 1\n"}, "a.toml: this is none of the files known by their keys"}};
  for (const auto& [source, why] : cases) {
    const auto imported = import_files({source}, std::nullopt, "client1");
    ASSERT_FALSE(imported) << source.text;
    EXPECT_THAT(imported.error().message(), HasSubstr(why));
  }
}

TEST(Import, AliasesOfYamlDoNotExplode) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    std::string items;
    for (int j = 0; j < 10; ++j) items += fmt::format("{}*a{}", j == 0 ? "" : ", ", i - 1);
    bomb += fmt::format("a{}: &a{} [{}]\n", i, i, items);
  }
  const auto imported = import_files({{"bomb.yaml", bomb}}, std::nullopt, "client1");
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().message(), HasSubstr("bomb.yaml, line 1: more than"));
}

}  // namespace
}  // namespace nfr::migrate
