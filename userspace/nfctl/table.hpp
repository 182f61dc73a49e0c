// SPDX-License-Identifier: GPL-2.0-only
// Table: rows of text -> aligned lines. The same on a terminal and in a pipe but for colour: a header, columns at
// least two spaces apart, no cell with two spaces inside, "-" where there is nothing. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace nfr::nfctl {

/// How things are shown: decided in main, passed down, so that rendering depends on nothing else.
struct View {
  bool colour = false;
  WallTime now;
};

enum class Tone { kPlain, kGood, kWarn, kBad, kHeader };

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
  // NOLINTNEXTLINE(google-explicit-constructor): rows are written as lists
  Cell(std::string words, Tone meaning = Tone::kPlain) : text(std::move(words)), tone(meaning) {}
};

using Row = std::vector<Cell>;

/// In the tone's colour when the view has colours.
std::string paint(std::string_view text, Tone tone, const View& view);

/// Header and rows; every row has as many cells as the header. Ends in a newline. Nothing is wrapped or cut.
std::string render_table(const std::vector<std::string>& header, const std::vector<Row>& rows, const View& view);

}  // namespace nfr::nfctl
