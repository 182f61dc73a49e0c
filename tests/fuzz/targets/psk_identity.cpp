// SPDX-License-Identifier: GPL-2.0-only
// TLS PSK identity of a channel: text of a stranger, read before any key is known. One spelling for each channel.
#include "fuzz/target.hpp"
#include "proto/preface.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto name = proto::parse_psk_identity(input);
  if (!name) return NFR_HOLDS(printable(name.error().message()));
  NFR_HOLDS(proto::psk_identity(name->session, name->number) == input);
}
