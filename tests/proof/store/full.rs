//! Requirement 7: no room, or nowhere to write.

use std::process::Command;

use crate::can::{can_mount, can_trace};
use crate::env::{MAINT, Run, TestSite, run, wrapped};
use crate::say::{figure, skip};

/// Mounts a file system on the site, changes its state, causes trouble, and returns the
/// outcome of the next change. Both arguments are scripts; `$1` is the site, `$3` a
/// directory elsewhere.
fn on_a_small_disk(mount: &str, trouble: &str) -> (Run, String) {
    let site = TestSite::new();
    let script = format!(
        r#"set -e
        {mount}
        "$2" --site "$1" on -m one >/dev/null
        "$2" --site "$1" on -m two >/dev/null
        cp "$1/state.json" "$1/state.json.bak" "$1/history.jsonl" "$3"
        {trouble}
        set +e
        "$2" --site "$1" on -m "$4"
        code=$?
        for name in state.json state.json.bak history.jsonl; do
            cmp "$1/$name" "$3/$name" && echo "same $name"
        done
        ls -A "$1" | grep 'tmp$' && echo leftover
        exit $code"#
    );
    let big = "x".repeat(60_000);
    let kept = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh"]).arg(&site.dir).arg(MAINT).arg(kept.path());
    (run(command.arg(big)), site.dir.to_str().unwrap().to_owned())
}

fn tmpfs(options: &str) -> String {
    format!(r#"mount -t tmpfs -o {options},mode=755 none "$1""#)
}

#[track_caller]
fn assert_untouched(done: &Run, dir: &str, cause: &str) {
    assert_eq!(done.code, 3, "{done:?}");
    for name in ["state.json", "state.json.bak", "history.jsonl"] {
        assert!(done.stdout.contains(&format!("same {name}\n")), "{name}: {done:?}");
    }
    assert!(!done.stdout.contains("leftover"), "{done:?}");
    assert!(done.stderr.contains(dir) && done.stderr.contains(cause), "path and cause: {done:?}");
    figure(&format!("state, backup and history are byte-identical; told: {cause}"));
}

#[test]
fn requirement_07_a_full_disk_changes_nothing_and_is_named() {
    if !can_mount() {
        return;
    }
    let (done, dir) =
        on_a_small_disk(&tmpfs("size=64k"), r#"head -c 1M /dev/zero > "$1/ballast" || true"#);
    assert_untouched(&done, &dir, "no space left on device");
}

#[test]
fn requirement_05_a_write_cut_short_by_a_full_disk_is_no_new_state() {
    if !can_mount() {
        return;
    }
    // Two pages are left, so write(2) first takes a part and then fails.
    let trouble = r#"head -c 1M /dev/zero > "$1/ballast" || truncate -s -8K "$1/ballast""#;
    let (done, dir) = on_a_small_disk(&tmpfs("size=64k"), trouble);
    assert_untouched(&done, &dir, "no space left on device");
}

#[test]
fn requirement_05_a_write_that_says_more_than_it_did_is_no_new_state() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let before = site.snapshot();
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=write"];
    let inject = ["-e", "inject=write:retval=1:when=1", "--"];
    let done = run(&mut wrapped(&[&strace[..], &inject].concat(), &site.dir, &["on", "-m", "new"]));
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("fewer bytes arrived than were written"), "{done:?}");
    assert_eq!(site.snapshot(), before);
    assert_eq!(site.leftovers(), Vec::<String>::new());
}

#[test]
fn requirement_07_a_disk_without_inodes_changes_nothing_and_is_named() {
    if !can_mount() {
        return;
    }
    let trouble = r#"i=0; while touch "$1/ballast$i" 2>/dev/null; do i=$((i+1)); done"#;
    let (done, dir) = on_a_small_disk(&tmpfs("nr_inodes=32"), trouble);
    assert_untouched(&done, &dir, "no space left on device");
}

#[test]
fn requirement_07_a_read_only_disk_changes_nothing_and_is_named() {
    if !can_mount() {
        return;
    }
    let (done, dir) = on_a_small_disk(&tmpfs("size=1m"), r#"mount -o remount,ro "$1""#);
    assert_untouched(&done, &dir, "read-only file system");
}

#[test]
fn requirement_07_a_quota_changes_nothing_and_is_named() {
    // Of the file systems with quotas, this one asks the least of kernel and user.
    const NONE: i32 = 77;
    if !can_mount() {
        return;
    }
    let mount = format!(
        r#"set +e
        truncate -s 128M "$3/disk" && mkfs.btrfs -q "$3/disk" && mount -o loop "$3/disk" "$1" \
            && btrfs quota enable "$1" || exit {NONE}
        set -e"#
    );
    let (done, dir) = on_a_small_disk(&mount, r#"sync; btrfs qgroup limit 64K "$1""#);
    if done.code == NONE {
        skip("needs btrfs(8) and a kernel that mounts it; the sweep of 5 has EDQUOT at every call");
        return;
    }
    assert_untouched(&done, &dir, "disk quota exceeded");
}

#[test]
fn requirement_07_a_file_size_limit_changes_nothing_and_is_named() {
    // In blocks of 512 bytes: nothing at all, and too little for the new state.
    for limit in ["0", "8"] {
        let site = TestSite::in_use();
        let before = site.snapshot();
        let big = "x".repeat(60_000);
        let words = ["sh", "-c", r#"ulimit -f "$0"; exec "$@""#, limit];
        let done = run(&mut wrapped(&words, &site.dir, &["on", "-m", &big]));
        assert_eq!(done.code, 3, "limit {limit}: {:?}", (done.code, &done.stderr));
        assert!(done.stderr.contains(site.dir.to_str().unwrap()), "{}", done.stderr);
        assert!(done.stderr.contains("file too large"), "{}", done.stderr);
        assert_eq!(site.snapshot(), before, "limit {limit}");
    }
    figure("two limits: state, backup and history are byte-identical; told: file too large");
}
