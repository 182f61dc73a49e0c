// SPDX-License-Identifier: GPL-2.0-only
// A packet from the holder to the relay process.
#include <cstring>

#include "fuzz/target.hpp"
#include "holder/message.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto reply = holder::check_reply(as_bytes(input));
  if (!reply) return NFR_HOLDS(printable(reply.error().message()));
  if (reply->status == 0) return;
  const holder::OpenFailure failure = holder::failure_of(*reply);
  NFR_HOLDS(code_name(failure.code) != "unknown");
  NFR_HOLDS(printable(failure.owner));
  const holder::Reply again = holder::make_reply(reply->request_id, failure);
  NFR_HOLDS(again.status == reply->status && again.os_errno == reply->os_errno);
  NFR_HOLDS(holder::check_reply(std::as_bytes(std::span(&again, 1))).ok());
}
