// SPDX-License-Identifier: GPL-2.0-only
// describe(): the sentences people read when a port cannot be opened. Pure; the same text with and without holder.
#include <fmt/format.h>

#include <cerrno>

#include "holder/listener_source.hpp"

namespace nfr::holder {

Error describe(const net::Endpoint& endpoint, const OpenFailure& failure) {
  const unsigned port = endpoint.port.value;
  const auto say = [&](Code code, std::string text) { return Error(code, std::move(text)); };
  switch (failure.os_errno) {
    case EADDRINUSE:
      return say(Code::kExists, fmt::format("port {} is in use by {}", port,
                                            failure.owner.empty() ? "another program" : failure.owner));
    case EADDRNOTAVAIL:
      return say(Code::kInvalid, fmt::format("{} is not an address of this machine (see `ip address`)",
                                             endpoint.address.text()));
    case EACCES:
    case EPERM:
      return say(Code::kDenied, fmt::format("port {} needs root or CAP_NET_BIND_SERVICE; take one above 1023", port));
    case EMFILE:
    case ENFILE:
      return say(Code::kExhausted, fmt::format("no descriptors left to open {}: raise LimitNOFILE of the service or "
                                               "unmap something",
                                               endpoint.text()));
    case 0: break;
    default: return Error::system(fmt::format("opening {}", endpoint.text()), failure.os_errno);
  }
  if (failure.code == Code::kExists) {
    return say(Code::kExists, fmt::format("port {} is open in this relay already ({})", port, failure.owner));
  }
  return say(failure.code, fmt::format("opening {}: the holder answered {}", endpoint.text(), code_name(failure.code)));
}

}  // namespace nfr::holder
