// SPDX-License-Identifier: GPL-2.0-only
// Key files: what is written, what is refused, and that each refusal names path, reason and remedy.
#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/text.hpp"
#include "pair.hpp"

namespace nfr::tls {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

class IdentityFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "nfr-tls-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/agent.key";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void put(const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path_, std::ios::binary) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }
  std::string content() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::size_t file_count() const {
    const std::filesystem::directory_iterator all(directory_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }
  AssertionResult refused(Code code, std::initializer_list<std::string> words) const {
    const auto loaded = Identity::load(path_);
    if (loaded) return AssertionFailure() << "accepted";
    const std::string& text = loaded.error().message();
    if (loaded.error().code() != code) return AssertionFailure() << code_name(loaded.error().code()) << ": " << text;
    if (text.find(path_) == std::string::npos) return AssertionFailure() << "does not name the path: " << text;
    for (const std::string& word : words) {
      if (text.find(word) == std::string::npos) return AssertionFailure() << "no \"" << word << "\" in: " << text;
    }
    return AssertionSuccess();
  }

  std::string directory_;
  std::string path_;
};

std::string pem_of(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  const std::string pass = "secret";
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, cipher, cipher != nullptr ? pass.data() : nullptr,
                                          cipher != nullptr ? static_cast<int>(pass.size()) : 0, nullptr, nullptr),
            1);
  const char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(length)};
}

TEST_F(IdentityFile, SaveAndLoadKeepTheKey) {
  const auto identity = must(Identity::generate());
  ASSERT_TRUE(identity->save(path_));
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_EQ(file_count(), 1U) << "the file written aside is gone";
  EXPECT_TRUE(content().starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto loaded = must(Identity::load(path_));
  EXPECT_EQ(loaded->pin(), identity->pin());
  EXPECT_NE(must(Identity::generate())->pin(), identity->pin());
}

TEST_F(IdentityFile, SaveReplacesAndIgnoresAWideUmask) {
  put("old", 0644);
  const auto identity = must(Identity::generate());
  const mode_t before = ::umask(0);
  const Status saved = identity->save(path_);
  ::umask(before);
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_EQ(must(Identity::load(path_))->pin(), identity->pin());
}

TEST_F(IdentityFile, PinIsTheDigestOfThePublicKeyInfo) {
  // RFC 8410 section 10.3, with its public key from 10.1.
  put("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
      "-----END PRIVATE KEY-----\n");
  const auto der =
      must(hex_decode("302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"));
  EXPECT_EQ(must(Identity::load(path_))->pin(), OpenSslCrypto().sha256(as_bytes(der)));
}

TEST_F(IdentityFile, LoadOrCreateMakesOnceThenLoads) {
  const auto made = must(Identity::load_or_create(path_));
  const std::string text = content();
  const auto again = must(Identity::load_or_create(path_));
  EXPECT_EQ(made->pin(), again->pin());
  EXPECT_EQ(content(), text);
  EXPECT_EQ(file_count(), 1U);
}

TEST_F(IdentityFile, LoadOrCreateNeverReplacesABadFile) {
  put("garbage");
  EXPECT_FALSE(Identity::load_or_create(path_));
  EXPECT_EQ(content(), "garbage");
  EXPECT_EQ(file_count(), 1U);
}

TEST_F(IdentityFile, ConcurrentCreatorsAgreeOnOneKey) {
  for (int round = 0; round < 20; ++round) {
    std::array<core::Pin, 4> pins{};
    std::array<std::thread, 4> threads;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i] = std::thread([&, i] { pins[i] = must(Identity::load_or_create(path_))->pin(); });
    }
    for (std::thread& thread : threads) thread.join();
    const core::Pin stored = must(Identity::load(path_))->pin();
    for (const core::Pin& pin : pins) EXPECT_EQ(pin, stored);
    EXPECT_EQ(file_count(), 1U);
    ASSERT_EQ(::unlink(path_.c_str()), 0);
  }
}

TEST_F(IdentityFile, RefusesAFileOthersMayTouch) {
  ASSERT_TRUE(must(Identity::generate())->save(path_));
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0644U, 0666U}) {
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    EXPECT_TRUE(refused(Code::kDenied, {"chmod 600 " + path_}));
  }
  ASSERT_EQ(::chmod(path_.c_str(), 0400), 0);
  EXPECT_TRUE(Identity::load(path_)) << "read-only for the owner is fine";
}

TEST_F(IdentityFile, RefusesWhatIsNoKey) {
  EXPECT_TRUE(refused(Code::kNotFound, {"does not exist"}));
  put("");
  EXPECT_TRUE(refused(Code::kInvalid, {"is empty", "backup"}));
  put("no key at all\n");
  EXPECT_TRUE(refused(Code::kInvalid, {"no PEM private key", "backup"}));
  put(std::string(100, '\0'));
  EXPECT_TRUE(refused(Code::kInvalid, {"no PEM private key"}));
  put(std::string(20000, 'x'));
  EXPECT_TRUE(refused(Code::kInvalid, {"larger than 16384"}));
}

TEST_F(IdentityFile, RefusesEveryTruncation) {
  const std::string pem = pem_of(must(Identity::generate())->parts().key.get());
  const std::size_t end = pem.find("-----END PRIVATE KEY-----") + std::string("-----END PRIVATE KEY-----").size();
  for (std::size_t length = 1; length < end; ++length) {
    put(pem.substr(0, length));
    ASSERT_TRUE(refused(Code::kInvalid, {"no PEM private key"})) << length;
  }
}

TEST_F(IdentityFile, RefusesOtherKinds) {
  const PkeyPtr ec(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  put(pem_of(ec.get()));
  EXPECT_TRUE(refused(Code::kInvalid, {"type EC, not Ed25519"}));
  const PkeyPtr x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  put(pem_of(x25519.get()));
  EXPECT_TRUE(refused(Code::kInvalid, {"type X25519, not Ed25519"}));
  put(pem_of(must(Identity::generate())->parts().key.get(), EVP_aes_256_cbc()));
  EXPECT_TRUE(refused(Code::kInvalid, {"passphrase", "openssl pkey"}));
}

TEST_F(IdentityFile, RefusesDirectoriesAndPipesWithoutHanging) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_TRUE(refused(Code::kInvalid, {"not a regular file"}));
  ASSERT_EQ(::rmdir(path_.c_str()), 0);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_TRUE(refused(Code::kInvalid, {"not a regular file"}));
}

TEST_F(IdentityFile, SaveSaysWhyItCannot) {
  const std::string nowhere = directory_ + "/missing/agent.key";
  const Status saved = must(Identity::generate())->save(nowhere);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().os_errno(), ENOENT);
  EXPECT_NE(saved.error().message().find(nowhere), std::string::npos);
  EXPECT_NE(saved.error().message().find("directory"), std::string::npos);
  const auto created = Identity::load_or_create(nowhere);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().os_errno(), ENOENT);
}

TEST_F(IdentityFile, AFailedRenameLeavesNothingBehind) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_FALSE(must(Identity::generate())->save(path_));
  EXPECT_EQ(file_count(), 1U);
}

TEST_F(IdentityFile, NamesAreEscapedInMessages) {
  const auto loaded = Identity::load(directory_ + "/a\x1b[31m\nkey");
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message().find("a\\x1b[31m\\x0akey"), std::string::npos) << loaded.error().message();
}

}  // namespace
}  // namespace nfr::tls
