// SPDX-License-Identifier: GPL-2.0-only
// The head of a proxy's answer to CONNECT. The same bytes in any pieces give the same: nothing until the head is whole,
// and then one answer that more bytes do not change, or an error that can be printed.
#include "proto/http_connect.hpp"

#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto whole = proto::parse_connect_answer(input);
  if (!whole) {
    NFR_HOLDS(whole.error().code() == Code::kProtocol);
    return NFR_HOLDS(printable(whole.error().message()));
  }
  if (!*whole) return NFR_HOLDS(input.size() < proto::kConnectHeadMax);
  NFR_HOLDS((*whole)->status >= 100 && (*whole)->status <= 599);
  NFR_HOLDS((*whole)->bytes <= input.size() && (*whole)->bytes <= proto::kConnectHeadMax);
  const auto exact = proto::parse_connect_answer(input.substr(0, (*whole)->bytes));
  NFR_HOLDS(exact.ok() && *exact && (*exact)->status == (*whole)->status && (*exact)->reason == (*whole)->reason);
  const auto shorter = proto::parse_connect_answer(input.substr(0, (*whole)->bytes - 1));
  NFR_HOLDS(shorter.ok() && !*shorter);
}
