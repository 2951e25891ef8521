#!/bin/bash
# Builds oneTBB, from Debian's own source package, with ThreadSanitizer: against the packaged library, which is not instrumented, correct code
# gives reports and a real race may give none. Prints the folder of the library for LD_LIBRARY_PATH.
#   tools/instrumented_tbb.sh build/tsan-tbb
set -euo pipefail
out=$(mkdir -p "${1:?the folder to build in}" && cd "$1" && pwd)

if ! compgen -G "$out/src/oneTBB-*" > /dev/null; then
  # A source list of our own beside the system's: nothing of the machine's configuration changes.
  mkdir -p "$out/lists/partial" "$out/src"
  mirror=$(grep -hm1 '^URIs:' /etc/apt/sources.list.d/*.sources 2>/dev/null | awk 'NR == 1 {print $2}')
  [ -n "$mirror" ] || mirror=$(awk '$1 == "deb" {print $2; exit}' /etc/apt/sources.list)
  echo "deb-src $mirror bookworm main" > "$out/src.list"
  apt=(apt-get -o "Dir::Etc::sourcelist=$out/src.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$out/lists")
  "${apt[@]}" update >&2
  (cd "$out/src" && "${apt[@]}" source --download-only onetbb >&2 && tar xf onetbb_*.orig.tar.*)
fi
cmake -S "$(compgen -G "$out/src/oneTBB-*" | grep -v '\.tar' | head -1)" -B "$out/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_CXX_COMPILER=clang++ -DTBB_SANITIZE=thread -DTBB_TEST=OFF -DTBB_STRICT=OFF -DTBBMALLOC_BUILD=OFF \
  -DTBB_DISABLE_HWLOC_AUTOMATIC_SEARCH=ON >&2
cmake --build "$out/build" --target tbb -j "$(nproc)" >&2
dirname "$(find "$out/build" -name libtbb.so | head -1)"
