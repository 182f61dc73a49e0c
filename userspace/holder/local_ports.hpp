// SPDX-License-Identifier: GPL-2.0-only
// The listener source of --single: opens ports in the relay's own process, without a holder. Control thread.
#pragma once

#include "holder/listener_source.hpp"
#include "holder/listener_table.hpp"

namespace nfr::holder {

class LocalPorts final : public ListenerSource {
 public:
  /// `admin_fd` (AdminSocket::fd()) is lent and must outlive this.
  explicit LocalPorts(int admin_fd) : admin_fd_(admin_fd) {}

  void open(const net::Endpoint& endpoint, ListenerKind kind, unsigned count, Opened done) override;
  void open_admin(Opened done) override;
  void close(const net::Endpoint& endpoint) override { table_.close(endpoint); }
  void retain_done() override { table_.close_unclaimed(); }
  void ready() override;

 private:
  ListenerTable table_;
  int admin_fd_;
};

}  // namespace nfr::holder
