// SPDX-License-Identifier: GPL-2.0-only
// Records for the store tests: an agent and a mapping with every field set to something that is not its default.
#pragma once

#include <string>

#include "core/nouns.hpp"

namespace nfr::store {

inline core::Digest digest_of(unsigned char first) {
  core::Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::byte>(first + i);
  return digest;
}

inline WallTime at_ms(std::int64_t unix_ms) { return WallTime(Millis(unix_ms)); }

inline core::AgentRecord sample_agent(const std::string& name) {
  core::AgentRecord record;
  record.name = name;
  record.key = digest_of(0);
  record.token_hash = digest_of(200);
  record.token_expires = at_ms(1'700'086'400'123);
  record.revoked = true;
  record.rights = {{*core::PortRange::parse("8000-8999"), *core::PortRange::parse("22")}, false, 7, 500};
  record.created = at_ms(1'700'000'000'123);
  return record;
}

inline core::Mapping sample_mapping(core::AgentId agent, const std::string& public_endpoint) {
  core::Mapping mapping;
  mapping.public_ports = *core::PublicPorts::parse(public_endpoint);
  mapping.agent = agent;
  mapping.target = *core::Target::parse("[2001:db8::7]:3306");
  mapping.leg = core::Leg::kTls;
  mapping.idle_timeout = Millis(90'000);
  mapping.proxy = core::ProxyHeader::kV2;
  mapping.admission = {{*net::Network::parse("10.0.0.0/8"), *net::Network::parse("2001:db8::/32")},
                       {*net::Network::parse("10.1.0.0/16")},
                       100,
                       10,
                       5};
  mapping.origin = core::Origin::kAgent;
  mapping.automatic = true;
  mapping.expires = at_ms(1'700'007'200'789);
  mapping.created = at_ms(1'700'000'000'456);
  return mapping;
}

}  // namespace nfr::store
