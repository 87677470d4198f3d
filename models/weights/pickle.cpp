// The virtual machine of pickles: a stack, marks, a memo, and a table of opcodes.
#include "models/weights/pickle.h"

#include <array>
#include <optional>

#include "models/weights/bytes.h"

namespace vkfer {
namespace {

// Some 200,000 tensors; no more than half a GiB of values whatever the file says.
constexpr size_t kMaxCells = 2 << 20;            // texts, containers, objects
constexpr size_t kMaxItems = 8 << 20;            // values held by all of them
constexpr size_t kMaxStack = 4 << 20, kMaxMemo = 4 << 20;
constexpr uint64_t kMaxGlobal = 1000;            // bytes of a global's name

// What follows an opcode.
enum class Argument : uint8_t { none, u8, u16, u32, u64, i32, f64, text8, text32, text64, lines };

struct Given {
  uint64_t number = 0;                           // i32: sign-extended
  std::string_view text = {}, line = {};         // lines: two of them
};

Given read_argument(ByteReader& r, Argument kind) {
  switch (kind) {
    case Argument::none: return {};
    case Argument::u8: return {r.number<uint8_t>()};
    case Argument::u16: return {r.number<uint16_t>()};
    case Argument::u32: return {r.number<uint32_t>()};
    case Argument::u64: case Argument::f64: return {r.number<uint64_t>()};
    case Argument::i32: return {uint64_t(int64_t(r.number<int32_t>()))};
    case Argument::text8: return {0, r.text(r.number<uint8_t>())};
    case Argument::text32: return {0, r.text(r.number<uint32_t>())};
    case Argument::text64: return {0, r.text(r.number<uint64_t>())};
    case Argument::lines: break;
  }
  const std::string_view first = r.line();
  return {0, first, r.line()};
}

}  // namespace

std::string_view Pickle::text(PickleValue v) const {
  const bool has = v.kind == PickleKind::text || v.kind == PickleKind::bytes || v.kind == PickleKind::huge || v.kind == PickleKind::global;
  return has ? cells_[v.index].text : std::string_view();
}

std::span<const PickleValue> Pickle::items(PickleValue v) const {
  const bool has = v.kind >= PickleKind::tuple && v.kind != PickleKind::global;
  return has ? std::span<const PickleValue>(cells_[v.index].items) : std::span<const PickleValue>();
}

PickleValue Pickle::part(PickleValue v, size_t i) const { return v.kind == PickleKind::object ? cells_[v.index].items[i] : PickleValue{}; }

std::span<const PickleValue> Pickle::entries(PickleValue v) const {
  if (v.kind == PickleKind::dict) return items(v);
  return v.kind == PickleKind::object ? items(v).subspan(3) : std::span<const PickleValue>();
}

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& source, uint64_t base) : in_(bytes, "pickle", source, base) {}

  Pickle run() {
    if (in_.number<uint8_t>() != 0x80) in_.damaged("got no pickle, expected one of protocol 2 to 5");
    const int protocol = in_.number<uint8_t>();
    if (protocol < 2 || protocol > 5) in_.damaged("got a pickle of protocol {}, expected 2 to 5", protocol);
    while (!stopped_) step();
    return std::move(made_);
  }
  uint64_t used() const { return in_.at(); }

 private:
  using Action = void (PickleMachine::*)(const Given&);
  struct Opcode {
    uint8_t code;
    const char* name;
    Argument argument;
    Action action;
  };
  static const std::array<const Opcode*, 256>& opcodes();

  void step() {
    const uint8_t code = in_.number<uint8_t>();
    const Opcode* opcode = opcodes()[code];
    if (!opcode) in_.damaged("got opcode 0x{:02x}, which protocols 2 to 5 write for no tensor, number, text or container", code);
    name_ = opcode->name;
    const Given given = read_argument(in_, opcode->argument);
    (this->*opcode->action)(given);
  }

  // ---- the stack
  void push(PickleValue v) {
    if (stack_.size() >= kMaxStack) in_.damaged("more than {} values on the stack", kMaxStack);
    stack_.push_back(v);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue& top() {
    if (stack_.size() <= floor()) in_.damaged("{} finds no value on the stack", name_);
    return stack_.back();
  }
  PickleValue pop() {
    const PickleValue v = top();
    stack_.pop_back();
    return v;
  }
  // What lies above the last mark, taken with it.
  std::vector<PickleValue> pop_mark() {
    if (marks_.empty()) in_.damaged("{} finds no mark on the stack", name_);
    const auto from = stack_.begin() + ptrdiff_t(marks_.back());
    std::vector<PickleValue> taken(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return taken;
  }

  // ---- values
  void hold(size_t items) {
    items_ += items;
    if (items_ > kMaxItems) in_.damaged("more than {} values in containers", kMaxItems);
  }
  PickleValue cell(PickleKind kind, std::string_view text, std::vector<PickleValue> items = {}) {
    if (made_.cells_.size() >= kMaxCells) in_.damaged("more than {} texts, containers and objects", kMaxCells);
    PickleValue v;
    v.kind = kind;
    v.index = uint32_t(made_.cells_.size());
    hold(items.size());
    made_.cells_.push_back({text, std::move(items)});
    return v;
  }
  static PickleValue integer(int64_t i, PickleKind kind = PickleKind::integer) {
    PickleValue v;
    v.kind = kind;
    v.integer = i;
    return v;
  }
  std::vector<PickleValue>& content(PickleValue v) { return made_.cells_[v.index].items; }
  void append(PickleValue to, std::span<const PickleValue> values) {
    if (to.kind != PickleKind::list && to.kind != PickleKind::set && to.kind != PickleKind::object) in_.damaged("{} finds no list on the stack", name_);
    auto& items = content(to);
    hold(2 * values.size());
    for (const PickleValue v : values) {
      if (to.kind == PickleKind::object) items.push_back({});  // a list's subclass: entries without keys
      items.push_back(v);
    }
  }
  void fill(PickleValue to, std::span<const PickleValue> pairs) {
    if (to.kind != PickleKind::dict && to.kind != PickleKind::object) in_.damaged("{} finds no dict on the stack", name_);
    if (pairs.size() % 2 != 0) in_.damaged("{} finds a key without a value", name_);
    auto& items = content(to);
    hold(pairs.size());
    items.insert(items.end(), pairs.begin(), pairs.end());
  }
  PickleValue object(PickleValue callable, PickleValue arguments) { return cell(PickleKind::object, {}, {callable, arguments, PickleValue{}}); }
  void global(std::string_view module, std::string_view name) {
    if (module.size() + name.size() > kMaxGlobal) in_.damaged("a global of {} bytes, expected at most {}", module.size() + name.size(), kMaxGlobal);
    made_.owned_.push_back(std::string(module) + " " + std::string(name));
    push(cell(PickleKind::global, {}));
    global_cells_.push_back({stack_.back().index, made_.owned_.size() - 1});
  }
  void remember(uint64_t key) {
    if (key >= kMaxMemo) in_.damaged("{} remembers a value as {}, expected below {}", name_, key, kMaxMemo);
    if (key >= memo_.size()) memo_.resize(size_t(key) + 1);
    if (!memo_[size_t(key)]) ++remembered_;
    memo_[size_t(key)] = top();
  }

  // ---- opcodes
  void none(const Given&) { push({}); }
  void yes(const Given&) { push(integer(1, PickleKind::boolean)); }
  void no(const Given&) { push(integer(0, PickleKind::boolean)); }
  void number(const Given& g) { push(integer(int64_t(g.number))); }
  void real(const Given& g) {                    // big-endian, unlike all else
    PickleValue v;
    v.kind = PickleKind::real;
    const uint64_t bits = __builtin_bswap64(g.number);
    std::memcpy(&v.real, &bits, sizeof v.real);
    push(v);
  }
  void long_integer(const Given& g) {
    if (g.text.size() > 8) return push(cell(PickleKind::huge, g.text));
    uint64_t bits = !g.text.empty() && uint8_t(g.text.back()) >= 0x80 ? ~uint64_t{0} : 0;
    std::memcpy(&bits, g.text.data(), g.text.size());
    push(integer(int64_t(bits)));
  }
  void text(const Given& g) { push(cell(PickleKind::text, g.text)); }
  void bytes(const Given& g) { push(cell(PickleKind::bytes, g.text)); }
  void empty_list(const Given&) { push(cell(PickleKind::list, {})); }
  void empty_tuple(const Given&) { push(cell(PickleKind::tuple, {})); }
  void empty_dict(const Given&) { push(cell(PickleKind::dict, {})); }
  void empty_set(const Given&) { push(cell(PickleKind::set, {})); }
  void list(const Given&) { push(cell(PickleKind::list, {}, pop_mark())); }
  void tuple(const Given&) { push(cell(PickleKind::tuple, {}, pop_mark())); }
  void frozen_set(const Given&) { push(cell(PickleKind::set, {}, pop_mark())); }
  void dict(const Given&) {
    const auto pairs = pop_mark();
    push(cell(PickleKind::dict, {}));
    fill(top(), pairs);
  }
  template <int N>
  void small_tuple(const Given&) {
    std::vector<PickleValue> items(N);
    for (int i = N; i-- > 0;) items[size_t(i)] = pop();
    push(cell(PickleKind::tuple, {}, std::move(items)));
  }
  void append_one(const Given&) {
    const PickleValue v = pop();
    append(top(), {&v, 1});
  }
  void append_many(const Given&) {
    const auto values = pop_mark();
    append(top(), values);
  }
  void set_one(const Given&) {
    PickleValue pair[2];
    pair[1] = pop();
    pair[0] = pop();
    fill(top(), pair);
  }
  void set_many(const Given&) {
    const auto pairs = pop_mark();
    fill(top(), pairs);
  }
  void global_lines(const Given& g) { global(g.text, g.line); }
  void global_stack(const Given&) {
    const PickleValue name = pop(), module = pop();
    if (name.kind != PickleKind::text || module.kind != PickleKind::text) in_.damaged("{} finds no names on the stack", name_);
    global(made_.text(module), made_.text(name));
  }
  void call(const Given&) {
    const PickleValue arguments = pop(), callable = pop();
    if (arguments.kind != PickleKind::tuple) in_.damaged("{} finds no tuple of arguments on the stack", name_);
    push(object(callable, arguments));
  }
  void call_named(const Given& g) {              // the arguments by name are of no use to us
    pop();
    call(g);
  }
  void call_mark(const Given&) {
    auto taken = pop_mark();
    if (taken.empty()) in_.damaged("{} finds no class on the stack", name_);
    const PickleValue callable = taken.front();
    taken.erase(taken.begin());
    push(object(callable, cell(PickleKind::tuple, {}, std::move(taken))));
  }
  void build(const Given&) {
    const PickleValue state = pop();
    if (top().kind == PickleKind::object) content(top())[2] = state;
  }
  void persistent(const Given&) {
    const PickleValue id = pop();
    push(cell(PickleKind::persistent, {}, {id}));
    made_.persistent.push_back(stack_.back());
  }
  void mark(const Given&) {
    if (marks_.size() >= kMaxStack) in_.damaged("more than {} marks on the stack", kMaxStack);
    marks_.push_back(stack_.size());
  }
  void pop_one(const Given&) {
    if (stack_.size() == floor() && !marks_.empty()) marks_.pop_back();
    else pop();
  }
  void pop_to_mark(const Given&) { pop_mark(); }
  void duplicate(const Given&) { push(top()); }
  void get(const Given& g) {
    if (g.number >= memo_.size() || !memo_[size_t(g.number)]) in_.damaged("{} asks for value {}, which nobody remembered", name_, g.number);
    push(*memo_[size_t(g.number)]);
  }
  void put(const Given& g) { remember(g.number); }
  void memoize(const Given&) { remember(remembered_); }
  void frame(const Given& g) {
    if (g.number > in_.left()) in_.damaged("a frame of {} bytes, expected at most {}", g.number, in_.left());
  }
  void read_only(const Given&) { top(); }
  void stop(const Given&) {
    made_.root = pop();
    for (const auto& [cell, name] : global_cells_) made_.cells_[cell].text = made_.owned_[name];  // owned_ moves no more
    stopped_ = true;
  }

  ByteReader in_;
  Pickle made_;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;                    // heights of the stack
  std::vector<std::optional<PickleValue>> memo_;
  size_t remembered_ = 0, items_ = 0;
  std::vector<std::pair<uint32_t, size_t>> global_cells_;
  const char* name_ = "";
  bool stopped_ = false;
};

const std::array<const PickleMachine::Opcode*, 256>& PickleMachine::opcodes() {
  using A = Argument;
  using M = PickleMachine;
  static const Opcode table[] = {
      {'N', "NONE", A::none, &M::none},
      {0x88, "NEWTRUE", A::none, &M::yes},
      {0x89, "NEWFALSE", A::none, &M::no},
      {'J', "BININT", A::i32, &M::number},
      {'K', "BININT1", A::u8, &M::number},
      {'M', "BININT2", A::u16, &M::number},
      {'G', "BINFLOAT", A::f64, &M::real},
      {0x8a, "LONG1", A::text8, &M::long_integer},
      {0x8b, "LONG4", A::text32, &M::long_integer},
      {'X', "BINUNICODE", A::text32, &M::text},
      {0x8c, "SHORT_BINUNICODE", A::text8, &M::text},
      {0x8d, "BINUNICODE8", A::text64, &M::text},
      {'U', "SHORT_BINSTRING", A::text8, &M::text},        // Python 2's str: names, mostly
      {'T', "BINSTRING", A::text32, &M::text},
      {'C', "SHORT_BINBYTES", A::text8, &M::bytes},
      {'B', "BINBYTES", A::text32, &M::bytes},
      {0x8e, "BINBYTES8", A::text64, &M::bytes},
      {0x96, "BYTEARRAY8", A::text64, &M::bytes},
      {']', "EMPTY_LIST", A::none, &M::empty_list},
      {')', "EMPTY_TUPLE", A::none, &M::empty_tuple},
      {'}', "EMPTY_DICT", A::none, &M::empty_dict},
      {0x8f, "EMPTY_SET", A::none, &M::empty_set},
      {'l', "LIST", A::none, &M::list},
      {'t', "TUPLE", A::none, &M::tuple},
      {'d', "DICT", A::none, &M::dict},
      {0x91, "FROZENSET", A::none, &M::frozen_set},
      {0x85, "TUPLE1", A::none, &M::small_tuple<1>},
      {0x86, "TUPLE2", A::none, &M::small_tuple<2>},
      {0x87, "TUPLE3", A::none, &M::small_tuple<3>},
      {'a', "APPEND", A::none, &M::append_one},
      {'e', "APPENDS", A::none, &M::append_many},
      {0x90, "ADDITEMS", A::none, &M::append_many},
      {'s', "SETITEM", A::none, &M::set_one},
      {'u', "SETITEMS", A::none, &M::set_many},
      {'c', "GLOBAL", A::lines, &M::global_lines},
      {0x93, "STACK_GLOBAL", A::none, &M::global_stack},
      {'R', "REDUCE", A::none, &M::call},
      {0x81, "NEWOBJ", A::none, &M::call},
      {0x92, "NEWOBJ_EX", A::none, &M::call_named},
      {'o', "OBJ", A::none, &M::call_mark},
      {'b', "BUILD", A::none, &M::build},
      {'Q', "BINPERSID", A::none, &M::persistent},
      {'(', "MARK", A::none, &M::mark},
      {'0', "POP", A::none, &M::pop_one},
      {'1', "POP_MARK", A::none, &M::pop_to_mark},
      {'2', "DUP", A::none, &M::duplicate},
      {'h', "BINGET", A::u8, &M::get},
      {'j', "LONG_BINGET", A::u32, &M::get},
      {'q', "BINPUT", A::u8, &M::put},
      {'r', "LONG_BINPUT", A::u32, &M::put},
      {0x94, "MEMOIZE", A::none, &M::memoize},
      {0x95, "FRAME", A::u64, &M::frame},
      {0x98, "READONLY_BUFFER", A::none, &M::read_only},
      {'.', "STOP", A::none, &M::stop},
  };
  static const std::array<const Opcode*, 256> by_code = [] {
    std::array<const Opcode*, 256> all{};
    for (const Opcode& opcode : table) all[opcode.code] = &opcode;
    return all;
  }();
  return by_code;
}

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& source, uint64_t base, uint64_t* used) {
  PickleMachine machine(bytes, source, base);
  Pickle made = machine.run();
  if (used) *used = machine.used();
  return made;
}

}  // namespace vkfer
