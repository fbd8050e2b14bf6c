# Sourced by the scripts beside it and by .ci/run: one root, one cache, the pinned tools first on the PATH.
# shellcheck shell=bash disable=SC2034 # What is unused here is used there.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Built tools and caches live here; set CARDEA_CACHE to share them between working copies.
mkdir -p "${CARDEA_CACHE:=$PWD/.cache}/bin"
CARDEA_CACHE=$(cd "$CARDEA_CACHE" && pwd)
export CARDEA_CACHE PATH="$CARDEA_CACHE/bin:$PATH"
export GOLANGCI_LINT_CACHE="$CARDEA_CACHE/golangci-lint"

# What we promise to others; proto/third_party is theirs.
contracts=(--path proto/cardea --path proto/food)

# modules lists the folders of the modules that hold our code. Those of tools/ only pin versions.
modules() {
  local dir
  for dir in . test bench; do
    if [[ -f $dir/go.mod ]]; then echo "$dir"; fi
  done
}
