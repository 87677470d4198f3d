#pragma once
// A data set written as another: class folders, a zip of them, FER2013's csv, a manifest. Pixels are never changed: a picture
// that is a file is copied byte for byte, all others become PNG.
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/data/dataset.h"

namespace vkfer {

struct WriteOptions {
  bool skip_bad = false;                                     // leave unreadable pictures out, and say how many
  std::function<void(size_t done, size_t total)> progress;   // may be empty; what it throws ends the writing
};

// What a format's writer is handed.
struct WriteJob {
  const DatasetContents& data;             // as prepare() left it
  const std::filesystem::path& to;         // where to write, under a temporary name
  bool in_place;                           // a csv that refers to pictures, not a folder that holds them
  const WriteOptions& options;
  std::vector<std::string>& notes;         // lines for people: what was lost
  std::vector<Sample>& left_out;           // unreadable ones
};

struct DataFormat {
  std::string_view name;                   // of --format
  bool affect, weights;                    // holds valence and arousal; holds weights
  // The data as the format can hold them; fails, or adds a note, for what it cannot.
  DatasetContents (*prepare)(DatasetContents, std::vector<std::string>& notes);
  void (*write)(const WriteJob&);
};

std::span<const DataFormat> data_formats();
// By its name; "" goes by the destination's: .zip, .csv (a manifest that refers to the pictures where they are), else folders.
const DataFormat& format_for(std::string_view name, const std::filesystem::path& destination);

// Writes all or nothing; `destination` must not exist, or be empty. Reads the result back and compares splits and classes.
// Returns the notes.
std::vector<std::string> write_dataset(const DatasetContents&, const std::filesystem::path& destination, const DataFormat&, const WriteOptions& = {});

// ---- for the formats' files

// The bytes of an image file and its suffix, ".jpg".
struct PictureFile {
  std::vector<std::byte> bytes;
  std::string suffix;
};
// The sample's own file, when it has one that is it and nothing else; else PNG. Decodes it in any case: no bad file is handed on.
PictureFile picture_file(const DatasetContents&, const Sample&);

// `take` gets the picture of every sample in order; they are made on several threads. Bad ones fail or are left out, as job.options say.
void each_picture(const WriteJob&, const std::function<PictureFile(const Sample&)>& make, const std::function<void(const Sample&, PictureFile)>& take);

// How files are called that hold samples; the same name is never given twice.
class PictureNames {
 public:
  explicit PictureNames(const DatasetContents&);
  std::string folder(const Sample&) const;                        // "train", or "" without a split
  // Below `folder`: "train/happy" -> "train/happy/Training_123.jpg"
  std::string next(const std::string& folder, const Sample&, std::string_view suffix);

 private:
  bool official_;  // FER2013's split, which lies in the files' names
  std::map<std::string, int> used_;
};

DatasetContents prepare_tree(DatasetContents, std::vector<std::string>& notes);
void write_folders(const WriteJob&);
void write_zip_tree(const WriteJob&);
DatasetContents prepare_fer_csv(DatasetContents, std::vector<std::string>& notes);
void write_fer_csv(const WriteJob&);
DatasetContents prepare_manifest(DatasetContents, std::vector<std::string>& notes);
void write_manifest(const WriteJob&);

}  // namespace vkfer
