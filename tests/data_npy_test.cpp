// NumPy files: types, shapes, bad and damaged files.
#include "tests/data_files.h"
#include "tools/data/npy.h"

using namespace vkfer;
using namespace vkfer::test;


TEST_CASE("npy: types, shapes and versions", "[data]") {
  CHECK(parse_npy(npy_of(header_of("<f4", "(2, 2)"), raw<float>({1, 2, 3, -4.5f})), "a").as_floats() == std::vector<float>{1, 2, 3, -4.5f});
  CHECK(parse_npy(npy_of(header_of("<f8", "()"), raw<double>({-0.25})), "a").as_floats() == std::vector<float>{-0.25f});
  CHECK(parse_npy(npy_of(header_of("<f2", "(4,)"), raw<uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF})), "a").as_floats() ==
        std::vector<float>{1, -2, 0x1p-24f, 65504});
  CHECK(parse_npy(npy_of(header_of("<i8", "(2,)"), raw<int64_t>({9007199254740993, -1})), "a").as_int64s() ==
        std::vector<int64_t>{9007199254740993, -1});
  CHECK(parse_npy(npy_of(header_of("|i1", "(2,)"), raw<int8_t>({-128, 127})), "a").as_int64s() == std::vector<int64_t>{-128, 127});
  CHECK(parse_npy(npy_of(header_of("|u1", "(1,)"), raw<uint8_t>({255})), "a").as_int64s() == std::vector<int64_t>{255});
  CHECK(parse_npy(npy_of(header_of("<u2", "(1,)"), raw<uint16_t>({65535})), "a").as_int64s() == std::vector<int64_t>{65535});
  CHECK(parse_npy(npy_of(header_of("<i4", "(1,)"), raw<int32_t>({-7})), "a").as_int64s() == std::vector<int64_t>{-7});
  CHECK(parse_npy(npy_of(header_of("|b1", "(2,)"), raw<uint8_t>({0, 1})), "a").as_int64s() == std::vector<int64_t>{0, 1});
  CHECK(parse_npy(npy_of(header_of("<U5", "()"), raw<char32_t>({'-', '0', '.', '5', 0})), "a").as_floats() == std::vector<float>{-0.5f});
  CHECK(parse_npy(npy_of(header_of("|S3", "(2,)"), std::string("3\0\0 12", 6)), "a").as_int64s() == std::vector<int64_t>{3, 12});
  CHECK(parse_npy(npy_of(header_of("<f4", "(0, 3)"), ""), "a").as_floats().empty());
  for (const int version : {1, 2, 3}) CHECK(parse_npy(npy_of(header_of("<f4", "(1,)"), raw<float>({6}), version), "a").number(0) == 6);
  // Big-endian, as NumPy writes it on request.
  CHECK(parse_npy(npy_of(header_of(">f4", "(1,)"), std::string("\x3f\x80\0\0", 4)), "a").as_floats() == std::vector<float>{1});
  CHECK(parse_npy(npy_of(header_of(">f8", "()"), std::string("\xbf\xd0\0\0\0\0\0\0", 8)), "a").number(0) == -0.25);
  CHECK(parse_npy(npy_of(header_of(">f2", "(2,)"), std::string("\x3c\0\xc0\0", 4)), "a").as_floats() == std::vector<float>{1, -2});
  CHECK(parse_npy(npy_of(header_of(">i2", "(2,)"), std::string("\xff\xfe\1\0", 4)), "a").as_int64s() == std::vector<int64_t>{-2, 256});
  CHECK(parse_npy(npy_of(header_of(">i8", "()"), std::string("\0\0\0\0\0\0\1\2", 8)), "a").as_int64s() == std::vector<int64_t>{258});
  CHECK(parse_npy(npy_of(header_of(">u4", "()"), std::string("\x80\0\0\1", 4)), "a").as_int64s() == std::vector<int64_t>{0x80000001});
  CHECK(parse_npy(npy_of(header_of(">u8", "()"), std::string("\0\0\0\0\0\0\0\7", 8)), "a").as_int64s() == std::vector<int64_t>{7});
  CHECK(parse_npy(npy_of(header_of(">U2", "(2,)"), std::string("\0\0\0-\0\0\0" "2\0\0\0" "7\0\0\0\0", 16)), "a").as_int64s() == std::vector<int64_t>{-2, 7});
  CHECK(parse_npy(npy_of(header_of("<u4", "(1,)"), raw<uint32_t>({4294967295u})), "a").as_int64s() == std::vector<int64_t>{4294967295});
  CHECK(parse_npy(npy_of(header_of("<i2", "(1,)"), raw<int16_t>({-300})), "a").as_int64s() == std::vector<int64_t>{-300});
  // Fortran order [2,3]: columns first in the file.
  CHECK(parse_npy(npy_of(header_of("<f4", "(2, 3)", "True"), raw<float>({0, 10, 1, 11, 2, 12})), "a").as_floats() ==
        std::vector<float>{0, 1, 2, 10, 11, 12});
}

TEST_CASE("npy: bad files name the problem", "[data]") {
  const auto refuse = [](const Bytes& bytes, const std::string& message) {
    CHECK_THROWS_WITH(parse_npy(bytes, "bad.npy"), contains("bad.npy") && contains(message));
  };
  const std::string one = raw<float>({1});
  refuse(to_bytes("hello, world"), "not a .npy");
  refuse({}, "not a .npy");
  refuse(npy_of(header_of("<f4", "(2,)"), one), "4 bytes of data, expected 8");
  refuse(npy_of(header_of("<f4", "(1,)"), one + one), "8 bytes of data, expected 4");
  refuse(npy_of(header_of("|O", "(1,)"), one), "element type");
  refuse(npy_of(header_of("<f16", "(1,)"), std::string(16, 'x')), "element type");
  refuse(npy_of(header_of("<M8[ns]", "(1,)"), std::string(8, 'x')), "element type");
  refuse(npy_of(header_of("|V4", "(1,)"), one), "element type");
  refuse(npy_of(header_of("<c8", "(1,)"), one), "element type");
  refuse(npy_of(header_of("<f3", "(1,)"), one), "element type");
  refuse(npy_of(header_of("<f4", "(-1,)"), one), "dimension");
  refuse(npy_of(header_of("<f4", "(4611686018427387904, 4611686018427387904)"), one), "more than");
  refuse(npy_of(header_of("<f4", "(99999999999999999999,)"), one), "dimension");
  refuse(npy_of(header_of("|S0", "(99999999999,)"), ""), "empty texts");
  refuse(npy_of("{'descr': '<f4', 'shape': (1,), }", one), "missing");
  refuse(npy_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", one), "structured");
  refuse(npy_of("__import__('os')", one), "no '{'");
  refuse(npy_of(header_of("<f4", "(1,)"), one, 9), "version 9");
  Bytes cut = npy_of(header_of("<f4", "(1,)"), one);
  cut.resize(40);
  refuse(cut, "truncated");
  CHECK_THROWS_WITH(parse_npy(npy_of(header_of("|S3", "()"), "abc"), "t.npy").as_floats(), contains("'abc' is not a number"));
  CHECK_THROWS_WITH(parse_npy(npy_of(header_of("<f4", "()"), raw<float>({1.5f})), "t.npy").as_int64s(), contains("expected an integer"));
  CHECK_THROWS_WITH(read_npy("/nonexistent/x.npy"), contains("does not exist"));
}

TEST_CASE("npy: written and read back, and damaged at random", "[data]") {
  const TempDir dir;
  const std::vector<float> values{1, -2, 3.5f, 0, 1e-30f, 7};
  write_npy(dir.path / "f.npy", std::vector<int64_t>{2, 3}, std::span(values));
  const NpyArray back = read_npy(dir.path / "f.npy");
  CHECK(back.shape == std::vector<int64_t>{2, 3});
  CHECK(back.as_floats() == values);
  const std::vector<int64_t> labels{3, -1};
  write_npy(dir.path / "i.npy", std::vector<int64_t>{2}, std::span(labels));
  CHECK(read_npy(dir.path / "i.npy").as_int64s() == labels);
  write_npy(dir.path / "s.npy", {}, std::span(values).first(1));
  CHECK(read_npy(dir.path / "s.npy").shape.empty());
  CHECK_THROWS_AS(write_npy(dir.path / "f.npy", std::vector<int64_t>{7}, std::span(values)), Error);
  CHECK_THROWS_WITH(write_npy(dir.path / "no/f.npy", std::vector<int64_t>{6}, std::span(values)), contains("cannot be written"));

  const int rounds = fuzz_rounds(2000);
  flip_bytes(file_bytes(dir.path / "f.npy"), rounds, 8, [](const Bytes& bytes) { parse_npy(bytes, "fuzz").as_floats(); });
  flip_bytes(npy_of(header_of("<U3", "(2,)"), raw<char32_t>({'1', '2', 0, '-', '3', 0})), rounds, 9,
             [](const Bytes& bytes) { parse_npy(bytes, "fuzz").as_int64s(); });
}
