//! Requirements 77 and 78: the files of every kind of flag, as the command writes them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::can::can_be_others;
use crate::env::{DEPLOY, Run, TestSite, run, wrapped, write};
use crate::say::figure;

/// A kind, the path of its flag, and the files that it writes, below its folder.
struct Case {
    kind: &'static str,
    path: &'static str,
    files: &'static [&'static str],
}

const CASES: [Case; 7] = [
    Case { kind: "file", path: "down", files: &["down"] },
    Case { kind: "page", path: "down.html", files: &["down.html"] },
    Case {
        kind: "web",
        path: "web",
        files: &["web/down", "web/page.html", "web/retry-after", "web/allow/203.0.113.7"],
    },
    Case { kind: "django-maintenance-mode", path: "state.txt", files: &["state.txt"] },
    Case { kind: "magento", path: "", files: &["var/.maintenance.flag", "var/.maintenance.ip"] },
    Case { kind: "turnout", path: "", files: &["tmp/maintenance.yml"] },
    Case { kind: "mediawiki", path: "lock", files: &["lock"] },
];

/// A folder with all that the kinds look for.
fn folder(site: &TestSite) -> PathBuf {
    let folder = site.project.join("app");
    for name in ["app/etc", "var", "tmp"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    write(&folder.join("config.ru"), "");
    folder
}

fn add(site: &TestSite, case: &Case, folder: &Path) -> Run {
    site.run(&["flag", "add", case.kind, folder.join(case.path).to_str().unwrap()])
}

fn under(umask: &str, site: &TestSite, args: &[&str]) {
    let script = format!("umask {umask}; exec \"$@\"");
    let done = run(&mut wrapped(&["sh", "-c", &script, "sh"], &site.dir, args));
    assert_eq!(done.code, 0, "{args:?}: {done:?}");
}

#[test]
fn requirement_77_every_kind_states_its_modes_under_any_umask() {
    let mut files = 0;
    for case in &CASES {
        let site = TestSite::new();
        let folder = folder(&site);
        assert_eq!(add(&site, case, &folder).code, 0, "{}", case.kind);
        site.ok(&["ignore", "add", "ip", "203.0.113.7"]);
        for umask in ["000", "022", "027", "077"] {
            under(umask, &site, &["on", "-m", umask]);
            for name in case.files {
                let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, 0o644, "{}: {name} under {umask}", case.kind);
                files += 1;
            }
            under(umask, &site, &["off"]);
        }
    }
    figure(&format!("{files} files of {} kinds under 4 umasks, all 0644", CASES.len()));
}

#[test]
fn requirement_77_every_kind_leaves_its_files_to_the_owner_of_the_folder() {
    if !can_be_others() {
        return;
    }
    for case in &CASES {
        let site = TestSite::new();
        let folder = folder(&site);
        for name in ["", "var", "tmp", "app", "app/etc"] {
            chown(folder.join(name), Some(DEPLOY), Some(DEPLOY)).unwrap();
        }
        assert_eq!(add(&site, case, &folder).code, 0, "{}", case.kind);
        site.ok(&["ignore", "add", "ip", "203.0.113.7"]);
        site.ok(&["on"]);
        for name in case.files {
            let owner = fs::metadata(folder.join(name)).unwrap().uid();
            assert_eq!(owner, DEPLOY, "{}: {name}", case.kind);
        }
    }
}

#[test]
fn requirement_78_no_kind_touches_what_somebody_else_made() {
    const THEIRS: &str = "somebody else's\n";
    let mut files = 0;
    for case in &CASES {
        let site = TestSite::new();
        let folder_before = folder(&site);
        let flag = folder_before.join(case.files[0]);
        fs::create_dir_all(flag.parent().unwrap()).unwrap();
        write(&flag, THEIRS);
        let added = add(&site, case, &folder_before);
        assert_ne!(added.code, 0, "{}: {added:?}", case.kind);
        assert!(added.stderr.contains("somebody else made it"), "{}: {added:?}", case.kind);
        for file in case.files {
            let site = TestSite::new();
            let folder = folder(&site);
            assert_eq!(add(&site, case, &folder).code, 0, "{}", case.kind);
            site.ok(&["ignore", "add", "ip", "203.0.113.7"]);
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, THEIRS);
            let theirs = || fs::read_to_string(&path).unwrap();
            for args in [&["on", "-m", "x"][..], &["flag", "sync"]] {
                let done = site.run(args);
                assert_eq!(done.code, 10, "{}: {file}: {args:?}: {done:?}", case.kind);
                assert_eq!(theirs(), THEIRS, "{}: {file}: {args:?}", case.kind);
            }
            for args in [&["off"][..], &["flag", "remove", case.kind]] {
                let done = site.run(args);
                assert_eq!(theirs(), THEIRS, "{}: {file}: {args:?}: {done:?}", case.kind);
            }
            files += 1;
        }
    }
    figure(&format!("{files} files of {} kinds left as somebody else made them", CASES.len()));
}
