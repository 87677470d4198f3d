#pragma once
// Internal to runtime/: the Vulkan API through volk. Functions of a device are called through its own table, so several
// devices can be open at once; functions of the instance are volk's globals, which serve every instance.
#include <volk.h>

#include "runtime/device_error.h"
