// SPDX-License-Identifier: GPL-2.0-only
// Addresses, ports, endpoints and networks: what is accepted, what it prints as, what is refused and how.
#include "net/address.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace nfr::net {
namespace {

std::string error_of(const auto& result) { return result ? "(accepted)" : result.error().message(); }

TEST(Port, OneToSixtyFiveThousand) {
  EXPECT_EQ(parse_port("1")->value, 1);
  EXPECT_EQ(parse_port("65535")->value, 65535);
  for (const char* bad : {"", "0", "65536", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x10", "1.0", "http"}) {
    EXPECT_EQ(error_of(parse_port(bad)), std::string("'") + bad + "' is not a port from 1 to 65535");
  }
  EXPECT_NE(error_of(parse_port("1\n")).find("'1\\x0a'"), std::string::npos);
}

TEST(IpAddress, PrintsTheCanonicalForm) {
  const std::pair<const char*, const char*> cases[] = {{"203.0.113.5", "203.0.113.5"},
                                                       {"0.0.0.0", "0.0.0.0"},
                                                       {"2001:DB8:0:0::1", "2001:db8::1"},
                                                       {"::", "::"},
                                                       {"::1", "::1"},
                                                       {"::ffff:10.0.0.1", "10.0.0.1"},
                                                       {"::FFFF:a00:1", "10.0.0.1"},
                                                       {"64:ff9b::10.0.0.1", "64:ff9b::a00:1"}};
  for (const auto& [text, printed] : cases) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), printed);
    EXPECT_EQ(*IpAddress::parse(address->text()), *address);
  }
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "[::1]", "fe80::1%eth0",
                          ":::", "1::2::3", "localhost", "12345::"}) {
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8))) << "a zero byte is no end";
  EXPECT_FALSE(IpAddress::parse(std::string_view("::1\0x", 5)));
  EXPECT_EQ(error_of(IpAddress::parse("\x1b[31m")), "'\\x1b[31m' is not an IP address");
}

TEST(IpAddress, MappedIsTheSameAsIpv4) {
  std::array<std::uint8_t, 16> mapped{};
  mapped[10] = mapped[11] = 0xFF;
  mapped[12] = 192;
  mapped[15] = 1;
  EXPECT_EQ(IpAddress::v6(mapped), IpAddress::v4(0xC0000001));
  EXPECT_TRUE(IpAddress::v6(mapped).is_v4());
  EXPECT_NE(*IpAddress::parse("::192.0.0.1"), IpAddress::v4(0xC0000001)) << "compatible is not mapped";
}

TEST(IpAddress, Kinds) {
  const auto is = [](const char* text, auto question) { return (*IpAddress::parse(text).operator->().*question)(); };
  for (const char* text : {"0.0.0.0", "::"}) EXPECT_TRUE(is(text, &IpAddress::is_wildcard)) << text;
  for (const char* text : {"0.0.0.1", "::1"}) EXPECT_FALSE(is(text, &IpAddress::is_wildcard)) << text;
  for (const char* text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is(text, &IpAddress::is_loopback)) << text;
  }
  for (const char* text : {"128.0.0.1", "::2", "1::1"}) EXPECT_FALSE(is(text, &IpAddress::is_loopback)) << text;
  for (const char* text : {"169.254.0.0", "169.254.169.254", "fe80::1", "febf::1"}) {
    EXPECT_TRUE(is(text, &IpAddress::is_link_local)) << text;
  }
  for (const char* text : {"169.253.1.1", "fec0::1", "fe00::1"}) {
    EXPECT_FALSE(is(text, &IpAddress::is_link_local)) << text;
  }
  for (const char* text :
       {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.1.1", "fd00::1"}) {
    EXPECT_TRUE(is(text, &IpAddress::is_private)) << text;
  }
  for (const char* text :
       {"11.0.0.1", "172.15.1.1", "172.32.0.1", "192.169.0.1", "100.63.1.1", "100.128.0.1", "fe00::1", "2001:db8::1"}) {
    EXPECT_FALSE(is(text, &IpAddress::is_private)) << text;
  }
  for (const char* text : {"224.0.0.1", "239.255.255.255", "ff02::1"}) {
    EXPECT_TRUE(is(text, &IpAddress::is_multicast)) << text;
  }
  for (const char* text : {"223.1.1.1", "240.0.0.1", "fe00::1"})
    EXPECT_FALSE(is(text, &IpAddress::is_multicast)) << text;
}

TEST(Endpoint, RoundTrips) {
  for (const char* text : {"203.0.113.5:7707", "0.0.0.0:1", "[2001:db8::1]:65535", "[::]:80"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text << error_of(endpoint);
    EXPECT_EQ(endpoint->text(), text);
  }
  EXPECT_EQ(Endpoint::parse("[::ffff:10.0.0.1]:80")->text(), "10.0.0.1:80");
}

TEST(Endpoint, RefusalsSayWhatIsMissing) {
  EXPECT_EQ(error_of(Endpoint::parse("8888")), "'8888' is not ADDRESS:PORT");
  EXPECT_EQ(error_of(Endpoint::parse("2001:db8::1:80")), "IPv6 needs brackets: [2001:db8::1]:80");
  EXPECT_EQ(error_of(Endpoint::parse("host:80")), "'host' is not an IP address");
  EXPECT_EQ(error_of(Endpoint::parse("1.2.3.4:")), "'' is not a port from 1 to 65535");
  EXPECT_EQ(error_of(Endpoint::parse("1.2.3.4:0")), "'0' is not a port from 1 to 65535");
  for (const char* bad : {"", ":", ":80", "[]:80", "[::1]", "[::1:80", "::1]:80", "[[::1]]:80", "[::1] :80"}) {
    EXPECT_FALSE(Endpoint::parse(bad)) << bad;
  }
  EXPECT_FALSE(Endpoint::parse(std::string_view("1.2.3.4\0x:80", 12)));
}

TEST(Endpoint, SockaddrRoundTrip) {
  for (const char* text : {"203.0.113.5:7707", "[2001:db8::1]:1"}) {
    const Endpoint endpoint = *Endpoint::parse(text);
    sockaddr_storage storage;
    std::memset(&storage, 0xAA, sizeof storage);
    const socklen_t length = endpoint.to_sockaddr(storage);
    EXPECT_EQ(length, endpoint.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    EXPECT_EQ(storage.ss_family, endpoint.address.is_v4() ? AF_INET : AF_INET6);
    EXPECT_EQ(Endpoint::from_sockaddr(storage), endpoint);
  }
}

TEST(Endpoint, SockaddrsOfADualSocketAndOfStrangeFamilies) {
  sockaddr_storage storage{};
  auto& six = reinterpret_cast<sockaddr_in6&>(storage);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(80);
  six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xFF;
  six.sin6_addr.s6_addr[12] = 10;
  six.sin6_addr.s6_addr[15] = 1;
  EXPECT_EQ(Endpoint::from_sockaddr(storage).text(), "10.0.0.1:80");
  storage.ss_family = AF_UNIX;
  EXPECT_EQ(Endpoint::from_sockaddr(storage), Endpoint{});
}

TEST(Network, ContainsExactlyItsAddresses) {
  const auto contains = [](const char* network, const char* address) {
    return Network::parse(network)->contains(*IpAddress::parse(address));
  };
  EXPECT_TRUE(contains("192.168.1.0/24", "192.168.1.255"));
  EXPECT_FALSE(contains("192.168.1.0/24", "192.168.2.0"));
  EXPECT_TRUE(contains("192.168.0.0/23", "192.168.1.1"));
  EXPECT_TRUE(contains("10.0.0.1", "10.0.0.1"));
  EXPECT_FALSE(contains("10.0.0.1", "10.0.0.2"));
  EXPECT_TRUE(contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_TRUE(contains("fd00::/8", "fdff::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe00::1"));
  EXPECT_TRUE(contains("2001:db8::/127", "2001:db8::1"));
  EXPECT_FALSE(contains("2001:db8::/127", "2001:db8::2"));
  EXPECT_FALSE(contains("::/0", "10.0.0.1")) << "families stay apart";
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_TRUE(contains("10.0.0.0/8", "::ffff:10.1.2.3")) << "one rule matches both spellings";
}

TEST(Network, EveryPrefixLengthEndsWhereItShould) {
  for (unsigned bits = 1; bits <= 32; ++bits) {
    const IpAddress inside = IpAddress::v4(0x80000000);
    const auto network = Network::parse("128.0.0.0/" + std::to_string(bits));
    ASSERT_TRUE(network) << bits;
    EXPECT_TRUE(network->contains(inside));
    const std::uint32_t beyond = 0x80000000 ^ (1U << (32 - bits));
    EXPECT_FALSE(network->contains(IpAddress::v4(beyond))) << bits;
    const std::uint32_t last = bits == 32 ? 0x80000000 : 0x80000000 | ((1U << (32 - bits)) - 1);
    EXPECT_TRUE(network->contains(IpAddress::v4(last))) << bits;
  }
}

TEST(Network, ContainsNetworks) {
  const auto within = [](const char* outer, const char* inner) {
    return Network::parse(outer)->contains(*Network::parse(inner));
  };
  EXPECT_TRUE(within("10.0.0.0/8", "10.1.0.0/16"));
  EXPECT_TRUE(within("10.0.0.0/8", "10.0.0.0/8"));
  EXPECT_FALSE(within("10.1.0.0/16", "10.0.0.0/8"));
  EXPECT_FALSE(within("::/0", "10.0.0.0/8"));
}

TEST(Network, MappedPrefixesCountTheirNinetySixBits) {
  EXPECT_EQ(Network::parse("::ffff:10.0.0.0/104")->text(), "10.0.0.0/8");
  EXPECT_EQ(Network::parse("::ffff:0.0.0.0/96")->text(), "0.0.0.0/0");
  EXPECT_EQ(Network::parse("::ffff:10.0.0.1")->text(), "10.0.0.1/32");
  EXPECT_FALSE(Network::parse("::ffff:10.0.0.0/8")) << "would be most of IPv6 by one reading, 10/8 by another";
}

TEST(Network, RefusalsSayWhy) {
  EXPECT_EQ(error_of(Network::parse("10.0.0.1/8")), "'10.0.0.1/8' has bits set beyond its prefix length");
  EXPECT_EQ(error_of(Network::parse("lan")), "'lan' is not a network such as 192.168.1.0/24");
  EXPECT_EQ(error_of(Network::parse("10.0.0.0/33")),
            "prefix length of '10.0.0.0/33': '33' is not a number from 0 to 32");
  for (const char* bad : {"10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "::/129", "10.0.0.0/ 8"}) {
    EXPECT_FALSE(Network::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace nfr::net
