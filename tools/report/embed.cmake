# A file of C++ with the text of others, so that the tool needs none of them: FUNCTION, which HEADER declares, returns a struct of as many
# string_views as there are FILES; for one file, a string_view.
#   cmake -DHEADER=tools/report/report.h "-DFUNCTION=PageParts page_parts()" "-DFILES=a.html;b.css" -DOUTPUT=... -P embed.cmake
cmake_minimum_required(VERSION 3.25)
set(TEXT "#include \"${HEADER}\"\n\nnamespace vkfer {\n\n${FUNCTION} {\n  return {\n")
foreach(FILE ${FILES})
  file(READ ${FILE} CONTENT)
  # Compilers take a literal of some 64 KiB everywhere: longer text goes in pieces, which they join.
  string(APPEND TEXT "      ")
  string(LENGTH "${CONTENT}" LENGTH)
  set(AT 0)
  while(AT LESS LENGTH)
    string(SUBSTRING "${CONTENT}" ${AT} 16000 PIECE)
    string(APPEND TEXT "R\"page(${PIECE})page\" ")
    math(EXPR AT "${AT} + 16000")
  endwhile()
  string(APPEND TEXT ",\n")
endforeach()
string(APPEND TEXT "  };\n}\n\n}  // namespace vkfer\n")
file(WRITE ${OUTPUT} "${TEXT}")
