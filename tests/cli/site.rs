//! Which site is used: `maint path`, and requirement 35.

use std::fs;
use std::process::Command;

use crate::env::{TestEnv, has};
use crate::say::{figure, skip};

#[test]
fn path_names_the_site_alone_on_standard_output_and_why_beside_it() {
    let env = TestEnv::new();
    let ran = env.run(&["path"]);
    assert_eq!(ran.stdout, format!("{}\n", env.site().display()));
    assert!(ran.stderr.contains("nearest `.maint`"), "{ran:?}");
    assert_eq!(env.json(&["path"])["chosen_by"], "nearest");
    assert_eq!(env.json(&["--site", ".maint", "path"])["chosen_by"], "given");
}

#[test]
fn requirement_35_the_same_site_is_found_from_everywhere() {
    let env = TestEnv::new();
    fs::create_dir_all(env.dir().join("a/b")).unwrap();
    let site = format!("{}\n", env.site().display());
    let path = |command: &mut Command| String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(path(env.command(&["path"]).current_dir(env.dir().join("a/b"))), site, "from below");
    assert_eq!(path(env.command(&["path"]).env_remove("HOME")), site, "without HOME");
    let binary = env!("CARGO_BIN_EXE_maint");
    assert_eq!(
        path(Command::new("env").args(["-i", binary, "path"]).current_dir(env.dir())),
        site,
        "env -i"
    );
    assert_eq!(
        path(env.command(&["path"]).current_dir("/").env("MAINT_SITE", env.site())),
        site,
        "by the variable"
    );
    let given = env.site();
    assert_eq!(
        path(env.command(&["--site", given.to_str().unwrap(), "path"]).current_dir("/")),
        site,
        "by name"
    );
    figure("5 of 5: from below, without HOME, env -i, by the variable, by name");
}

#[test]
fn requirement_35_without_home_and_site_nothing_is_written() {
    let env = TestEnv::bare();
    let output = env.command(&["on"]).env_remove("HOME").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.starts_with("maint: no site found") && error.contains("hint: run `maint init`"),
        "{error}"
    );
    assert_eq!(fs::read_dir(env.dir()).unwrap().count(), 1, "only home");
    figure("1 clear error, 0 files written");
}

#[test]
fn a_first_on_just_works_and_names_its_file() {
    let env = TestEnv::bare();
    let text = env.ok(&["on", "-m", "Back at noon"]);
    let file = env.dir().join("home/.local/state/maint/state.json");
    assert!(text.contains(file.to_str().unwrap()), "{text}");
    let ran = env.run(&["status"]);
    assert!(ran.stdout.contains("“Back at noon”"), "{ran:?}");
    assert!(ran.stderr.starts_with("neither a site nor a project here or above"), "{ran:?}");
    let ran = env.run(&["path"]);
    assert!(ran.stderr.contains("it is the one of this user"), "{ran:?}");
}

#[test]
fn a_site_that_is_not_there_is_a_mistake_with_a_mend() {
    let env = TestEnv::new();
    let error = env.fails(2, &["--site", "nope", "on"]);
    assert!(error.contains("hint: to make a site there: `maint --site nope init`"), "{error}");
    let error = env.fails(2, &["--site", ".", "on"]);
    assert!(error.contains("hint: it has a site: `--site ./.maint`"), "{error}");
    env.fails(2, &["--site", "", "on"]);
    env.write("file", "");
    env.fails(2, &["--site", "file", "on"]);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf_8_is_no_panic() {
    use std::os::unix::ffi::OsStrExt as _;
    let env = TestEnv::bare();
    let project = env.dir().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&project).unwrap();
    env.write("page.html", "x");
    for args in [
        ["init"].as_slice(),
        &["on"],
        &["status"],
        &["path"],
        &["doctor"],
        &["template", "add", "sorry", "../page.html"],
        &["template", "list"],
        &["template", "remove", "sorry"],
        &["off"],
        &["restore", "-n"],
        &["man", "."],
    ] {
        for json in [false, true] {
            let mut command = env.command(args);
            if json {
                command.arg("--json");
            }
            let output = command.current_dir(&project).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            // The second removal has nothing left to remove.
            assert!(matches!(output.status.code(), Some(0 | 2)), "{args:?}: {error}");
            assert!(!error.contains("panicked"), "{args:?}: {error}");
        }
    }
}

#[test]
fn requirement_36_two_sites_do_not_touch_each_other() {
    let env = TestEnv::new();
    fs::create_dir(env.dir().join("other")).unwrap();
    env.ok(&["init", "other"]);
    env.ok(&["--site", "other/.maint", "on"]);
    assert_eq!(env.json(&["status"])["state"], "off");
    assert_eq!(env.json(&["--site", "other/.maint", "status"])["state"], "on");
}

/// As root: a directory tree where other users plant sites.
#[test]
fn requirement_35b_a_planted_site_is_refused_with_its_owner() {
    if !rustix::process::geteuid().is_root() || !has("setpriv") || !has("chown") {
        return skip("only root can plant sites of other users");
    }
    let env = TestEnv::bare();
    let root = env.dir();
    let sh = |line: &str| {
        let mut shell = Command::new("sh");
        env.seal(shell.args(["-ec", line]).current_dir(root));
        let output = shell.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(
        sh("chmod 755 . && mkdir -p sticky stranger/app own/app shared && chmod 1777 sticky").0,
        Some(0)
    );
    let as_user = |uid: u32, line: &str| {
        sh(&format!("setpriv --reuid {uid} --regid {uid} --clear-groups sh -ec '{line}'"))
    };
    let refused = [
        // A stranger's site in a sticky directory, for root and for another user.
        ("mkdir -p sticky/.maint && chown 65534 sticky/.maint", 0, "cd sticky && maint status"),
        ("true", 1234, "cd sticky && maint status"),
        // Below a stranger's tree, in someone else's directory.
        (
            "mkdir -p stranger/.maint && chown 65534 stranger stranger/.maint && chown 1234 stranger/app",
            0,
            "cd stranger/app && maint on",
        ),
        // A site that everyone may write to.
        ("mkdir -p shared/.maint && chmod 777 shared/.maint", 0, "cd shared && maint on"),
    ];
    for (plant, uid, line) in refused {
        assert_eq!(sh(plant).0, Some(0));
        let (code, error) = as_user(uid, line);
        assert_eq!(code, Some(2), "{line}: {error}");
        assert!(error.contains("refusing the site") && error.contains("hint:"), "{error}");
    }
    assert!(as_user(0, "cd sticky && maint status").1.contains("belongs to `nobody`"));
    let accepted = [
        // The user's own, root's, and that of the owner of the working directory.
        ("mkdir -p own/.maint && chown -R 1234 own", 1234, "cd own/app && maint status"),
        ("mkdir -p rooted/.maint rooted/app", 1234, "cd rooted/app && maint status"),
        ("true", 0, "cd own/app && maint status"),
    ];
    for (prepare, uid, line) in accepted {
        assert_eq!(sh(prepare).0, Some(0));
        let (code, error) = as_user(uid, line);
        assert_eq!(code, Some(0), "{line}: {error}");
    }
    // Above a project it is passed over, and stops nobody.
    assert_eq!(sh("mkdir -p sticky/shop && touch sticky/shop/manage.py").0, Some(0));
    let (code, error) = as_user(0, "cd sticky/shop && maint on");
    assert_eq!(code, Some(0), "{error}");
    let passed =
        format!("warning: passed over `{}`: it belongs to", root.join("sticky/.maint").display());
    assert!(error.contains(&passed), "{error}");
    assert!(root.join("sticky/shop/.maint/state.json").exists());
    // In a project anybody may have made it who could have changed the code as well.
    let shared = "mkdir -p team/.maint && touch team/manage.py && chgrp 1234 team && chmod 775 team \
                  && chown -R 1234:1234 team/.maint";
    assert_eq!(sh(shared).0, Some(0));
    let (code, error) = as_user(4321, "cd team && maint status");
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(sh("chmod 777 team").0, Some(0));
    assert_eq!(as_user(4321, "cd team && maint status").0, Some(2));
    let (code, error) = as_user(0, "cd sticky && maint --site .maint status");
    assert_eq!(code, Some(0), "--site overrides: {error}");
    figure(&format!("{} of 4 refused, {} of 3 accepted", refused.len(), accepted.len()));
}
