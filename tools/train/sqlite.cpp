#include "tools/train/sqlite.h"

#include <sqlite3.h>

#include <cmath>
#include <limits>

#include "runtime/error.h"

namespace vkfer {
namespace {

// Binds one value; NaN as null, which is what SQLite would make of it.
struct Bind {
  sqlite3_stmt* statement;
  int at;
  int operator()(std::nullptr_t) const { return sqlite3_bind_null(statement, at); }
  int operator()(int64_t v) const { return sqlite3_bind_int64(statement, at, v); }
  int operator()(double v) const { return std::isnan(v) ? sqlite3_bind_null(statement, at) : sqlite3_bind_double(statement, at, v); }
  int operator()(const std::string& v) const { return sqlite3_bind_text64(statement, at, v.data(), v.size(), SQLITE_TRANSIENT, SQLITE_UTF8); }
};

Database::Value column(sqlite3_stmt* s, int i) {
  switch (sqlite3_column_type(s, i)) {
    case SQLITE_INTEGER: return int64_t(sqlite3_column_int64(s, i));
    case SQLITE_FLOAT: return sqlite3_column_double(s, i);
    case SQLITE_NULL: return nullptr;
    default: {
      const void* bytes = sqlite3_column_blob(s, i);
      return std::string(static_cast<const char*>(bytes), bytes ? size_t(sqlite3_column_bytes(s, i)) : 0);
    }
  }
}

struct Statement {
  sqlite3_stmt* handle = nullptr;
  ~Statement() { sqlite3_finalize(handle); }
};

template <class T>
const T& as(const Database::Value& v, const char* kind) {
  if (const T* value = std::get_if<T>(&v)) return *value;
  fail("sweep", "the database holds another kind of value than {}. Fix: it is damaged; begin in another folder", kind);
}

}  // namespace

Database::Database(const std::filesystem::path& path) : path_(path.string()) {
  if (sqlite3_open_v2(path_.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) != SQLITE_OK) {
    const std::string why = handle_ ? sqlite3_errmsg(handle_) : "no memory";
    sqlite3_close(handle_);
    fail("sweep", "{}: {}", path_, why);
  }
  sqlite3_busy_timeout(handle_, 5000);  // somebody looks at the file while it is written
}

Database::~Database() { sqlite3_close(handle_); }

void Database::fail_with(const std::string& what) const { fail("sweep", "{}: {}", path_, what); }

std::vector<Database::Row> Database::run(const std::string& sql, std::initializer_list<Value> values) {
  Statement s;
  if (sqlite3_prepare_v2(handle_, sql.c_str(), int(sql.size()), &s.handle, nullptr) != SQLITE_OK) fail_with(sqlite3_errmsg(handle_));
  int at = 0;
  for (const Value& v : values)
    if (std::visit(Bind{s.handle, ++at}, v) != SQLITE_OK) fail_with(sqlite3_errmsg(handle_));
  std::vector<Row> rows;
  for (;;) {
    const int got = sqlite3_step(s.handle);
    if (got == SQLITE_DONE) return rows;
    if (got != SQLITE_ROW) fail_with(sqlite3_errmsg(handle_));
    Row row;
    for (int i = 0; i < sqlite3_column_count(s.handle); ++i) row.push_back(column(s.handle, i));
    rows.push_back(std::move(row));
  }
}

Database::Transaction::Transaction(Database& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }

Database::Transaction::~Transaction() {
  if (done_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {  // the file rolls back by itself when it is opened again
  }
}

void Database::Transaction::commit() {
  database_.run("COMMIT");
  done_ = true;
}

int64_t integer_of(const Database::Value& v) { return as<int64_t>(v, "a whole number"); }

double number_of(const Database::Value& v) {
  if (std::holds_alternative<std::nullptr_t>(v)) return std::numeric_limits<double>::quiet_NaN();
  if (const int64_t* whole = std::get_if<int64_t>(&v)) return double(*whole);
  return as<double>(v, "a number");
}

std::string text_of_value(const Database::Value& v) { return as<std::string>(v, "text"); }

}  // namespace vkfer
