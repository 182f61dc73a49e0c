// SPDX-License-Identifier: GPL-2.0-only
// Private keys on disk: what is refused and why, and a write that a crash cannot tear. The key's bytes are wiped
// from our own buffers; nothing here asks a terminal for a passphrase.
#include "tls/key_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.hpp"
#include "base/text.hpp"

namespace nfr::tls {
namespace {

constexpr std::size_t kKeyFileMax = 16384;

std::string named(const std::string& path) { return "key file " + escape(path); }

constexpr const char* kMend = "restore it from a backup, or remove it to get a new identity (and join again)";

Error unusable(const std::string& path, std::string_view why) {
  return Error(Code::kInvalid, fmt::format("{} {}: {}", named(path), why, kMend));
}

Result<Fd> open_private(const std::string& path) {
  // O_NONBLOCK: a FIFO in this place must not hang the start.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid() && errno == ENOENT) return Error(Code::kNotFound, named(path) + " does not exist");
  if (!fd.valid()) return Error::system(fmt::format("{} cannot be opened by this user", named(path)), errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return Error::system(named(path), errno);
  if (!S_ISREG(info.st_mode)) return unusable(path, "is not a regular file");
  if ((info.st_mode & 077) != 0) {
    return Error(Code::kDenied, fmt::format("{} has mode {:04o}: others on this machine may read it or write to it; "
                                            "run: chmod 600 {}",
                                            named(path), info.st_mode & 07777U, escape(path)));
  }
  return fd;
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text(kKeyFileMax + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = ::read(fd, text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::system("reading " + named(path), errno);
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  if (length > kKeyFileMax) {
    OPENSSL_cleanse(text.data(), text.size());
    return unusable(path, fmt::format("is larger than {} bytes and cannot be a key", kKeyFileMax));
  }
  text.resize(length);
  return text;
}

int refuse_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<PkeyPtr> parse_pem(const std::string& text, const std::string& path) {
  if (text.empty()) return unusable(path, "is empty");
  const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  bool asked = false;
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, &asked));
  ERR_clear_error();
  if (asked) {
    return Error(Code::kInvalid, fmt::format("{} is protected by a passphrase, which a daemon cannot type; "
                                             "run: openssl pkey -in {} -out NEW",
                                             named(path), escape(path)));
  }
  if (key == nullptr) return unusable(path, "holds no PEM private key");
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    const char* type = EVP_PKEY_get0_type_name(key.get());
    return unusable(path, fmt::format("holds a key of type {}, not Ed25519", type != nullptr ? type : "unknown"));
  }
  return key;
}

Status write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::system("writing " + named(path), errno);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(fd) != 0) return Error::system("syncing " + named(path), errno);
  return {};
}

Status rename_into_place(const std::string& from, const std::string& path, Replace replace) {
  if (replace == Replace::kNo) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EEXIST) return Error(Code::kExists, named(path) + " exists already");
    // Some file systems (NFS, old overlays) know no flags.
    if (errno != EINVAL && errno != ENOSYS) return Error::system("renaming to " + named(path), errno);
  }
  if (::rename(from.c_str(), path.c_str()) != 0) return Error::system("renaming to " + named(path), errno);
  return {};
}

Status sync_directory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return Error::system("syncing directory " + escape(directory), errno);
  return {};
}

// mkostemp: O_EXCL and mode 0600 under a name nobody can have prepared.
Status write_beside(const std::string& path, std::string_view pem, Replace replace) {
  std::string temporary = path + ".XXXXXX";
  Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) {
    return Error::system(named(path) + " cannot be created (does its directory exist, and may this user write there?)",
                         errno);
  }
  Status status = write_all(fd.get(), pem, path);
  if (status) status = rename_into_place(temporary, path, replace);
  if (!status) {
    ::unlink(temporary.c_str());
    return status;
  }
  return sync_directory(path);
}

}  // namespace

Result<PkeyPtr> read_key_file(const std::string& path) {
  auto fd = open_private(path);
  if (!fd) return fd.error();
  auto text = read_all(fd->get(), path);
  if (!text) return text.error();
  auto key = parse_pem(*text, path);
  OPENSSL_cleanse(text->data(), text->size());
  return key;
}

Status write_key_file(const std::string& path, EVP_PKEY* key, Replace replace) {
  // A secure-memory BIO wipes itself when freed.
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    ERR_clear_error();
    return Error(Code::kSystem, named(path) + ": OpenSSL cannot encode the key");
  }
  const char* pem = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &pem);
  return write_beside(path, {pem, static_cast<std::size_t>(length)}, replace);
}

}  // namespace nfr::tls
