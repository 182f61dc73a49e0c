// SPDX-License-Identifier: GPL-2.0-only
// Requests and answers of the admin API as values, and their one-line JSON form (docs/admin-api.md).
// Pure; used by the server on the control thread and by the client. Does not know what a command means.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nfr::admin {

struct Request {
  std::uint64_t id = 0;
  std::string cmd;
  nlohmann::json args = nlohmann::json::object();
};

/// What a line held: a request, or why it is none. `id` is there as soon as it could be read, for the answer.
struct ParsedRequest {
  std::optional<std::uint64_t> id;
  Result<Request> request;
};

/// What the other side answered. `error` set: it refused, and `code` is the name it gave (newer ones included).
struct Answer {
  std::optional<std::uint64_t> id;
  nlohmann::json result;
  std::string code;
  std::optional<Error> error;
};

ParsedRequest parse_request(std::string_view line);
Result<Answer> parse_answer(std::string_view line);  ///< kProtocol when the line is no answer of this version

/// One line with its newline. Text that is not UTF-8 is replaced, never thrown over.
std::string encode_request(const Request& request);
std::string encode_answer(std::optional<std::uint64_t> id, const Result<nlohmann::json>& outcome);

/// The code of a name; kSystem for one this version does not know.
Code code_from_name(std::string_view name);

}  // namespace nfr::admin
