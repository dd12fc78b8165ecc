//! `maint init`

use std::fs;
use std::process::Stdio;

use crate::env::{TestEnv, finish};

#[test]
fn init_makes_a_site_and_twice_is_quiet() {
    let env = TestEnv::bare();
    assert!(env.ok(&["init"]).starts_with("made the site"));
    assert_eq!(env.state()["revision"], 1);
    assert!(env.site().join("templates").is_dir());
    let before = env.files();
    assert!(env.ok(&["init"]).starts_with("unchanged"));
    assert_eq!(before, env.files());
}

#[test]
fn a_new_site_keeps_itself_out_of_version_control() {
    let env = TestEnv::bare();
    let text = env.ok(&["init"]);
    assert!(!text.contains("gitignore"), "there is nothing left to do: {text}");
    let file = env.site().join(".gitignore");
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().last(), Some("*"), "{written}");
    fs::remove_file(&file).unwrap();
    env.ok(&["init", "--name", "Shop"]);
    env.ok(&["on"]);
    assert!(!file.exists(), "somebody keeps templates in git, and it stays removed");

    let env = TestEnv::bare();
    env.write(".maint/.gitignore", "state.json\n");
    env.ok(&["init"]);
    assert_eq!(fs::read_to_string(env.site().join(".gitignore")).unwrap(), "state.json\n");

    let env = TestEnv::bare();
    fs::create_dir(env.site()).unwrap();
    env.ok(&["init"]);
    assert_eq!(fs::read_to_string(env.site().join(".gitignore")).unwrap(), written, "as a volume");

    let env = TestEnv::bare();
    env.ok(&["on"]);
    let own = env.dir().join("home/.local/state/maint/.gitignore");
    assert_eq!(fs::read_to_string(own).unwrap(), written, "people keep their home in git, too");
}

#[test]
fn git_passes_over_a_new_site() {
    let env = TestEnv::bare();
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        env.seal(git.args(args));
        git.output().map(|output| String::from_utf8(output.stdout).unwrap())
    };
    if git(&["init", "-q"]).is_err() {
        eprintln!("skipped: no git here");
        return;
    }
    env.ok(&["init"]);
    env.ok(&["on"]);
    env.write("app.py", "");
    assert_eq!(git(&["status", "--porcelain"]).unwrap(), "?? app.py\n");
}

#[cfg(unix)]
#[test]
fn requirement_28_a_site_can_be_entered_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::bare();
    let mut shell = std::process::Command::new("sh");
    env.seal(shell.args(["-c", "umask 077; maint init"]));
    assert!(shell.output().unwrap().status.success());
    let mode =
        |name: &str| fs::metadata(env.site().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("templates")), (0o755, 0o755));
    assert_eq!((mode("state.json"), mode(".gitignore")), (0o644, 0o644));
}

#[test]
fn init_makes_the_site_of_another_project_or_exactly_where_it_is_told() {
    let env = TestEnv::bare();
    fs::create_dir(env.dir().join("app")).unwrap();
    env.ok(&["init", "app"]);
    assert!(env.dir().join("app/.maint/state.json").is_file());
    env.ok(&["--site", "run/maint", "init"]);
    assert!(env.dir().join("run/maint/state.json").is_file());
    env.fails(2, &["init", "missing"]);
    env.fails(2, &["--site", "x", "init", "app"]);
    env.fails(2, &["--site", "home/..", "init"]);
}

#[test]
fn init_recognises_frameworks_and_does_not_promise_what_is_not_there() {
    for (file, text, name, line, missing) in [
        (
            "manage.py",
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')",
            "Django",
            "maint.django.middleware.MaintenanceModeMiddleware",
            "PyPI",
        ),
        (
            "requirements.txt",
            "Flask==3.1\n",
            "Flask",
            "maint.wsgi.MaintenanceMiddleware(app.wsgi_app)",
            "PyPI",
        ),
        (
            "pyproject.toml",
            "dependencies = ['fastapi']",
            "FastAPI",
            "app.add_middleware(maint.asgi.MaintenanceMiddleware, gate=maint.Gate())",
            "PyPI",
        ),
        ("Cargo.toml", "axum = '0.8'", "axum", "MaintenanceLayer::open(None)?", "crates.io"),
        ("Cargo.toml", "actix-web = '4'", "actix-web", "Maintenance::open(None)?", "crates.io"),
    ] {
        let env = TestEnv::bare();
        env.write(file, text);
        let text = env.ok(&["init"]).replace('\n', " ");
        assert!(text.contains(&format!("This looks like {name}.")), "{text}");
        assert!(text.contains(line), "{text}");
        assert!(text.contains(&format!("it is not on {missing} yet")), "{text}");
    }
}

#[test]
fn init_leaves_a_starter_that_is_not_in_use() {
    let env = TestEnv::bare();
    let text = env.ok(&["init"]);
    assert!(text.contains("maint template use starter"), "{text}");
    let builtin = env.ok(&["template", "show", "--builtin"]);
    assert_eq!(env.ok(&["template", "show", "starter"]), builtin);
    assert_eq!(env.state().get("page"), None, "visitors get the built-in page");
    assert_eq!(
        env.state()["templates"]["starter.html"],
        maint::internal::template::digest(&builtin),
        "the store wrote it"
    );
    env.ok(&["template", "use", "starter"]);
}

#[test]
fn init_run_again_leaves_the_starter_as_somebody_left_it() {
    let env = TestEnv::new();
    env.write("mine.html", "<h1>{{ title }}</h1>");
    env.ok(&["template", "add", "starter", "mine.html", "--replace"]);
    let before = env.files();
    assert_eq!(env.json(&["init"])["template"], serde_json::Value::Null);
    assert_eq!(before, env.files());
    env.ok(&["template", "remove", "starter"]);
    env.ok(&["init"]);
    assert!(!env.site().join("templates/starter.html").exists(), "it stays removed");

    let env = TestEnv::bare();
    env.write(".maint/templates/starter.html", "mine");
    env.ok(&["init"]);
    assert_eq!(env.ok(&["template", "show", "starter"]), "mine", "it came with the project");
    assert_eq!(env.state()["revision"], 1);
}

#[test]
fn the_name_of_the_site_is_given_changed_and_taken_away() {
    let env = TestEnv::bare();
    let object = env.json(&["init", "--name", "Example Shop"]);
    assert_eq!((&object["name"], &object["changed"]), (&"Example Shop".into(), &true.into()));
    assert!(env.ok(&["template", "render"]).contains("Example Shop"));
    assert!(env.ok(&["init"]).starts_with("unchanged"), "the name stays if none is given");
    assert!(env.ok(&["init", "--name", "Shop & Co"]).starts_with("changed the site"));
    assert!(env.ok(&["template", "render"]).contains("Shop &amp; Co"));
    assert_eq!(env.json(&["status"])["name"], "Shop & Co");
    env.ok(&["init", "--name", ""]);
    assert_eq!(env.state().get("name"), None);

    let bare = TestEnv::bare();
    bare.fails(2, &["init", "--name", &"x".repeat(201)]);
    bare.fails(2, &["init", "--name", "a\u{1b}[2Jb"]);
    assert!(!bare.site().exists(), "a refused `init` makes no site");
}

#[test]
fn requirement_30_a_web_user_who_does_not_exist_is_told() {
    let env = TestEnv::new();
    let ran = env.run(&["init", "--web-user", "no-such-user"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("there is no user `no-such-user`"), "{ran:?}");
}

#[test]
fn the_web_user_is_taken_away_by_an_empty_one() {
    let env = TestEnv::new();
    env.ok(&["init", "--web-user", "root"]);
    assert_eq!(env.state()["web_user"], "root");
    assert!(env.ok(&["init"]).starts_with("unchanged"), "it stays if none is given");
    let text = env.ok(&["init", "--web-user", ""]);
    assert!(text.contains("no user of the web server is stored"), "{text}");
    assert_eq!(env.state().get("web_user"), None);
    assert_eq!(env.json(&["init", "--web-user", " "])["web_user"], serde_json::Value::Null);
}

#[test]
fn init_means_the_site_that_every_other_verb_means() {
    let env = TestEnv::bare();
    fs::create_dir(env.dir().join("app")).unwrap();
    let elsewhere = env.dir().join("elsewhere");
    let with = |value: &std::path::Path, args: &[&str]| {
        let output = env.command(args).env("MAINT_SITE", value).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(with(&elsewhere, &["init"]).0, 0);
    assert!(elsewhere.join("state.json").is_file());
    assert!(!env.site().exists(), "no verb would look here");
    assert_eq!(with(&elsewhere, &["on"]).0, 0);
    let (code, error) = with(&elsewhere, &["init", "app"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("`MAINT_SITE` names") && error.contains("hint:"), "{error}");
    assert!(!env.dir().join("app/.maint").exists());
    assert_eq!(with(&env.dir().join("app/.maint"), &["init", "app"]).0, 0, "they agree");
    assert_eq!(with(&elsewhere, &["--site", "app/.maint", "init"]).0, 0, "`--site` goes first");
    assert_eq!(with(&env.dir().join("home/.."), &["init"]).0, 2, "something else is there");
    assert_eq!(with("".as_ref(), &["init"]).0, 0);
    assert!(env.site().exists(), "an empty one names nothing");
}

#[test]
fn twenty_who_begin_at_once_share_one_site() {
    let env = TestEnv::ticking_bare();
    for args in [["init"].as_slice(), &["--site", "run", "init"], &["on", "-m", "x"]] {
        let all: Vec<_> = (0..20)
            .map(|_| {
                env.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in all {
            let ran = finish(child);
            assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        }
    }
    assert_eq!(env.json(&["--site", "run", "status"])["revision"], 1);
    for dir in [".maint", "run"] {
        assert!(env.dir().join(dir).join(".gitignore").is_file(), "{dir}");
    }
}
