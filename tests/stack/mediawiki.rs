//! MediaWiki, from Debian's package, with `SQLite` and PHP's own server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use serde_json::Value;

use crate::say::skip;
use crate::server::{Server, installed, ordinary, put};
use crate::site::TestSite;
use crate::wire::{get, try_ask};

const MEDIAWIKI: &str = "/usr/share/mediawiki";

/// A wiki with its database in the directory of its server.
struct Wiki(Server);

impl Wiki {
    fn start(php: &Path, lock: &Path) -> Self {
        let command = |dir: &Path, port: u16| {
            let mut install = ordinary(php);
            install
                .arg(Path::new(MEDIAWIKI).join("maintenance/install.php"))
                .args(["--dbtype", "sqlite", "--scriptpath", "", "--pass", "a-long-Passw0rd"])
                .args(["--server", &format!("http://127.0.0.1:{port}")])
                .arg("--dbpath")
                .arg(dir.join("data"))
                .arg("--confpath")
                .arg(dir)
                .args(["Wiki", "Admin"]);
            let installed = install.output().unwrap();
            assert!(installed.status.success(), "{installed:?}");
            let settings = dir.join("LocalSettings.php");
            let text = fs::read_to_string(&settings).unwrap();
            // What it keeps of its languages is its own, and not that of a wiki of somebody else.
            let with = format!(
                "{text}\n$wgReadOnlyFile = '{}';\n$wgCacheDirectory = '{}';\n\
                 $wgShowExceptionDetails = true;\n",
                lock.display(),
                dir.join("data").display()
            );
            put(&dir.join("settings.php"), &with);
            let mut command = ordinary(php);
            command.env("MW_CONFIG_FILE", dir.join("settings.php"));
            command.args(["-S", &format!("127.0.0.1:{port}"), "-t", MEDIAWIKI]);
            command
        };
        Self(Server::start(command, |port| {
            try_ask(port, "GET", "/api.php", &[]).is_ok_and(|it| it.status == 200)
        }))
    }

    /// Edits a page as somebody who is not logged in, and returns the answer of the API.
    fn edit(&self) -> Value {
        let url = format!("http://127.0.0.1:{}/api.php", self.0.port);
        let output = Command::new("curl")
            .args(["-sS", &url, "--data-urlencode", "token=+\\", "-d"])
            .arg("action=edit&title=Sandbox&appendtext=x&format=json")
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    #[track_caller]
    fn is_open(&self) {
        let answer = self.edit();
        assert_eq!(answer["edit"]["result"], "Success", "{answer}");
    }

    #[track_caller]
    fn is_locked(&self, reason: &str) {
        let answer = self.edit();
        assert_eq!(answer["error"]["code"], "readonly", "{answer}");
        assert_eq!(answer["error"]["readonlyreason"], reason, "{answer}");
        let page = get(self.0.port, "/index.php?title=Main_Page");
        assert_eq!(page.status, 200, "pages can be read: {page:?}");
    }
}

fn tools() -> Option<PathBuf> {
    if !Path::new(MEDIAWIKI).is_dir() {
        skip("mediawiki is not installed; `make test-stack` installs it");
        return None;
    }
    installed("curl")?;
    let php = installed("php")?;
    let has = Command::new(&php).args(["-r", "exit(class_exists('SQLite3') ? 0 : 1);"]).status();
    if !has.is_ok_and(|status| status.success()) {
        skip("php-sqlite3 is not installed; `make test-stack` installs it");
        return None;
    }
    Some(php)
}

#[test]
fn requirement_83_mediawiki_refuses_edits_and_shows_its_pages() {
    let Some(php) = tools() else { return };
    let site = TestSite::new();
    let lock = site.project().join("lock");
    site.add("mediawiki", &lock);
    let wiki = Wiki::start(&php, &lock);
    wiki.is_open();
    site.maint(&["on"]);
    wiki.is_locked("The wiki is in maintenance.");
    let reason = "Wir ziehen um: 5 < 7 & \"so\"";
    site.maint(&["on", "-m", reason]);
    wiki.is_locked(reason);
    site.off();
    wiki.is_open();

    site.maint(&["on", "--read-only", "-m", "Reads alone"]);
    wiki.is_locked("Reads alone");
    fs::remove_file(&lock).unwrap();
    wiki.is_open();
    site.maint(&["flag", "sync"]);
    wiki.is_locked("Reads alone");
    if geteuid().is_root() {
        // It does not say so: what it cannot read does not lock it.
        fs::set_permissions(&lock, Permissions::from_mode(0o600)).unwrap();
        wiki.is_open();
        site.maint(&["flag", "sync"]);
        wiki.is_locked("Reads alone");
    }
    site.off();
    wiki.is_open();
    site.maint(&["on", "--path", "/wiki/**"]);
    wiki.is_open();
}
