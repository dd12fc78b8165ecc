//! The first change in a project, which makes its site.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::env::{TestEnv, has};
use crate::say::skip;

/// A project without a site.
fn project() -> TestEnv {
    let env = TestEnv::bare();
    fs::create_dir_all(env.dir().join("shop/web/src")).unwrap();
    env.write("shop/manage.py", "");
    env.write("shop/web/package.json", "{}");
    env
}

/// Runs the command somewhere in it, and returns code, standard output and error.
fn typed(env: &TestEnv, at: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = env.command(args).current_dir(env.dir().join(at)).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_first_on_makes_the_site_of_the_project_wherever_it_is_typed() {
    for at in ["shop", "shop/web", "shop/web/src"] {
        let env = project();
        let site = env.dir().join("shop/.maint");
        let (code, text, error) = typed(&env, at, &["on"]);
        assert_eq!((code, error), (Some(0), format!("made the site {}\n", site.display())), "{at}");
        assert!(text.starts_with("● down window `default` is open"), "{text}");
        let mode = |path: &str| fs::metadata(site.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("state.json")), (0o755, 0o644));
        let (_, _, error) = typed(&env, "shop", &["off"]);
        assert_eq!(error, "", "it is made once");
        assert_eq!(fs::read_dir(env.dir().join("home")).unwrap().count(), 0, "not the user's own");
    }
}

#[test]
fn questions_and_changes_of_nothing_make_no_site() {
    let env = project();
    for (args, expected) in [
        (&["status"][..], 0),
        (&["status", "--json"], 0),
        (&["off"], 0),
        (&["off", "--all"], 0),
        (&["off", "deploy"], 2),
        (&["on", "--dry-run"], 0),
        (&["on", "--template", "gone"], 2),
        (&["on", "--if-revision", "7"], 5),
        (&["check", "/"], 0),
        (&["wait", "off"], 0),
        (&["log"], 0),
        (&["ignore", "list"], 0),
        (&["ignore", "add", "path", "nonsense"], 2),
        (&["ignore", "remove", "r1"], 2),
        (&["bypass", "list"], 0),
        (&["template", "list"], 0),
        (&["template", "remove", "gone"], 2),
        (&["proxy", "list"], 0),
        (&["restore"], 2),
        (&["path"], 0),
        (&["doctor"], 0),
        (&["completions", "bash"], 0),
    ] {
        let (code, text, error) = typed(&env, "shop", args);
        assert_eq!(code, Some(expected), "{args:?}: {text}{error}");
        assert!(!error.contains("panicked"), "{error}");
        assert!(!env.dir().join("shop/.maint").exists(), "{args:?}");
    }
    let (_, text, _) = typed(&env, "shop/web", &["status"]);
    let site = env.dir().join("shop/.maint");
    assert!(
        text.ends_with(&format!("no site yet; `maint on` makes {}\n", site.display())),
        "{text}"
    );
}

#[test]
fn every_first_change_makes_the_site() {
    for args in [
        &["on", "--at", "23:59"][..],
        &["run", "--", "true"],
        &["ignore", "add", "path", "/health"],
        &["bypass", "new"],
        &["template", "add", "sorry", "../page.html"],
        &["proxy", "add", "10.0.0.0/8"],
        &["page", "set", "--title", "Back soon"],
    ] {
        let env = project();
        env.write("page.html", "Sorry");
        let (code, text, error) = typed(&env, "shop", args);
        assert_eq!(code, Some(0), "{args:?}: {text}{error}");
        let made = format!("made the site {}", env.dir().join("shop/.maint").display());
        assert_eq!(error.matches(&made).count(), 1, "{args:?}: {error}");
        assert!(env.dir().join("shop/.maint/state.json").exists(), "{args:?}");
    }
}

#[test]
fn json_says_that_the_site_was_made() {
    let env = project();
    let json = |args: &[&str]| {
        let (_, text, _) = typed(&env, "shop", args);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(json(&["path", "--json"])["chosen_by"], "project");
    assert_eq!(json(&["status", "--json"])["exists"], false);
    assert_eq!(json(&["on", "--json"])["made"], true);
    assert_eq!(json(&["off", "--json"])["made"], false);
    assert_eq!(json(&["status", "--json"])["exists"], true);
    assert_eq!(json(&["path", "--json"])["chosen_by"], "nearest");
}

#[test]
fn where_there_is_no_project_one_line_says_that_no_app_obeys() {
    let env = TestEnv::bare();
    let (code, _, error) = typed(&env, "", &["on"]);
    assert_eq!(code, Some(0));
    assert!(error.starts_with("neither a site nor a project here or above: "), "{error}");
    assert!(error.contains("no app in a project obeys; `maint init` in the app's directory"));
}

#[test]
fn a_project_that_cannot_be_written_names_the_way_out() {
    let (is_root, has_tool) = (rustix::process::geteuid().is_root(), has("setpriv"));
    if is_root && !has_tool {
        return skip("setpriv is missing");
    }
    let env = project();
    let shop = env.dir().join("shop");
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(env.dir(), 0o755);
    mode(&shop, 0o555);
    let mut command = if is_root {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "65534", "--clear-groups", "--"]);
        command.arg(env!("CARGO_BIN_EXE_maint"));
        env.seal(&mut command);
        command
    } else {
        env.command(&[])
    };
    let output = command.arg("on").current_dir(&shop).output().unwrap();
    mode(&shop, 0o755);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    let site = shop.join(".maint");
    let expected =
        format!("maint: could not make the site `{}`: permission denied\n", site.display());
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.contains("for the app as well: `MAINT_SITE=DIR`"), "{error}");
}

#[test]
fn two_first_writers_at_once_make_one_site() {
    let env = project();
    let children: Vec<_> = (0..8)
        .map(|number| {
            let name = format!("deploy-{number}");
            let mut command = env.command(&["on", &name]);
            command.current_dir(env.dir().join("shop")).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (_, text, _) = typed(&env, "shop", &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["windows"].as_array().unwrap().len(), 8);
}
