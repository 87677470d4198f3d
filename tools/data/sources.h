#pragma once
// The sources a data set can come from, one file each. For dataset.cpp only; see open_dataset() for what they read.
#include <filesystem>

#include "tools/data/dataset.h"

namespace vkfer {

constexpr const char* kManifestName = "manifest.csv";  // in a folder: what describes it

DatasetContents open_folder(const std::filesystem::path& path, const DatasetOptions& options);
DatasetContents open_zip(const std::filesystem::path& path, const DatasetOptions& options);
DatasetContents open_csv(const std::filesystem::path& path, const DatasetOptions& options);  // one of the next two
DatasetContents open_fer_csv(const std::filesystem::path& path, const DatasetOptions& options);
DatasetContents open_manifest(const std::filesystem::path& path, const DatasetOptions& options);
DatasetContents open_affectnet(const std::filesystem::path& path, const DatasetOptions& options);
bool is_affectnet(const std::filesystem::path& path);

const std::vector<std::string>& fer_classes();  // in the order of FER2013's numbers

// "Training", "train", "val", "PublicTest", ...: any case; unassigned for what is none of them.
Split split_from_name(std::string_view name);

}  // namespace vkfer
