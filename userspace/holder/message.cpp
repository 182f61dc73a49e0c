// SPDX-License-Identifier: GPL-2.0-only
#include "holder/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"

namespace nfr::holder {
namespace {

constexpr auto kLastCode = static_cast<std::uint32_t>(Code::kSystem);

Error bad(std::string_view field, std::uint64_t value) {
  return {Code::kProtocol, fmt::format("holder message: {} {} is not valid", field, value)};
}

bool all_zero(std::span<const std::uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

Result<net::Endpoint> check_endpoint(const Request& request) {
  if (request.port == 0) return bad("port", 0);
  const std::span address(request.address);
  if (request.family == 6) return net::Endpoint{net::IpAddress::v6(request.address), net::Port{request.port}};
  if (request.family != 4) return bad("address family", request.family);
  if (!all_zero(address.subspan(4))) return bad("byte after an IPv4 address in family", 4);
  std::uint32_t host_order = 0;
  for (const std::uint8_t byte : address.first(4)) host_order = host_order << 8 | byte;
  return net::Endpoint{net::IpAddress::v4(host_order), net::Port{request.port}};
}

Status check_no_endpoint(const Request& request) {
  if (request.family != 0) return bad("address family", request.family);
  if (request.port != 0) return bad("port", request.port);
  if (!all_zero(request.address)) return bad("address without a family in message", request.type);
  return {};
}

Status check_open(const Request& request, CheckedRequest& checked) {
  checked.kind = static_cast<ListenerKind>(request.kind);
  checked.count = request.count;
  if (request.kind < 1 || request.kind > 3) return bad("listener kind", request.kind);
  const bool admin = checked.kind == ListenerKind::kAdmin;
  if (request.count < 1 || request.count > (admin ? 1 : kSocketCountMax)) return bad("socket count", request.count);
  if (admin) return check_no_endpoint(request);
  const auto endpoint = check_endpoint(request);
  if (!endpoint) return endpoint.error();
  checked.endpoint = *endpoint;
  return {};
}

Status check_close(const Request& request, CheckedRequest& checked) {
  if (request.kind != 0) return bad("listener kind", request.kind);
  if (request.count != 0) return bad("socket count", request.count);
  const auto endpoint = check_endpoint(request);
  if (!endpoint) return endpoint.error();
  checked.endpoint = *endpoint;
  return {};
}

Status check_plain(const Request& request) {
  if (request.kind != 0) return bad("listener kind", request.kind);
  if (request.count != 0) return bad("socket count", request.count);
  return check_no_endpoint(request);
}

Status check_fields(const Request& request, CheckedRequest& checked) {
  switch (checked.type) {
    case RequestType::kOpenListeners: return check_open(request, checked);
    case RequestType::kCloseListeners: return check_close(request, checked);
    case RequestType::kRetainDone:
    case RequestType::kReady: return check_plain(request);
  }
  return bad("type", request.type);
}

void put_endpoint(Request& request, const net::Endpoint& endpoint) {
  request.family = endpoint.address.is_v4() ? 4 : 6;
  request.port = endpoint.port.value;
  request.address = endpoint.address.bytes();
}

}  // namespace

Result<CheckedRequest> check_request(std::span<const std::byte> packet) {
  if (packet.size() != sizeof(Request)) return bad("size", packet.size());
  Request request;
  std::memcpy(&request, packet.data(), sizeof request);
  if (request.magic != kMessageMagic) return bad("magic", request.magic);
  if (request.request_id == 0) return bad("request id", 0);
  CheckedRequest checked;
  checked.type = static_cast<RequestType>(request.type);
  checked.request_id = request.request_id;
  if (const Status status = check_fields(request, checked); !status) return status.error();
  return checked;
}

std::uint64_t request_id_of(std::span<const std::byte> packet) {
  Request request;
  if (packet.size() != sizeof request) return 0;
  std::memcpy(&request, packet.data(), sizeof request);
  return request.magic == kMessageMagic ? request.request_id : 0;
}

Result<Reply> check_reply(std::span<const std::byte> packet) {
  if (packet.size() != sizeof(Reply)) return bad("reply size", packet.size());
  Reply reply;
  std::memcpy(&reply, packet.data(), sizeof reply);
  if (reply.magic != kMessageMagic) return bad("reply magic", reply.magic);
  if (reply.status > kLastCode + 1) return bad("reply status", reply.status);
  if (reply.fd_count > kSocketCountMax) return bad("reply descriptor count", reply.fd_count);
  if (reply.owner.back() != '\0') return bad("reply text of length", reply.owner.size());
  return reply;
}

Request make_request(RequestType type, std::uint64_t request_id) {
  Request request;
  request.type = static_cast<std::uint32_t>(type);
  request.request_id = request_id;
  return request;
}

Request make_open(std::uint64_t request_id, const net::Endpoint& endpoint, ListenerKind kind, unsigned count) {
  Request request = make_request(RequestType::kOpenListeners, request_id);
  request.kind = static_cast<std::uint8_t>(kind);
  request.count = count;
  if (kind != ListenerKind::kAdmin) put_endpoint(request, endpoint);
  return request;
}

Request make_close(std::uint64_t request_id, const net::Endpoint& endpoint) {
  Request request = make_request(RequestType::kCloseListeners, request_id);
  put_endpoint(request, endpoint);
  return request;
}

Reply make_reply(std::uint64_t request_id) {
  Reply reply;
  reply.request_id = request_id;
  return reply;
}

Reply make_reply(std::uint64_t request_id, const OpenFailure& failure) {
  Reply reply = make_reply(request_id);
  reply.status = static_cast<std::uint32_t>(failure.code) + 1;
  reply.os_errno = failure.os_errno;
  // A cut owner keeps its start; escape() before this made every byte printable, so a cut cannot break a line.
  const std::size_t length = std::min(failure.owner.size(), reply.owner.size() - 1);
  std::memcpy(reply.owner.data(), failure.owner.data(), length);
  return reply;
}

OpenFailure failure_of(const Reply& reply) {
  NFR_ASSERT(reply.status != 0);
  return {static_cast<Code>(reply.status - 1), reply.os_errno, escape(reply.owner.data(), reply.owner.size())};
}

}  // namespace nfr::holder
