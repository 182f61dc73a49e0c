// SPDX-License-Identifier: GPL-2.0-only
// `nfctl complete -- WORD...`: what may stand in place of the last word, for the scripts in packaging/completion. Not
// in the help: shells call it, people do not. From the command table itself, and names from the relay if it answers.
#pragma once

#include <string>
#include <vector>

#include "nfctl/app.hpp"

namespace nfr::nfctl {

/// Lines "CANDIDATE<tab>DESCRIPTION", or the one line ":file" where a file's name is expected.
std::string complete(const std::vector<std::string>& words, const Environment& environment);

}  // namespace nfr::nfctl
