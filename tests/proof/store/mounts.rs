//! Requirement 34: a file that is itself a mount point.

use std::process::Command;

use crate::can::can_mount;
use crate::env::{MAINT, TestSite, run};
use crate::say::figure;

#[test]
fn requirement_34_a_state_file_that_is_a_mount_point_is_refused_with_the_mend() {
    if !can_mount() {
        return;
    }
    // From the same file system, where st_dev shows no difference, and from another.
    for source in ["$1/../elsewhere.json", "/mnt/elsewhere.json"] {
        let site = TestSite::in_use();
        let script = format!(
            r#"set -e
            mount -t tmpfs none /mnt
            cp "$1/state.json" "{source}"
            mount --bind "{source}" "$1/state.json"
            set +e
            "$2" --site "$1" on -m three; code=$?
            cmp "$1/state.json" "$1/../before" && echo same
            ls -A "$1" | grep 'tmp$' && echo leftover
            exit $code"#
        );
        std::fs::copy(site.state_file(), site.project.join("before")).unwrap();
        let done = run(Command::new("unshare")
            .args(["-m", "sh", "-c", &script, "sh"])
            .arg(&site.dir)
            .arg(MAINT));
        assert_eq!(done.code, 3, "{source}: {done:?}");
        assert!(done.stderr.contains("mount the directory"), "{source}: {done:?}");
        assert!(done.stdout.contains("same") && !done.stdout.contains("leftover"), "{done:?}");
    }
    figure("2 of 2 refused");
}

#[test]
fn requirement_34_a_site_directory_that_is_a_mount_point_is_fine() {
    if !can_mount() {
        return;
    }
    let site = TestSite::in_use();
    let script = r#"set -e
        mkdir "$1/../volume" && cp -a "$1/." "$1/../volume" && mount --bind "$1/../volume" "$1"
        "$2" --site "$1" on -m three"#;
    let done = run(Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(&site.dir)
        .arg(MAINT));
    assert_eq!(done.code, 0, "{done:?}");
}
