// Hostile files of every kind of weights, written to disk and refused: each with a message that names the file and the rule, and
// where there is one the byte. torch_files_test.cpp and weights_test.cpp hold more of them, in memory.
#include <fstream>
#include <set>

#include "models/weights/formats.h"
#include "runtime/error.h"
#include "tests/data_files.h"
#include "tests/h5_bytes.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

struct Hostile {
  std::string name, bytes, rule;                 // rule: what the message must say
};
using Files = std::vector<Hostile>;

const fs::path kFixtures = VKFER_FIXTURES;

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The file cut before and after every structure, which one of these begins.
void cut(Files& files, const std::string& name, const std::string& whole, const std::vector<std::string>& signatures, size_t most) {
  std::set<size_t> at;
  for (const std::string& s : signatures)
    for (size_t found = whole.find(s); found != whole.npos; found = whole.find(s, found + 1)) at.insert(found), at.insert(found + s.size());
  at.erase(whole.size());
  size_t made = 0;
  for (const size_t n : at)
    if (made++ < most) files.push_back({fmt::format("cut_{}_{}", n, name), whole.substr(0, n), ""});
}

void add_cuts(Files& files) {
  const std::vector<std::string> h5 = {"\x89HDF\r\n\x1a\n", "TREE", "HEAP", "SNOD", "GCOL", "OHDR", "FRHP", "FHDB", "BTHD", "BTLF", "FAHD", "FADB"};
  cut(files, "old.h5", text_of(kFixtures / "h5/keras2_weights.h5"), h5, 60);
  const size_t before = files.size();
  cut(files, "said.h5", text_of(kFixtures / "h5/keras2_weights.h5"), h5, 60);
  for (size_t i = before; i < files.size(); ++i)  // the superblock says where it was cut
    if (files[i].bytes.size() >= 48) files[i].bytes.replace(40, 8, le(uint64_t(files[i].bytes.size())));
  cut(files, "new.h5", text_of(kFixtures / "h5/keras2_latest.h5"), h5, 60);
  cut(files, "dense.h5", text_of(kFixtures / "h5/latest.h5"), h5, 120);
  cut(files, "model.keras", text_of(kFixtures / "h5/keras3_deflated.keras"), {"PK\1\2", "PK\3\4", "PK\5\6"}, 20);
  cut(files, "net.pth", text_of(kFixtures / "torch/protocol2.pth"), {"PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7"}, 40);
  cut(files, "legacy.pth", text_of(kFixtures / "torch/legacy2.pth"), {"\x80\x02"}, 20);
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string safe = le(uint64_t(header.size())) + header + floats(2);
  for (const size_t n : {size_t(8), size_t(9), 8 + header.size() - 1, 8 + header.size(), safe.size() - 1}) files.push_back({fmt::format("cut_{}_w.safetensors", n), safe.substr(0, n), ""});
}

void add_h5(Files& files) {
  const auto with = [&](const std::string& name, const std::string& dataset, const std::string& rule) {
    H5Bytes file;
    files.push_back({name + ".h5", h5_keras(file, dataset), rule});
  };
  const auto root = [&](const std::string& name, const std::string& messages, const std::string& rule) {
    H5Bytes file;
    files.push_back({name + ".h5", file.file(file.add(h5_header(messages))), rule});
  };
  const uint64_t huge = uint64_t(1) << 62;
  // Superblock and headers.
  H5Bytes plain;
  const uint64_t empty = plain.add(h5_header(""));
  files.push_back({"longer.h5", plain.file(empty) + "x", "cut short, or with something behind it"});
  files.push_back({"claims_more.h5", plain.file(empty, 100), "cut short, or with something behind it"});
  files.push_back({"root_outside.h5", plain.file(huge), "expected them within the"});
  files.push_back({"root_in_superblock.h5", plain.file(0), "object header"});
  files.push_back({"root_undefined.h5", plain.file(kNowhere), "expected them within the"});
  std::string changed = plain.file(empty);
  changed[8] = 9;
  files.push_back({"version.h5", changed, "superblock: got version 9"});
  changed = plain.file(empty), changed[13] = 4;
  files.push_back({"narrow.h5", changed, "got addresses of 4"});
  changed = plain.file(empty), changed[24] = 1;
  files.push_back({"based.h5", changed, "base address 1"});
  changed = plain.file(empty);
  changed.replace(48, 8, le(uint64_t(96)));
  files.push_back({"driver.h5", changed, "driver's information"});
  root("nothing", "", "neither a group nor a dataset");
  {
    H5Bytes f;
    files.push_back({"header_version.h5", f.file(f.add(h5_header("", 7))), "object header: got version 7"});
    H5Bytes g;
    std::string header = h5_header("");
    header.replace(8, 4, le(uint32_t(0xffffffff)));
    files.push_back({"header_long.h5", g.file(g.add(header)), "object header"});
  }
  root("message_long", le(uint16_t(6)) + le(uint16_t(60000)) + zeros(4), "cut short");
  root("message_shared", h5_message(1, zeros(8), 2), "is shared between objects");
  root("message_unknown", h5_message(99, zeros(8), 0x80), "is not known, and must be");
  root("continuation_loop", h5_message(16, le(uint64_t(96)) + le(uint64_t(40))), "overlaps the object header");
  root("continuation_outside", h5_message(16, le(huge) + le(uint64_t(40))), "within the");
  root("continuation_overflow", h5_message(16, le(uint64_t(96)) + le(~uint64_t{0})), "within the");
  // Links.
  root("loop", h5_link("again", 96), "overlaps the object header");
  root("link_soft", h5_message(6, "\1\x08\1\4soft"s + le(uint16_t(4)) + "/etc"), "link to a name");
  root("link_external", h5_message(6, "\1\x08\x40\4away"s + le(uint16_t(12)) + "\0/etc/passwd\0"s), "link to another file");
  root("link_path", h5_link("../../etc", 96), "without slashes");
  root("link_empty", h5_link("", 96), "without slashes");
  root("link_dot", h5_link(".", 96), "without slashes");
  root("link_control", h5_link("a\nb", 96), "without slashes");
  root("link_twice", h5_link("a", 96) + h5_link("a", 96), "two links called 'a'");
  root("link_long", h5_message(6, "\1\3"s + le(huge) + "name"), "cut short");
  root("dense_outside", h5_message(2, "\0\0"s + le(huge) + le(huge)), "fractal heap");
  root("dense_no_heap", h5_message(2, "\0\0"s + le(uint64_t(0)) + le(uint64_t(0))), "fractal heap");
  root("table_outside", h5_message(17, le(huge) + le(huge)), "local heap");
  root("table_no_heap", h5_message(17, le(uint64_t(0)) + le(uint64_t(0))), "local heap");
  {
    H5Bytes deep;                                // a chain of groups in each other
    uint64_t at = deep.add(h5_header(h5_message(2, "\0\0"s + le(kNowhere) + le(kNowhere))));
    for (int i = 0; i < 200; ++i) at = deep.add(h5_header(h5_link("g", at)));
    files.push_back({"deep.h5", deep.file(at), "nest deeper than 64"});
    H5Bytes twice;                               // two names for one object
    const uint64_t shared = twice.add(h5_dataset(h5_contiguous(kNowhere, 0), {0}));
    files.push_back({"hard_links.h5", twice.file(twice.add(h5_header(h5_link("a", shared) + h5_link("b", shared)))), "overlaps the object header"});
  }
  const auto table = [&](const std::string& name, const std::string& rule, int level, int count, uint64_t child, const std::string& entries, int entry_count, const std::string& names) {
    H5Bytes f;
    const uint64_t segment = f.add(names);
    const uint64_t heap = f.add("HEAP"s + zeros(4) + le(uint64_t(names.size())) + le(kNowhere) + le(segment));
    const uint64_t node = f.add("SNOD\1\0"s + le(uint16_t(entry_count)) + entries);
    const uint64_t tree_at = f.next();
    std::string tree = "TREE\0"s + std::string(1, char(level)) + le(uint16_t(count)) + le(kNowhere) + le(kNowhere) + le(uint64_t(0));
    for (int i = 0; i < count; ++i) tree += le(child == 1 ? node : child == 2 ? tree_at : child) + le(uint64_t(0));
    const uint64_t root_at = f.add(tree);
    files.push_back({name + ".h5", f.file(f.add(h5_header(h5_message(17, le(root_at) + le(heap))))), rule});
  };
  const auto entry = [](uint64_t name, uint64_t object, uint32_t kind = 0) { return le(name) + le(object) + le(kind) + zeros(20); };
  const std::string names = zeros(8) + padded8("b\0"s) + padded8("a\0"s) + "open-end";
  table("tree_loop", "B-tree: got level 1, expected 0", 1, 1, 2, "", 0, names);
  table("tree_child_twice", "overlaps the symbol node", 0, 2, 1, "", 0, names);
  table("tree_child_outside", "within the", 0, 1, huge, "", 0, names);
  table("tree_levels", "SNOD", 0, 1, 96, "", 0, names);
  table("tree_many_children", "overlaps the symbol node", 0, 0xffff, 1, "", 0, names);
  table("symbols_many", "symbol node", 0, 1, 1, "", 0xffff, names);
  table("symbols_unordered", "expected names in order", 0, 1, 1, entry(8, 96) + entry(16, 96), 2, names);
  table("symbol_soft", "link to a name or another file", 0, 1, 1, entry(8, 96, 2), 1, names);
  table("symbol_name_outside", "expected it to end there", 0, 1, 1, entry(huge, 96), 1, names);
  table("symbol_name_open", "expected it to end there", 0, 1, 1, entry(24, 96), 1, names);
  // Attributes.
  root("attribute_twice", h5_texts("a", {"x"}) + h5_texts("a", {"y"}), "is there twice");
  root("attribute_short", h5_attribute("a", h5_text(8), {huge}, "x"), "within 8 GiB");
  root("attribute_many", h5_attribute("a", h5_text(8), {1 << 20}, "x"), "expected 1048576 elements");
  root("attribute_empty_type", h5_attribute("a", h5_text(0), {1}, "x"), "elements of 0 bytes");
  root("attribute_heap_outside", h5_attribute("a", h5_long_text(), {1}, le(uint32_t(4)) + le(huge) + le(uint32_t(1))), "global heap");
  root("attribute_no_heap", h5_attribute("a", h5_long_text(), {1}, le(uint32_t(4)) + le(uint64_t(96)) + le(uint32_t(1))), "GCOL");
  {
    const auto heap = [&](const std::string& name, const std::string& objects, uint32_t bytes, uint32_t index, uint64_t size, const std::string& rule) {
      H5Bytes f;
      const uint64_t at = f.add("GCOL\1\0\0\0"s + le(size ? size : uint64_t(16 + objects.size())) + objects);
      files.push_back({name + ".h5", f.file(f.add(h5_header(h5_attribute("a", h5_long_text(), {1}, le(bytes) + le(at) + le(index))))), rule});
    };
    const std::string one = le(uint16_t(1)) + le(uint16_t(1)) + zeros(4) + le(uint64_t(4)) + padded8("text");
    heap("heap_object_missing", one, 4, 2, 0, "expected one that is there");
    heap("heap_object_short", one, 5, 1, 0, "expected at most the 4");
    heap("heap_object_long", le(uint16_t(1)) + zeros(6) + le(huge) + zeros(8), 4, 1, 0, "expected at most");
    heap("heap_object_twice", one + one, 4, 1, 0, "is there twice");
    heap("heap_long", one, 4, 1, huge, "within the");
    heap("heap_size_overflow", one, 4, 1, ~uint64_t{0}, "within the");
  }
  // Datasets: shapes, types, layouts.
  const auto shaped = [&](const std::string& name, const std::vector<uint64_t>& dims, const std::string& rule) { with(name, h5_dataset(h5_contiguous(96, 24), dims), rule); };
  shaped("shape_huge", {huge, 4}, "within 8 GiB");
  shaped("shape_overflow", {uint64_t(1) << 32, uint64_t(1) << 32}, "within 8 GiB");
  shaped("shape_negative", {~uint64_t{0}}, "within 8 GiB");
  shaped("shape_huge_and_zero", {0, huge}, "within 8 GiB");
  shaped("shape_large", {uint64_t(1) << 32}, "expected at most 8 GiB");
  shaped("shape_other", {2, 4}, "expected 32 by shape and type");
  with("rank", h5_header(h5_space(std::vector<uint64_t>(40, 1)) + h5_type(h5_float32()) + h5_contiguous(96, 4)), "expected at most 16");
  with("no_shape", h5_header(h5_type(h5_float32()) + h5_contiguous(96, 4)), "got no dataspace");
  with("no_type", h5_header(h5_space({1}) + h5_contiguous(96, 4)), "got no datatype");
  with("type_float24", h5_header(h5_space({1}) + h5_type(h5_type_bytes(0x11, 0x1f20, 3, zeros(12))) + h5_contiguous(96, 3)), "got floats of 3 bytes");
  with("type_vax", h5_header(h5_space({1}) + h5_type(h5_type_bytes(0x11, 0x1f61, 4, zeros(12))) + h5_contiguous(96, 4)), "VAX");
  with("type_int24", h5_header(h5_space({1}) + h5_type(h5_type_bytes(0x10, 0, 3, le(uint16_t(0)) + le(uint16_t(24)))) + h5_contiguous(96, 3)), "an integer of 24 bits");
  with("type_short", h5_header(h5_space({1}) + h5_message(3, "\x11"s) + h5_contiguous(96, 4)), "datatype");
  with("data_outside", h5_dataset(h5_contiguous(huge, 24)), "within the");
  with("data_wraps", h5_dataset(h5_contiguous(~uint64_t{0} - 8, 24)), "within the");
  with("data_in_header", h5_dataset(h5_contiguous(96, 24)), "overlaps the object header");
  with("data_in_superblock", h5_dataset(h5_contiguous(8, 24)), "overlaps the superblock");
  with("data_unwritten", h5_dataset(h5_contiguous(kNowhere, 24)), "never written");
  with("data_elsewhere", h5_dataset(h5_contiguous(kNowhere, 24) + h5_message(7, zeros(16))), "in other files");
  with("layout_virtual", h5_dataset(h5_message(8, "\4\3"s + zeros(12))), "a dataset made of others");
  with("layout_version", h5_dataset(h5_message(8, "\1\2"s + zeros(12))), "layout: got version 1");
  with("layout_compact_long", h5_dataset(h5_message(8, "\3\0"s + le(uint16_t(60000)))), "expected 24 by shape");
  with("filters_on_one_piece", h5_dataset(h5_contiguous(96, 24) + h5_filters({1})), "expected none but on chunks");
  with("filter_unknown", h5_dataset(h5_chunked(96, {2, 3, 4}) + h5_filters({32000})), "expected deflate, shuffle or fletcher32");
  with("filter_twice", h5_dataset(h5_chunked(96, {2, 3, 4}) + h5_filters({1, 1})), "got 1 twice");
  with("filters_many", h5_dataset(h5_chunked(96, {2, 3, 4}) + h5_message(11, "\1\xff"s + zeros(6))), "filters");
  // Chunks.
  with("chunk_rank", h5_dataset(h5_chunked(96, {2, 4})), "got chunks of 2 dimensions, expected 3");
  with("chunk_element", h5_dataset(h5_chunked(96, {2, 3, 8})), "elements of 4 bytes");
  with("chunk_zero", h5_dataset(h5_chunked(96, {0, 3, 4})), "got chunks of 0 along dimension 0");
  with("chunk_huge", h5_dataset(h5_chunked(96, {0xffffffff, 0xffffffff, 4})), "at most 2 GiB");
  with("chunks_many", h5_dataset(h5_chunked(96, {1, 1, 4}), {1 << 15, 1 << 15}), "more chunks than the file has bytes");
  with("chunks_unwritten", h5_dataset(h5_chunked(kNowhere, {2, 3, 4})), "none of 1 chunks was written");
  with("chunks_growing", h5_dataset(h5_message(8, "\4\2\0\3\1\2\3\4\4"s + zeros(16))), "may grow");
  with("chunks_kind", h5_dataset(h5_message(8, "\4\2\0\3\1\2\3\4\x63"s + zeros(16))), "chunks of kind 99");
  with("chunks_width", h5_dataset(h5_message(8, "\4\2\0\3\x09"s + zeros(40))), "dimensions of 9 bytes");
  with("chunks_no_array", h5_dataset(h5_message(8, "\4\2\0\3\1\2\3\4\3\x0a"s + le(uint64_t(0)))), "fixed array");
  with("chunk_outside", h5_dataset(h5_message(8, "\4\2\0\3\1\2\3\4\1"s + le(huge))), "within the");
  with("chunks_implicit_outside", h5_dataset(h5_message(8, "\4\2\0\3\1\1\3\4\2"s + le(~uint64_t{0} - 16))), "chunk");
  struct Key {
    uint32_t bytes, mask;
    std::vector<uint64_t> offsets;
    std::string data;
    int64_t at = -1;
  };
  const auto chunked = [&](const std::string& name, const std::vector<Key>& keys, const std::vector<uint16_t>& filters, const std::string& rule, const std::vector<uint64_t>& dims = {2, 3},
                           const std::vector<uint32_t>& chunk = {2, 3, 4}, int level = 0) {
    H5Bytes f;
    std::string tree = "TREE\1"s + std::string(1, char(level)) + le(uint16_t(keys.size())) + le(kNowhere) + le(kNowhere);
    const auto key = [&](const Key& k) {
      std::string out = le(k.bytes) + le(k.mask);
      for (const uint64_t o : k.offsets) out += le(o);
      return out + le(uint64_t(0));
    };
    for (const Key& k : keys) {
      const uint64_t at = f.add(k.data);
      tree += key(k) + le(k.at == -1 ? at : k.at == -2 ? f.next() : uint64_t(k.at));
    }
    tree += key({0, 0, std::vector<uint64_t>(dims.size()), ""});
    const uint64_t at = f.add(tree);
    files.push_back({name + ".h5", h5_keras(f, h5_dataset(h5_chunked(at, chunk) + (filters.empty() ? "" : h5_filters(filters)), dims)), rule});
  };
  const auto zlib = [](const std::string& data) {
    uLongf size = compressBound(uLong(data.size()));
    std::string out(size, '\0');
    compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(data.data()), uLong(data.size()), 9);
    return out.substr(0, size);
  };
  chunked("chunk_short", {{20, 0, {0, 0}, floats(5)}}, {}, "got 20 bytes, expected 24");
  chunked("chunk_misplaced", {{24, 0, {1, 0}, floats(6)}}, {}, "expected a multiple of 2");
  chunked("chunk_beyond", {{24, 0, {2, 0}, floats(6)}}, {}, "below 2");
  chunked("chunk_twice", {{24, 0, {0, 0}, floats(6)}, {24, 0, {0, 0}, floats(6)}}, {}, "got 2 chunks, expected 1");
  chunked("chunk_twice_of_two", {{24, 0, {0, 0}, floats(6)}, {24, 0, {0, 0}, floats(6)}}, {}, "chunk 0 is there twice", {4, 3});
  chunked("chunk_missing", {}, {}, "got 0 chunks, expected 1");
  chunked("chunk_shared", {{24, 0, {0, 0}, floats(6), 200}, {24, 0, {2, 0}, "", 200}}, {}, "overlaps", {4, 3});
  chunked("chunk_tree_loop", {{24, 0, {0, 0}, "", -2}}, {}, "B-tree", {2, 3}, {2, 3, 4}, 1);
  chunked("chunk_no_zlib", {{24, 0, {0, 0}, floats(6)}}, {1}, "does not unpack to its 24 bytes");
  chunked("chunk_zlib_short", {{uint32_t(zlib(floats(5)).size()), 0, {0, 0}, zlib(floats(5))}}, {1}, "does not unpack to its 24 bytes");
  chunked("chunk_zlib_long", {{uint32_t(zlib(floats(7)).size()), 0, {0, 0}, zlib(floats(7))}}, {1}, "does not unpack to its 24 bytes");
  const std::string behind = zlib(floats(6)) + "x";
  chunked("chunk_zlib_behind", {{uint32_t(behind.size()), 0, {0, 0}, behind}}, {1}, "does not unpack to its 24 bytes");
  chunked("chunk_sum", {{28, 0, {0, 0}, floats(6) + zeros(4)}}, {3}, "got the checksum");
  chunked("chunk_sum_short", {{2, 0, {0, 0}, "xy"}}, {3}, "expected at least its checksum");
  // Bombs: a chunk that no deflate reaches, and many that do.
  chunked("bomb_claim", {{12, 0, {0}, zlib(floats(1))}}, {1}, "no deflate reaches that", {15 << 20}, {15 << 20, 4});
  chunked("bomb_shape", {{12, 0, {0}, zlib(floats(1))}}, {1}, "expected the file to unpack to at most", {1 << 28}, {1 << 28, 4});
  {
    const std::string packed = zlib(zeros(60 << 20));
    std::vector<Key> keys;
    for (uint64_t i = 0; i < 10; ++i) keys.push_back({uint32_t(packed.size()), 0, {i * (15 << 20)}, packed});
    chunked("bomb", keys, {1}, "expected the file to unpack to at most", {150 << 20}, {15 << 20, 4});
  }
  // What Keras says.
  const auto keras = [&](const std::string& name, const std::string& layer_names, const std::string& weight_names, const std::string& rule) {
    H5Bytes f;
    const uint64_t data = f.add(floats(6)), kernel = f.add(h5_dataset(h5_contiguous(data, 24)));
    const uint64_t layer = f.add(h5_header(weight_names + h5_link("kernel:0", kernel)));
    files.push_back({name + ".h5", f.file(f.add(h5_header(layer_names + h5_link("dense", layer)))), rule});
  };
  const std::string layers = h5_texts("layer_names", {"dense"});
  keras("keras_none", "", "", "neither layer_names nor variables");
  keras("keras_no_group", h5_texts("layer_names", {"other"}), "", "'other': got no group");
  keras("keras_path", h5_texts("layer_names", {"../dense"}), "", "got no group");
  keras("keras_no_dataset", layers, h5_texts("weight_names", {"bias:0"}), "'dense/bias:0': got no dataset");
  keras("keras_twice", layers, h5_texts("weight_names", {"kernel:0", "kernel:0"}), "named twice");
  keras("keras_unnamed", layers, "", "that no weight_names has");
}

void add_keras_zips(Files& files) {
  const std::string h5 = text_of(kFixtures / "h5/keras3.weights.h5"), config = "{}";
  const auto zip = [&](const std::string& name, std::vector<ZipPart> parts, const std::string& rule) { files.push_back({name + ".keras", zipped(parts), rule}); };
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "[";
  zip("no_config", {{"model.weights.h5", h5}}, "without config.json");
  zip("no_weights", {{"config.json", config}, {"model.weights.h5.txt", ""}}, "without model.weights.h5");
  zip("config_nested", {{"config.json", nested}, {"model.weights.h5", h5}}, "config");
  zip("config_no_json", {{"config.json", "{"}, {"model.weights.h5", h5}}, "no valid JSON");
  zip("config_checksum", {{"config.json", config, false, -1, -1, -1, 7}, {"model.weights.h5", h5}}, "has the checksum");
  zip("no_h5", {{"config.json", config}, {"model.weights.h5", "not HDF5 at all"}}, "superblock");
  zip("cut_h5", {{"config.json", config}, {"model.weights.h5", h5.substr(0, h5.size() - 1)}}, "cut short");
  zip("bomb", {{"config.json", config}, {"model.weights.h5", h5, true, 1 << 30}}, "no deflate reaches that");
  zip("path", {{"config.json", config}, {"../../model.weights.h5", h5}}, "without model.weights.h5");
  zip("twice", {{"config.json", config}, {"model.weights.h5", h5}, {"model.weights.h5", h5}}, "appears twice");
}

void add_others(Files& files) {
  const auto pth = [&](const std::string& name, const std::string& bytes, const std::string& rule) { files.push_back({name + ".pth", bytes, rule}); };
  const auto value = [&](const std::string& name, const std::string& v, const std::string& rule) { pth(name, torch_zip(dict({{"a.w", v}})), rule); };
  const int64_t huge = int64_t(1) << 62;
  pth("system", torch_zip(call(global("os", "system"), {text("touch executed")})), "no tensors in it");
  pth("legacy_system", legacy(call(global("os", "system"), {text("touch executed")}), one_key(), le(int64_t(6)) + floats(6)), "a storage that no tensor uses");
  value("shape_huge", tensor(storage(), 0, {huge, huge}, {0, 0}), "exceeds 8 GiB");
  value("shape_negative", tensor(storage(), 0, {-1}, {1}), "expected a whole number");
  value("stride_overflow", tensor(storage(), 0, {4}, {INT64_MAX}), "leaves its storage");
  value("expanded", tensor(storage(), 0, {1 << 30}, {0}), "expand to more than");
  value("storage_path", tensor(storage("../../etc/passwd"), 0, {1}, {1}), "is not in the file");
  value("nested", ")" + [] { std::string s; for (int i = 0; i < 1 << 20; ++i) s += '\x85'; return s; }(), "nest deeper than 64");
  value("cyclic", "]q\1h\1a", "nest deeper than 64");
  auto parts = torch_parts(dict({{"a.w", good_tensor()}}));
  parts[1].deflate = true, parts[1].size = 1 << 30;
  pth("zip_bomb", zipped(parts), "no deflate reaches that");
  parts = torch_parts(dict({{"a.w", good_tensor()}}));
  parts[1].crc = 7;
  pth("checksum", zipped(parts), "has the checksum");
  const auto safe = [&](const std::string& name, const std::string& header, size_t data, const std::string& rule) {
    files.push_back({name + ".safetensors", le(uint64_t(header.size())) + header + zeros(data), rule});
  };
  safe("huge", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "exceed 8 GiB");
  safe("overlap", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "overlap");
  safe("negative", R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole number");
  files.push_back({"long.safetensors", le(~uint64_t{0}) + "{}", "header length"});
  files.push_back({"empty.bin", "", "got 0 bytes"});
  files.push_back({"text.bin", "just some text, and no weights", "expected one of"});
}

}  // namespace

TEST_CASE("hostile files of every kind are refused, naming file and rule", "[weights][hostile]") {
  Files files;
  add_h5(files);
  add_keras_zips(files);
  add_others(files);
  const size_t by_rule = files.size();
  add_cuts(files);
  CHECK(by_rule >= 120);
  CHECK(files.size() >= 250);
  const TempDir folder;
  std::set<std::string> names;
  for (const Hostile& f : files) {
    INFO(f.name);
    CHECK(names.insert(f.name).second);
    write_file(folder.path / f.name, f.bytes);
    try {
      read_weights(folder.path / f.name);
      FAIL("was read");
    } catch (const Error& e) {
      CHECK_THAT(e.what(), contains(f.name) && contains(f.rule) && contains("Fix: "));
      CHECK(e.kind() == ErrorKind::bad_input);
    }
  }
  CHECK(!fs::exists("executed"));
}

TEST_CASE("the files of h5_bytes.h are good when nothing hostile is in them", "[weights][h5]") {
  H5Bytes file;
  const uint64_t data = file.add(floats(6));
  const WeightFile f = parse_weights(as_bytes(h5_keras(file, h5_dataset(h5_contiguous(data, 24)))), "good.h5");
  CHECK(f.at("dense.weight").shape == std::vector<int64_t>{3, 2});
  CHECK(f.at("dense.weight").floats() == std::vector<float>{0, 3, 1, 4, 2, 5});
}
