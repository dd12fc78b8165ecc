//! Requirements 28, 29, 31 and 33: who owns the files, and who may do what.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::can::can_be_others;
use crate::env::{DEPLOY, NOBODY, TestSite, as_user, chmod, drop_to, mode, owner, run, wrapped};
use crate::say::{figure, skip};

type Write = fn(&TestSite, &str);
type Open = fn(&TestSite);

#[test]
fn requirement_28_the_mode_is_what_it_was_and_0644_at_first_whatever_the_umask() {
    let (mut new, mut kept) = (0, 0);
    for umask in ["000", "022", "027", "077"] {
        let words = ["sh", "-c", r#"umask "$0"; exec "$@""#, umask];
        let under_umask = |site: &TestSite, args: &[&str]| {
            let done = run(&mut wrapped(&words, &site.dir, args));
            assert_eq!(done.code, 0, "umask {umask}: {done:?}");
        };
        let site = TestSite::new();
        under_umask(&site, &["on", "-m", "one"]);
        assert_eq!(mode(&site.state_file()), 0o644, "new, umask {umask}");
        assert_eq!(mode(&site.file("history.jsonl")), 0o640, "history, umask {umask}");
        new += 1;
        for old in [0o600, 0o640, 0o644] {
            chmod(&site.state_file(), old);
            under_umask(&site, &["on", "-m", &format!("{old:o}")]);
            assert_eq!(mode(&site.state_file()), old, "existing, umask {umask}");
            assert_eq!(mode(&site.file("state.json.bak")), old, "backup, umask {umask}");
            kept += 1;
        }
    }
    figure(&format!("{kept} of 12 modes kept, {new} of 4 new files 0644"));
}

#[test]
fn requirement_28_a_page_can_be_read_by_the_web_server_whatever_the_umask() {
    let site = TestSite::new();
    let words = ["sh", "-c", r#"umask 077; echo hello | exec "$0" "$@""#];
    let done =
        run(&mut wrapped(&words, &site.dir, &["template", "add", "page", "--format", "txt"]));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(mode(&site.file("templates")), 0o755);
    assert_eq!(mode(&site.file("templates/page.txt")), 0o644);
}

#[test]
fn requirement_28_nobody_can_read_the_default_state() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    let words = ["sh", "-c", r#"umask 077; exec "$0" "$@""#];
    run(&mut wrapped(&words, &site.dir, &["on", "-m", "Back at noon"]));
    let done = run(&mut as_user(NOBODY, &site.dir, &["status"]));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("Back at noon"), "{done:?}");
    figure("1 of 1: nobody reads it");
}

#[test]
fn requirement_29_root_does_not_lock_the_owner_of_a_directory_out() {
    if !can_be_others() {
        return;
    }
    let by_root: Write = |site, text| drop(site.ok(&["on", "-m", text]));
    let by_owner: Write = |site, text| {
        let done = run(&mut as_user(DEPLOY, &site.dir, &["on", "-m", text]));
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    };
    for order in [[by_root, by_owner, by_root, by_owner], [by_owner, by_root, by_owner, by_root]] {
        let site = TestSite::new();
        site.give_to(DEPLOY);
        for (number, write) in order.iter().enumerate() {
            let text = format!("write {number}");
            write(&site, &text);
            let done = run(&mut as_user(NOBODY, &site.dir, &["status"]));
            assert!(done.stdout.contains(&text), "a third user reads: {done:?}");
            for name in ["state.json", "lock", "history.jsonl"] {
                assert_eq!(owner(&site.file(name)), DEPLOY, "{name}");
            }
        }
        assert_eq!(site.recorded(), [1, 2, 3, 4]);
    }
    figure("8 of 8 writes by root and owner in turn, in both orders, each read by a third user");
}

#[test]
fn requirement_29_the_pages_that_root_adds_are_the_owners_too() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    site.give_to(DEPLOY);
    let page = site.project.join("page.txt");
    crate::env::write(&page, "hello");
    let add = ["template", "add", "one", page.to_str().unwrap()];
    site.ok(&add);
    assert_eq!(owner(&site.file("templates/one.txt")), DEPLOY);
    assert_eq!(owner(&site.file("templates")), DEPLOY, "so that the owner can add more");
    let done = run(&mut as_user(DEPLOY, &site.dir, &["template", "add", "two", add[3]]));
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn requirement_29_init_as_root_leaves_the_site_to_the_owner_of_the_project() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    fs::remove_dir(&site.dir).unwrap();
    std::os::unix::fs::chown(&site.project, Some(DEPLOY), Some(DEPLOY)).unwrap();
    let mut command = Command::new(crate::env::MAINT);
    let done = run(command.arg("init").arg(&site.project).env_remove("MAINT_SITE"));
    assert_eq!(done.code, 0, "{done:?}");
    for path in [site.dir.clone(), site.file("templates"), site.state_file(), site.file("lock")] {
        assert_eq!(owner(&path), DEPLOY, "{}", path.display());
    }
    let done = run(&mut as_user(DEPLOY, &site.dir, &["on", "-m", "x"]));
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn requirement_31_root_does_not_write_where_everyone_can() {
    if !can_be_others() {
        return;
    }
    let table: [(&str, Open); 3] = [
        ("directory", |site| chmod(&site.dir, 0o777)),
        ("sticky directory", |site| chmod(&site.dir, 0o1777)),
        ("file", |site| chmod(&site.state_file(), 0o666)),
    ];
    for (what, open) in table {
        let site = TestSite::in_use();
        open(&site);
        let before = fs::read(site.state_file()).unwrap();
        let done = site.run(&["on", "-m", "three"]);
        assert_eq!(done.code, 3, "{what}: {done:?}");
        assert!(done.stderr.contains("everyone can write"), "{what}: {done:?}");
        assert!(done.stderr.contains("chmod o-w"), "the fix: {done:?}");
        assert_eq!(fs::read(site.state_file()).unwrap(), before, "{what}");
        assert_eq!(site.run(&["doctor"]).code, 1, "doctor sees the {what}");
    }
    figure("3 of 3 refused, and told by doctor");
}

#[test]
fn requirement_33_a_named_user_of_the_access_list_still_reads_after_ten_rewrites() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    site.ok(&["on", "-m", "one"]);
    chmod(&site.state_file(), 0o640);
    let may_read = || {
        let words = drop_to(NOBODY);
        let mut command = Command::new(&words[0]);
        run(command.args(&words[1..]).arg("cat").arg(site.state_file())).code == 0
    };
    assert!(!may_read(), "without an access list");
    if let Err(why) = grant(&site.state_file(), NOBODY) {
        skip(&why);
        return;
    }
    assert!(may_read(), "with one");
    for number in 0..10 {
        let done = site.ok(&["on", "-m", &number.to_string()]);
        assert_eq!(done.stderr, "");
        assert!(may_read(), "after rewrite {number}");
    }
    assert_eq!(mode(&site.state_file()), 0o640);
    figure("10 of 10 rewrites: the named user still reads");
}

#[test]
fn requirement_33_a_default_access_list_of_the_directory_holds_for_every_rewrite() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    if let Err(why) = set_list(&site.dir, "system.posix_acl_default", NOBODY) {
        skip(&why);
        return;
    }
    let may_read = || {
        let words = drop_to(NOBODY);
        let mut command = Command::new(&words[0]);
        run(command.args(&words[1..]).arg("cat").arg(site.state_file())).code == 0
    };
    site.ok(&["on", "-m", "one"]);
    // From here on only the access list lets another user read.
    chmod(&site.state_file(), 0o640);
    for number in 0..10 {
        assert!(may_read(), "before rewrite {number}");
        let done = site.ok(&["on", "-m", &number.to_string()]);
        assert_eq!(done.stderr, "");
    }
    assert!(may_read() && mode(&site.state_file()) == 0o640);
    figure("10 of 10 rewrites: the named user still reads");
}

/// Lets a user read a file by an access list, as `setfacl -m u:UID:r` would.
fn grant(path: &Path, uid: u32) -> Result<(), String> {
    set_list(path, "system.posix_acl_access", uid)
}

fn set_list(path: &Path, name: &str, uid: u32) -> Result<(), String> {
    // acl(5) as the kernel keeps it: a version, then tag, permissions and id of each
    // entry: owner, named user, group, mask, others.
    const NONE: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 6, NONE), (0x02, 4, uid), (0x04, 4, NONE), (0x10, 4, NONE), (0x20, 0, NONE)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    rustix::fs::setxattr(path, name, &list, rustix::fs::XattrFlags::empty())
        .map_err(|cause| format!("no access lists in {}: {cause}", path.display()))
}
