// SPDX-License-Identifier: GPL-2.0-only
// nft_chains(): the JSON of `nft -j list ruleset` (libnftables-json(5)) as chains. What is not understood matches
// maybe.
#include <fmt/format.h>

#include <algorithm>

#include "nfctl/field.hpp"
#include "nfctl/packet_filter.hpp"

namespace nfr::nfctl {
namespace {

using Verdict = FilterRule::Verdict;

std::string text_of(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool seen_by(const std::string& family, const Knock& knock) {
  return family == "inet" || family == (knock.v6 ? "ip6" : "ip");
}

std::string chain_key(const json& object, const std::string& chain) {
  return fmt::format("{} {} {}", text_of(object, "family"), text_of(object, "table"), chain);
}

/// One port, {"range": [low, high]}, or {"set": [...]} of them.
Match ports_match(const json& right, const Knock& knock) {
  const auto port = [](const json& value) -> std::optional<std::uint16_t> {
    const bool good = value.is_number_unsigned() && value.get<std::uint64_t>() <= 65'535;
    return good ? std::optional(value.get<std::uint16_t>()) : std::nullopt;
  };
  if (const auto one = port(right)) return cover({net::Port{*one}, 1}, knock.ports);
  const json& range = list(right, "range");
  if (range.size() == 2) {
    const auto low = port(range[0]), high = port(range[1]);
    if (!low || !high || *low > *high) return Match::kMaybe;
    return cover({net::Port{*low}, static_cast<std::uint16_t>(*high - *low + 1)}, knock.ports);
  }
  Match match = member(right, "set").is_array() ? Match::kNo : Match::kMaybe;
  for (const json& item : list(right, "set")) match = either(match, ports_match(item, knock));
  return match;
}

/// Whether `right`, a word or a list or a set of words, has one of `words`.
Match words_match(const json& right, const std::vector<std::string>& words) {
  const json& items = right.is_array() ? right : list(right, "set");
  const auto good = [&](const json& item) {
    return item.is_string() && std::find(words.begin(), words.end(), item.get<std::string>()) != words.end();
  };
  if (right.is_string())
    return right.get<std::string>().starts_with("@") ? Match::kMaybe : good(right) ? Match::kYes : Match::kNo;
  if (items.empty()) return Match::kMaybe;
  return std::any_of(items.begin(), items.end(), good) ? Match::kYes : Match::kNo;
}

Match interface_match(const json& right) {
  // A stranger does not come over the loopback interface.
  return right == json("lo") ? Match::kNo : Match::kMaybe;
}

Match payload_match(const json& payload, const json& right, const Knock& knock, FilterRule& rule) {
  const std::string protocol = text_of(payload, "protocol");
  const std::string field = text_of(payload, "field");
  if (protocol == "tcp" || protocol == "th") return field == "dport" ? ports_match(right, knock) : Match::kMaybe;
  const bool other_family = protocol == (knock.v6 ? "ip" : "ip6");
  if (protocol == "udp" || protocol.starts_with("icmp") || protocol == "igmp" || other_family) return Match::kNo;
  if (field == "saddr") rule.by_source = true;
  if (field == "protocol" || field == "nexthdr") return words_match(right, {"tcp"});
  return Match::kMaybe;
}

Match meta_match(const std::string& key, const json& right, const Knock& knock) {
  if (key == "l4proto") return words_match(right, {"tcp"});
  if (key == "nfproto") return words_match(right, {knock.v6 ? "ipv6" : "ipv4"});
  if (key == "protocol") return words_match(right, {knock.v6 ? "ip6" : "ip"});
  if (key == "iifname" || key == "iif") return interface_match(right);
  return Match::kMaybe;
}

Match condition(const json& match, const Knock& knock, FilterRule& rule) {
  const json& left = member(match, "left");
  const json& right = member(match, "right");
  Match result = Match::kMaybe;
  if (const json& payload = member(left, "payload"); payload.is_object()) {
    result = payload_match(payload, right, knock, rule);
  } else if (const json& meta = member(left, "meta"); meta.is_object()) {
    result = meta_match(text_of(meta, "key"), right, knock);
  } else if (text_of(member(left, "ct"), "key") == "state") {
    result = words_match(right, {"new"});
  }
  return text_of(match, "op") == "!=" ? inverted(result) : result;
}

void read_statement(const std::string& kind, const json& body, const json& place, const Knock& knock,
                    FilterRule& rule) {
  static const std::map<std::string, Verdict> kVerdicts = {
      {"accept", Verdict::kAccept}, {"drop", Verdict::kDrop}, {"reject", Verdict::kDrop}, {"return", Verdict::kReturn},
      {"queue", Verdict::kEither},  {"jump", Verdict::kJump}, {"goto", Verdict::kGoto}};
  if (kind == "match") rule.match = both(rule.match, condition(body, knock, rule));
  if (kind == "xt") rule.match = both(rule.match, Match::kMaybe);
  // Of `limit rate over ...` and `ct count`: whether it is reached.
  if ((kind == "limit" && flag(body, "inv")) || kind == "ct count") rule.match = both(rule.match, Match::kMaybe);
  const auto verdict = kVerdicts.find(kind);
  if (verdict == kVerdicts.end()) return;
  rule.verdict = verdict->second;
  rule.chain = chain_key(place, text_of(body, "target"));
}

/// A verdict map: the verdict of the entry that matches; of one that may, unknown.
void read_vmap(const json& vmap, const json& place, const Knock& knock, FilterRule& rule) {
  const json& data = member(vmap, "data");
  if (!member(data, "set").is_array()) rule.verdict = Verdict::kEither;
  for (const json& entry : list(data, "set")) {
    if (!entry.is_array() || entry.size() != 2 || !entry[1].is_object()) continue;
    const Match match = condition({{"op", "=="}, {"left", member(vmap, "key")}, {"right", entry[0]}}, knock, rule);
    if (match == Match::kMaybe) rule.verdict = Verdict::kEither;
    if (match != Match::kYes) continue;
    for (const auto& [kind, body] : entry[1].items()) read_statement(kind, body, place, knock, rule);
    return;
  }
}

FilterRule read_rule(const json& rule, const Knock& knock) {
  FilterRule out;
  for (const json& statement : list(rule, "expr")) {
    if (!statement.is_object()) continue;
    for (const auto& [kind, body] : statement.items()) {
      if (kind == "vmap")
        read_vmap(body, rule, knock, out);
      else
        read_statement(kind, body, rule, knock, out);
    }
  }
  return out;
}

}  // namespace

Result<FilterChains> nft_chains(std::string_view output, const Knock& knock) {
  const json ruleset = json::parse(output, nullptr, false);
  if (!member(ruleset, "nftables").is_array()) return Error(Code::kInvalid, "nft -j list ruleset: not its JSON");
  FilterChains chains;
  for (const json& item : list(ruleset, "nftables")) {
    const json& chain = member(item, "chain");
    if (chain.is_object() && seen_by(text_of(chain, "family"), knock)) {
      FilterChain& made = chains[chain_key(chain, text_of(chain, "name"))];
      made.input = text_of(chain, "hook") == "input";
      made.drops = text_of(chain, "policy") == "drop";
      made.address = chain_key(chain, text_of(chain, "name"));
    }
    const json& rule = member(item, "rule");
    if (!rule.is_object() || !seen_by(text_of(rule, "family"), knock)) continue;
    chains[chain_key(rule, text_of(rule, "chain"))].rules.push_back(read_rule(rule, knock));
  }
  return chains;
}

}  // namespace nfr::nfctl
