#pragma once
// SQLite in a few words: a database, statements with values, transactions. Every failure is an Error that names the file.
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

struct sqlite3;

namespace vkfer {

class Database {
 public:
  using Value = std::variant<std::nullptr_t, int64_t, double, std::string>;
  using Row = std::vector<Value>;

  explicit Database(const std::filesystem::path&);  // made when it is not there
  Database(const Database&) = delete;
  ~Database();

  // One statement; `?` are the values in order. Returns its rows.
  std::vector<Row> run(const std::string& sql, std::initializer_list<Value> values = {});

  // Everything until commit() is written or nothing; the destructor takes back what was not committed.
  class Transaction {
   public:
    explicit Transaction(Database&);
    Transaction(const Transaction&) = delete;
    ~Transaction();
    void commit();

   private:
    Database& database_;
    bool done_ = false;
  };

 private:
  [[noreturn]] void fail_with(const std::string& what) const;
  std::string path_;
  sqlite3* handle_ = nullptr;
};

// Of a row, where the value is of that kind; else an Error.
int64_t integer_of(const Database::Value&);
double number_of(const Database::Value&);         // NaN for null
std::string text_of_value(const Database::Value&);

}  // namespace vkfer
