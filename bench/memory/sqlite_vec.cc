#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>

#include "contestants.h"

namespace asahi::bench {
namespace {

class SqliteVec final : public Contestant {
 public:
  explicit SqliteVec(std::size_t width) : width_(width) {}
  ~SqliteVec() override {
    for (sqlite3_stmt* statement : {add_, all_, some_}) sqlite3_finalize(statement);
    sqlite3_close(database_);
  }
  SqliteVec(const SqliteVec&) = delete;
  SqliteVec& operator=(const SqliteVec&) = delete;

  bool open(const std::string& library) {
    return sqlite3_open(":memory:", &database_) == SQLITE_OK &&
           sqlite3_enable_load_extension(database_, 1) == SQLITE_OK &&
           sqlite3_load_extension(database_, library.c_str(), nullptr, nullptr) == SQLITE_OK &&
           run(fmt::format("create virtual table v using vec0(embedding float[{}] "
                           "distance_metric=cosine, tenth integer, hundredth integer)",
                           width_)) &&
           prepare("insert into v(rowid, embedding, tenth, hundredth) values (?, ?, ?, ?)", add_) &&
           prepare("select rowid from v where embedding match ? and k = 10", all_);
  }

  std::string_view name() const override { return "sqlite-vec"; }
  bool has_graph() const override { return false; }
  void build(const Matrix& vectors) override {
    if (!run("begin")) std::abort();
    for (std::size_t i = 0; i < vectors.rows(); ++i) {
      sqlite3_bind_int64(add_, 1, static_cast<sqlite3_int64>(i));
      bind(add_, 2, vectors.row(i));
      sqlite3_bind_int64(add_, 3, i % 10 == 0 ? 0 : 1);
      sqlite3_bind_int64(add_, 4, i % 100 == 0 ? 0 : 1);
      if (sqlite3_step(add_) != SQLITE_DONE) std::abort();
      sqlite3_reset(add_);
    }
    if (!run("commit")) std::abort();
  }
  Ids search(std::span<const float> query, std::size_t, std::uint32_t modulus) override {
    sqlite3_stmt* const statement = modulus == 1 ? all_ : filtered(modulus);
    bind(statement, 1, query);
    Ids out;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      out.push_back(static_cast<std::uint32_t>(sqlite3_column_int64(statement, 0)));
    }
    sqlite3_reset(statement);
    return out;
  }

 private:
  bool run(const std::string& text) {
    return sqlite3_exec(database_, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
  }
  bool prepare(const std::string& text, sqlite3_stmt*& statement) {
    return sqlite3_prepare_v2(database_, text.c_str(), -1, &statement, nullptr) == SQLITE_OK;
  }
  sqlite3_stmt* filtered(std::uint32_t modulus) {
    if (modulus == modulus_) return some_;
    modulus_ = modulus;
    sqlite3_finalize(some_);
    some_ = nullptr;
    if (!prepare(fmt::format("select rowid from v where embedding match ? and k = 10 and {} = 0",
                             modulus == 10 ? "tenth" : "hundredth"),
                 some_)) {
      std::abort();
    }
    return some_;
  }
  static void bind(sqlite3_stmt* statement, int at, std::span<const float> vector) {
    sqlite3_bind_blob(statement, at, vector.data(), static_cast<int>(vector.size_bytes()),
                      SQLITE_STATIC);
  }

  std::size_t width_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt *add_ = nullptr, *all_ = nullptr, *some_ = nullptr;
  std::uint32_t modulus_ = 0;  ///< of `some_`
};

}  // namespace

std::unique_ptr<Contestant> make_sqlite_vec(const std::string& library, std::size_t width) {
  if (library.empty() || !std::filesystem::exists(library)) return nullptr;
  auto out = std::make_unique<SqliteVec>(width);
  if (!out->open(library)) return nullptr;
  return out;
}

}  // namespace asahi::bench
