// SPDX-License-Identifier: GPL-2.0-only
#include "holder/reserved_ports.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "core/target.hpp"

namespace nfr::holder {
namespace {

constexpr std::size_t kTextMax = 1024 * 1024;

// A sysctl is written with one write(); a file aside and a rename are not for /proc.
Status write_sysctl(const std::string& path, const std::string& text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return Error::system("opening " + path, errno);
  const std::string line = text + "\n";
  if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return Error::system("writing " + path, errno);
  }
  return {};
}

Result<PortSet> read_note(const std::string& path) {
  const auto text = read_small_file(path, kTextMax);
  if (!text) return text.error();
  return parse_port_list(*text);
}

// In one read: the kernel gives the list from its beginning or not at all.
Result<PortSet> read_sysctl(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Error::system("opening " + path, errno);
  std::string text(kTextMax, '\0');
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return Error::system("reading " + path, errno);
  text.resize(static_cast<std::size_t>(got));
  return parse_port_list(text);
}

}  // namespace

Result<PortSet> parse_port_list(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  PortSet ports;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto range = core::PortRange::parse(text.substr(0, comma));
    if (!range) return range.error().context("list of ports");
    for (unsigned i = 0; i < range->count; ++i) ports.insert(static_cast<std::uint16_t>(range->first.value + i));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ports;
}

std::string port_list_text(const PortSet& ports) {
  std::string out;
  for (auto at = ports.begin(); at != ports.end();) {
    const std::uint16_t first = *at;
    std::uint16_t last = first;
    for (++at; at != ports.end() && *at == last + 1; ++at) last = *at;
    if (!out.empty()) out += ',';
    out += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
  }
  return out;
}

ReservedPorts::ReservedPorts(const std::string& run_dir, std::string sysctl)
    : note_path_(run_dir + "/reserved-ports"), sysctl_(std::move(sysctl)) {
  if (auto left = read_note(note_path_)) {
    added_ = std::move(*left);
    set({});
  }
}

ReservedPorts::~ReservedPorts() { set({}); }

void ReservedPorts::set(const PortSet& wanted) {
  if (wanted == added_ || failed_) return;
  const Status changed = change(wanted);
  if (changed) return;
  failed_ = true;
  spdlog::warn("{}; mapped ports above 32767 may be taken by outgoing connections while the relay restarts",
               changed.error().message());
}

// Noted before it is done: a kill in between leaves a note too long, which takes out nothing that is not there.
Status ReservedPorts::change(const PortSet& wanted) {
  auto present = read_sysctl(sysctl_);
  if (!present) return present.error();
  PortSet ours = wanted;
  // What stood there before us is somebody else's: it stays when we go.
  std::erase_if(ours, [&](std::uint16_t port) { return present->contains(port) && !added_.contains(port); });
  PortSet both = ours;
  both.insert(added_.begin(), added_.end());
  if (auto noted = write_private_file(note_path_, port_list_text(both)); !noted) return noted;
  for (const std::uint16_t port : added_) present->erase(port);
  present->insert(ours.begin(), ours.end());
  if (auto written = write_sysctl(sysctl_, port_list_text(*present)); !written) return written;
  added_ = ours;
  if (added_.empty()) {
    ::unlink(note_path_.c_str());
    return {};
  }
  return write_private_file(note_path_, port_list_text(added_));
}

}  // namespace nfr::holder
