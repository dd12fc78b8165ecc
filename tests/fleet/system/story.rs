//! The story: a deploy in CI takes three hosts down, migrates while the leader of the engine dies,
//! and brings them back.

use std::fs::File;
use std::io::{Read as _, Write as _};
#[cfg(feature = "tower")]
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::hosts::Hosts;
use super::network::{Network, Place, address};
use crate::etcd::PATIENCE;
use crate::nginx::Nginx;
use crate::pace::until;
use crate::say::{amount, figure, skip};

/// Each namespace has ports of its own.
const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;
const APP: u16 = 8000;

/// A cluster of etcd, with a member on each of three hosts of a network.
pub(crate) struct Members {
    members: Vec<Member>,
    // Dropped last: the members write into it.
    _temp: TempDir,
}

struct Member {
    process: Option<Child>,
    arguments: Vec<String>,
    log: PathBuf,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Member {
    fn launch(&mut self, network: &Network, host: usize) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new("etcd");
        command.args(&self.arguments).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(network.within(Place::Host(host), || command.spawn().unwrap()));
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Members {
    /// Starts them; `None` and a word about it if etcd is not installed.
    pub(crate) fn start(network: &Network) -> Option<Self> {
        if Command::new("etcd").arg("--version").output().is_err() {
            skip("etcd is not installed (Debian: etcd-server)");
            return None;
        }
        let temp = tempfile::tempdir().unwrap();
        let own = |host: usize| address(Place::Host(host));
        let peers: Vec<String> =
            (0..3).map(|host| format!("m{host}=http://{}:{PEERS}", own(host))).collect();
        let members = (0..3).map(|host| {
            let (clients, peer) = (
                format!("http://{}:{CLIENTS}", own(host)),
                format!("http://{}:{PEERS}", own(host)),
            );
            let arguments = [
                ("name", format!("m{host}")),
                ("data-dir", temp.path().join(format!("m{host}")).display().to_string()),
                ("listen-client-urls", clients.clone()),
                ("advertise-client-urls", clients),
                ("listen-peer-urls", peer.clone()),
                ("initial-advertise-peer-urls", peer),
                ("initial-cluster", peers.join(",")),
            ];
            let arguments = arguments.map(|(name, value)| format!("--{name}={value}")).to_vec();
            let log = temp.path().join(format!("m{host}.log"));
            let mut member = Member { process: None, arguments, log };
            member.launch(network, host);
            member
        });
        let members = Self { members: members.collect(), _temp: temp };
        for host in 0..3 {
            until("the member is healthy", || {
                ask(network, host, "/health").contains(r#""health":"true""#)
            });
        }
        Some(members)
    }

    /// The address of a site.
    pub(crate) fn url(&self, site: &str) -> String {
        let hosts: Vec<String> = (0..self.members.len())
            .map(|host| format!("{}:{CLIENTS}", address(Place::Host(host))))
            .collect();
        format!("etcd://{}/{site}", hosts.join(","))
    }

    fn leader(&self, network: &Network) -> Option<usize> {
        (0..self.members.len()).find(|host| {
            let metrics = ask(network, *host, "/metrics");
            metrics.lines().any(|line| line == "etcd_server_is_leader 1")
        })
    }

    /// kill -9 of the leader. Returns when there is another one.
    fn kill_leader(&mut self, network: &Network) -> usize {
        let leader = self.leader(network).expect("there is a leader");
        self.members[leader].kill();
        until("there is another leader", || self.leader(network).is_some());
        leader
    }
}

/// What the member on a host answers.
fn ask(network: &Network, host: usize, path: &str) -> String {
    let place = Place::Host(host);
    network
        .within(place, || get(&address(place), CLIENTS, path))
        .map_or_else(|| "nothing".to_owned(), |(_, answer)| answer)
}

/// What a server answers: the status, and the rest as it came. `None` if it does not.
fn get(host: &str, port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((host, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: shop.example\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// A server on a host, which ends when this is dropped.
enum App {
    Nginx(Nginx),
    Python(Child),
    #[cfg(feature = "tower")]
    Axum(Option<tokio::runtime::Runtime>),
}

impl Drop for App {
    fn drop(&mut self) {
        match self {
            Self::Nginx(_) => {}
            Self::Python(process) => {
                let _ = process.kill();
                let _ = process.wait();
            }
            #[cfg(feature = "tower")]
            Self::Axum(runtime) => {
                if let Some(runtime) = runtime.take() {
                    runtime.shutdown_background();
                }
            }
        }
    }
}

impl App {
    fn port(&self) -> u16 {
        if let Self::Nginx(nginx) = self { nginx.port } else { APP }
    }
}

/// nginx, which obeys a flag.
fn nginx(network: &Network, hosts: &Hosts, host: usize) -> Option<App> {
    let name = format!("h{host}");
    network
        .within(Place::Host(host), || {
            hosts.ok(&name, &["flag", "add", "web", "web"]);
            let snippet = hosts.ok(&name, &["snippet", "nginx"]);
            Nginx::start(&[], "", &format!("{snippet}\nlocation / {{ return 200 \"the shop\"; }}"))
        })
        .map(App::Nginx)
}

const PROJECT: &str = r#"import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

port, state = int(sys.argv[1]), sys.argv[2]
settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["maintenance_mode"],
    MIDDLEWARE=["maintenance_mode.middleware.MaintenanceModeMiddleware"],
    MAINTENANCE_MODE_STATE_FILE_PATH=state,
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"503.html": "Down"})]},
    }],
)
django.setup()
urlpatterns = [path("", lambda request: HttpResponse("the shop"))]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, *args):
        pass


make_server("127.0.0.1", port, get_wsgi_application(), Server, Handler).serve_forever()
"#;

/// A small Django app with django-maintenance-mode, which obeys a flag.
fn django(network: &Network, hosts: &Hosts, host: usize) -> Option<App> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/.venv/bin/python");
    let mut command = Command::new(&python);
    let has = command.args(["-c", "import maintenance_mode"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        skip(
            "no Django in the story: it needs django-maintenance-mode, which `make python-tools` installs",
        );
        return None;
    }
    let name = format!("h{host}");
    hosts.ok(&name, &["flag", "add", "django-maintenance-mode", "state.txt"]);
    let project = hosts.dir(&name).join("project.py");
    File::create_new(&project).unwrap().write_all(PROJECT.as_bytes()).unwrap();
    let state = hosts.dir(&name).join("state.txt");
    let process = network.within(Place::Host(host), || {
        let mut command = Command::new(&python);
        hosts.seal(&mut command, &name);
        command.arg("project.py").arg(APP.to_string()).arg(state);
        command.spawn().unwrap()
    });
    let app = App::Python(process);
    until("Django answers", || {
        network.within(Place::Host(host), || get("127.0.0.1", APP, "/").is_some())
    });
    Some(app)
}

/// An axum app with the layer, which reads the site itself.
#[cfg(feature = "tower")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is none")]
fn axum(network: &Network, hosts: &Hosts, host: usize) -> Option<App> {
    use ::axum::Router;
    use ::axum::routing::get;
    use maint::tower::MaintenanceLayer;

    let site = hosts.dir(&format!("h{host}")).join(".maint");
    let maintenance = MaintenanceLayer::open(Some(&site)).unwrap();
    let app = Router::new().route("/", get(async || "the shop")).layer(maintenance);
    // A socket stays in the namespace where it was made.
    let listener =
        network.within(Place::Host(host), || TcpListener::bind(("127.0.0.1", APP)).unwrap());
    listener.set_nonblocking(true).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        ::axum::serve(listener, app).await.unwrap();
    });
    Some(App::Axum(Some(runtime)))
}

#[cfg(not(feature = "tower"))]
fn axum(_network: &Network, _hosts: &Hosts, _host: usize) -> Option<App> {
    skip("no axum app in the story: these tests were built without the feature `tower`");
    None
}

/// What a visitor saw.
#[derive(Debug)]
struct Visit {
    began: Instant,
    ended: Instant,
    status: Option<u16>,
}

/// Asks again and again, until it is over.
fn visit(network: &Network, host: usize, port: u16, is_over: &AtomicBool) -> Vec<Visit> {
    network.within(Place::Host(host), || {
        let mut visits = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let began = Instant::now();
            let status = get("127.0.0.1", port, "/").map(|(status, _)| status);
            visits.push(Visit { began, ended: Instant::now(), status });
            thread::sleep(Duration::from_millis(2));
        }
        visits
    })
}

#[test]
fn requirement_93_a_deploy_in_ci_takes_three_hosts_down_while_the_leader_dies() {
    let Some(network) = Network::of(3) else { return };
    let Some(mut members) = Members::start(&network) else { return };
    let names = ["h0", "h1", "h2"];
    let mut hosts = Hosts::bare(&members.url("shop"));
    for (number, name) in names.iter().enumerate() {
        network.within(Place::Host(number), || {
            hosts.join(name);
            hosts.start_agent(name);
        });
    }
    let apps = [nginx(&network, &hosts, 0), django(&network, &hosts, 1), axum(&network, &hosts, 2)];
    let apps: Vec<(usize, App)> =
        apps.into_iter().enumerate().filter_map(|(host, app)| Some((host, app?))).collect();
    if apps.is_empty() {
        return;
    }
    let is_over = AtomicBool::new(false);
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let visits = thread::scope(|scope| {
        let (there, is_over) = (&network, &is_over);
        let looking: Vec<_> = apps
            .iter()
            .map(|(host, app)| {
                let (host, port) = (*host, app.port());
                scope.spawn(move || visit(there, host, port, is_over))
            })
            .collect();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..amount(2, 6) {
                let ci = |args: &[&str]| network.within(Place::Lan, || hosts.ok("ci", args));
                ci(&["--wait", "60s", "on", "deploy", "-m", "Back at noon"]);
                let waited = ci(&["wait", "on", "--all", "--timeout", "60s"]);
                let is_down = Instant::now();
                assert!(waited.contains("all 3 live hosts have it"), "{waited}");
                // The migration.
                let dead = members.kill_leader(&network);
                thread::sleep(Duration::from_millis(500));
                let typed = Instant::now();
                down.push((is_down, typed));
                ci(&["--wait", "60s", "off", "deploy"]);
                ci(&["wait", "off", "--all", "--timeout", "60s"]);
                let is_up = Instant::now();
                thread::sleep(Duration::from_millis(300));
                up.push((is_up, Instant::now()));
                members.members[dead].launch(&network, dead);
                until("the member is back", || {
                    ask(&network, dead, "/health").contains(r#""health":"true""#)
                });
                assert!(members.leader(&network).is_some(), "round {round}");
            }
        }));
        is_over.store(true, Ordering::SeqCst);
        let visits: Vec<_> = looking.into_iter().map(|one| one.join().unwrap()).collect();
        told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        visits
    });
    hosts.assert_no_agent_ended();
    let mut counts = [0; 3];
    for ((host, _), visits) in apps.iter().zip(&visits) {
        for one in visits {
            let is_in = |spans: &[(Instant, Instant)]| {
                spans.iter().any(|(from, to)| one.began >= *from && one.ended <= *to)
            };
            assert!(matches!(one.status, Some(200 | 503)), "h{host}: {one:?}");
            if is_in(&down) {
                assert_eq!(one.status, Some(503), "h{host}: the app answered while it was down");
                counts[0] += 1;
            } else if is_in(&up) {
                assert_eq!(one.status, Some(200), "h{host}: the page was there after the end");
                counts[1] += 1;
            } else {
                counts[2] += 1;
            }
        }
        let seen = |status| visits.iter().any(|one| one.status == Some(status));
        assert!(seen(200) && seen(503), "h{host}: a visitor saw both");
    }
    assert!(counts[0] > 50 && counts[1] > 50, "{counts:?}");
    figure(&format!(
        "{} deploys on {} apps, each while the leader died: {} visits between `wait on --all` and \
         `off`, 0 of them answered by the app; {} after `wait off --all`, 0 with the page; {} \
         others, each the one or the other",
        down.len(),
        apps.len(),
        counts[0],
        counts[1],
        counts[2]
    ));
}
