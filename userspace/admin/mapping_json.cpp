// SPDX-License-Identifier: GPL-2.0-only
// The one place where a mapping becomes JSON. Called by relayd's commands and by nfctl.
#include "admin/mapping_json.hpp"

namespace nfr::admin {
namespace {

template <class Networks>
nlohmann::json texts(const Networks& networks) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& network : networks) list.push_back(network.text());
  return list;
}

}  // namespace

nlohmann::json mapping_json(const core::Mapping& mapping, std::string_view agent) {
  const core::Admission& admission = mapping.admission;
  nlohmann::json out = {{"public", mapping.automatic ? "auto" : mapping.public_ports.text()},
                        {"agent", agent},
                        {"target", mapping.target.text()}};
  if (mapping.leg) out["leg"] = core::leg_name(*mapping.leg);
  if (mapping.idle_timeout.count() > 0) out["idle_timeout_ms"] = mapping.idle_timeout.count();
  if (mapping.proxy != core::ProxyHeader::kNone) out["proxy"] = core::proxy_header_name(mapping.proxy);
  if (!admission.allow.empty()) out["allow"] = texts(admission.allow);
  if (!admission.deny.empty()) out["deny"] = texts(admission.deny);
  if (admission.flows_max > 0) out["max_flows"] = admission.flows_max;
  if (admission.flows_per_source_max > 0) out["max_per_source"] = admission.flows_per_source_max;
  if (admission.rate_per_source > 0) out["rate"] = admission.rate_per_source;
  return out;
}

}  // namespace nfr::admin
