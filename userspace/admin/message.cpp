// SPDX-License-Identifier: GPL-2.0-only
#include "admin/message.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "nfr/admin/admin.h"

namespace nfr::admin {
namespace {

using nlohmann::json;

// Copying and destroying a JSON value recurse, so depth is bounded before the parser sees the text.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > NFR_ADMIN_DEPTH_MAX) return true;
  }
  return false;
}

Error invalid(std::string message) { return Error(Code::kInvalid, std::move(message)); }

Result<json> parse_object(std::string_view line) {
  if (too_deep(line)) return invalid(fmt::format("JSON nested deeper than {} levels", NFR_ADMIN_DEPTH_MAX));
  json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return invalid(fmt::format("not JSON: '{}'", escape(line, 60)));
  if (!parsed.is_object()) return invalid(fmt::format("not a JSON object: '{}'", escape(line, 60)));
  return parsed;
}

std::optional<std::uint64_t> read_id(const json& object) {
  const auto id = object.find("id");
  if (id == object.end() || !id->is_number_unsigned()) return std::nullopt;
  return id->get<std::uint64_t>();
}

Status check_version(const json& object) {
  const auto version = object.find("v");
  if (version == object.end()) return invalid("\"v\" is missing: this is version 1 of the admin API");
  if (version->is_number_unsigned() && version->get<std::uint64_t>() == NFR_ADMIN_VERSION) return {};
  return invalid(fmt::format("version {} of the admin API is not spoken here, only {}",
                             escape(version->dump(-1, ' ', true), 30), NFR_ADMIN_VERSION));
}

Result<Request> read_request(const json& object) {
  if (const Status version = check_version(object); !version) return version.error();
  const auto id = read_id(object);
  if (!id) return invalid("\"id\" must be a whole number from 0 on");
  const auto cmd = object.find("cmd");
  if (cmd == object.end() || !cmd->is_string()) return invalid("\"cmd\" must be a string, such as \"status\"");
  Request request{*id, cmd->get<std::string>(), json::object()};
  const auto args = object.find("args");
  if (args == object.end()) return request;
  if (!args->is_object()) return invalid("\"args\" must be an object");
  request.args = *args;
  return request;
}

std::string one_line(const json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace) + "\n";
}

}  // namespace

ParsedRequest parse_request(std::string_view line) {
  const Result<json> object = parse_object(line);
  if (!object) return {std::nullopt, object.error()};
  return {read_id(*object), read_request(*object)};
}

Result<Answer> parse_answer(std::string_view line) {
  const Result<json> object = parse_object(line);
  if (!object) return Error(Code::kProtocol, object.error().message()).context("answer");
  if (const Status version = check_version(*object); !version) {
    return Error(Code::kProtocol, version.error().message()).context("answer");
  }
  Answer answer;
  answer.id = read_id(*object);
  const auto ok = object->find("ok");
  if (ok != object->end() && ok->is_boolean() && ok->get<bool>()) {
    const auto result = object->find("result");
    if (result == object->end()) return Error(Code::kProtocol, "answer: \"result\" is missing");
    answer.result = *result;
    return answer;
  }
  const auto error = object->find("error");
  if (error == object->end() || !error->is_object()) return Error(Code::kProtocol, "answer: neither result nor error");
  const auto text = [&](const char* key) {
    const auto value = error->find(key);
    return value != error->end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  answer.code = text("code");
  answer.error = Error(code_from_name(answer.code), text("message"));
  return answer;
}

std::string encode_request(const Request& request) {
  return one_line({{"v", NFR_ADMIN_VERSION}, {"id", request.id}, {"cmd", request.cmd}, {"args", request.args}});
}

std::string encode_answer(std::optional<std::uint64_t> id, const Result<json>& outcome) {
  json answer = {{"v", NFR_ADMIN_VERSION}, {"id", nullptr}, {"ok", outcome.ok()}};
  if (id) answer["id"] = *id;
  if (outcome.ok()) {
    answer["result"] = *outcome;
  } else {
    answer["error"] = {{"code", code_name(outcome.error().code())}, {"message", outcome.error().message()}};
  }
  return one_line(answer);
}

Code code_from_name(std::string_view name) {
  for (const Code code : {Code::kInvalid, Code::kNotFound, Code::kExists, Code::kDenied, Code::kUnavailable,
                          Code::kTimeout, Code::kExhausted, Code::kProtocol, Code::kSystem}) {
    if (code_name(code) == name) return code;
  }
  return Code::kSystem;
}

}  // namespace nfr::admin
