#!/usr/bin/env bash
# Pushes the images and the chart of a release to a registry, and signs them with the identity of the workflow (cosign,
# keyless). The bills of materials become attestations of the images.
#
#   tests/tools/publish.sh REGISTRY       such as ghcr.io/gitvolume
#
# RELEASE_DIR names the release's directory; DRY_RUN=1 prints the commands. The digests are written to
# RELEASE_DIR/digests, as NAME=sha256:….
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ $# == 1 && $1 =~ ^[a-z0-9][a-z0-9./:_-]*$ ]] || { echo "usage: tests/tools/publish.sh REGISTRY" >&2; exit 2; }
registry=$1
version=$(tests/tools/version.sh)
dir=${RELEASE_DIR:-target/release-$version}

exec 3>&2
run() {
  echo "+ $*" >&3
  [[ -n ${DRY_RUN:-} ]] || "$@"
}

# The digest of the only entry of an OCI archive: a manifest, or an index for several architectures.
digest_of() {
  tar --extract --to-stdout --file "$1" index.json |
    python3 -c 'import json, sys; entries = json.load(sys.stdin)["manifests"]; assert len(entries) == 1, entries; print(entries[0]["digest"])'
}

: >"$dir/digests"
for image in gitvolume gitvolume-syncer; do
  # The program in the image, whose bill of materials is attested.
  program=${image/%gitvolume/gitvolume-webhook}
  digest=$(digest_of "$dir/$image.tar")
  run skopeo copy --all --preserve-digests "oci-archive:$dir/$image.tar" "docker://$registry/$image:$version"
  run cosign sign --yes "$registry/$image@$digest"
  run cosign attest --yes --type cyclonedx --predicate "$dir/$program.cdx.json" "$registry/$image@$digest"
  echo "$image=$digest" >>"$dir/digests"
done

# Helm prints the digest of what it has pushed.
pushed=$(run helm push "$dir/gitvolume-$version.tgz" "oci://$registry/charts" 2>&1)
[[ -z ${DRY_RUN:-} ]] || pushed="Digest: DIGEST"
digest=$(sed -nE 's/^Digest: //p' <<<"$pushed")
[[ -n $digest ]] || { echo "publish: helm push printed no digest: $pushed" >&2; exit 1; }
run cosign sign --yes "$registry/charts/gitvolume@$digest"
echo "chart=$digest" >>"$dir/digests"
