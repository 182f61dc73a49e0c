// SPDX-License-Identifier: GPL-2.0-only
// One JSON message of a session. What was accepted encodes to a message of the same kind and text again.
#include "fuzz/target.hpp"
#include "nfr/wire/wire.h"
#include "proto/message.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto message = proto::decode(input);
  if (!message) return NFR_HOLDS(printable(message.error().message()));
  const std::string text = proto::encode(*message);
  NFR_HOLDS(text.size() <= NFR_MESSAGE_MAX);
  const auto again = proto::decode(text);
  NFR_HOLDS(again.ok());
  NFR_HOLDS(again->index() == message->index());
  NFR_HOLDS(proto::encode(*again) == text);
}
