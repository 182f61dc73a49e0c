// SPDX-License-Identifier: GPL-2.0-only
// What libtomlplusplus.so has and Debian's libtomlplusplus-dev has no archive of; linked into nfagent-static only.
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
