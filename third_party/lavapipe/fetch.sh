#!/usr/bin/env bash
# fetch.sh [DIR]: a private copy of Mesa 26's lavapipe, the Vulkan driver that runs on the CPU (README.md says why).
#
# Takes two of Debian's own packages, mesa-vulkan-drivers of trixie-backports and libllvm19 of bookworm, checked by apt
# against Debian's archive keys. Nothing is installed and root is not needed: three files are unpacked into DIR
# (default ~/.cache/vkfer/lavapipe), where the tool looks for them. The same bytes serve every distribution.
#
# Exit status 0: DIR holds the driver. 1: it does not, and the last line on stderr says why.
# Environment: MIRROR, SECONDS_LIMIT (default 240).
set -euo pipefail
MESA=26.1.6-1~bpo13+1  # backports keep only the newest: when this one has left, its successor is taken and named
LLVM=libLLVM.so.19.1

here=$(dirname "$(realpath "$0")")
cache=${VKFER_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/vkfer}
dir=$(realpath -m "${1:-$cache/lavapipe}")
say() { echo "lavapipe: $*" >&2; }
die() { say "$*"; exit 1; }

if [ "$(cat "$dir/requested" 2>/dev/null)" = "$MESA" ]; then exit 0; fi
[ "$(uname -m)" = x86_64 ] || die "the private driver exists for x86-64 only"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || die "no $keyring (package debian-archive-keyring)"

# The mirror this machine's apt already uses, or Debian's own.
# shellcheck disable=SC2016
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
  sed 's#/*$##' | grep -m1 '/debian$' || echo http://deb.debian.org/debian)}

# apt with lists and caches of its own: the system's sources, lists and packages are neither read nor touched.
work=$(mktemp -d "${TMPDIR:-/tmp}/vkfer-lavapipe.XXXXXX")
mkdir -p "$(dirname "$dir")"
new=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work" "$new"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,empty,state,debs,unpacked}
: > "$work/status"
printf "deb [arch=amd64 signed-by=$keyring] $mirror %s main\n" trixie-backports bookworm > "$work/sources.list"
cat > "$work/apt.conf" <<CONF
Dir::Etc::SourceList "$work/sources.list"; Dir::Etc::SourceParts "$work/empty";
Dir::Etc::Preferences "/dev/null"; Dir::Etc::PreferencesParts "$work/empty";
Dir::State "$work/state"; Dir::State::Lists "$work/lists"; Dir::State::status "$work/status"; Dir::Cache "$work/cache";
APT::Architecture "amd64"; APT::Architectures {"amd64";}; APT::Sandbox::User "";
#clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none"; Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Retries "1"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";
CONF
export APT_CONFIG=$work/apt.conf DEBIAN_FRONTEND=noninteractive

# One time limit over both downloads, so that a machine without a network goes on soon.
deadline=$((SECONDS + ${SECONDS_LIMIT:-240}))
limited() { timeout $((deadline > SECONDS ? deadline - SECONDS : 1)) "$@" > "$work/log" 2>&1; }
reason() { grep -m1 '^E: ' "$work/log" || echo "no answer within ${SECONDS_LIMIT:-240} s"; }

limited apt-get update -qq -o APT::Update::Error-Mode=any || die "cannot read $mirror: $(reason)"
version=$MESA
if ! apt-cache madison mesa-vulkan-drivers | grep -qF " $MESA "; then
  version=$(apt-cache madison mesa-vulkan-drivers | awk '/trixie-backports/ { print $3; exit }')
  [ -n "$version" ] || die "no Mesa in trixie-backports of $mirror"
  say "Mesa $MESA has left the archive, taking $version"
fi
(cd "$work/debs" && limited apt-get download "mesa-vulkan-drivers=$version" libllvm19/bookworm) ||
  die "download failed: $(reason)"
for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/unpacked"; done

# DIR is complete or absent: it is put together in a folder beside it, which then takes its name.
usr=$work/unpacked/usr
cp -L "$usr/lib/x86_64-linux-gnu/"{libvulkan_lvp.so,$LLVM} "$new/"
for package in mesa-vulkan-drivers libllvm19; do
  cp -L "$usr/share/doc/$package/copyright" "$new/$package.copyright"
done
chmod u+w "$new"/*
perl "$here/rebind.pl" "$new/libvulkan_lvp.so"
if missing=$(LC_ALL=C ldd -r "$new/libvulkan_lvp.so" 2>&1 | grep -E 'not found|undefined symbol'); then
  die "Mesa $version does not run on this system: ${missing//[$'\n\t']/ }"
fi
sed 's#"[^"]*libvulkan_lvp.so"#"./libvulkan_lvp.so"#' "$usr"/share/vulkan/icd.d/lvp_icd*.json > "$new/lvp_icd.json"
echo "$version" > "$new/version"
echo "$MESA" > "$new/requested"
chmod 755 "$new"
rm -rf "$dir"
mv -T "$new" "$dir"
say "Mesa $version is in $dir ($(du -sm "$dir" | cut -f1) MB)"
