#!/usr/bin/env bash
# Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0
#
# Compares the benchmarks of a package between a commit and the working directory: make bench-compare BASE=main.
#
#	tools/benchcompare.sh BASE PACKAGE BENCH BENCHTIME COUNT
#
# Both are compiled first. Then they take turns, COUNT times, so that what else the machine does disturbs both alike, and
# benchstat says which differences are more than noise.
set -euo pipefail

[[ $# -eq 5 && -n "$1" ]] || { echo "usage: make bench-compare BASE=COMMIT [PKG=./bench] [BENCH=.] [BENCHTIME=1s] [COUNT=6]" >&2; exit 2; }
readonly base=$1 package=$2 bench=$3 benchtime=$4 count=$5

cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$(mktemp -d)
# cleanup removes the checkout of the base with the rest.
cleanup() {
  git worktree remove --force "$out/tree" 2>/dev/null || true
  rm -rf "$out"
}
trap cleanup EXIT

git worktree add --quiet --detach "$out/tree" "$base"
(cd "$out/tree" && go test -c -o "$out/base.test" "$package")
go test -c -o "$out/head.test" "$package"
# run SIDE DIRECTORY: one turn, in the directory of the package, where tests run.
run() {
  (cd "$2/$package" && "$out/$1.test" -test.run '^$' -test.bench "$bench" -test.benchtime "$benchtime" -test.benchmem) >>"$out/$1.txt"
}
for ((i = 1; i <= count; i++)); do
  echo "turn $i of $count" >&2
  run base "$out/tree"
  run head "$PWD"
done
go tool -modfile=tools/go.mod benchstat "$base=$out/base.txt" "here=$out/head.txt"
