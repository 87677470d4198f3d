#pragma once
// How a camera was held: the orientation that a picture file's Exif data names. JEITA CP-3451, Exif 2.32, tag 0x0112.
#include <cstddef>
#include <span>

#include "tools/data/image.h"

namespace vkfer {

// Of a JPEG (APP1) or a PNG (eXIf): 1 to 8; 1, upright, for other formats, without Exif data, and where that is damaged.
int exif_orientation(std::span<const std::byte> file);

// A picture stored with that orientation as it is to be seen: mirrored, turned or both. Height and width are swapped for 5 to 8.
Image turned_upright(Image image, int orientation);

}  // namespace vkfer
