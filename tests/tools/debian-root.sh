#!/usr/bin/env bash
# Unpacks Debian's packages of an architecture, which the images are made of, into target/debian/ARCH/root. It
# installs nothing: apt gets a configuration of its own, and neither the system's packages nor its architectures change.
#
#   tests/tools/debian-root.sh ARCH       amd64 or arm64
#
# DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR name other mirrors. A snapshot of a day gives the same packages, and so the
# same images, at any time:
#
#   DEBIAN_MIRROR=https://snapshot.debian.org/archive/debian/20260101T000000Z
#   DEBIAN_SECURITY_MIRROR=https://snapshot.debian.org/archive/debian-security/20260101T000000Z
#
# target/debian/ARCH/packages lists what was unpacked, with versions and checksums.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "debian-root: $*" >&2; exit 1; }

[[ $# == 1 && $1 =~ ^(amd64|arm64)$ ]] || { echo "usage: tests/tools/debian-root.sh amd64|arm64" >&2; exit 2; }
arch=$1
# That of syncer/Containerfile.
suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for program in apt-get dpkg-deb; do
  command -v "$program" >/dev/null || fail "$program is missing: the images are made on Debian or a child of it"
done
[[ -e $keyring ]] || fail "$keyring is missing: apt-get install debian-archive-keyring"

at=$PWD/target/debian/$arch
mkdir -p "$at"/apt/{lists,archives,empty}/partial "$at"/apt/none
# One at a time.
exec 9>"$at/lock"
flock 9

# musl-dev is not for the images: its headers are for the C code of the programs that are compiled for them.
mapfile -t packages < <(sed -nE 's/^([a-z0-9-]+) .*/\1/p' syncer/packages; echo musl-dev)

: >"$at/apt/status"
cat >"$at/apt/sources.list" <<END
deb [signed-by=$keyring] $mirror $suite main
deb [signed-by=$keyring] $mirror $suite-updates main
deb [signed-by=$keyring] $security $suite-security main
END
cat >"$at/apt/conf" <<END
#clear APT::Architectures;
#clear APT::Update;
#clear DPkg;
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
Acquire::Check-Valid-Until "false";
Dir::State "$at/apt";
Dir::State::status "$at/apt/status";
Dir::Cache "$at/apt";
Dir::Etc::sourcelist "$at/apt/sources.list";
Dir::Etc::sourceparts "$at/apt/none";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$at/apt/none";
END
apt() { apt-get -c "$at/apt/conf" --quiet --yes --no-install-recommends "$@"; }

apt update >"$at/log" 2>&1 || fail "apt-get update: $(tail -n 3 "$at/log")"
# The names and checksums of everything that has to be there; apt leaves out what its cache has.
apt -o "Dir::Cache::archives=$at/apt/empty" --print-uris --download-only install "${packages[@]}" 2>"$at/log" | sed -nE "s/^'[^']*' ([^ ]+) [0-9]+ (.*)/\1 \2/p" |
  sort >"$at/packages.new"
[[ -s $at/packages.new ]] || fail "apt-get install: $(tail -n 3 "$at/log")"
if cmp --quiet "$at/packages" "$at/packages.new" && [[ -d $at/root ]]; then
  rm "$at/packages.new"
  exit
fi

apt --download-only install "${packages[@]}" >"$at/log" 2>&1 || fail "apt-get install: $(tail -n 3 "$at/log")"
new=$at/root.new
rm -rf "$new"
mkdir -p "$new"/usr/{bin,sbin,lib,lib64} "$new"/var/lib/dpkg/info
for dir in bin sbin lib lib64; do
  ln -s "usr/$dir" "$new/$dir"
done
while read -r file _; do
  deb=$at/apt/archives/$file
  name=$(dpkg-deb --field "$deb" Package)
  dpkg-deb --fsys-tarfile "$deb" | tar --extract --directory "$new" --keep-directory-symlink --no-same-owner
  # As dpkg's own database has it.
  dpkg-deb --fsys-tarfile "$deb" | tar --list | sed -E 's,^\.,,; s,/$,,; s,^$,/.,' >"$new/var/lib/dpkg/info/$name.list"
  { dpkg-deb --field "$deb" | sed '1a Status: install ok unpacked'; echo; } >>"$new/var/lib/dpkg/status"
done <"$at/packages.new"
# What the package's installation script makes: each authority once, in the order of names.
mkdir -p "$new/etc/ssl/certs"
find "$new/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort |
  while read -r file; do sed -e '$a\' "$file"; done >"$new/etc/ssl/certs/ca-certificates.crt"
rm -rf "$at/root"
mv "$new" "$at/root"
mv "$at/packages.new" "$at/packages"
