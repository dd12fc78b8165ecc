//! The guide of nginx, followed as printed on a machine of its own: its own network, and its own
//! files where the guide works.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::can::can_mount;
use crate::server::{directory, installed, put};
use crate::session::{is_as_shown, script, steps};

/// nginx as Debian's package sets it up, without a site.
const NGINX: &str = "user www-data;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { }
http {
    include /etc/nginx/mime.types;
    access_log /var/log/nginx/access.log;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
";

/// The machine: nginx runs, and an app on port 8000. Then comes the session.
const MACHINE: &str = r"set -e
    # The command may lie in a place that is hidden now.
    cp ${MAINT} maint
    ip link set lo up
    for place in /etc/nginx /srv /run /var/log /var/lib; do mount -t tmpfs none $place; done
    mkdir -p /etc/nginx/sites-enabled /etc/nginx/snippets /etc/nginx/conf.d /var/log/nginx /var/lib/nginx /srv/shop
    cp nginx.conf mime.types /etc/nginx
    (cd app && exec python3 -m http.server 8000 --bind 127.0.0.1) >/dev/null 2>&1 &
    nginx
    until curl -s -o answer http://127.0.0.1:8000/; do sleep 0.05; done
    set +e
    . ./session";

#[test]
fn requirement_83_the_guide_of_nginx_works_as_printed() {
    for program in ["nginx", "curl", "python3", "ip"] {
        if installed(program).is_none() {
            return;
        }
    }
    if !can_mount() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("docs/nginx.md")).unwrap();
    let dir = directory();
    fs::create_dir(dir.path().join("app")).unwrap();
    put(&dir.path().join("app/index.html"), "The shop\n");
    put(&dir.path().join("nginx.conf"), NGINX);
    put(&dir.path().join("mime.types"), "types { text/html html; }\n");
    let (_, site) = guide.split_once("<!-- test: nginx-shop -->\n```nginx\n").unwrap();
    put(&dir.path().join("site"), site.split_once("```").unwrap().0);

    let blocks = guide.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split_once("\n```").unwrap().0);
    let steps: Vec<_> = blocks.flat_map(steps).collect();
    // The guide shows the site between its first two sessions.
    let put_site = format!("cp {}/site /etc/nginx/sites-enabled/shop\n", dir.path().display());
    let session = script(&steps).replacen("nginx -t", &format!("{put_site}nginx -t"), 1);
    put(&dir.path().join("session"), &session);

    let path = format!("{}:{}:/usr/sbin", dir.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", MACHINE])
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", path)
        .env("MAINT", env!("CARGO_BIN_EXE_maint"))
        .env("HOME", "/root")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains('\u{1}'), "the machine does not start: {:?}", output.stderr);
    let parts: Vec<&str> = said.split('\u{1}').collect();
    assert_eq!(parts.len(), 2 * steps.len() + 1, "said:\n{said}");
    for ((command, shown), answer) in steps.iter().zip(parts.chunks(2)) {
        let [text, code] = answer else { panic!("{command}: no answer") };
        assert_eq!(*code, "0", "{command}: {text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(is_as_shown(shown, &lines), "{command}\nsaid:\n{text}");
    }
    assert!(steps.len() >= 12, "{} commands", steps.len());
}
