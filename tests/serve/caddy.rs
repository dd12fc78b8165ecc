//! Caddy, from Debian's `caddy`.

use std::path::Path;

use crate::front;
use crate::server::{Server, free_port, ordinary, put};
use crate::wire::try_ask;

/// One whose site has the app within the `route` of the snippet.
pub(crate) fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let site = snippet.replace(
            "# The rest of the site goes here.",
            &format!("reverse_proxy 127.0.0.1:{app}"),
        );
        // The other form has a site that lets everything pass, at a port that is free here.
        let free = free_port();
        let site = site.replace("127.0.0.1:8599", &format!("127.0.0.1:{free}"));
        let text = format!(
            "{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n{site}}}
http://127.0.0.1:{free} {{\n respond 204\n}}\n"
        );
        put(&dir.join("Caddyfile"), &text);
        let mut command = ordinary(program);
        command.arg("run").arg("--config").arg(dir.join("Caddyfile"));
        command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
        command
    };
    Server::start(command, |port| try_ask(port, "GET", "/", &[]).is_ok())
}

#[test]
fn caddy_obeys_the_endpoint() {
    front::is_obeyed(front::CADDY);
}

#[test]
fn caddy_obeys_the_endpoint_in_its_open_form() {
    front::is_obeyed(front::CADDY.open());
}

#[test]
fn caddy_without_the_endpoint_is_closed_or_open_as_its_form_says() {
    front::fails_as_its_form_says(front::CADDY, 502);
}

#[test]
fn caddy_follows_each_toggle_among_visitors() {
    front::is_switched_among_visitors(front::CADDY);
}
