//! Passwords that nobody gets to see, and certificates that are wrong.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::hosts::{Hosts, Ran};
use super::network::{Network, Place};
use super::story::Members;
use crate::certificates::Certificates;
use crate::etcd::{Cluster, ServerTls};
use crate::pace::until;
use crate::redis_server::Server;
use crate::say::figure;

/// A password file with this mode.
fn password_file(hosts: &Hosts, name: &str, password: &str, mode: u32) -> PathBuf {
    let path = hosts.dir("home").join(name);
    let mut file = fs::File::create_new(&path).unwrap();
    writeln!(file, "{password}").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// Runs the command for CI with this password in its environment.
fn with(hosts: &Hosts, password: &str, args: &[&str]) -> Ran {
    let mut command = hosts.command("ci", args);
    Ran::from(command.env("MAINT_STORE_PASSWORD", password).output().unwrap())
}

/// A fleet whose engine wants this password, which its address does not hold.
fn keeps_secret(url: &str, secret: &str) {
    let mut hosts = Hosts::bare(url);
    let wide = password_file(&hosts, "wide", secret, 0o644);
    let wrong = "marigold-of-nobody";
    let wrong_file = password_file(&hosts, "wrong", wrong, 0o600);
    let good = password_file(&hosts, "good", secret, 0o600);
    let by = |file: &Path| format!("{url}?password-file={}", file.display());
    let mut heard = Vec::new();
    let mut hear = |ran: Ran| {
        heard.push(format!("{}\n{}", ran.stdout, ran.stderr));
        ran
    };

    // Nothing, a wrong one, one that others may read.
    for verb in ["status", "on"] {
        assert_eq!(hear(hosts.run("ci", &[verb])).code, 11);
        let refused = hear(with(&hosts, wrong, &[verb]));
        assert_eq!(refused.code, 11, "{refused:?}");
        assert_one_clear_line(&refused);
        let refused = hear(hosts.run("home", &["--store", &by(&wrong_file), verb]));
        assert_eq!(refused.code, 11, "{refused:?}");
        let refused = hear(hosts.run("home", &["--store", &by(&wide), verb]));
        assert_eq!(refused.code, 11, "{refused:?}");
        assert!(refused.stderr.contains("0644"), "{refused:?}");
        assert!(refused.stderr.contains("chmod 600"), "{refused:?}");
        assert_one_clear_line(&refused);
    }

    // The right one.
    fs::create_dir(hosts.dir("one")).unwrap();
    hear(hosts.run("one", &["init", "--store", &by(&good)]));
    let flag = ["flag", "add", "exec", "--on", "env > seen.on", "--off", "env > seen.off"];
    hosts.ok("one", &flag);
    let mut agent = hosts.command("one", &["agent", "--host", "one"]);
    agent.env("MAINT_STORE_PASSWORD", secret);
    hosts.start_agent_by("one", agent);
    let on = hear(with(&hosts, secret, &["--json", "on", "-m", "x"]));
    assert_eq!(on.code, 0, "{on:?}");
    until("the flag follows", || find(&hosts.dir("one"), "seen.on").is_some());
    assert_no_process_shows(&hosts, secret);
    for args in [
        &["--json", "status"][..],
        &["status", "--fleet"],
        &["--json", "doctor"],
        &["doctor"],
        &["store", "show"],
        &["--json", "store", "show"],
        &["log"],
        &["--json", "log"],
        &["--json", "agent", "status"],
        &["store", "export"],
        &["run", "--", "env"],
    ] {
        let mut command = hosts.command("one", args);
        hear(Ran::from(command.env("MAINT_STORE_PASSWORD", secret).output().unwrap()));
    }

    // The file becomes wide: the agent holds what it has, says so, and goes on once it is not.
    let before = hosts.state("one");
    hosts.end_agent("one");
    fs::set_permissions(&good, Permissions::from_mode(0o644)).unwrap();
    let mut agent = hosts.command("one", &["agent", "--host", "one"]);
    agent.stdout(std::process::Stdio::null());
    let agent = start_beside(&hosts, agent);
    until("the agent says so", || hosts.said("beside").contains("0644"));
    assert_eq!(hosts.state("one")["windows"], before["windows"]);
    let off = hear(with(&hosts, secret, &["--json", "off", "--all"]));
    assert_eq!(off.code, 0, "{off:?}");
    assert_eq!(hosts.state("one")["windows"], before["windows"], "it holds what it has");
    fs::set_permissions(&good, Permissions::from_mode(0o600)).unwrap();
    hosts.until_all_have(&["one"], off.revision());
    drop(agent);

    for text in &heard {
        assert!(!text.contains(secret) && !text.contains(wrong), "{text}");
    }
    let mut files = 0;
    for path in all_files(hosts.dir("one").parent().unwrap()) {
        if [&wide, &good, &wrong_file].contains(&&path) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(secret) && !text.contains(wrong), "{}: {text}", path.display());
        files += 1;
    }
    assert!(files > 5, "{files}");
    figure(&format!(
        "0 secrets in {} outputs, {files} files (state, history, notes, logs, environments of \
         children) and all command lines",
        heard.len()
    ));
}

/// An agent that may be without an engine.
struct Beside(std::process::Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_beside(hosts: &Hosts, mut command: std::process::Command) -> Beside {
    let path = hosts.dir("beside.log");
    let log = fs::File::options().create(true).append(true).open(path).unwrap();
    Beside(command.stderr(log).spawn().unwrap())
}

/// What a command says that failed: what, and one hint.
#[track_caller]
fn assert_one_clear_line(ran: &Ran) {
    let mut lines = ran.stderr.lines();
    let first = lines.next().unwrap_or_default();
    assert!(first.contains("store `"), "{ran:?}");
    let rest: Vec<&str> = lines.collect();
    assert!(rest.len() <= 1 && rest.iter().all(|line| line.contains("hint:")), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

/// No process that this test started, or one of those, has the secret in its arguments.
fn assert_no_process_shows(hosts: &Hosts, secret: &str) {
    let own = format!("HOME={}", hosts.dir("home").display());
    let mut count = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        if !read("environ").split('\0').any(|line| line == own) {
            continue;
        }
        count += 1;
        let arguments = read("cmdline");
        assert!(!arguments.contains(secret), "{arguments}");
    }
    assert!(count > 0, "the agent at least");
}

fn all_files(dir: &Path) -> Vec<PathBuf> {
    let (mut dirs, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    all_files(dir).into_iter().find(|path| path.ends_with(name))
}

#[test]
fn requirement_95_the_password_of_etcd_is_shown_nowhere() {
    let Some(cluster) = Cluster::start(1) else { return };
    cluster.enable_users();
    keeps_secret(&cluster.address_of("ann", "shop"), "tulip");
}

#[test]
fn requirement_95_the_password_of_redis_is_shown_nowhere() {
    let secret = "hyacinth-in-the-cellar";
    let line = format!("requirepass {secret}");
    let Some(redis) = Server::start(&["appendonly yes", &line]) else { return };
    keeps_secret(&redis.address(""), secret);
}

#[test]
fn requirement_96_each_fault_of_a_certificate_is_one_line_of_the_command() {
    let names = "DNS:localhost,IP:127.0.0.1";
    let Some(certificates) = Certificates::make() else { return };
    certificates
        .sign("server", "/O=maint", names, 30)
        .sign("elsewhere", "/O=maint", "DNS:elsewhere.example", 30)
        .sign_expired("expired", names);
    let path = |name: &str| certificates.path(name).display().to_string();
    let start = |name: &str, wants_clients: bool| {
        Cluster::start_with(
            1,
            Some(&ServerTls {
                certificate: certificates.path(&format!("{name}.pem")),
                key: certificates.path(&format!("{name}.key")),
                clients: wants_clients.then(|| certificates.path("ca.pem")),
            }),
        )
    };
    let ca = format!("shop?ca={}", path("ca.pem"));
    let other = format!("shop?ca={}", path("other.pem"));
    let mut said = Vec::new();
    for (certificate, wants_clients, rest, words) in [
        ("server", false, &other, "signed by no authority that is trusted here"),
        ("elsewhere", false, &ca, "and not for `127.0.0.1`"),
        ("expired", false, &ca, "its certificate expired at 2021-01-01"),
        ("server", true, &ca, "it wants a certificate of this client"),
    ] {
        let Some(cluster) = start(certificate, wants_clients) else { return };
        let url = cluster.address(rest);
        let hosts = Hosts::bare(&url);
        fs::create_dir(hosts.dir("one")).unwrap();
        for (host, args) in [
            ("ci", &["status"][..]),
            ("ci", &["on"]),
            ("one", &["init", "--store", &url]),
            ("ci", &["status", "--fleet"]),
            ("ci", &["wait", "on", "--all", "--timeout", "1s"]),
        ] {
            let ran = hosts.fails(host, 11, args);
            assert!(ran.stderr.contains(words), "{args:?}: {ran:?}");
            assert_one_clear_line(&ran);
            said.push(ran.stderr.lines().next().unwrap_or_default().replace(&url, "URL"));
        }
    }
    said.dedup();
    assert_eq!(said.len(), 4, "each fault in the same words: {said:#?}");
    let Some(cluster) = start("server", false) else { return };
    let hosts = Hosts::of(&cluster.address(&ca), &["one"]);
    assert_eq!(hosts.run("ci", &["on"]).code, 0);
    assert!(!codes(&hosts, "one").iter().any(|code| code.contains("plain")), "TLS is not plain");
}

fn codes(hosts: &Hosts, host: &str) -> Vec<String> {
    let ran = hosts.run(host, &["--json", "doctor"]);
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = object["findings"].as_array().unwrap();
    findings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn requirement_96_plain_text_beyond_loopback_is_warned_about() {
    let Some(network) = Network::of(3) else { return };
    let Some(members) = Members::start(&network) else { return };
    let mut hosts = Hosts::bare(&members.url("shop"));
    network.within(Place::Host(0), || {
        fs::create_dir(hosts.dir("h0")).unwrap();
        let joined = hosts.run("h0", &["init", "--store", hosts.url()]);
        assert_eq!(joined.code, 0, "{joined:?}");
        assert!(joined.stderr.contains("TLS"), "said once at the beginning: {joined:?}");
        hosts.start_agent("h0");
        let codes = codes(&hosts, "h0");
        let plain = codes.iter().filter(|code| code.contains("plain")).count();
        assert_eq!(plain, 1, "once: {codes:?}");
    });
    let Some(cluster) = Cluster::start(1) else { return };
    let hosts = Hosts::of(&cluster.address("shop"), &["one"]);
    assert!(!codes(&hosts, "one").iter().any(|code| code.contains("plain")), "on loopback");
}
