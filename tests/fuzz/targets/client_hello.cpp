// SPDX-License-Identifier: GPL-2.0-only
// What the relay reads of a ClientHello before OpenSSL acts on it: the head and three extensions.
#include <string>

#include "fuzz/target.hpp"
#include "tls/hello.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const std::span bytes(reinterpret_cast<const unsigned char*>(input.data()), input.size());
  const auto head = bytes.first(std::min(bytes.size(), tls::kHelloHeadBytes));
  // What is plausible stays so for each of its beginnings: bytes may arrive one by one.
  if (tls::plausible_hello_head(head)) {
    for (std::size_t size = 0; size < head.size(); ++size) NFR_HOLDS(tls::plausible_hello_head(head.first(size)));
  }
  const auto count = tls::count_alpn(bytes, "nf/1");
  if (count) NFR_HOLDS(*count * 5 + 2 <= bytes.size());
  tls::has_usable_share(bytes);
  if (const auto identity = tls::only_psk_identity(bytes)) {
    NFR_HOLDS(!identity->empty() && input.find(*identity) != std::string_view::npos);
  }
}
