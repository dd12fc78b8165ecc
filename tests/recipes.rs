//! What a release is made with besides the build: scripts that say and change its version, sort and check its
//! files, and recipes by which others package it. Each recipe runs with a stand-in for the tool that it is for.
#![cfg(all(unix, feature = "cli"))]

#[path = "common/say.rs"]
mod say;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use crate::say::{figure, skip};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

#[expect(clippy::disallowed_methods, reason = "a test prepares its files")]
fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|cause| panic!("{}: {cause}", from.display()));
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"))
}

/// Runs it, and returns what it printed.
fn said(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

/// Runs it, and returns why it refused.
fn refused(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{command:?} passed: {output:?}");
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a tool is here. One that is not is said aloud.
fn has(tool: &str) -> bool {
    let is_there = Command::new("sh")
        .args(["-c", "command -v \"$0\"", tool])
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_there {
        skip(&format!("there is no `{tool}` here"));
    }
    is_there
}

/// Every file below a folder, relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    fn collect(folder: &Path, top: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, top, found);
            } else {
                found.insert(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(folder, folder, &mut found);
    found
}

/// The names in a folder of the repository, behind another folder.
fn names(folder: &str, behind: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| format!("{behind}/{}", entry.unwrap().file_name().display())).collect()
}

/// The places in `release/version`: the file, and what stands before the version there.
fn places() -> Vec<(String, String)> {
    let script = read("release/version");
    let (_, rest) = script.split_once("<<'END'\n").unwrap();
    let (list, _) = rest.split_once("\nEND\n").unwrap();
    list.lines()
        .map(|line| line.split_once(':').unwrap())
        .map(|(file, before)| (file.into(), before.into()))
        .collect()
}

/// A copy of the files that the scripts read and write.
struct Tree {
    temp: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { temp: tempfile::tempdir().unwrap() };
        let scripts = ["version", "check-tag", "notes", "bundles", "recipes"]
            .map(|name| format!("release/{name}"));
        let others = ["src/bin/maint/man.rs", "CHANGELOG.md"].map(str::to_owned);
        for file in places().into_iter().map(|(file, _)| file).chain(scripts).chain(others) {
            copy(&root().join(&file), &tree.path(&file));
        }
        tree
    }

    /// One that may be released as this version.
    fn ready() -> Self {
        let tree = Self::new();
        put(
            &tree.path("CHANGELOG.md"),
            &format!("# Changelog\n\n## Unreleased\n\n## {VERSION} - 2026-12-24\n\n- All of it\n"),
        );
        let manifest = tree.read("Cargo.toml");
        if !manifest.contains("\nrepository = ") {
            let with = "repository = \"https://example.com/maint\"\nlicense = ";
            put(&tree.path("Cargo.toml"), &manifest.replacen("license = ", with, 1));
        }
        for file in ["homebrew/maint.rb", "arch/PKGBUILD"] {
            let path = tree.path(&format!("contrib/packaging/{file}"));
            let recipe = fs::read_to_string(&path).unwrap();
            put(&path, &recipe.replace("repository.invalid", "example.com"));
        }
        let mut version = tree.script("version");
        said(version.arg(VERSION).env("MAINT_RELEASE_DATE", "2026-12-24"));
        tree
    }

    fn path(&self, file: &str) -> PathBuf {
        self.temp.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no `{from}`");
        put(&self.path(file), &text.replace(from, to));
    }

    fn script(&self, name: &str) -> Command {
        Command::new(self.path(&format!("release/{name}")))
    }
}

#[test]
fn every_place_has_the_same_version() {
    assert_eq!(said(&mut Command::new(root().join("release/version"))).trim(), VERSION);
}

#[test]
fn a_place_with_another_version_is_named() {
    let places = places();
    for (file, before) in places.iter().skip(1) {
        let tree = Tree::new();
        let fixed = before.trim_start_matches('^').replace('\\', "");
        let (head, rest) =
            tree.read(file).split_once(&fixed).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        put(&tree.path(file), &format!("{head}{fixed}{}", rest.replacen(VERSION, "77.0.1", 1)));
        let why = refused(&mut tree.script("version"));
        assert!(why.contains("77.0.1") && why.contains(file.as_str()), "{file}: {why}");
    }
    figure(&format!(
        "{} places have the version {VERSION}; another one in any of them is named",
        places.len()
    ));
}

#[test]
fn a_new_version_is_written_to_every_place_and_nowhere_else() {
    let tree = Tree::new();
    let lines = |tree: &Tree| {
        let files: BTreeSet<String> = places().into_iter().map(|(file, _)| file).collect();
        files
            .iter()
            .flat_map(|file| tree.read(file).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let before = lines(&tree);
    for new in ["77.8.9", "77.10.0", VERSION] {
        assert_eq!(said(tree.script("version").arg(new)).trim(), new);
        let changed = before.iter().zip(lines(&tree)).filter(|(old, now)| *old != now).count();
        assert_eq!(changed, if new == VERSION { 0 } else { places().len() }, "{new}");
    }
    for wrong in ["", "1", "1.2", "v1.2.3", "1.2.3 4", "1.2.3-rc.1"] {
        assert!(refused(tree.script("version").arg(wrong)).contains("is no version"), "{wrong}");
    }
}

#[test]
fn a_tag_is_released_only_if_all_is_ready() {
    let tree = Tree::ready();
    let tag = format!("v{VERSION}");
    said(tree.script("check-tag").arg(&tag));
    assert!(refused(tree.script("check-tag").arg("v9.9.9")).contains("the tag is v9.9.9"));
    let heading = format!("## {VERSION} - 2026-12-24");
    for (file, from, to, reason) in [
        ("CHANGELOG.md", heading.as_str(), "## Soon", "has no line"),
        (
            "CHANGELOG.md",
            heading.as_str(),
            &format!("- A late change\n\n{heading}"),
            "under `Unreleased`",
        ),
        ("CHANGELOG.md", "2026-12-24", "2026-12-25", "not that of the man pages"),
        ("Cargo.toml", "\nrepository = ", "\n# repository = ", "has no `repository`"),
        ("docs/json.md", &format!("\"{VERSION}\""), "\"77.0.1\"", "77.0.1"),
        (
            "contrib/packaging/arch/PKGBUILD",
            "url='https://",
            "url='https://repository.invalid/",
            "placeholder in",
        ),
    ] {
        let tree = Tree::ready();
        tree.change(file, from, to);
        let why = refused(tree.script("check-tag").arg(&tag));
        assert!(why.contains(reason), "{file}: {why}");
    }
}

#[test]
fn the_notes_of_a_release_are_its_part_of_the_changelog() {
    let tree = Tree::new();
    put(
        &tree.path("CHANGELOG.md"),
        "# Changelog\n\n## Unreleased\n\n- c\n\n## 1.1.0 - 2026-12-24\n\n### Added\n\n- b\n\n## 1.0.0 - 2026-11-22\n\n- a\n",
    );
    assert_eq!(said(tree.script("notes").arg("v1.1.0")).trim(), "### Added\n\n- b");
    assert_eq!(said(tree.script("notes").arg("v1.0.0")).trim(), "- a");
    assert!(refused(tree.script("notes").arg("v1.2.0")).contains("says nothing of 1.2.0"));
}

/// Stands for what `make release` makes: the names alone.
fn stand_ins(tree: &Tree) -> BTreeSet<String> {
    let wheels = ["manylinux_2_17_x86_64.manylinux2014_x86_64", "musllinux_1_2_aarch64"]
        .map(|platform| format!("maint-{VERSION}-cp310-abi3-{platform}.whl"));
    let others = [
        format!("maint-{VERSION}-x86_64-linux.tar.gz"),
        format!("maint-{VERSION}-aarch64-linux.tar.gz"),
        format!("maint_{VERSION}-1_amd64.deb"),
        format!("maint-{VERSION}-1.x86_64.rpm"),
        format!("maint-{VERSION}.tar.gz"),
        format!("maint_maintenance_mode-{VERSION}-py3-none-any.whl"),
        format!("maint_maintenance_mode-{VERSION}.tar.gz"),
        format!("maint-{VERSION}.crate"),
        format!("maint-{VERSION}.cdx.json"),
        format!("maint-python-{VERSION}.cdx.json"),
    ];
    let all: BTreeSet<String> = wheels.into_iter().chain(others).collect();
    for name in &all {
        put(&tree.path("built").join(name), name);
    }
    let sums = said(Command::new("sha256sum").args(&all).current_dir(tree.path("built")));
    put(&tree.path("built/SHA256SUMS"), &sums);
    all
}

#[test]
fn each_registry_gets_its_own_files() {
    let tree = Tree::new();
    let mut all = stand_ins(&tree);
    said(tree.script("bundles").args([tree.path("built"), tree.path("bundles")]));
    let starts = |name: &str| {
        all.iter().filter(|file| file.starts_with(name)).cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(files(&tree.path("bundles/pypi-compat")), starts("maint_maintenance_mode-"));
    assert_eq!(
        files(&tree.path("bundles/crate")),
        BTreeSet::from([format!("maint-{VERSION}.crate")])
    );
    let mut wheels = starts(&format!("maint-{VERSION}-cp310"));
    wheels.insert(format!("maint-{VERSION}.tar.gz"));
    assert_eq!(files(&tree.path("bundles/pypi")), wheels);
    all.insert("SHA256SUMS".to_owned());
    assert_eq!(files(&tree.path("bundles/release")), all);
}

#[test]
fn a_file_without_its_digest_is_not_published() {
    let tree = Tree::new();
    stand_ins(&tree);
    let mut bundles = tree.script("bundles");
    bundles.args([tree.path("built"), tree.path("bundles")]);
    put(&tree.path("built/extra.deb"), "");
    assert!(refused(&mut bundles).contains("SHA256SUMS lacks extra.deb"));
    fs::remove_file(tree.path("built/extra.deb")).unwrap();
    said(&mut bundles);
    put(&tree.path(&format!("built/maint-{VERSION}.crate")), "another one");
    assert!(refused(&mut bundles).contains("did NOT match"));
}

#[test]
fn the_recipes_get_the_digest_of_the_crate() {
    let tree = Tree::new();
    stand_ins(&tree);
    let sums = tree.read("built/SHA256SUMS");
    let line = sums.lines().find(|line| line.ends_with(&format!("-{VERSION}.crate"))).unwrap();
    let sum = line.split(' ').next().unwrap();
    said(tree.script("recipes").arg(tree.path("built")));
    assert!(
        tree.read("contrib/packaging/homebrew/maint.rb").contains(&format!("  sha256 \"{sum}\"\n"))
    );
    assert!(
        tree.read("contrib/packaging/arch/PKGBUILD").contains(&format!("\nsha256sums=('{sum}')\n"))
    );
    put(&tree.path("built/SHA256SUMS"), "");
    assert!(refused(tree.script("recipes").arg(tree.path("built"))).contains("lacks maint-"));
}

/// The sources as a recipe finds them, without code, and a `cargo` that has built them already.
struct Sources {
    temp: tempfile::TempDir,
}

/// What is in the crate. It needs `cargo`, and no network.
fn packed() -> &'static str {
    static PACKED: OnceLock<String> = OnceLock::new();
    PACKED.get_or_init(|| {
        said(
            Command::new(env!("CARGO"))
                .args(["package", "--list", "--allow-dirty", "--offline", "--manifest-path"])
                .arg(root().join("Cargo.toml")),
        )
    })
}

impl Sources {
    /// Those in the crate.
    fn packed() -> Self {
        Self::new(packed().lines().filter(|file| !file.starts_with("src/")))
    }

    /// Those in the repository, as far as a recipe installs them.
    fn cloned() -> Self {
        let files = names("man", "man").into_iter().chain(names("completions", "completions"));
        Self::new(files.collect::<Vec<_>>().iter().map(String::as_str))
    }

    fn new<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let sources = Self { temp: tempfile::tempdir().unwrap() };
        // Cargo adds some of its own.
        for file in files.filter(|file| root().join(file).is_file()) {
            copy(&root().join(file), &sources.source().join(file));
        }
        let cargo = format!(
            "#!/bin/sh\nset -e\ncase $1 in\n\
             fetch) exit ;;\n\
             build) to=$CARGO_TARGET_DIR/release ;;\n\
             install) while [ \"$1\" != --root ]; do shift; done; to=$2/bin ;;\n\
             esac\nmkdir -p \"$to\"\nln -s '{}' \"$to/maint\"\n",
            env!("CARGO_BIN_EXE_maint")
        );
        let place = sources.path("tools/cargo");
        // Another process writes it: an executable that is still open for writing cannot be run.
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        said(
            Command::new("sh")
                .args(["-c", "printf %s \"$1\" > \"$0\" && chmod +x \"$0\""])
                .arg(&place)
                .arg(cargo),
        );
        for folder in ["installed", "home"] {
            fs::create_dir(sources.path(folder)).unwrap();
        }
        sources
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn source(&self) -> PathBuf {
        self.path(&format!("maint-{VERSION}"))
    }

    /// Runs a stand-in with arguments, where `cargo` is the one above.
    fn run(&self, program: &str, stand_in: &str, arguments: &[&Path]) -> String {
        let tools = format!("{}:{}", self.path("tools").display(), std::env::var("PATH").unwrap());
        said(
            Command::new(program)
                .arg(root().join("tests/recipes").join(stand_in))
                .args(arguments)
                .current_dir(self.source())
                .env("PATH", tools)
                .env("HOME", self.path("home"))
                .env("TESTPATH", self.path("home"))
                .env_remove("MAINT_SITE"),
        )
    }

    /// What is installed. Pages are those of the repository, word for word.
    fn installed(&self) -> BTreeSet<String> {
        let found = files(&self.path("installed"));
        for page in found.iter().filter(|file| file.contains("/man1/")) {
            let written = fs::read_to_string(self.path("installed").join(page)).unwrap();
            assert_eq!(
                written,
                read(&format!("man/{}", page.rsplit('/').next().unwrap())),
                "{page}"
            );
        }
        found
    }
}

fn with(mut files: BTreeSet<String>, more: &[&str]) -> BTreeSet<String> {
    files.extend(more.iter().map(|&name| name.to_owned()));
    files
}

#[test]
fn the_formula_installs_every_page_and_its_test_passes() {
    if !has("ruby") {
        return;
    }
    let sources = Sources::packed();
    let recipe = root().join("contrib/packaging/homebrew/maint.rb");
    sources.run("ruby", "brew.rb", &[&recipe, &sources.source(), &sources.path("installed")]);
    let expected = with(
        names("man", "share/man/man1"),
        &[
            "bin/maint",
            "etc/bash_completion.d/maint",
            "share/zsh/site-functions/_maint",
            "share/fish/vendor_completions.d/maint.fish",
        ],
    );
    assert_eq!(sources.installed(), expected);
}

#[test]
fn the_package_of_arch_has_every_page() {
    let sources = Sources::packed();
    let recipe = root().join("contrib/packaging/arch/PKGBUILD");
    sources.run("bash", "arch.sh", &[&recipe, sources.temp.path(), &sources.path("installed")]);
    let mut pages = names("man", "usr/share/man/man1");
    pages.append(&mut names("contrib/systemd", "usr/lib/systemd/system"));
    let expected = with(
        pages,
        &[
            "usr/bin/maint",
            "usr/share/bash-completion/completions/maint",
            "usr/share/zsh/site-functions/_maint",
            "usr/share/fish/vendor_completions.d/maint.fish",
            "usr/share/doc/maint/README.md",
            "usr/share/licenses/maint/LICENSE-MIT",
            "usr/share/licenses/maint/LICENSE-APACHE",
        ],
    );
    assert_eq!(sources.installed(), expected);
}

#[test]
fn the_package_of_arch_is_sound_bash() {
    if !has("shellcheck") {
        return;
    }
    // Variables are makepkg's, and it stops at the first command that fails.
    said(
        Command::new("shellcheck")
            .args(["--shell=bash", "--exclude=SC2034,SC2154,SC2164"])
            .arg(root().join("contrib/packaging/arch/PKGBUILD")),
    );
}

#[test]
fn the_package_of_nix_has_every_page() {
    if !has("nix-instantiate") || !has("node") {
        return;
    }
    let sources = Sources::cloned();
    fs::create_dir(sources.path("installed/bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_maint"), sources.path("installed/bin/maint"))
        .unwrap();
    let recipe = root().join("contrib/packaging/nix/package.nix");
    let seen = sources.run("bash", "nix.sh", &[&recipe, &sources.path("installed")]);
    assert_eq!(seen, format!("{VERSION}\n{}\n", root().join("Cargo.lock").display()));
    let expected = with(
        names("man", "share/man/man1"),
        &[
            "bin/maint",
            "share/bash-completion/completions/maint.bash",
            "share/zsh/site-functions/_maint",
            "share/fish/vendor_completions.d/maint.fish",
        ],
    );
    assert_eq!(sources.installed(), expected);
}

/// What the architecture of this machine is called by Rust, and by images.
const ARCHITECTURE: (&str, &str) =
    if cfg!(target_arch = "aarch64") { ("aarch64", "arm64") } else { ("x86_64", "amd64") };

/// An image, built by buildah, whose storage is in a folder of its own.
struct Image {
    temp: tempfile::TempDir,
    root: PathBuf,
}

impl Image {
    /// From the tarballs in `MAINT_DIST`, the folder above those of the versions, or from a stand-in.
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let released = std::env::var_os("MAINT_DIST").map(PathBuf::from);
        let dist = released.clone().unwrap_or_else(|| Self::stand_in(temp.path()));
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command
                .arg("--root")
                .arg(temp.path().join("storage"))
                .arg("--runroot")
                .arg(temp.path().join("run"));
            said(command.args(["--storage-driver", "vfs"]).args(arguments).current_dir(&dist))
                .trim()
                .to_owned()
        };
        let recipe = root().join("contrib/packaging/docker/Dockerfile");
        let platform = format!("linux/{}", ARCHITECTURE.1);
        let recipe = recipe.to_str().unwrap();
        buildah(&[
            "build",
            "--isolation",
            "chroot",
            "--platform",
            &platform,
            "-f",
            recipe,
            "-t",
            "maint",
            ".",
        ]);
        let image: serde_json::Value =
            serde_json::from_str(&buildah(&["inspect", "--type", "image", "maint"])).unwrap();
        let config = &image["OCIv1"]["config"];
        assert_eq!(config["User"], "65532:65532");
        assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/maint"]));
        assert!(config["Env"].as_array().unwrap().contains(&"MAINT_SITE=/site".into()), "{config}");
        let container = buildah(&["from", "localhost/maint"]);
        let root = PathBuf::from(buildah(&["mount", &container]));
        let expected = ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-LICENSES.md"]
            .map(|name| format!("usr/share/doc/maint/{name}"));
        assert_eq!(files(&root), with(expected.into(), &["usr/bin/maint"]));
        if released.is_none() {
            Self::add_libraries(&root);
        }
        said(
            Command::new("install")
                .args(["-d", "-o", "65532", "-g", "65532"])
                .arg(root.join("site")),
        );
        Self { temp, root }
    }

    fn stand_in(temp: &Path) -> PathBuf {
        let dist = temp.join("dist");
        let name = format!("maint-{VERSION}-{}-linux", ARCHITECTURE.0);
        let folder = temp.join(&name);
        fs::create_dir(&folder).unwrap();
        // Without what is for debuggers, which is most of it and slow to pack.
        said(
            Command::new("sh")
                .args(["-c", "strip -o \"$1\" \"$0\" 2>/dev/null || cp \"$0\" \"$1\""])
                .args([Path::new(env!("CARGO_BIN_EXE_maint")), &folder.join("maint")]),
        );
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            copy(&root().join(file), &folder.join(file));
        }
        put(&folder.join("THIRD-PARTY-LICENSES.md"), "");
        fs::create_dir_all(dist.join(VERSION)).unwrap();
        let tarball = dist.join(VERSION).join(format!("{name}.tar.gz"));
        said(
            Command::new("tar")
                .args(["--create", "--use-compress-program=gzip -1", "--directory"])
                .arg(temp)
                .arg("--file")
                .arg(tarball)
                .arg(name),
        );
        dist
    }

    /// The binary under test is not static, as the released one is.
    fn add_libraries(to: &Path) {
        let listed = said(Command::new("ldd").arg(env!("CARGO_BIN_EXE_maint")));
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(library), &to.join(&library[1..]));
        }
    }

    /// The entry point, as the image's user and with nothing but its files.
    fn maint(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.args(["--userspec=65532:65532", "--groups="]).arg(&self.root).arg("/usr/bin/maint");
        command
            .args(arguments)
            .env_clear()
            .env("MAINT_SITE", "/site")
            .env("PATH", std::env::var("PATH").unwrap());
        command
    }
}

#[test]
fn the_image_runs_without_a_shell_and_without_root() {
    if !has("buildah") {
        return;
    }
    if !run(Command::new("chroot").args(["/", "true"])).status.success() {
        return skip("needs root");
    }
    let image = Image::new();
    said(&mut image.maint(&["on", "--message", "Back at noon"]));
    assert!(said(&mut image.maint(&["status", "--expect", "on"])).contains("Back at noon"));
    if cfg!(feature = "serve") {
        assert!(asked(&image).starts_with("HTTP/1.1 403"));
    } else {
        skip("the endpoint is not in this build");
    }
    said(&mut image.maint(&["off"]));
    refused(&mut image.maint(&["status", "--quiet", "--expect", "on"]));
    said(&mut image.maint(&["check", "/"]));
    image.temp.close().unwrap();
}

/// Ends with the test, however that ends.
struct Endpoint(Child);

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the endpoint answers at a Unix socket of the image.
fn asked(image: &Image) -> String {
    // The path of a socket has a hundred bytes.
    let site = image.temp.path().join("site");
    std::os::unix::fs::symlink(image.root.join("site"), &site).unwrap();
    let socket = site.join("serve.sock");
    let mut serve = image.maint(&["serve", "--listen", "unix:/site/serve.sock"]);
    let mut endpoint = Endpoint(serve.stderr(Stdio::null()).spawn().unwrap());
    let mut connect = || loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => return stream,
            Err(cause) => {
                assert!(
                    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused),
                    "{cause}"
                );
                assert!(endpoint.0.try_wait().unwrap().is_none(), "the endpoint has ended");
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let mut stream = connect();
    stream.write_all(b"GET /auth HTTP/1.1\r\nHost: example.com\r\nX-Original-URI: /\r\nX-Original-Method: GET\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// An index shows these pages without the files beside them.
#[test]
fn the_pages_on_pypi_have_no_relative_link() {
    for name in ["python/README.md", "python/compat/README.md"] {
        let page = read(name);
        let links = page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        let broken: Vec<&str> =
            links.filter(|link| !link.contains("://") && !link.starts_with('#')).collect();
        assert!(broken.is_empty(), "{name}: {broken:?}");
    }
}

#[test]
fn every_action_is_pinned_by_digest_with_its_version_beside_it() {
    for name in ["ci", "release"] {
        let workflow = read(&format!(".github/workflows/{name}.yml"));
        for line in workflow.lines().filter_map(|line| line.split_once("uses: ")).map(|pair| pair.1)
        {
            let (action, version) =
                line.split_once(" # v").unwrap_or_else(|| panic!("{name}: {line}"));
            let (_, digest) = action.split_once('@').unwrap();
            let is_digest = digest.len() == 40 && digest.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_digest && version.split('.').count() == 3, "{name}: {line}");
        }
    }
}

/// flit packs a link as a link, which leads nowhere.
#[test]
fn each_distribution_carries_the_licences() {
    for folder in ["python", "python/compat"] {
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(read(&format!("{folder}/{name}")), read(name), "{folder}");
        }
    }
    assert!(root().join("python/compat/LICENSE-MIT").symlink_metadata().unwrap().is_file());
}
