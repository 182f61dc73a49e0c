// SPDX-License-Identifier: GPL-2.0-only
#include "store/rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace nfr::store {
namespace {

std::int64_t to_unix_ms(WallTime time) { return std::chrono::floor<Millis>(time).time_since_epoch().count(); }

/// Clamped to what WallTime holds (the year 2262), so that no value in the file can overflow.
WallTime from_unix_ms(std::int64_t unix_ms) {
  constexpr std::int64_t kMaxMs = std::chrono::duration_cast<Millis>(WallTime::duration::max()).count();
  return WallTime(Millis(std::clamp(unix_ms, -kMaxMs, kMaxMs)));
}

void bind_digest(Statement& statement, const std::optional<core::Digest>& digest) {
  if (digest) {
    statement.bind(std::span<const std::byte>(*digest));
  } else {
    statement.bind_null();
  }
}

std::optional<core::Digest> read_digest(const Statement& row, int column) {
  const auto blob = row.blob(column);
  core::Digest digest{};
  if (blob.size() != digest.size()) return std::nullopt;  // NULL; any other size is refused by a CHECK
  std::copy(blob.begin(), blob.end(), digest.begin());
  return digest;
}

// Lists are one text, comma-separated: they are read whole and never searched.
template <class Item>
std::string list_text(const std::vector<Item>& items) {
  std::vector<std::string> texts;
  for (const Item& item : items) texts.push_back(item.text());
  return fmt::format("{}", fmt::join(texts, ","));
}

template <class Item>
Result<std::vector<Item>> parse_list(std::string_view text) {
  std::vector<Item> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    auto item = Item::parse(text.substr(0, comma));
    if (!item) return item.error();
    items.push_back(std::move(*item));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::uint32_t limit(const Statement& row, int column) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(row.integer(column), 0, UINT32_MAX));
}

Status read_admission(const Statement& row, int column, core::Admission& out) {
  auto allow = parse_list<net::Network>(row.text(column));
  if (!allow) return allow.error().context("allow list");
  auto deny = parse_list<net::Network>(row.text(column + 1));
  if (!deny) return deny.error().context("deny list");
  out = {std::move(*allow), std::move(*deny), limit(row, column + 2), limit(row, column + 3), limit(row, column + 4)};
  return {};
}

}  // namespace

void bind_agent(Statement& statement, const core::AgentRecord& record) {
  statement.bind(std::string_view(record.name));
  bind_digest(statement, record.key);
  bind_digest(statement, record.token_hash);
  statement.bind(to_unix_ms(record.token_expires));
  statement.bind(std::int64_t{record.revoked});
  statement.bind(std::string_view(list_text(record.rights.ports)));
  statement.bind(std::int64_t{record.rights.automatic});
  statement.bind(std::int64_t{record.rights.mappings_max});
  statement.bind(std::int64_t{record.rights.flows_max});
  statement.bind(to_unix_ms(record.created));
  if (record.id) statement.bind(static_cast<std::int64_t>(record.id.value));
}

Result<core::AgentRecord> read_agent(const Statement& row) {
  core::AgentRecord record;
  record.id.value = static_cast<std::uint64_t>(row.integer(0));
  record.name = row.text(1);
  record.key = read_digest(row, 2);
  record.token_hash = read_digest(row, 3);
  record.token_expires = from_unix_ms(row.integer(4));
  record.revoked = row.integer(5) != 0;
  auto ports = parse_list<core::PortRange>(row.text(6));
  if (!ports) return ports.error().context("ports");
  record.rights = {std::move(*ports), row.integer(7) != 0, limit(row, 8), limit(row, 9)};
  record.created = from_unix_ms(row.integer(10));
  return record;
}

void bind_mapping(Statement& statement, const core::Mapping& mapping) {
  const core::Admission& admission = mapping.admission;
  statement.bind(std::string_view(mapping.public_ports.text()));
  statement.bind(static_cast<std::int64_t>(mapping.agent.value));
  statement.bind(std::string_view(mapping.target.text()));
  mapping.leg ? statement.bind(core::leg_name(*mapping.leg)) : statement.bind_null();
  statement.bind(std::int64_t{mapping.idle_timeout.count()});
  statement.bind(core::proxy_header_name(mapping.proxy));
  statement.bind(std::string_view(list_text(admission.allow)));
  statement.bind(std::string_view(list_text(admission.deny)));
  statement.bind(std::int64_t{admission.flows_max});
  statement.bind(std::int64_t{admission.flows_per_source_max});
  statement.bind(std::int64_t{admission.rate_per_source});
  statement.bind(std::string_view(mapping.origin == core::Origin::kAgent ? "agent" : "operator"));
  statement.bind(std::int64_t{mapping.automatic});
  mapping.expires ? statement.bind(to_unix_ms(*mapping.expires)) : statement.bind_null();
  statement.bind(to_unix_ms(mapping.created));
  if (mapping.id) statement.bind(static_cast<std::int64_t>(mapping.id.value));
}

Result<core::Mapping> read_mapping(const Statement& row) {
  const auto ports = core::PublicPorts::parse(row.text(1));
  if (!ports) return ports.error();
  auto target = core::Target::parse(row.text(3));
  if (!target) return target.error();
  core::Mapping mapping;
  mapping.id.value = static_cast<std::uint64_t>(row.integer(0));
  mapping.public_ports = *ports;
  mapping.agent.value = static_cast<std::uint64_t>(row.integer(2));
  mapping.target = std::move(*target);
  if (!row.is_null(4)) mapping.leg = row.text(4) == "tls" ? core::Leg::kTls : core::Leg::kPlain;
  mapping.idle_timeout = Millis(row.integer(5));
  const auto proxy = core::parse_proxy_header(row.text(6));
  if (!proxy) return proxy.error();
  mapping.proxy = *proxy;
  if (auto status = read_admission(row, 7, mapping.admission); !status) return status.error();
  mapping.origin = row.text(12) == "agent" ? core::Origin::kAgent : core::Origin::kOperator;
  mapping.automatic = row.integer(13) != 0;
  if (!row.is_null(14)) mapping.expires = from_unix_ms(row.integer(14));
  mapping.created = from_unix_ms(row.integer(15));
  return mapping;
}

core::PortMemory read_memory(const Statement& row) {
  return {core::AgentId{static_cast<std::uint64_t>(row.integer(0))}, row.text(1),
          net::Port{static_cast<std::uint16_t>(row.integer(2))}};
}

}  // namespace nfr::store
