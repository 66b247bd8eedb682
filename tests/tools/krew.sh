#!/usr/bin/env bash
# Writes the krew manifest for the archives in target/release-VERSION, and SHA256SUMS beside them.
#
#   BASE_URL=https://… tests/tools/krew.sh      # where the archives of this version are published
#
# RELEASE_DIR names another directory.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(tests/tools/version.sh)
base=${BASE_URL:-https://gitvolume.dev/releases/v$version}
out=${RELEASE_DIR:-target/release-$version}
none() { echo "$out: no archive; tests/tools/archive.sh makes them" >&2; exit 2; }
[[ -d $out ]] || none
cd "$out"
shopt -s nullglob
archives=(gitvolume-"$version"-*.tar.gz gitvolume-"$version"-*.zip)
[[ ${#archives[@]} != 0 ]] || none
sha256sum "${archives[@]}" >SHA256SUMS

{
  cat <<EOF
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: gitvolume
spec:
  version: v$version
  homepage: https://gitvolume.dev
  shortDescription: Files of git repositories in Pods
  description: |
    Checks a gitvolume installation and its Pods (doctor), shows which commit
    each Pod has published (status, wait), explains the webhook's decisions, and
    injects repositories into manifests or converts gitRepo volumes and git-sync
    containers.
  platforms:
EOF
  while read -r sum archive; do
    platform=${archive#gitvolume-"$version"-}
    platform=${platform%.tar.gz}
    platform=${platform%.zip}
    program=gitvolume
    [[ $platform == windows-* ]] && program=gitvolume.exe
    cat <<EOF
  - selector:
      matchLabels:
        os: ${platform%-*}
        arch: ${platform#*-}
    uri: $base/$archive
    sha256: $sum
    bin: $program
    files:
    - from: $program
      to: .
    - from: LICENSE
      to: .
EOF
  done <SHA256SUMS
} >gitvolume.krew.yaml
echo "$out/gitvolume.krew.yaml $out/SHA256SUMS"
