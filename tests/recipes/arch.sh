#!/usr/bin/env bash
# As much of makepkg as the PKGBUILD uses: `bash arch.sh PKGBUILD SRCDIR PKGDIR`.
set -euo pipefail
# shellcheck disable=SC2034
recipe=$1 srcdir=$2 pkgdir=$3
# shellcheck source=/dev/null
source "$recipe"
for step in prepare build check package; do
    # As makepkg, it starts each in the source, and ends at the first command that fails.
    (cd "$srcdir" && set -e && "$step")
done
