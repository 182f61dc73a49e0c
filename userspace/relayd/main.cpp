// SPDX-License-Identifier: GPL-2.0-only
// nfrelayd: started by a person or systemd it becomes the holder, which starts it again as the relay process; without
// root or with --single both are one process.
#include <unistd.h>

#include <cstdio>

#include "base/fatal.hpp"
#include "base/log.hpp"
#include "holder/admin_socket.hpp"
#include "holder/holder.hpp"
#include "holder/holder_client.hpp"
#include "holder/instance_lock.hpp"
#include "holder/local_ports.hpp"
#include "holder/relay_process.hpp"
#include "holder/relay_user.hpp"
#include "relayd/process.hpp"

namespace nfr::relayd {
namespace {

int refuse(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message().c_str());
  return holder::kExitConfiguration;
}

int run_as_relay_process(const Options& options) {
  return run_relay(options, [&](io::Loop& control, std::function<void()> holder_gone) {
    return std::make_unique<holder::HolderClient>(control, Fd(*options.relay_channel), std::move(holder_gone));
  });
}

int run_as_holder(const Options& options) {
  holder::HolderOptions holding;
  holding.relay_arguments = relay_arguments(options, holder::kRelayChannelFd);
  holding.run_dir = options.directories.run;
  holding.state_dir = options.directories.state;
  holding.user = options.user;
  return holder::run_holder(holding);
}

int run_single(const Options& options) {
  holder::RelayUser self;
  self.uid = ::geteuid();
  self.gid = ::getegid();
  const auto lock = holder::InstanceLock::acquire(options.directories.run);
  if (!lock) return refuse(lock.error());
  const Status state = holder::prepare_state_dir(options.directories.state, self);
  if (!state) return refuse(state.error());
  const auto admin = holder::AdminSocket::create(*lock);
  if (!admin) return refuse(admin.error());
  return run_relay(options, [&](io::Loop&, const std::function<void()>&) {
    return std::make_unique<holder::LocalPorts>(admin->fd());
  });
}

int run(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (!parsed) return refuse(parsed.error());
  if (!parsed->options) {
    std::fputs(parsed->print.c_str(), stdout);
    return 0;
  }
  log_init("nfrelayd");
  const Options& options = *parsed->options;
  if (options.relay_channel) return run_as_relay_process(options);
  return options.single ? run_single(options) : run_as_holder(options);
}

}  // namespace
}  // namespace nfr::relayd

int main(int argc, char** argv) {
  nfr::end_when_out_of_memory();
  return nfr::relayd::run(argc, argv);
}
