#!/usr/bin/env bash
# As much of Nix as package.nix uses: `bash nix.sh PACKAGE.NIX OUT`, in the source; `cargo` has put the binary into OUT.
set -euo pipefail
package=$1 out=$2 TMPDIR=$(mktemp -d)
export out TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

installManPage() { install -Dm644 "$@" -t "$out/share/man/man1"; }

installShellCompletion() {
    local name
    while [ $# -gt 0 ]; do
        case $1 in
            --cmd) name=$2 ;;
            --bash) install -Dm644 "$2" "$out/share/bash-completion/completions/$name.bash" ;;
            --zsh) install -Dm644 "$2" "$out/share/zsh/site-functions/_$name" ;;
            --fish) install -Dm644 "$2" "$out/share/fish/vendor_completions.d/$name.fish" ;;
            *) echo "installShellCompletion: $1" >&2 && return 1 ;;
        esac
        shift 2
    done
}

# A store of its own, so that nothing is written outside.
asked() {
    NIX_STATE_DIR=$TMPDIR/nix NIX_STORE_DIR=$TMPDIR/store NIX_LOCALSTATE_DIR=$TMPDIR/nix HOME=$TMPDIR NIX_REMOTE=dummy:// \
        nix-instantiate --eval --strict --json --expr "
            let
              lib = {
                importTOML = path: builtins.fromTOML (builtins.readFile path);
                cleanSource = toString;
                licenses = { mit = \"MIT\"; asl20 = \"Apache-2.0\"; };
                platforms.unix = [ ];
              };
              rustPlatform.buildRustPackage = made: made // { cargoLock = toString made.cargoLock.lockFile; };
            in
            (import $(realpath "$package") { inherit lib rustPlatform; installShellFiles = \"hook\"; }).$1"
}

text() { asked "$1" | node -e 'process.stdout.write(JSON.parse(require("fs").readFileSync(0)))'; }

text version && echo
text cargoLock && echo
eval "$(text postInstall)"
eval "$(text installCheckPhase)" >&2
