#!/usr/bin/env bash
# Builds the documentation as a searchable site.
#
#   tests/tools/site.sh          into target/site/book
#   tests/tools/site.sh DIR      into DIR/book
set -euo pipefail
cd "$(dirname "$0")/../.."

site=${1:-target/site}
mdbook=$(tests/tools/mdbook.sh)
rm -rf "$site"
mkdir -p "$site/src"
# Every file keeps its path in the checkout, so the links that work in the repository work in the site, too.
cp --parents -r docs examples README.md CONTRIBUTING.md CHANGELOG.md deny.toml .github/workflows \
  charts/gitvolume/README.md charts/gitvolume/values.yaml webhook/Containerfile syncer/Containerfile syncer/packages \
  "$site/src"
mv "$site/src/docs/book.toml" "$site/src/docs/site.css" "$site"
# The generator expects the navigation at the top. In the checkout its links start in docs.
sed -E 's#\]\(\.\./#](#; t; s#\]\(#](docs/#' "$site/src/docs/SUMMARY.md" >"$site/src/SUMMARY.md"
rm "$site/src/docs/SUMMARY.md"
# mdBook writes README.md as index.html, but leaves the links to it as they are.
find "$site/src" -name '*.md' -exec sed -i -E 's#(\]\(([^)]*/)?)README\.md#\1index.md#g' {} +
find "$site/src" -name README.md -execdir mv {} index.md \;
MDBOOK_LOG=warn "$mdbook" build "$site"
echo "$site/book/index.html"
