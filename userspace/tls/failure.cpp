// SPDX-License-Identifier: GPL-2.0-only
// OpenSSL's error queue as one Error for people: what happened, whose doing it was, what to do. Called by the engine
// on its thread after an operation failed; leaves the queue empty.
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <algorithm>
#include <iterator>

#include "tls/handshake.hpp"

namespace nfr::tls {
namespace {

struct Meaning {
  int reason;
  Code code;
  const char* text;
};

constexpr const char* kNotTls13 = "the other side does not speak TLS 1.3: is this the tunnel port of a relay?";

constexpr const char* kHttp = "the other side speaks HTTP, not TLS: is this the tunnel port of a relay?";

constexpr Meaning kReasons[] = {
    {SSL_R_WRONG_VERSION_NUMBER, Code::kProtocol, kNotTls13},
    {SSL_R_UNSUPPORTED_PROTOCOL, Code::kProtocol, kNotTls13},
    {SSL_R_HTTP_REQUEST, Code::kProtocol, kHttp},
    {SSL_R_HTTPS_PROXY_REQUEST, Code::kProtocol, kHttp},
    {SSL_R_BINDER_DOES_NOT_VERIFY, Code::kDenied, "the channel's key is wrong: it is not from the agent's session"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, Code::kDenied, "the client showed no Ed25519 certificate: not an agent"},
    {SSL_R_BAD_SIGNATURE, Code::kDenied, "the peer does not hold the private key of the certificate it showed"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, Code::kProtocol, "a record was altered on the way"},
};

// Alerts of the peer (RFC 8446 6.2) that tell more than their name.
constexpr Meaning kAlerts[] = {
    {SSL_AD_UNKNOWN_PSK_IDENTITY, Code::kDenied, "the relay does not know this channel: its session has ended"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, Code::kDenied, "the relay is of another version: update the older side"},
    {SSL_AD_CERTIFICATE_REQUIRED, Code::kDenied, "the relay asks for a certificate with an Ed25519 key"},
    {SSL_AD_DECRYPT_ERROR, Code::kDenied, "the other side could not verify our key"},
    {SSL_AD_PROTOCOL_VERSION, Code::kDenied, "the other side has no TLS 1.3"},
};

const Meaning* find(const Meaning* begin, const Meaning* end, int reason) {
  const Meaning* found = std::find_if(begin, end, [&](const Meaning& meaning) { return meaning.reason == reason; });
  return found == end ? nullptr : found;
}

Error describe(int reason) {
  if (reason >= SSL_AD_REASON_OFFSET) {
    const int alert = reason - SSL_AD_REASON_OFFSET;
    const std::string name = SSL_alert_desc_string_long(alert);
    const Meaning* meaning = find(std::begin(kAlerts), std::end(kAlerts), alert);
    if (meaning == nullptr) return Error(Code::kProtocol, fmt::format("the other side sent alert \"{}\"", name));
    return Error(meaning->code, fmt::format("the other side sent alert \"{}\": {}", name, meaning->text));
  }
  const Meaning* meaning = find(std::begin(kReasons), std::end(kReasons), reason);
  if (meaning != nullptr) return Error(meaning->code, meaning->text);
  const char* text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
  return Error(Code::kProtocol, text != nullptr ? text : fmt::format("TLS error {}", reason));
}

}  // namespace

Error take_ssl_error(std::string_view doing) {
  // The first error of the SSL library is the cause; what follows and what lies below are its surroundings.
  int reason = 0;
  unsigned long below = 0;
  while (const unsigned long packed = ERR_get_error()) {
    if (ERR_GET_LIB(packed) == ERR_LIB_SSL && reason == 0) reason = ERR_GET_REASON(packed);
    if (ERR_GET_LIB(packed) != ERR_LIB_SSL && below == 0) below = packed;
  }
  if (reason != 0) return describe(reason).context(doing);
  const char* text = below != 0 ? ERR_reason_error_string(below) : nullptr;
  return Error(Code::kProtocol, text != nullptr ? text : "the connection is broken").context(doing);
}

}  // namespace nfr::tls
