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
