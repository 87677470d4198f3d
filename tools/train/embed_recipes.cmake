# embedded_recipes.cpp: every file of recipes/ as text, so that the tool needs nothing of the source folder.
#   cmake -DFOLDER=... -DOUTPUT=... -P embed_recipes.cmake
cmake_minimum_required(VERSION 3.25)
file(GLOB FILES RELATIVE ${FOLDER} ${FOLDER}/*.toml)
list(TRANSFORM FILES REPLACE "\\.toml$" "")
list(SORT FILES)
set(TEXT "#include \"tools/train/recipe.h\"\n\nnamespace vkfer {\n\nstd::span<const BuiltinRecipe> builtin_recipes() {\n  static constexpr BuiltinRecipe all[] = {\n")
foreach(NAME ${FILES})
  file(READ ${FOLDER}/${NAME}.toml CONTENT)
  string(APPEND TEXT "      {\"${NAME}\", R\"recipe(${CONTENT})recipe\"},\n")
endforeach()
string(APPEND TEXT "  };\n  return all;\n}\n\n}  // namespace vkfer\n")
file(WRITE ${OUTPUT} "${TEXT}")
