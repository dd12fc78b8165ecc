# From a clone, with no release: nix-build -E 'with import <nixpkgs> { }; callPackage ./contrib/packaging/nix/package.nix { }'
{
  lib,
  rustPlatform,
  installShellFiles,
}:
let
  root = ../../..;
in
rustPlatform.buildRustPackage {
  pname = "maint";
  version = (lib.importTOML (root + "/Cargo.toml")).package.version;

  src = lib.cleanSource root;
  cargoLock.lockFile = root + "/Cargo.lock";
  buildFeatures = [ "full" ];

  # They start servers and browsers, and become other users: `make test` runs them.
  doCheck = false;
  doInstallCheck = true;
  installCheckPhase = ''
    "$out/bin/maint" --site "$TMPDIR/.maint" init
    "$out/bin/maint" --site "$TMPDIR/.maint" on
    "$out/bin/maint" --site "$TMPDIR/.maint" status --expect on
  '';

  nativeBuildInputs = [ installShellFiles ];
  postInstall = ''
    installManPage man/*.1
    installShellCompletion --cmd maint \
      --bash completions/maint.bash --zsh completions/_maint --fish completions/maint.fish
  '';

  meta = {
    description = "One switch that takes a web app into maintenance and brings it back";
    homepage = "https://repository.invalid/maint";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "maint";
    platforms = lib.platforms.unix;
  };
}
