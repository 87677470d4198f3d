#pragma once
// Pictures with what was said of them drawn in, for people to look at.
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tools/predict/answers.h"
#include "tools/predict/picture_list.h"

namespace vkfer {

// In colour: a box around each face that was found, and over it the answered class with its probability, valence and arousal; of a picture
// as a whole the same in its corner. Small pictures are enlarged by a whole factor so that the text can be read.
Image annotated(const Image& picture, const PictureAnswer&, const std::vector<std::string>& classes);

// A picture of fewer than 256 pixels on its shorter side, every pixel a square of several; others as they are.
Image enlarged_to_read(Image);

// Where in `folder` the picture made of each input lies: as the inputs lie below the folder that holds them all, a/x.png and b/x.png as
// folder/a/x.png and folder/b/x.png. JPEG stays JPEG, all else becomes PNG. Names that meet are told apart by -2, -3, ..., and no input
// is ever one of them.
class OutputNames {
 public:
  OutputNames(std::filesystem::path folder, std::span<const ListedPicture> inputs);
  std::filesystem::path next(const std::string& input);   // once for each picture to be written

 private:
  std::filesystem::path folder_, common_;
  std::set<std::filesystem::path> inputs_;                 // as they lie in the file system
  std::set<std::string> taken_;
};

// As its name ends, a JPEG or a PNG; whole or not at all. The folders that lead to it are made.
void write_picture(const std::filesystem::path&, const Image&);

}  // namespace vkfer
