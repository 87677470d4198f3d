# embedded_page.cpp: the report's page and its charting library as text, so that the tool needs no file of either.
#   cmake -DFOLDER=... -DCHARTS=... -DOUTPUT=... -P embed_page.cmake
cmake_minimum_required(VERSION 3.25)
set(TEXT "#include \"tools/report/report.h\"\n\nnamespace vkfer {\n\nPageParts page_parts() {\n  return {\n")
foreach(FILE ${FOLDER}/page.html ${FOLDER}/page.css ${FOLDER}/page.js ${CHARTS})
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
