// SPDX-License-Identifier: GPL-2.0-only
// HTTP CONNECT as a client speaks it to a proxy (RFC 9110 9.3.6, RFC 9112): the request's bytes, and the head of the
// answer, read strictly and bounded. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nfr::proto {

/// The answer's head, its last empty line included, may have so many bytes.
inline constexpr std::size_t kConnectHeadMax = 8192;

/// `authority` is "HOST:PORT". `user` empty: no Proxy-Authorization. The bytes hold the password: never log them.
std::string encode_connect(std::string_view authority, std::string_view user, std::string_view password,
                           std::string_view software);

struct ConnectAnswer {
  unsigned status = 0;    ///< 100..599
  std::string reason;     ///< the proxy's words, raw: escape before showing
  std::size_t bytes = 0;  ///< of the head; what follows belongs to the tunnel
  bool accepted() const { return status >= 200 && status < 300; }
};

/// Nothing: the head is not complete yet. kProtocol: it will never be one, or has more than kConnectHeadMax bytes.
Result<std::optional<ConnectAnswer>> parse_connect_answer(std::string_view received);

}  // namespace nfr::proto
