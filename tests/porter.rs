//! What a porter has to go by: the example of a reader decides as the vectors say, the vectors find
//! the mistakes that porters make, and the example obeys the command (docs/state-file.md).

#![cfg(unix)]

#[path = "common/nginx.rs"]
mod nginx;
#[path = "common/say.rs"]
mod say;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use nginx::Nginx;
use say::{figure, skip};
use serde_json::Value;
use tempfile::TempDir;

/// The oldest release of Node that knows all that the example uses.
const OLDEST_NODE: u32 = 18;

static NODE_OR_WHY_NOT: LazyLock<Result<(), String>> = LazyLock::new(|| {
    let output = Command::new("node").arg("--version").output();
    let output = output.map_err(|_| "node is not installed".to_owned())?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    match major.parse::<u32>() {
        Ok(OLDEST_NODE..) => Ok(()),
        _ => Err(format!("node is {version}, and the example wants {OLDEST_NODE}")),
    }
});

/// Whether Node is here; if not, says that this test shows nothing.
fn has_node() -> bool {
    NODE_OR_WHY_NOT.as_ref().inspect_err(|why| skip(why)).is_ok()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs the vectors against readers, each with the topics that are asked first. Returns a line for
/// each: `tests/porter/run.mjs` says what is in it.
fn run(readers: &[(PathBuf, &[&str])]) -> Vec<Value> {
    let mut node = Command::new("node")
        .arg(file("tests/porter/run.mjs"))
        .arg(file("tests/vectors"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = node.stdin.take().unwrap();
    for (reader, first) in readers {
        writeln!(stdin, "{}", serde_json::json!({ "reader": reader, "first": first })).unwrap();
    }
    drop(stdin);
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), readers.len());
    lines
}

#[test]
fn the_example_for_node_decides_every_vector_as_written() {
    if !has_node() {
        return;
    }
    let found = &run(&[(file("examples/reader.mjs"), &[])])[0];
    assert_eq!(found["different"], serde_json::json!([]));
    let number = found["number"].as_u64().unwrap();
    assert!(number >= 1_500, "only {number} vectors");
    figure(&format!("{number} of {number} vectors decide as written, in a reader for Node"));
}

/// A mistake that a porter could make, as an edit of the example.
struct Mistake<'t> {
    name: &'t str,
    right: String,
    wrong: String,
    topics: Vec<&'t str>,
}

/// Reads the list of mistakes, whose first lines say how it is written.
fn mistakes(list: &str) -> Vec<Mistake<'_>> {
    let mut found: Vec<Mistake<'_>> = Vec::new();
    let mut topics = Vec::new();
    for line in list.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            let topics = topics.clone();
            found.push(Mistake { name, right: String::new(), wrong: String::new(), topics });
        } else if let Some(names) = line.strip_prefix("# ") {
            topics = names.split(' ').collect();
        } else if let Some(mistake) = found.last_mut() {
            let (side, text) = match line.split_at_checked(2) {
                Some(("- ", text)) => (&mut mistake.right, text),
                Some(("+ ", text)) => (&mut mistake.wrong, text),
                _ => {
                    assert!(line.is_empty(), "neither `-` nor `+`: {line}");
                    continue;
                }
            };
            if !side.is_empty() {
                side.push('\n');
            }
            side.push_str(text);
        }
    }
    found
}

impl Mistake<'_> {
    /// The example with the mistake in it.
    fn planted(&self, reader: &str) -> Result<String, String> {
        match reader.matches(&self.right).count() {
            1 if !self.right.is_empty() && self.right != self.wrong => {
                Ok(reader.replace(&self.right, &self.wrong))
            }
            number => Err(format!("{}: what it edits stands there {number} times", self.name)),
        }
    }

    /// The vector that finds it, among what the copy with the mistake decided differently.
    fn found(&self, copy: &Value) -> Result<String, String> {
        let different = copy["different"].as_array().unwrap();
        let decided = different.iter().find(|one| one["isCrash"] == false);
        let vector = decided.and_then(|one| one["vector"].as_str());
        vector.map(str::to_owned).ok_or_else(|| format!("{}: no vector finds it", self.name))
    }
}

/// Plants each mistake in a copy of the example, runs the vectors against the copies, and returns
/// the vector that finds each.
#[expect(clippy::disallowed_methods, reason = "copies of the example")]
fn plant(mistakes: &[Mistake<'_>]) -> Vec<Result<String, String>> {
    let reader = fs::read_to_string(file("examples/reader.mjs")).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let mut readers = Vec::new();
    for (number, mistake) in mistakes.iter().enumerate() {
        let copy = temp.path().join(format!("reader-{number}.mjs"));
        fs::write(&copy, mistake.planted(&reader).unwrap()).unwrap();
        readers.push((copy, &*mistake.topics));
    }
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let share = readers.len().div_ceil(cores).max(1);
    let lines: Vec<Value> = std::thread::scope(|scope| {
        let runs: Vec<_> = readers.chunks(share).map(|some| scope.spawn(|| run(some))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    mistakes.iter().zip(&lines).map(|(mistake, copy)| mistake.found(copy)).collect()
}

#[test]
fn each_mistake_planted_in_the_example_is_found_by_a_vector() {
    if !has_node() {
        return;
    }
    let list = fs::read_to_string(file("tests/porter/mistakes.txt")).unwrap();
    let mistakes = mistakes(&list);
    let names: BTreeSet<&str> = mistakes.iter().map(|mistake| mistake.name).collect();
    assert_eq!(names.len(), mistakes.len(), "two mistakes have one name");
    assert!(mistakes.len() >= 150, "only {} mistakes", mistakes.len());
    let found = plant(&mistakes);
    let left: Vec<&str> =
        found.iter().filter_map(|by| by.as_ref().err().map(String::as_str)).collect();
    assert!(left.is_empty(), "{}", left.join("\n"));
    let by: BTreeSet<String> = found.into_iter().flatten().collect();
    figure(&format!(
        "{0} of {0} mistakes planted in a reader are found, by {1} different vectors",
        mistakes.len(),
        by.len()
    ));
}

#[test]
fn a_mistake_that_no_longer_fits_the_example_and_one_that_is_none_are_told() {
    let list = "About\n\n# one two\n\n## A\n- a\n- b\n+ c\n\n## B\n- x\n+ x\n";
    let found = mistakes(list);
    assert_eq!(found[0].planted("1 a\nb 2"), Ok("1 c 2".to_owned()));
    assert_eq!(found[0].topics, ["one", "two"]);
    for reader in ["a b", "a\nb a\nb"] {
        assert!(found[0].planted(reader).unwrap_err().contains("times"), "{reader}");
    }
    assert!(found[1].planted("x").is_err(), "it changes nothing");
    if has_node() {
        let none = Mistake {
            name: "KiB",
            right: "const KIB = 1024;".to_owned(),
            wrong: "const KIB = 2 ** 10;".to_owned(),
            topics: vec!["status"],
        };
        let missed = plant(&[none]).remove(0).unwrap_err();
        assert!(missed.contains("no vector finds it"), "{missed}");
    }
}

/// The example as a server, on a site of its own.
struct Served {
    process: Child,
    port: u16,
    temp: TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Served {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("site")).unwrap();
        let mut process = start(&temp.path().join("site"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse();
        Self { port: port.unwrap_or_else(|_| panic!("it does not start: {line}")), process, temp }
    }

    fn site(&self) -> PathBuf {
        self.temp.path().join("site")
    }

    fn maint(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_maint"))
            .arg("--site")
            .arg(self.site())
            .args(words)
            .env_remove("MAINT_SITE")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its answer to a request: the status line, the fields and the body.
    fn ask(&self, method: &str, target: &str, fields: &[&str]) -> String {
        ask(self.port, method, target, fields)
    }

    fn status(&self) -> String {
        self.ask("GET", "/", &[]).split(' ').nth(1).unwrap().to_owned()
    }
}

fn start(site: &Path) -> Child {
    Command::new("node")
        .arg(file("examples/reader.mjs"))
        .arg(site)
        .arg("0")
        .env("MAINT", env!("CARGO_BIN_EXE_maint"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ask(port: u16, method: &str, target: &str, fields: &[&str]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let fields: Vec<String> = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    write!(stream, "{head}{}\r\n", fields.concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";

#[test]
fn the_example_obeys_the_command_from_the_next_request_on() {
    if !has_node() {
        return;
    }
    let served = Served::new();
    assert!(served.ask("GET", "/", &[]).ends_with("Hello from the app\n"));
    served.maint(&["on", "-m", "Back at noon"]);
    let page = served.ask("GET", "/shop", &[BROWSER]);
    let builtin = served.maint(&["template", "render", "--builtin"]);
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    assert!(page.ends_with(&builtin), "{page}");
    for field in [
        "retry-after: 120",
        "cache-control: no-store",
        "maint-decision: block",
        "maint-revision: 1",
    ] {
        assert!(page.contains(&format!("\r\n{field}\r\n")), "{field}: {page}");
    }
    let sent = served.ask("POST", "/shop", &[BROWSER]);
    assert!(sent.contains("What you sent has not been processed"), "{sent}");
    let json = served.ask("GET", "/", &["Accept: application/json"]);
    assert!(json.contains(r#""detail":"Back at noon""#), "{json}");
    let head = served.ask("HEAD", "/", &[BROWSER]);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.ends_with("\r\n\r\n"), "{head}");
    served.maint(&["off"]);
    assert!(served.ask("GET", "/", &[BROWSER]).ends_with("Hello from the app\n"));
    // Changes in quick succession: each is obeyed by the request that follows it.
    for round in 0..20 {
        served.maint(&["on"]);
        assert_eq!(served.status(), "503", "round {round}");
        served.maint(&["off"]);
        assert_eq!(served.status(), "200", "round {round}");
    }
}

#[test]
fn the_example_follows_a_bypass_link_and_keeps_private_answers_out_of_caches() {
    if !has_node() {
        return;
    }
    let served = Served::new();
    served.maint(&["on"]);
    let token = served.maint(&["bypass", "new"]).trim().to_owned();
    let link = served.ask("GET", &format!("/shop?a=1&maint_bypass={token}&b=2"), &[]);
    assert!(link.starts_with("HTTP/1.1 303 "), "{link}");
    assert!(link.contains("\r\nlocation: /shop?a=1&b=2\r\n"), "{link}");
    let away = served.ask("GET", &format!("//evil.example/x?maint_bypass={token}"), &[]);
    assert!(away.contains("\r\nlocation: /\r\n"), "{away}");
    let cookie = format!("Cookie: maint_bypass={token}");
    let passed = served.ask("GET", "/", &[&cookie]);
    assert!(
        passed.starts_with("HTTP/1.1 200 ") && passed.contains("private, no-store"),
        "{passed}"
    );
    assert!(served.ask("GET", "/", &["Cookie: maint_bypass=no"]).starts_with("HTTP/1.1 503 "));
    served.maint(&["ignore", "add", "path", "/health"]);
    let health = served.ask("GET", "/health", &[&cookie]);
    assert!(health.starts_with("HTTP/1.1 200 ") && !health.contains("private"), "{health}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test plays the person who edits by hand")]
fn a_file_that_cannot_be_used_leaves_the_last_good_state_of_the_example_in_force() {
    if !has_node() {
        return;
    }
    let served = Served::new();
    served.maint(&["on"]);
    assert_eq!(served.status(), "503");
    let state = served.site().join("state.json");
    let good = fs::read(&state).unwrap();
    let put = |bytes: &[u8]| {
        let next = served.site().join("next");
        fs::write(&next, bytes).unwrap();
        fs::rename(&next, &state).unwrap();
    };
    put(b"{");
    assert_eq!(served.status(), "503");
    put(br#"{"version":9,"revision":1}"#);
    assert_eq!(served.status(), "503");
    fs::remove_file(&state).unwrap();
    // A FIFO must not hang it, which the limit on the answer would show.
    assert!(Command::new("mkfifo").arg(&state).status().unwrap().success());
    assert_eq!(served.status(), "503");
    put(br#"{"version":1,"revision":1}"#);
    assert_eq!(served.status(), "200");
    put(&good);
    assert_eq!(served.status(), "503");
    fs::remove_file(&state).unwrap();
    assert_eq!(served.status(), "200", "no file means that nothing is down");
    put(&good);
    assert_eq!(served.status(), "503");
    fs::rename(served.site(), served.temp.path().join("away")).unwrap();
    assert_eq!(served.status(), "503", "without the directory nobody knows what is down");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test plays the person who edits by hand")]
fn the_example_does_not_start_without_a_site_or_with_a_broken_state() {
    if !has_node() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let said = |site: &Path| {
        let output = start(site).wait_with_output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&temp.path().join("none")).contains("ENOENT"));
    fs::write(temp.path().join("state.json"), "{").unwrap();
    assert!(said(temp.path()).contains("JSON"));
}

#[test]
fn behind_nginx_the_example_knows_the_client_by_the_proxy_that_is_named() {
    if !has_node() {
        return;
    }
    let served = Served::new();
    let port = served.port;
    let location = format!(
        "location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $host; \
         proxy_set_header X-Forwarded-For \"$http_x_forwarded_for, 203.0.113.7\"; }}"
    );
    let Some(nginx) = Nginx::start(&[], "", &location) else { return };
    let status =
        |fields: &[&str]| ask(nginx.port, "GET", "/", fields).split(' ').nth(1).unwrap().to_owned();
    served.maint(&["on"]);
    served.maint(&["ignore", "add", "ip", "198.51.100.1"]);
    served.maint(&["proxy", "add", "127.0.0.1"]);
    let invented = "X-Forwarded-For: 198.51.100.1";
    assert_eq!(status(&[invented]), "503", "a client cannot choose its address");
    served.maint(&["ignore", "add", "ip", "203.0.113.7"]);
    assert_eq!(status(&[]), "200");
    assert_eq!(status(&[invented]), "200");
    served.maint(&["proxy", "remove", "127.0.0.1"]);
    assert_eq!(status(&[]), "503", "the address is that of the proxy");
}
