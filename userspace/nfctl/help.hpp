// SPDX-License-Identifier: GPL-2.0-only
// Help texts, made from the commands themselves so that they cannot drift apart. Pure; called by app.cpp.
#pragma once

#include <string>

#include "nfctl/command.hpp"

namespace nfr::nfctl {

std::string general_help();                        ///< every command, one line each
std::string group_help(const std::string& group);  ///< "agent": its verbs
std::string command_help(const Command& command);  ///< usage, options, details

}  // namespace nfr::nfctl
