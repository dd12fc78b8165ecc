//! The examples, run as a reader would run them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use crate::client::Client;
use crate::env::TestSite;
use crate::say::skip;

/// A running example, which ends with the test.
struct Example {
    child: Child,
    address: SocketAddr,
}

impl Example {
    /// Starts an example that is given a site.
    fn start(program: &Path, site: &Path) -> Self {
        Self::spawn(Command::new(program).arg(site))
    }

    /// Starts an example on a free port, and waits until it prints its address.
    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .env_clear()
            .env("ADDRESS", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|url| url.strip_suffix('/'));
        let address = address.and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!("it says {line:?}");
        };
        Self { child, address }
    }

    fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last change of a file, or the latest within a directory.
fn changed(path: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(path).into_iter().flatten();
    let within = entries.filter_map(|entry| changed(&entry.ok()?.path()));
    within.chain(path.metadata().and_then(|metadata| metadata.modified()).ok()).max()
}

/// The example as `cargo test` builds it. A run of one test alone builds no
/// example, and leaves an old one where it is.
fn built(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [root.join("src"), root.join(format!("examples/{name}.rs"))];
    let latest = sources.iter().filter_map(|source| changed(source)).max();
    if changed(&program).is_some_and(|built| latest.is_none_or(|latest| latest <= built)) {
        return Some(program);
    }
    skip(&format!("the example is not built: `cargo build --all-features --example {name}`"));
    None
}

#[test]
fn the_examples_for_axum_and_actix_do_what_they_say() {
    ["axum", "actix"].into_iter().filter_map(built).for_each(|program| check_shop(&program));
}

/// A shop with a view that is always down and one that never is.
fn check_shop(program: &Path) {
    let site = TestSite::new();
    let example = Example::start(program, site.directory());
    let mut client = example.client();
    let mut statuses = || ["/", "/new", "/health"].map(|path| client.get(path).status);
    assert_eq!(statuses(), [200, 503, 200]);
    site.ok(&["on", "-m", "Back at noon"]);
    assert_eq!(statuses(), [503, 503, 200]);
    site.ok(&["ignore", "add", "ip", "127.0.0.1"]);
    assert_eq!(statuses(), [200, 503, 200], "it knows the peer");
    site.ok(&["ignore", "clear"]);
    let page = example.client().get("/");
    assert!(page.text().contains("Back at noon"), "{page:?}");
    site.ok(&["off"]);
    assert_eq!(example.client().get("/").text(), "the shop\n");
}

#[test]
fn the_examples_for_hyper_and_poem_do_what_they_say() {
    ["hyper", "poem"].into_iter().filter_map(built).for_each(|program| check_view(&program));
}

/// An app that has one view.
fn check_view(program: &Path) {
    let site = TestSite::new();
    let example = Example::start(program, site.directory());
    let mut client = example.client();
    assert_eq!(client.get("/").text(), "the shop\n");
    site.ok(&["on", "-m", "Back at noon"]);
    let page = client.get("/anything");
    assert_eq!(page.status, 503);
    assert!(page.is_from_the_gate() && page.text().contains("Back at noon"), "{page:?}");
    site.ok(&["ignore", "add", "ip", "127.0.0.1"]);
    assert_eq!(client.get("/").status, 200, "it knows the peer");
    site.ok(&["off"]);
    assert_eq!(client.get("/").text(), "the shop\n");
}

#[test]
fn an_example_in_a_project_without_a_site_obeys_the_first_on_typed_below_it() {
    for name in ["actix", "axum", "hyper", "poem"] {
        let Some(program) = built(name) else { return };
        let temp = tempfile::tempdir().unwrap();
        let project = temp.path().canonicalize().unwrap();
        std::fs::create_dir(project.join("src")).unwrap();
        std::fs::File::create_new(project.join("Cargo.toml")).unwrap();
        let example = Example::spawn(Command::new(program).current_dir(&project));
        assert_eq!(example.client().get("/").status, 200, "{name}");
        assert!(!project.join(".maint").exists(), "{name}: an app makes nothing");
        for (verb, status) in [("on", 503), ("off", 200)] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_maint"));
            command.arg(verb).env_clear().current_dir(project.join("src"));
            assert!(command.output().unwrap().status.success(), "{name}: {verb}");
            assert_eq!(example.client().get("/").status, status, "{name}: {verb}");
        }
    }
}

#[test]
fn an_example_with_a_site_that_is_not_there_does_not_start() {
    for name in ["axum", "hyper"] {
        let Some(program) = built(name) else { return };
        let site = TestSite::new();
        let nowhere = site.directory().join("nowhere");
        let output = Command::new(program).env_clear().arg(&nowhere).output().unwrap();
        assert!(!output.status.success(), "{name}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("nowhere"), "{name}: {told}");
    }
}
