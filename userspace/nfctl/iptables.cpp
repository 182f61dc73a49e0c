// SPDX-License-Identifier: GPL-2.0-only
// iptables_chains(): the text of iptables-save as chains. What is not understood matches maybe.
#include <algorithm>
#include <sstream>

#include "nfctl/packet_filter.hpp"

namespace nfr::nfctl {
namespace {

using Verdict = FilterRule::Verdict;

/// Words of a line; a quoted one (a comment) is one word.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  for (const char c : line + " ") {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  return words;
}

/// "22", "5000:5100", "80,443,5000:5100".
Match ports_match(const std::string& text, const Knock& knock) {
  Match match = Match::kNo;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    std::replace(item.begin(), item.end(), ':', '-');
    const auto range = core::PortRange::parse(item);
    match = either(match, range ? cover(*range, knock.ports) : Match::kMaybe);
  }
  return match;
}

bool lists_new(const std::string& states) {
  const std::string all = "," + states + ",";
  return all.find(",NEW,") != std::string::npos;
}

Match condition(const std::string& option, const std::string& value, const Knock& knock, FilterRule& rule) {
  if (option == "-p") return value == "tcp" || value == "all" ? Match::kYes : Match::kNo;
  if (option == "-i") return value == "lo" ? Match::kNo : Match::kMaybe;
  if (option == "--dport" || option == "--dports") return ports_match(value, knock);
  if (option == "--ctstate" || option == "--state") return lists_new(value) ? Match::kYes : Match::kNo;
  if (option == "-s") rule.by_source = true;
  // What only explains, or how fast: a first visitor is not too fast.
  const bool harmless = option == "-m" || option == "--comment" || option == "--limit" || option == "--limit-burst";
  return harmless ? Match::kYes : Match::kMaybe;
}

void set_verdict(const std::string& option, const std::string& target, FilterRule& rule) {
  if (target == "ACCEPT")
    rule.verdict = Verdict::kAccept;
  else if (target == "DROP" || target == "REJECT")
    rule.verdict = Verdict::kDrop;
  else if (target == "RETURN")
    rule.verdict = Verdict::kReturn;
  else if (target == "NFQUEUE")
    rule.verdict = Verdict::kEither;
  else if (target != "LOG" && target != "NFLOG") {
    rule.verdict = option == "-g" ? Verdict::kGoto : Verdict::kJump;
    rule.chain = target;
  }
}

/// "-A INPUT -p tcp -m tcp ! --dport 22 -j DROP"
FilterRule read_rule(const std::vector<std::string>& words, const Knock& knock) {
  FilterRule rule;
  bool negated = false;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "!") {
      negated = true;
      continue;
    }
    if (!words[i].starts_with("-")) continue;  // a further value of an option
    const std::string value = i + 1 < words.size() ? words[i + 1] : "";
    if (words[i] == "-j" || words[i] == "-g") {
      set_verdict(words[i], value, rule);
      break;  // what follows belongs to the target
    }
    const Match match = condition(words[i], value, knock, rule);
    rule.match = both(rule.match, negated ? inverted(match) : match);
    negated = false;
  }
  return rule;
}

}  // namespace

FilterChains iptables_chains(std::string_view output, const Knock& knock) {
  FilterChains chains;
  std::istringstream lines{std::string(output)};
  bool in_filter = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("*")) in_filter = line == "*filter";
    const auto words = words_of(line);
    if (!in_filter || words.size() < 2) continue;
    if (line.starts_with(":")) {
      const std::string name = words[0].substr(1);
      FilterChain& chain = chains[name];
      chain.input = name == "INPUT";
      chain.drops = words[1] == "DROP";
      chain.address = name;
    } else if (words[0] == "-A") {
      chains[words[1]].rules.push_back(read_rule(words, knock));
    }
  }
  return chains;
}

}  // namespace nfr::nfctl
