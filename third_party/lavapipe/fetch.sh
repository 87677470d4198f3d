#!/usr/bin/env bash
# fetch.sh [DIR]: a private copy of Mesa 26's lavapipe, the Vulkan driver that runs on the CPU (README.md says why).
#
# Takes two of Debian's own packages, mesa-vulkan-drivers of trixie-backports and libllvm19 of bookworm (from_debian.sh). Three
# files are unpacked into DIR (default ~/.cache/vkfer/lavapipe), where the tool looks for them. The same bytes serve every
# distribution.
#
# Exit status 0: DIR holds the driver. 1: it does not, and the last line on stderr says why.
# Environment: MIRROR, SECONDS_LIMIT (default 240).
set -euo pipefail
MESA=26.1.6-1~bpo13+1  # backports keep only the newest: when this one has left, its successor is taken and named
LLVM=libLLVM.so.19.1

name=lavapipe
third_party=$(realpath "$(dirname "$(realpath "$0")")/..")
# shellcheck source=third_party/from_debian.sh
source "$third_party/from_debian.sh"
target=$(realpath -m "${1:-$cache/lavapipe}")
if [ "$(cat "$target/requested" 2>/dev/null)" = "$MESA" ]; then exit 0; fi

open_archive "$target" trixie-backports bookworm
version=$MESA
if ! apt-cache madison mesa-vulkan-drivers | grep -qF " $MESA "; then
  version=$(apt-cache madison mesa-vulkan-drivers | awk '/trixie-backports/ { print $3; exit }')
  [ -n "$version" ] || die "no Mesa in trixie-backports of $mirror"
  say "Mesa $MESA has left the archive, taking $version"
fi
unpack "mesa-vulkan-drivers=$version" libllvm19/bookworm

usr=$unpacked/usr
cp -L "$usr/lib/x86_64-linux-gnu/"{libvulkan_lvp.so,$LLVM} "$new/"
for package in mesa-vulkan-drivers libllvm19; do
  cp -L "$usr/share/doc/$package/copyright" "$new/$package.copyright"
done
chmod u+w "$new"/*
perl "$third_party/rebind.pl" "$new/libvulkan_lvp.so"
if missing=$(LC_ALL=C ldd -r "$new/libvulkan_lvp.so" 2>&1 | grep -E 'not found|undefined symbol'); then
  die "Mesa $version does not run on this system: ${missing//[$'\n\t']/ }"
fi
sed 's#"[^"]*libvulkan_lvp.so"#"./libvulkan_lvp.so"#' "$usr"/share/vulkan/icd.d/lvp_icd*.json > "$new/lvp_icd.json"
echo "$version" > "$new/version"
echo "$MESA" > "$new/requested"
take_place
say "Mesa $version is in $dir ($(du -sm "$dir" | cut -f1) MB)"
