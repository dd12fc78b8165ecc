//! Requirement 74: what others attached to a file stays attached.

use std::path::Path;
use std::process::Command;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use crate::can::can_trace;
use crate::env::{TestSite, run, wrapped};
use crate::say::{figure, skip};

const ACCESS_LIST: &str = "system.posix_acl_access";

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = getxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

fn attach(path: &Path, name: &str, value: &[u8]) -> bool {
    let set = setxattr(path, name, value, XattrFlags::empty());
    if let Err(cause) = set {
        skip(&format!("`{name}` cannot be set here: {cause}"));
    }
    set.is_ok()
}

/// An access list of acl(5) in the kernel's form: a named user may read.
fn access_list(group_obj: u16) -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    // The tag, what is allowed, and the id of each entry.
    for (tag, bits, id) in [
        (0x01, 6, u32::MAX),
        (0x02, 4, 4242),
        (0x04, group_obj, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ] {
        list.extend(u16::to_le_bytes(tag));
        list.extend(bits.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

#[test]
fn requirement_74_list_label_and_attributes_of_the_state_and_of_a_page_are_kept() {
    let site = TestSite::in_use();
    let page = site.file("templates/page.html");
    let add = |text: &str| {
        let words = ["sh", "-c", r#"echo "$0" | exec "$@""#, text];
        let command = ["template", "add", "page", "--replace"];
        let done = run(&mut wrapped(&words, &site.dir, &command));
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stderr.starts_with("nothing shows it yet"), "{done:?}");
    };
    add("one");
    let attributes = [
        ("user.note", b"of the owner".to_vec()),
        (ACCESS_LIST, access_list(0)),
        ("security.selinux", b"system_u:object_r:httpd_sys_content_t:s0".to_vec()),
    ];
    let mut kept = 0;
    for (name, value) in &attributes {
        // Only root may set a label.
        if !attach(&site.state_file(), name, value) || !attach(&page, name, value) {
            continue;
        }
        let done = site.ok(&["on", "-m", name]);
        assert_eq!(done.stderr, "", "{name}");
        add(name);
        for path in [site.state_file(), page.clone(), site.file("state.json.bak")] {
            assert_eq!(attribute(&path, name).as_ref(), Some(value), "{name} of {path:?}");
        }
        kept += 1;
    }
    assert!(kept > 0, "nothing can be attached here");
    figure(&format!("{kept} of 3 kinds kept: the owner's attribute, the access list, the label"));
}

#[test]
fn requirement_74_what_cannot_be_kept_is_told_at_the_change() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    for (name, words) in [
        ("user.note", "the attribute `user.note`"),
        ("security.selinux", "the SELinux label"),
        (ACCESS_LIST, "the access list"),
    ] {
        let value = if name == ACCESS_LIST { access_list(0) } else { b"of the owner".to_vec() };
        if !attach(&site.state_file(), name, &value) {
            continue;
        }
        // Whether a label can be set is up to the policy of the machine.
        let inject = "inject=fsetxattr:error=EPERM";
        let strace = ["strace", "-o", "/dev/null", "-e", "trace=fsetxattr", "-e", inject, "--"];
        let done = run(&mut wrapped(&strace, &site.dir, &["on", "-m", name]));
        assert_eq!((done.code, site.reason().as_deref()), (0, Some(name)), "{done:?}");
        let state = site.state_file();
        let warning = format!("could not keep {words} of `{}`", state.display());
        assert!(done.stderr.contains(&warning), "{done:?}");
    }
}

#[test]
fn requirement_74_a_history_that_begins_anew_is_for_the_same_people() {
    let site = TestSite::in_use();
    let history = site.file("history.jsonl");
    if !attach(&history, ACCESS_LIST, &access_list(0)) {
        return;
    }
    crate::rotation::grow(&site);
    site.ok(&["on", "-m", "three"]);
    assert!(site.file("history.jsonl.1").is_file());
    assert_eq!(attribute(&history, ACCESS_LIST), Some(access_list(0)));
}

#[test]
fn requirement_74_setfacl_and_getfacl_agree() {
    let have = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !have("setfacl") {
        return skip("setfacl(1) is missing");
    }
    let site = TestSite::in_use();
    let state = site.state_file();
    let set = Command::new("setfacl").args(["-m", "u:4242:r"]).arg(&state).status().unwrap();
    if !set.success() {
        return skip("no access lists here");
    }
    site.ok(&["on", "-m", "three"]);
    let shown = Command::new("getfacl").arg("-cp").arg(&state).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("user:4242:r--"), "{shown}");
}
