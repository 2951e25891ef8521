#!/bin/bash
# Installs the Debian packages that building and testing need. Silent and quick when all are there.
set -euo pipefail

packages=(
  # compilers and build
  build-essential cmake ninja-build ccache pkg-config git python3 tzdata
  # libraries
  libabsl-dev libtbb-dev libsimdjson-dev libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libssl-dev libxxhash-dev
  libzstd-dev zlib1g-dev libisal-dev libcurl4-openssl-dev
  # RocksDB; its CMake configuration looks for each compression library
  librocksdb-dev libgflags-dev libsnappy-dev libbz2-dev liblz4-dev
  # tests and benchmarks; ledger and hledger check the journals; the last line checks requests by the APIs' descriptions
  libgtest-dev libgmock-dev libbenchmark-dev libboost1.81-dev zstd ledger hledger strace
  libxml2-utils python3-yaml python3-jsonschema
)

missing=()
installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
for package in "${packages[@]}"; do
  grep -qx "installed $package" <<<"$installed" || missing+=("$package")
done
((${#missing[@]} == 0)) && exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "tools/deps.sh: packages are missing and this is not root: run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# The package lists may be empty or out of date.
"${as_root[@]}" apt-get update --quiet=2
"${as_root[@]}" apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
