// SPDX-License-Identifier: GPL-2.0-only
#include "nfctl/table.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace nfr::nfctl {
namespace {

// Characters, not bytes: UTF-8 continuation bytes take no column.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

const char* colour_of(Tone tone) {
  switch (tone) {
    case Tone::kPlain: return "";
    case Tone::kGood: return "\x1b[32m";
    case Tone::kWarn: return "\x1b[33m";
    case Tone::kBad: return "\x1b[31m";
    case Tone::kHeader: return "\x1b[1m";
  }
  return "";
}

std::string render_row(const Row& row, const std::vector<std::size_t>& widths, const View& view) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    line += paint(row[i].text, row[i].tone, view);
    if (i + 1 < row.size()) line += std::string(widths[i] - width(row[i].text) + 2, ' ');
  }
  return line + "\n";
}

}  // namespace

std::string paint(std::string_view text, Tone tone, const View& view) {
  if (!view.colour || tone == Tone::kPlain) return std::string(text);
  return colour_of(tone) + std::string(text) + "\x1b[0m";
}

std::string render_table(const std::vector<std::string>& header, const std::vector<Row>& rows, const View& view) {
  std::vector<std::size_t> widths;
  Row titles;
  for (const std::string& title : header) {
    widths.push_back(width(title));
    titles.emplace_back(title, Tone::kHeader);
  }
  for (const Row& row : rows) {
    NFR_ASSERT(row.size() == header.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i].text));
  }
  std::string out = render_row(titles, widths, view);
  for (const Row& row : rows) out += render_row(row, widths, view);
  return out;
}

}  // namespace nfr::nfctl
