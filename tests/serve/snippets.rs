//! What `maint snippet --endpoint` prints, without a proxy.

use crate::rig::{command, maint};

#[test]
fn each_proxy_that_asks_has_both_forms_named_and_no_place_open() {
    let dir = tempfile::tempdir().unwrap();
    for software in ["nginx", "caddy", "traefik", "envoy", "haproxy"] {
        let text = maint(&dir, &["snippet", software, "--endpoint", "127.0.0.1:8504"]);
        assert!(text.contains("CLOSED") && text.to_lowercase().contains("open"), "{text}");
        let names = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        assert_eq!(text.split('@').filter(names).count(), 0, "{software}: {text}");
        assert!(!text.contains("#?"), "{software}: {text}");
    }
}

#[test]
fn what_cannot_ask_is_refused_with_what_can() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["varnish", "--endpoint", "127.0.0.1:8504"][..], "varnish asks no endpoint"),
        (&["systemd", "--endpoint", "127.0.0.1:8504"], "systemd asks no endpoint"),
        (&["traefik", "--endpoint", "unix:/run/a.sock"], "traefik asks no Unix socket"),
        (&["haproxy", "--endpoint", "unix:/run/a.sock"], "haproxy asks no Unix socket"),
        (&["nginx", "--endpoint", "unix:/run/a b"], "no place for a socket"),
        (&["nginx", "--endpoint", "8504"], "no address of an endpoint"),
        (&["nginx", "--endpoint", "127.0.0.1:1", "--user-field", "a;b"], "no name of a field"),
    ] {
        let output = command(&dir).arg("snippet").args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}
