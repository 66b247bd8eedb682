#!/usr/bin/env bash
# Prints what `make test-cluster` is about to build and how long that takes on two idle cores.
set -euo pipefail
cd "$(dirname "$0")/../.."

echo "make test-cluster:"
tools=${GITVOLUME_TOOLS:-target/tools}
if [[ ! -e $tools/stamps/gitea ]]; then
  echo "  builds Kubernetes, etcd, containerd, helm, cert-manager and Gitea from source: about 25 minutes, once"
fi
if [[ ! -e target/dist/gitvolume-webhook ]]; then
  echo "  builds both programs, static and optimised: about 4 minutes"
fi
echo "  runs the tests: about 16 minutes; with ONLY=NAME, one or two"
