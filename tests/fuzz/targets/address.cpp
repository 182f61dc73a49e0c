// SPDX-License-Identifier: GPL-2.0-only
// Addresses, ports, endpoints, networks, targets and public endpoints as text. What was accepted prints as text that
// means the same.
#include "net/address.hpp"

#include "core/nouns.hpp"
#include "fuzz/target.hpp"

namespace {

template <class T>
void round_trip(const nfr::Result<T>& parsed) {
  if (!parsed) return NFR_HOLDS(nfr::fuzz::printable(parsed.error().message()));
  const std::string text = parsed->text();
  NFR_HOLDS(nfr::fuzz::printable(text));
  const auto again = T::parse(text);
  NFR_HOLDS(again.ok() && *again == *parsed);
}

void endpoint(const nfr::net::Endpoint& endpoint) {
  NFR_HOLDS(endpoint.port.value != 0);
  sockaddr_storage storage{};
  NFR_HOLDS(endpoint.to_sockaddr(storage) <= sizeof storage);
  NFR_HOLDS(nfr::net::Endpoint::from_sockaddr(storage) == endpoint);
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  round_trip(net::IpAddress::parse(input));
  round_trip(net::Network::parse(input));
  round_trip(core::Target::parse(input));
  const auto parsed = net::Endpoint::parse(input);
  round_trip(parsed);
  if (parsed) endpoint(*parsed);
  if (const auto port = net::parse_port(input)) NFR_HOLDS(net::parse_port(std::to_string(port->value)).ok());
  if (const auto address = net::IpAddress::parse(input)) {
    const auto network = net::Network::parse(input);
    NFR_HOLDS(network && network->contains(*address));
  }
  const auto published = core::PublicPorts::parse(input);
  if (parsed || published) NFR_HOLDS(printable(input));
  if (!published) return NFR_HOLDS(printable(published.error().message()));
  const auto again = core::PublicPorts::parse(published->text());
  NFR_HOLDS(again && *again == *published);
}
