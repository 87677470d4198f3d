#pragma once
// A data set: labelled images and which of them train, validate and test. Images stay encoded until asked for.
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "tools/data/image.h"
#include "tools/data/synthetic.h"

namespace vkfer {

// public_test and private_test are FER2013's official held-out halves; a sample of public_test is in "val" and in "test".
enum class Split : uint8_t { train, val, test, public_test, private_test, unassigned };

struct Sample {
  std::string id;  // unique and stable: path inside the data set, "row 17", ...
  int label = -1;  // index into classes(); -1: unlabelled
  float valence = std::numeric_limits<float>::quiet_NaN();  // in -1..1; NaN: unknown
  float arousal = std::numeric_limits<float>::quiet_NaN();
  float weight = 1;  // in the training loss: that of a batch is the sum of weight * loss over the sum of weights
  Split split = Split::unassigned;
  size_t entry = 0;  // where the source finds its bytes
  std::vector<float> distribution{};  // over the classes, 1 together, where several people disagree (FER+); empty: the label alone
};

// What is made of FER+'s votes, see ferplus.h.
enum class VoteMode : uint8_t { none, majority, probability };

struct DatasetOptions {
  uint64_t seed = 1;          // of the stratified split, where the data has none of its own
  double val_fraction = 0.1;  // of a data set without its own split; also carved off train where val alone is missing
  double test_fraction = 0.1;
  bool complete_split = true; // false: samples stay unassigned where the data says nothing, for who copies it
  VoteMode votes = VoteMode::none;  // of a fer2013.csv with fer2013new.csv beside it
  bool skip_bad = false;      // leave out (and count in warnings) bad rows and files instead of failing
  SyntheticOptions synthetic;
};

// Where a sample's picture lies on disk, for who copies it or refers to it.
struct ImageFile {
  std::filesystem::path path;
  std::array<int, 4> box{};  // x y w h of the part that is the sample; w == 0: the whole picture
};

// What a source hands over. `decode` must be safe to call from several threads and may throw Error.
struct DatasetContents {
  std::string source;  // how a person would call it: the path, or "built-in synthetic faces"
  std::vector<std::string> classes;
  std::vector<Sample> samples;
  std::function<Image(const Sample&)> decode;
  int native_size = 0;
  int channels = 0;  // 0: find native_size and channels by looking at some images
  bool synthetic = false;
  std::vector<std::string> warnings;
  std::vector<std::string> bad_rows;   // what was wrong with each row or file that skip_bad left out
  std::function<ImageFile(const Sample&)> file;                  // empty, or an empty path: it is no file of its own
  std::function<std::vector<std::byte>(const Sample&)> encoded;  // of a source whose pictures are whole image files, but not on disk
};

// The sample's own image file, byte for byte; empty when it is none, or only a part of one.
std::vector<std::byte> original_bytes(const DatasetContents&, const Sample&);

class Dataset {
 public:
  Dataset(DatasetContents contents, const DatasetOptions& options);  // completes the split and checks it

  const DatasetContents& contents() const { return contents_; }
  const std::string& source() const { return contents_.source; }
  const std::vector<std::string>& classes() const { return contents_.classes; }
  size_t size() const { return contents_.samples.size(); }
  const Sample& sample(size_t index) const { return contents_.samples.at(index); }
  Image image(size_t index) const { return contents_.decode(sample(index)); }  // thread safe; throws Error with the name

  // Indices of "train", "val", "test", "PublicTest", "PrivateTest" or "all", in order of their ids' listing.
  // Official splits: val = PublicTest, test = PublicTest and PrivateTest. Empty when the data has none of it.
  std::vector<size_t> split(std::string_view name) const;

  int native_size() const { return contents_.native_size; }  // the commonest square image's side; 0: none is square
  int channels() const { return contents_.channels; }        // 3 as soon as one image looked at is in colour
  bool synthetic() const { return contents_.synthetic; }
  bool official_split() const { return official_split_; }
  bool has_labels() const;   // any sample with a class
  bool has_valence() const;  // any sample with valence and arousal
  std::vector<size_t> class_counts(std::string_view split_name) const;
  const std::vector<std::string>& warnings() const { return contents_.warnings; }

 private:
  void assign_splits(const DatasetOptions& options);
  void look_at_images();

  DatasetContents contents_;
  bool official_split_ = false;
};

// `where`:
//   "", "builtin"    the built-in synthetic faces (a folder of that name is "./builtin")
//   folder           train|val|test/<class>/*, or <class>/* to be split; FER2013's official split is read from file
//                    names Training_*, PublicTest_*, PrivateTest_*; or images/ + annotations/ as in AffectNet
//   x.zip            the same class folders inside a zip, read in place
//   x.csv            FER2013 (emotion,pixels,Usage) or a manifest (image,label[,valence,arousal,split,weight,x,y,w,h]); a
//                    folder that holds a manifest.csv is read by it
// Without any split of its own the data is split by seed, class by class, 80/10/10 by default. train and test without
// val: val is carved off train, and test is left alone. Throws Error that names the file or line and the remedy.
Dataset open_dataset(const std::string& where, const DatasetOptions& options = {});

}  // namespace vkfer
