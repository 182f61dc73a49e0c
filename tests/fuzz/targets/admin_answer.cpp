// SPDX-License-Identifier: GPL-2.0-only
// One line that nfctl read from whatever listens on the socket it was given.
#include "admin/message.hpp"
#include "fuzz/target.hpp"

void nfr::fuzz::one_input(std::string_view input) {
  const auto answer = admin::parse_answer(input);
  if (!answer) return NFR_HOLDS(printable(answer.error().message()));
  const Result<nlohmann::json> outcome =
      answer->error ? Result<nlohmann::json>(*answer->error) : Result<nlohmann::json>(answer->result);
  const std::string encoded = admin::encode_answer(answer->id, outcome);
  const auto again = admin::parse_answer(std::string_view(encoded).substr(0, encoded.size() - 1));
  NFR_HOLDS(again.ok() && again->id == answer->id && again->result == answer->result);
  NFR_HOLDS(again->error.has_value() == answer->error.has_value());
  if (again->error) NFR_HOLDS(again->error->message() == answer->error->message());
}
