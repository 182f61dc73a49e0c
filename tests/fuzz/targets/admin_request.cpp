// SPDX-License-Identifier: GPL-2.0-only
// Bytes on the control socket: split into lines, each a request or an error that goes back as one line.
#include "admin/line_buffer.hpp"
#include "admin/message.hpp"
#include "fuzz/target.hpp"
#include "nfr/admin/admin.h"

namespace {

void one_line(const std::string& line) {
  using namespace nfr;
  const admin::ParsedRequest parsed = admin::parse_request(line);
  if (!parsed.request) {
    NFR_HOLDS(fuzz::printable(parsed.request.error().message()));
    const std::string answer = admin::encode_answer(parsed.id, parsed.request.error());
    NFR_HOLDS(answer.find('\n') == answer.size() - 1);
    NFR_HOLDS(admin::parse_answer(std::string_view(answer).substr(0, answer.size() - 1)).ok());
    return;
  }
  const std::string encoded = admin::encode_request(*parsed.request);
  NFR_HOLDS(encoded.find('\n') == encoded.size() - 1);
  const auto again = admin::parse_request(std::string_view(encoded).substr(0, encoded.size() - 1));
  NFR_HOLDS(again.request.ok() && again.id == parsed.id);
  NFR_HOLDS(again.request->cmd == parsed.request->cmd && again.request->args == parsed.request->args);
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  admin::LineBuffer buffer(NFR_ADMIN_REQUEST_MAX);
  std::size_t consumed = 0;
  for (std::size_t at = 0; at < input.size();) {
    // Pieces of uneven size, decided by the bytes themselves.
    const std::size_t piece = std::min<std::size_t>(input.size() - at, 1 + static_cast<unsigned char>(input[at]) % 61);
    buffer.append(input.substr(at, piece));
    at += piece;
    while (const auto line = buffer.next()) {
      NFR_HOLDS(*line == input.substr(consumed, line->size()) && line->find('\n') == std::string::npos);
      consumed += line->size() + 1;
      one_line(*line);
    }
  }
  NFR_HOLDS(buffer.size() == input.size() - consumed);
}
