#!/usr/bin/env bash
# fetch.sh [DIR]: a private copy of a glslang that knows GL_KHR_cooperative_matrix, for Debian 12, whose own is too old.
#
# Takes two of Debian 13's own packages, glslang-tools and spirv-tools (from_debian.sh). Three programs are unpacked into DIR
# (default ~/.cache/vkfer/glslang), where shaders/CMakeLists.txt looks for them.
#
# Exit status 0: DIR holds the compiler. 1: it does not, and the last line on stderr says why.
# Environment: MIRROR, SECONDS_LIMIT (default 60).
set -euo pipefail
GLSLANG=15.1.0+1.4.309.0-1  # in the archive as long as Debian 13 is; when a point release replaces it, its successor is taken

name=glslang
third_party=$(realpath "$(dirname "$(realpath "$0")")/..")
# shellcheck source=third_party/from_debian.sh
source "$third_party/from_debian.sh"
target=$(realpath -m "${1:-$cache/glslang}")
if [ "$(cat "$target/requested" 2>/dev/null)" = "$GLSLANG" ]; then exit 0; fi

SECONDS_LIMIT=${SECONDS_LIMIT:-60}
open_archive "$target" trixie
version=$GLSLANG
apt-cache madison glslang-tools | grep -qF " $GLSLANG " ||
  version=$(apt-cache madison glslang-tools | awk '{ print $3; exit }')
[ -n "$version" ] || die "no glslang-tools in trixie of $mirror"
unpack "glslang-tools=$version" spirv-tools

cp -L "$unpacked"/usr/bin/{glslang,spirv-opt,spirv-val} "$new/"
for package in glslang-tools spirv-tools; do
  cp -L "$unpacked/usr/share/doc/$package/copyright" "$new/$package.copyright"
done
for program in glslang spirv-opt spirv-val; do
  perl "$third_party/rebind.pl" "$new/$program"
  "$new/$program" --version > "$work/log" 2>&1 || die "$program of $version does not run on this system: $(head -n 1 "$work/log")"
done
echo "$GLSLANG" > "$new/requested"
take_place
say "glslang $version is in $dir ($(du -sm "$dir" | cut -f1) MB)"
