// PyTorch's files: what torch.load made of them, and what hostile ones are refused for.
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/weights/formats.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/data_files.h"
#include "tests/torch_bytes.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

const fs::path kFiles = fs::path(VKFER_FIXTURES) / "torch";

WeightFile parsed(const std::string& bytes) { return parse_weights(as_bytes(bytes), "test.pth"); }

void check_refused(const std::string& bytes, const std::string& reason) {
  INFO(reason);
  CHECK_THROWS_WITH(parsed(bytes), contains("test.pth") && contains(reason));
}

// A zip whose pickle is a dict with this one value.
void check_value_refused(const std::string& value, const std::string& reason) { check_refused(torch_zip(dict({{"a.w", value}})), reason); }

std::string repeated(std::string_view what, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += what;
  return out;
}

}  // namespace

TEST_CASE("every kind of PyTorch file is read as torch.load reads it", "[weights][torch]") {
  std::ifstream in(kFiles / "expected.json");
  const auto expected = nlohmann::json::parse(in);
  CHECK(expected.size() >= 30);
  for (const auto& [file, tensors] : expected.items()) {
    INFO(file);
    const WeightFile read = read_weights(kFiles / file);
    CHECK_THAT(read.format, contains("PyTorch"));
    // Names as they are in the file: DataParallel's prefix is not this reader's business.
    CHECK(read.tensors.size() == tensors.size());
    for (const auto& [name, tensor] : tensors.items()) {
      INFO(name);
      const WeightTensor& got = read.at(name);
      CHECK(stored_name(got.type) == tensor["dtype"].get<std::string>());
      CHECK(got.shape == tensor["shape"].get<std::vector<int64_t>>());
      CHECK(got.doubles() == tensor["values"].get<std::vector<double>>());
    }
  }
}

TEST_CASE("what else a checkpoint holds is told", "[weights][torch]") {
  const auto notes = read_weights(kFiles / "checkpoint_zip.pth").notes;
  const auto has = [&](const std::string& note) { return std::ranges::count(notes, note) == 1; };
  CHECK((has("the network is under 'state_dict'") && has("epoch: 3") && has("arch: 'net'")));
  CHECK(std::ranges::any_of(notes, [](const std::string& n) { return n.starts_with("optimizer: 15 tensors"); }));
}

TEST_CASE("no cut and no changed byte of a PyTorch file does harm", "[weights][torch]") {
  for (const char* file : {"protocol2.pth", "protocol4.pth", "legacy2.pth", "legacy5.pth", "numpy2.pth", "numpy5.pth", "views_zip.pth", "deflated.pth", "zip64.pth", "legacy_view.pth"}) {
    INFO(file);
    const Bytes whole = file_bytes(kFiles / file);
    REQUIRE(parse_weights(whole, "whole").tensors.size() > 1);
    for (size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(parse_weights(std::span(whole).first(n), "cut"), Error);
    size_t refused = 0;
    for (size_t i = 0; i < whole.size(); ++i)
      for (const int change : {0x01, 0x10, 0x80, 0xff}) {
        Bytes bytes = whole;
        bytes[i] ^= std::byte(change);
        try {
          for (const auto& [name, tensor] : parse_weights(bytes, "changed").tensors) (void)tensor.doubles();
        } catch (const Error&) {
          ++refused;
        }
      }
    CHECK(refused > whole.size());
  }
}

TEST_CASE("a tar of old PyTorch, cut or changed where it means something", "[weights][torch]") {
  const Bytes whole = file_bytes(kFiles / "old.tar");
  for (size_t n = 0; n < whole.size(); n += 7) {
    try {
      parse_weights(std::span(whole).first(n), "cut");
    } catch (const Error&) {
    }
  }
  size_t refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (whole[i] == std::byte{0} && i % 16 != 0) continue;  // mostly padding
    Bytes bytes = whole;
    bytes[i] ^= std::byte(0x41);
    try {
      parse_weights(bytes, "changed");
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 300);
}

TEST_CASE("the files of torch_bytes.h are good when nothing hostile is in them", "[weights][torch]") {
  CHECK(parsed(torch_zip(dict({{"a.w", good_tensor()}}))).at("a.w").floats() == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(parsed(legacy(dict({{"a.w", good_tensor()}}), one_key(), le(int64_t(6)) + floats(6))).at("a.w").shape == std::vector<int64_t>{2, 3});
  auto parts = torch_parts(dict({{"a.w", good_tensor()}}));
  parts[0].deflate = parts[1].deflate = true;
  CHECK(parsed(zipped(parts)).tensors.size() == 1);
  CHECK(parsed(torch_zip(dict({{"a.w", tensor(storage(), 2, {2}, {3})}}))).at("a.w").floats() == std::vector<float>{2, 5});
}

TEST_CASE("a pickle executes nothing", "[weights][torch]") {
  const TempDir folder;
  const fs::path proof = folder.path / "executed";
  const std::string command = "touch " + proof.string();
  const std::string shell = call(global("os", "system"), {text(command)});
  check_refused(torch_zip(shell), "no tensors in it");
  check_refused(torch_zip(call(global("builtins", "eval"), {text("__import__('os').system('" + command + "')")})), "no tensors in it");
  check_value_refused(tensor(shell, 0, {1}, {1}), "got a tensor without a storage");
  check_value_refused(shell, "no tensors in it");
  const WeightFile beside = parsed(torch_zip(dict({{"a.w", good_tensor()}, {"x", shell}, {"y", global("posix", "system") + ")\x81" + dict({{"a", "N"}}) + "b"}})));
  CHECK(beside.tensors.size() == 1);
  CHECK(!fs::exists(proof));
}

TEST_CASE("hostile pickles are refused", "[weights][torch]") {
  check_refused(torch_zip("N") + "x", "no end record");
  check_refused(zipped({{"net/data.pkl", ""}}), "got 0 bytes, expected 1 more");
  check_refused(zipped({{"net/data.pkl", "\x80\x06N."}}), "got a pickle of protocol 6");
  check_refused(zipped({{"net/data.pkl", "(I1\nt."}}), "got no pickle");
  check_refused(zipped({{"net/data.pkl", "\x80\x02N"}}), "cut short");
  check_refused(zipped({{"net/data.pkl", "\x80\x02N.N"}}), "1 bytes behind the pickle");
  check_refused(torch_zip("I1\n"), "got opcode 0x49");
  check_refused(torch_zip("\x82\x01"), "got opcode 0x82");
  check_refused(torch_zip("\x97"), "got opcode 0x97");
  check_refused(torch_zip(""), "STOP finds no value");
  check_refused(torch_zip("("), "STOP finds no value");
  check_refused(torch_zip("N0"), "STOP finds no value");
  check_refused(torch_zip("t"), "TUPLE finds no mark");
  check_refused(torch_zip("Na"), "APPEND finds no value");
  check_refused(torch_zip("NNa"), "APPEND finds no list");
  check_refused(torch_zip("NNNs"), "SETITEM finds no dict");
  check_refused(torch_zip("}(Nu"), "a key without a value");
  check_refused(torch_zip("NNR"), "no tuple of arguments");
  check_refused(torch_zip("NN\x93"), "STACK_GLOBAL finds no names");
  check_refused(torch_zip("cos\nsystem"), "got a line without an end");
  check_refused(torch_zip(global(std::string(2000, 'm'), "n")), "expected at most 1000");
  check_refused(torch_zip("h\x07"), "asks for value 7");
  check_refused(torch_zip("j" + le(uint32_t(0xffffffff))), "asks for value 4294967295");
  check_refused(torch_zip("Nr" + le(uint32_t(0xffffffff))), "remembers a value as 4294967295");
  check_refused(torch_zip("\x8b" + le(uint32_t(0x7fffffff))), "expected 2147483647 more");
  check_refused(torch_zip("\x8b" + le(uint32_t(0xffffffff))), "expected 4294967295 more");
  check_refused(torch_zip("\x8d" + le(~uint64_t{0})), "expected 18446744073709551615 more");
  check_refused(torch_zip("\x96" + le(uint64_t{1} << 62)), "more: cut short");
  check_refused(torch_zip("\x95" + le(uint64_t{1} << 40) + "N"), "a frame of 1099511627776 bytes");
  // Floods: bounded, whatever is pushed, made, marked or remembered.
  check_refused(torch_zip(repeated("N", 5 << 20)), "values on the stack");
  check_refused(torch_zip(repeated("(", 5 << 20)), "marks on the stack");
  check_refused(torch_zip(repeated("]0", 3 << 20)), "texts, containers and objects");
  check_refused(torch_zip("](" + repeated("N", 1 << 20) + "e" + repeated("(N" + repeated("2", 1 << 10) + "t", 1 << 13)), "values in containers");
  // Deep and endless structures: no recursion, and an end.
  check_value_refused(")" + repeated("\x85", 1 << 20), "nest deeper than 64");
  check_value_refused("]q\1h\1a", "nest deeper than 64");
  std::string laughs = "]q\1" + "0"s;
  for (char i = 1; i < 50; ++i) laughs += "](h"s + i + "h" + i + "eq" + char(i + 1) + "0";
  check_value_refused(laughs + "h\x32", "values to walk through");
  check_refused(torch_zip(dict({{std::string(600, 'n'), good_tensor()}})), "a name of 600 bytes");
  check_refused(torch_zip(dict({{"a.w", good_tensor()}, {"a.w", good_tensor()}})), "appears twice");
  check_refused(torch_zip(dict({{"a\nw", good_tensor()}})), "control characters");
}

TEST_CASE("hostile tensors are refused", "[weights][torch]") {
  const auto shaped = [](int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& stride, const std::string& reason) {
    check_value_refused(tensor(storage(), offset, shape, stride), reason);
  };
  const int64_t huge = int64_t(1) << 62;
  shaped(0, {2, 4}, {3, 1}, "reaches element 6, expected below the 6");
  shaped(1, {2, 3}, {3, 1}, "reaches element 6");
  shaped(6, {}, {}, "reaches element 6");
  shaped(0, {2}, {6}, "reaches element 6");
  shaped(0, {2}, {huge}, "reaches element");
  shaped(0, {4}, {INT64_MAX}, "leaves its storage");
  shaped(INT64_MAX, {3, 3}, {huge, huge}, "leaves its storage");
  shaped(0, {-1}, {1}, "shape: expected a whole number");
  shaped(0, {1}, {-1}, "strides: expected a whole number");
  shaped(-1, {1}, {1}, "offset: expected a whole number");
  shaped(0, {huge, huge}, {0, 0}, "exceeds 8 GiB");
  shaped(0, {int64_t(1) << 40, int64_t(1) << 40, 0}, {1, 1, 1}, "exceeds 8 GiB");
  shaped(0, {1 << 30}, {0}, "expand to more than");
  shaped(0, {2, 3}, {1}, "2 dimensions and 1 strides");
  shaped(0, std::vector<int64_t>(17, 1), std::vector<int64_t>(17, 1), "at most 16 numbers");
  check_value_refused(tensor(storage("1"), 0, {1}, {1}), "storage 'net/data/1' is not in the file");
  check_value_refused(tensor(storage("../version"), 0, {1}, {1}), "is not in the file");
  check_value_refused(tensor(storage("0", 7), 0, {1}, {1}), "has 24 bytes, expected those of 7");
  check_value_refused(tensor(storage("0", -1), 0, {1}, {1}), "has 24 bytes");
  check_value_refused(tensor(storage("0", INT64_MAX), 0, {1}, {1}), "has 24 bytes");
  check_value_refused(tensor(storage("0", 3, "ComplexFloatStorage"), 0, {1}, {1}), "'torch ComplexFloatStorage'");
  check_value_refused(tensor(storage("0", 6, "QInt8Storage"), 0, {1}, {1}), "'torch QInt8Storage'");
  check_value_refused(tensor("NQ", 0, {1}, {1}), "names no storage");
  check_value_refused(tensor(tuple({text("storage")}) + "Q", 0, {1}, {1}), "names no storage");
  check_value_refused(call(global("torch._utils", "_rebuild_tensor_v2"), {storage()}), "got 1 arguments");
  check_value_refused(call(global("torch._utils", "_rebuild_sparse_tensor"), {"N"}), "_rebuild_sparse_tensor");
  check_value_refused(call(global("torch.storage", "_load_from_bytes"), {"C\1x"}), "_load_from_bytes");
  check_value_refused(call(global("torch._utils", "_rebuild_parameter"), {"N"}), "a parameter without a tensor");
  std::string nested = good_tensor();
  for (int i = 0; i < 20; ++i) nested = call(global("torch._utils", "_rebuild_parameter"), {nested, "\x88", "N"});
  check_value_refused(nested, "expected one of PyTorch's");
  const std::string dtype = call(global("numpy", "dtype"), {text("f4")}), big = dtype + tuple({whole(3), text(">")}) + "b";
  const auto array = [&](const std::string& type, const std::vector<int64_t>& shape, const std::string& data) {
    return call(global("numpy.core.multiarray", "_reconstruct"), {"N", "N", "N"}) + tuple({whole(1), wholes(shape), type, "\x89", data}) + "b";
  };
  CHECK(parsed(torch_zip(dict({{"a.w", array(dtype, {1}, "C\4" + le(2.5f))}}))).at("a.w").floats() == std::vector<float>{2.5f});
  check_value_refused(array(dtype, {2}, "C\4" + le(2.5f)), "an array of 4 bytes");
  check_value_refused(array(dtype, {huge, huge}, "C\4" + le(2.5f)), "an array of 4 bytes");
  check_value_refused(array(big, {1}, "C\4" + le(2.5f)), "big-endian");
  check_value_refused(array("N", {1}, "C\4" + le(2.5f)), "without a dtype");
  check_value_refused(array(call(global("numpy", "dtype"), {text("O8")}), {1}, "C\4" + le(2.5f)), "dtype 'O8'");
}

TEST_CASE("hostile zips are refused", "[weights][torch]") {
  const std::string value = dict({{"a.w", good_tensor()}});
  const auto with = [&](auto change) {
    auto parts = torch_parts(value);
    change(parts);
    return zipped(parts);
  };
  check_refused(with([](auto& p) { p[1].crc = 7; }), "has the checksum");
  check_refused(with([](auto& p) { p[2].crc = 7; }), "'net/version' has the checksum");
  check_refused(with([](auto& p) { p[1].size = 25; }), "is stored as 24 bytes, expected its 25");
  check_refused(with([](auto& p) { p[1].flags = 1; }), "is encrypted");
  check_refused(with([](auto& p) { p[1].method = 12; }), "compression method 12");
  check_refused(with([](auto& p) { p[1].local_name = "net/data/1"; }), "its header has another name");
  check_refused(with([](auto& p) { p.push_back(p[1]); }), "appears twice");
  check_refused(with([](auto& p) { p.push_back({"net/data/1", floats(6), false, -1, -1, 0}); }), "another name");
  check_refused(with([](auto& p) { p.push_back({"net/data/1", floats(6), false, -1, -1, 1 << 30}); }), "the header of a member lies at byte");
  check_refused(with([](auto& p) { p.push_back({"a/data.pkl", "N."}); }), "expected one data.pkl");
  check_refused(with([](auto& p) { p[0].name = "net/data.pk"; }), "zip archive without data.pkl");
  check_refused(with([](auto& p) { p.push_back({"net/byteorder", "big"}); }), "'big' order");
  check_refused(with([](auto& p) { p[1].data.pop_back(); }), "has 23 bytes, expected those of 6");
  check_refused(zipped(torch_parts(value), 1), "expected 4 more");
  check_refused(zipped(torch_parts(value), -1), "behind the last directory entry");
  // Deflate: bombs by header, by sum, and by lying about the size.
  check_refused(with([](auto& p) { p[1].deflate = true, p[1].size = 1 << 30; }), "no deflate reaches that");
  const std::string zeros(60 << 20, '\0');
  check_refused(with([&](auto& p) {
    for (int i = 0; i < 6; ++i) p.push_back({"net/data/b" + std::to_string(i), zeros, true});
  }), "unpack to more than");
  check_refused(with([](auto& p) { p[1].deflate = true, p[1].size = 23; }), "does not unpack to its 23 bytes");
  check_refused(with([](auto& p) { p[1].deflate = true, p[1].size = 25; }), "does not unpack to its 25 bytes");
  check_refused(with([](auto& p) { p[1].method = 8; }), "does not unpack");
  // Two names for one member's bytes, and a member inside another's.
  const std::string outer = zipped({{"x", std::string("PK\3\4") + std::string(60, '\0')}});
  std::string shared = zipped({{"net/data.pkl", pickle(value)}, {"net/data/0", floats(6)}});
  const size_t directory = shared.find("PK\1\2");
  check_refused(shared.substr(0, directory) + shared.substr(directory, 46 + 12) + shared.substr(directory), "the directory of 2 members");
  std::string twice = shared;
  const size_t second = twice.find("PK\1\2", directory + 4);
  twice.replace(second + 42, 4, le(uint32_t(0)));   // the second entry points at the first member
  check_refused(twice, "another name");
  // An end record that points elsewhere.
  const size_t end = shared.find("PK\5\6");
  std::string moved = shared;
  moved.replace(end + 16, 4, le(uint32_t(0)));
  check_refused(moved, "expected it to end at byte");
  moved = shared;
  moved.replace(end + 12, 4, le(uint32_t(0xffffffff)));
  check_refused(moved, "expected it to end at byte");
  moved = shared;
  moved.replace(end + 4, 2, le(uint16_t(1)));
  check_refused(moved, "several parts");
  check_refused("PK\3\4 and nothing else", "no end record");
  check_refused(outer, "zip archive without data.pkl");
}

TEST_CASE("members of a zip that overlap are refused", "[weights][torch]") {
  // The second member's header lies inside the first member's bytes, which a directory may claim.
  const std::string inner_name = "net/data/0", data = floats(6);
  const uint32_t crc = uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
  const std::string inner = "PK\3\4"s + le(uint16_t(20)) + le(uint16_t(0)) + le(uint16_t(0)) + le(uint32_t(0)) + le(crc) + le(uint32_t(24)) + le(uint32_t(24)) +
                            le(uint16_t(inner_name.size())) + le(uint16_t(0)) + inner_name + data;
  std::string file = zipped({{"net/a", inner}, {inner_name, data, false, -1, -1, 30 + 5}});
  check_refused(file, "members 'net/a' and 'net/data/0' overlap");
}

TEST_CASE("hostile files of the old formats are refused", "[weights][torch]") {
  const std::string value = dict({{"a.w", good_tensor()}}), one = le(int64_t(6)) + floats(6);
  check_refused(legacy(value, one_key(), one + "x"), "1 bytes behind the last storage");
  check_refused(legacy(value, one_key(), one.substr(0, 20)), "of 6 elements, expected at most 3");
  check_refused(legacy(value, one_key(), le(int64_t(-1)) + floats(6)), "elements, expected at most 6");
  check_refused(legacy(value, one_key("1"), one), "a storage that no tensor uses");
  check_refused(legacy(value, "](" + text("0") + text("0") + "e", one + one), "comes twice");
  check_refused(legacy(value, "]", ""), "storage '0' is not in the file");
  check_refused(legacy(value, one_key(), one, false), "big-endian");
  check_refused(legacy(value, one_key(), one, true, 1002), "another version of the format");
  check_refused(legacy(dict({{"a.w", good_tensor()}, {"b.w", tensor(storage("0", 6, "LongStorage"), 0, {1}, {1})}}), one_key(), one), "has two types");
  const auto view = [&](int64_t offset, int64_t size) {
    const std::string id = tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), whole(6), tuple({text("v"), whole(offset), whole(size)})}) + "Q";
    return legacy(dict({{"a.w", tensor(id, 0, {1}, {1})}}), one_key(), one);
  };
  CHECK(parsed(view(4, 2)).at("a.w").floats() == std::vector<float>{4});
  check_refused(view(4, 3), "a view of a storage leaves it");
  check_refused(view(-1, 3), "a view of a storage leaves it");
  check_refused(view(1, INT64_MAX), "a view of a storage leaves it");
  check_refused(view(6, 0), "reaches element 0");

  const auto old = [&](const std::string& storages, const std::string& tensors) {
    return tarred({{"sys_info", pickle("}")}, {"pickle", pickle(dict({{"a.w", whole(1) + "Q"}}))}, {"storages", storages}, {"tensors", tensors}});
  };
  const std::string id = tuple({whole(100), text("cpu"), global("torch", "FloatStorage")});
  const std::string storages = pickle(whole(1)) + pickle(id) + one + pickle("]");
  const auto tensors = [&](uint32_t rank, int64_t dim, int64_t stride, int64_t offset) {
    return pickle(whole(1)) + pickle(tuple({whole(1), whole(100), "N"})) + le(rank) + le(uint32_t(0)) + le(dim) + le(stride) + le(offset);
  };
  CHECK(parsed(old(storages, tensors(1, 2, 3, 1))).at("a.w").floats() == std::vector<float>{1, 4});
  check_refused(old(storages, tensors(1, 2, 3, 3)), "reaches element 6");
  check_refused(old(storages, tensors(1, -2, 3, 0)), "a negative shape or stride");
  check_refused(old(storages, tensors(99, 2, 3, 0)), "99 dimensions");
  check_refused(old(storages, tensors(1, 2, 3, 1) + "x"), "behind the last record");
  check_refused(old(pickle(whole(-1)), tensors(1, 2, 3, 1)), "expected a count");
  check_refused(old(pickle(whole(1)) + pickle(id) + le(uint64_t{1} << 61) + pickle("]"), tensors(1, 2, 3, 1)), "a storage of 2305843009213693952 elements");
  check_refused(old(pickle(whole(1)) + pickle(id) + one + pickle("](" + wholes({101, 100, 4, 3}) + "e"), tensors(1, 2, 3, 1)), "a view of a storage leaves it");
  check_refused(old(pickle(whole(1)) + pickle(id) + one + pickle("](" + wholes({101, 99, 4, 1}) + "e"), tensors(1, 2, 3, 1)), "that is not there");
  check_refused(tarred({{"pickle", pickle("}")}}), "without 'storages'");
  std::string bad = old(storages, tensors(1, 2, 3, 1));
  bad[0] = 'X';
  check_refused(bad, "checksum of a tar header");
  bad = tarred({{"pickle", "x"}});
  check_refused(bad.substr(0, 512) + "", "cut short");
}

TEST_CASE("a file of no known format is named", "[weights][torch]") {
  check_refused("", "got 0 bytes");
  check_refused("hello world, this is no weight file", "expected one of: ");
  CHECK_THROWS_WITH(read_weights("/nonexistent/x.pth"), contains("x.pth: no such file"));
}
