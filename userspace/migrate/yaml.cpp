// SPDX-License-Identifier: GPL-2.0-only
// read_yaml(): yaml-cpp and its exceptions end here.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/text.hpp"
#include "migrate/tree.hpp"

namespace nfr::migrate {
namespace {

constexpr int kDepthMax = 32;
// An alias copies what it names: a few lines can mean billions of nodes.
constexpr std::size_t kNodesMax = 100'000;

struct Conversion {
  std::size_t nodes = 0;
  bool too_much = false;

  Node convert(const YAML::Node& node, int depth) {
    Node out;
    out.line = static_cast<unsigned>(node.Mark().line + 1);
    too_much = too_much || ++nodes > kNodesMax || depth > kDepthMax;
    if (too_much) return out;
    if (node.IsMap()) {
      for (const auto& item : node) {
        out.members.push_back({item.first.IsScalar() ? item.first.Scalar() : "?", convert(item.second, depth + 1)});
        out.members.back().value.line = static_cast<unsigned>(item.first.Mark().line + 1);
      }
    } else if (node.IsSequence()) {
      out.kind = Node::Kind::kList;
      for (const auto& item : node) out.items.push_back(convert(item, depth + 1));
    } else {
      out.kind = Node::Kind::kText;
      out.text = node.IsScalar() ? node.Scalar() : "";
    }
    return out;
  }
};

}  // namespace

Result<Node> read_yaml(std::string_view text, const std::string& file) {
  try {
    Conversion conversion;
    Node root = conversion.convert(YAML::Load(std::string(text)), 0);
    if (!conversion.too_much) return root;
    return Error(Code::kInvalid,
                 fmt::format("{}, line 1: more than {} nested values or {} in all", file, kDepthMax, kNodesMax));
  } catch (const YAML::Exception& error) {
    return Error(Code::kInvalid, fmt::format("{}, line {}: {}", file, error.mark.line + 1, escape(error.msg)));
  }
}

}  // namespace nfr::migrate
