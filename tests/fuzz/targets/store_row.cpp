// SPDX-License-Identifier: GPL-2.0-only
// Rows of the relay's database, as a damaged or foreign file has them: the texts of an agent and of a mapping, one
// a line. What is accepted is bound and read back as the same.
#include <vector>

#include "fuzz/memory_directory.hpp"
#include "fuzz/target.hpp"
#include "store/database.hpp"
#include "store/rows.hpp"

namespace {

using namespace nfr;

std::vector<std::string> lines_of(std::string_view input, std::size_t count) {
  std::vector<std::string> lines(count);
  for (std::string& line : lines) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    line = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return lines;
}

store::Database& database() {
  static const fuzz::MemoryDirectory kDirectory;
  static auto opened = store::Database::open(kDirectory.path() + "/relay.db");
  NFR_HOLDS(opened.ok());
  return *opened;
}

/// A row of these columns, without a table.
store::Statement row_of(const char* parameters) {
  auto statement = database().prepare(std::string("SELECT ") + parameters);
  NFR_HOLDS(statement.ok());
  return std::move(*statement);
}

void agent(const std::vector<std::string>& texts, std::int64_t number) {
  auto row = row_of("?,?,?,?,?,?,?,?,?,?,?");
  row.bind(number).bind(std::string_view(texts[0])).bind(as_bytes(texts[1])).bind_null().bind(number).bind(number & 1);
  row.bind(std::string_view(texts[2])).bind(number & 2).bind(number).bind(-number).bind(number);
  NFR_HOLDS(*row.step());
  const auto record = store::read_agent(row);
  if (!record) return NFR_HOLDS(fuzz::printable(record.error().message()));
  auto again = row_of("7,?,?,?,?,?,?,?,?,?,?");
  core::AgentRecord bare = *record;
  bare.id = {};
  store::bind_agent(again, bare);
  NFR_HOLDS(*again.step());
  const auto read = store::read_agent(again);
  NFR_HOLDS(read && read->rights.ports == record->rights.ports && read->key == record->key);
}

void mapping(const std::vector<std::string>& texts, std::int64_t number) {
  auto row = row_of("?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?");
  row.bind(number).bind(std::string_view(texts[0])).bind(number).bind(std::string_view(texts[1]));
  row.bind(std::string_view(texts[2])).bind(number).bind(std::string_view(texts[3])).bind(std::string_view(texts[4]));
  row.bind(std::string_view(texts[5])).bind(number).bind(-number).bind(number).bind(std::string_view(texts[6]));
  row.bind(number & 1).bind(number).bind(number);
  NFR_HOLDS(*row.step());
  const auto record = store::read_mapping(row);
  if (!record) return NFR_HOLDS(fuzz::printable(record.error().message()));
  auto again = row_of("7,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?");
  core::Mapping bare = *record;
  bare.id = {};
  store::bind_mapping(again, bare);
  NFR_HOLDS(*again.step());
  const auto read = store::read_mapping(again);
  NFR_HOLDS(read && read->public_ports == record->public_ports && read->target == record->target);
  NFR_HOLDS(read->admission == record->admission && read->proxy == record->proxy && read->expires == record->expires);
}

}  // namespace

void nfr::fuzz::one_input(std::string_view input) {
  std::int64_t number = 0;
  for (std::size_t i = 0; i < 8 && i < input.size(); ++i) {
    number = static_cast<std::int64_t>(static_cast<std::uint64_t>(number) << 8 | static_cast<unsigned char>(input[i]));
  }
  if (number == INT64_MIN) return;  // has no opposite
  const auto texts = lines_of(input.substr(std::min<std::size_t>(8, input.size())), 7);
  agent(texts, number);
  mapping(texts, number);
}
