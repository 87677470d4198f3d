#pragma once
// Python pickles, protocols 2 to 5, as inert data. https://docs.python.org/3/library/pickletools.html lists the format.
// Nothing is ever imported, called or set: a global is a name, and what a pickle would have called (REDUCE, NEWOBJ) or
// filled (BUILD) is an object that holds what it would have been called with.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

enum class PickleKind : uint8_t {
  none, boolean, integer, real,
  huge,                          // an integer beyond 64 bits: its bytes, little-endian
  text, bytes,
  tuple, list, dict, set,        // a dict's items alternate: key, value, key, value
  global,                        // "module name"
  object,                        // items: what was called, its arguments, its state, then as a dict's
  persistent,                    // items: the id
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  union {
    int64_t integer = 0;         // boolean, integer
    double real;
    uint32_t index;              // of everything below `real`: Pickle::cells
  };
};

class Pickle {
 public:
  Pickle() = default;
  Pickle(Pickle&&) = default;                                  // values refer to it
  Pickle& operator=(Pickle&&) = default;

  PickleValue root;
  std::vector<PickleValue> persistent;                         // every persistent value, as they came

  std::string_view text(PickleValue v) const;                  // of text, bytes, huge and global; "" of others
  std::span<const PickleValue> items(PickleValue v) const;     // of tuple, list, set, dict, object, persistent; empty of others

  // Of an object, none of others:
  PickleValue callable(PickleValue v) const { return part(v, 0); }
  PickleValue arguments(PickleValue v) const { return part(v, 1); }
  PickleValue state(PickleValue v) const { return part(v, 2); }
  // key, value, ... of a dict or of an object that was filled like one (OrderedDict).
  std::span<const PickleValue> entries(PickleValue v) const;

 private:
  friend class PickleMachine;
  struct Cell {
    std::string_view text;
    std::vector<PickleValue> items;
  };
  PickleValue part(PickleValue v, size_t i) const;

  std::vector<Cell> cells_;                  // an arena: values may share each other and form cycles, none owns another
  std::vector<std::string> owned_;           // names of globals, which are in the pickle in two parts
};

// Reads one pickle from the front of `bytes`, which the result refers to; `used` becomes its length.
// `source` and `base` (the offset of bytes in that) are for messages.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& source, uint64_t base, uint64_t* used = nullptr);

}  // namespace vkfer
