// SPDX-License-Identifier: GPL-2.0-only
// Identity: the Ed25519 key of a relay or an agent and the certificate made around it in memory. The certificate is
// an envelope only: nobody reads its names or dates, and it is never stored. Files: key_file.cpp.
#include <openssl/err.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "tls/key_file.hpp"
#include "tls/parts.hpp"

namespace nfr::tls {
namespace {

Error broken(const char* what) {
  ERR_clear_error();
  return Error(Code::kSystem, std::string(what) + ": OpenSSL refused (is its Ed25519 disabled by policy?)");
}

Result<CertificatePtr> wrap_in_certificate(EVP_PKEY* key) {
  CertificatePtr certificate(X509_new());
  NFR_ASSERT(certificate != nullptr);
  X509* x = certificate.get();
  X509_NAME* name = X509_get_subject_name(x);
  const auto* common = reinterpret_cast<const unsigned char*>("netferry");
  // Fixed dates: a device without a clock must still connect. 99991231235959Z: no expiry (RFC 5280 4.1.2.5).
  const bool ok = X509_set_version(x, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
                  ASN1_TIME_set_string(X509_getm_notBefore(x), "20000101000000Z") == 1 &&
                  ASN1_TIME_set_string(X509_getm_notAfter(x), "99991231235959Z") == 1 &&
                  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0) == 1 &&
                  X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 && X509_sign(x, key, nullptr) > 0;
  if (!ok) return broken("making the certificate");
  return certificate;
}

Result<std::unique_ptr<Identity::Parts>> parts_of(PkeyPtr key) {
  auto parts = std::make_unique<Identity::Parts>();
  const auto pin = ed25519_pin(key.get());
  if (!pin) return broken("reading the public key");
  auto certificate = wrap_in_certificate(key.get());
  if (!certificate) return certificate.error();
  parts->pin = *pin;
  parts->certificate = *std::move(certificate);
  parts->key = std::move(key);
  return parts;
}

}  // namespace

std::optional<core::Pin> ed25519_pin(EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) return std::nullopt;
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key, &der);
  if (length <= 0) return std::nullopt;
  const auto pin = OpenSslCrypto().sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(length))));
  OPENSSL_free(der);
  return pin;
}

Identity::Identity() = default;
Identity::~Identity() = default;
const core::Pin& Identity::pin() const { return parts_->pin; }

Result<std::shared_ptr<const Identity>> Identity::generate() {
  PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (key == nullptr) return broken("making an Ed25519 key");
  auto parts = parts_of(std::move(key));
  if (!parts) return parts.error();
  const std::shared_ptr<Identity> identity(new Identity());
  identity->parts_ = *std::move(parts);
  return std::shared_ptr<const Identity>(identity);
}

Result<std::shared_ptr<const Identity>> Identity::load(const std::string& path) {
  auto key = read_key_file(path);
  if (!key) return key.error();
  auto parts = parts_of(*std::move(key));
  if (!parts) return parts.error().context("key file " + escape(path));
  const std::shared_ptr<Identity> identity(new Identity());
  identity->parts_ = *std::move(parts);
  return std::shared_ptr<const Identity>(identity);
}

Result<std::shared_ptr<const Identity>> Identity::load_or_create(const std::string& path) {
  auto loaded = load(path);
  if (loaded || loaded.error().code() != Code::kNotFound) return loaded;
  auto made = generate();
  if (!made) return made;
  const Status written = write_key_file(path, (*made)->parts_->key.get(), Replace::kNo);
  if (written) return made;
  // Another process made it between our look and our rename: that key is the identity.
  if (written.error().code() == Code::kExists) return load(path);
  return written.error();
}

Status Identity::save(const std::string& path) const { return write_key_file(path, parts_->key.get(), Replace::kYes); }

}  // namespace nfr::tls
