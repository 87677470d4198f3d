# from_debian.sh: sourced by the fetch scripts. Takes packages of Debian releases that this machine does not run, checked by apt
# against Debian's archive keys. Nothing is installed and root is not needed: apt works in a folder of its own, the system's
# sources, lists and packages are neither read nor touched.
#
#   say WORD... / die WORD...      a line on stderr after "$name: "; die ends with status 1
#   open_archive DIR RELEASE...    reads the lists of the releases; DIR will hold the result
#   unpack PACKAGE[=VERSION|/RELEASE]...   downloads, then unpacks below $unpacked
#   take_place                     makes the folder $new, where the script put its files, DIR: it is complete or absent
# Environment: MIRROR, SECONDS_LIMIT (default 240, over all downloads).
# shellcheck shell=bash
cache=${VKFER_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/vkfer}
say() { echo "$name: $*" >&2; }
die() { say "$*"; exit 1; }

open_archive() {
  dir=$1
  shift
  [ "$(uname -m)" = x86_64 ] || die "exists for x86-64 only"
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r $keyring ] || die "no $keyring (package debian-archive-keyring)"
  # The mirror this machine's apt already uses, or Debian's own.
  # shellcheck disable=SC2016
  mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    sed 's#/*$##' | grep -m1 '/debian$' || echo http://deb.debian.org/debian)}

  work=$(mktemp -d "${TMPDIR:-/tmp}/vkfer-$name.XXXXXX")
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$work" "$new"' EXIT
  unpacked=$work/unpacked
  mkdir -p "$work"/{lists/partial,cache/archives/partial,empty,state,debs,unpacked}
  : > "$work/status"
  printf "deb [arch=amd64 signed-by=$keyring] $mirror %s main\n" "$@" > "$work/sources.list"
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

  # One time limit over all downloads, so that a machine without a network goes on soon.
  deadline=$((SECONDS + ${SECONDS_LIMIT:-240}))
  limited apt-get update -qq -o APT::Update::Error-Mode=any || die "cannot read $mirror: $(reason)"
}

limited() { timeout $((deadline > SECONDS ? deadline - SECONDS : 1)) "$@" > "$work/log" 2>&1; }
reason() { grep -m1 '^E: ' "$work/log" || echo "no answer within ${SECONDS_LIMIT:-240} s"; }

unpack() {
  (cd "$work/debs" && limited apt-get download "$@") || die "download failed: $(reason)"
  local deb
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$unpacked"; done
}

take_place() {
  chmod 755 "$new"
  rm -rf "$dir"
  mv -T "$new" "$dir"
}
