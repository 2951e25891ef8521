#!/bin/bash
# Installs the Debian packages of Tryton, the ERP that tests/e2e/tryton_test.py posts to (25 MB), and of PostgreSQL, which
# keeps its ledger where much is posted at a time (70 MB more). Apart from tools/deps.sh: all else is built and tested
# without them.
set -euo pipefail

packages=(tryton-server tryton-modules-account postgresql python3-psycopg2)

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
    echo "tools/tryton-deps.sh: this is not root: run: apt-get install ${packages[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

export DEBIAN_FRONTEND=noninteractive
install=("${as_root[@]}" apt-get install --quiet --yes --no-install-recommends "${packages[@]}")
# The package lists may be empty or out of date.
"${install[@]}" || { "${as_root[@]}" apt-get update --quiet=2 && "${install[@]}"; }
