# embedded_imagenet.cpp: the names of ImageNet's classes as text, so that the tool needs no file of them.
#   cmake -DNAMES=... -DOUTPUT=... -P embed_names.cmake
cmake_minimum_required(VERSION 3.25)
file(READ ${NAMES} CONTENT)
file(WRITE ${OUTPUT} "#include \"tools/predict/imagenet.h\"\n\nnamespace vkfer {\n\nstd::string_view imagenet_names_text() { return R\"names(${CONTENT})names\"; }\n\n}  // namespace vkfer\n")
