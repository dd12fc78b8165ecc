//! `maint snippet`

use crate::env::TestEnv;

const SOFTWARE: [&str; 9] = [
    "nginx",
    "apache",
    "caddy",
    "haproxy",
    "varnish",
    "lighttpd",
    "traefik",
    "systemd",
    "kubernetes",
];

#[test]
fn each_snippet_names_the_flag_and_leaves_no_place_open() {
    let env = TestEnv::new();
    let web = env.site().join("web");
    for software in SOFTWARE {
        let text = env.ok(&["snippet", software]);
        let first = text.lines().next().unwrap();
        let (_, title) = first.split_once(' ').unwrap();
        let path = web.display();
        assert_eq!(title, format!("maint snippet {software}: obeys the flag `web` at {path}"));
        let names =
            |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let open: Vec<&str> = text.split('@').skip(1).step_by(2).filter(|it| names(it)).collect();
        assert_eq!(open, [""; 0], "{software}");
        assert!(!text.contains("#?"), "{software}: {text}");
        let object = env.json(&["snippet", software]);
        assert_eq!(object["software"], software);
        assert_eq!(object["text"], text);
        assert_eq!(object["path"], web.to_str().unwrap());
    }
}

#[test]
fn without_a_flag_the_usual_one_is_named_with_what_declares_it() {
    let env = TestEnv::new();
    let ran = env.run(&["snippet", "nginx"]);
    let web = env.site().join("web");
    let note =
        format!("note: this flag is not declared yet: maint flag add web {}\n", web.display());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, note.as_str()));
    assert_eq!(env.json(&["snippet", "nginx"])["flag"], serde_json::Value::Null);
    env.ok(&["flag", "add", "web", web.to_str().unwrap()]);
    let declared = env.run(&["snippet", "nginx"]);
    assert_eq!((declared.stdout, declared.stderr.as_str()), (ran.stdout, ""));
    assert_eq!(env.json(&["snippet", "nginx"])["flag"], "web");
}

#[test]
fn the_only_flag_that_fits_is_taken_and_one_of_several_has_to_be_named() {
    let env = TestEnv::new();
    let at = |name: &str| env.site().join(name).to_str().unwrap().to_owned();
    env.ok(&["flag", "add", "file", &at("closed")]);
    let text = env.ok(&["snippet", "systemd"]);
    assert!(
        text.ends_with(&format!("\n[Unit]\nConditionPathExists=!{}\n", at("closed"))),
        "{text}"
    );

    env.ok(&["flag", "add", "page", &at("closed.html"), "--id", "shown"]);
    let said = env.fails(2, &["snippet", "systemd"]);
    assert!(said.contains("`file`, `shown`"), "{said}");
    let text = env.ok(&["snippet", "systemd", "--flag", "shown"]);
    assert!(text.contains(&format!("=!{}\n", at("closed.html"))), "{text}");
    env.fails(2, &["snippet", "systemd", "--flag", "nobody"]);
}

#[test]
fn a_flag_of_some_paths_has_no_snippet_and_one_of_some_hosts_comes_with_a_note() {
    let env = TestEnv::new();
    let at = |name: &str| env.site().join(name).to_str().unwrap().to_owned();
    env.ok(&["flag", "add", "web", &at("shop"), "--id", "shop", "--path", "/shop/**"]);
    let said = env.fails(2, &["snippet", "nginx"]);
    assert!(said.contains("`shop` stops /shop/** alone"), "{said}");
    env.ok(&["flag", "add", "web", &at("api"), "--id", "api", "--host", "api.example.com"]);
    let ran = env.run(&["snippet", "nginx", "--flag", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("flag `api` stops api.example.com alone"), "{ran:?}");
}

#[test]
fn the_seconds_are_those_of_the_site() {
    let env = TestEnv::new();
    let text = env.ok(&["snippet", "nginx"]);
    assert!(text.contains("add_header Retry-After 120 always;"), "{text}");
    env.write(
        ".maint/state.json",
        r#"{"version": 1, "revision": 1, "page": {"retry_after": 1800}}"#,
    );
    let text = env.ok(&["snippet", "nginx"]);
    assert!(text.contains("add_header Retry-After 1800 always;"), "{text}");
}
