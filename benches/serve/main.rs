//! What asking costs: `cargo bench --no-default-features --features full --bench serve`.
//!
//! It starts `maint serve` and nginx on sockets of their own. Times are processor time of those
//! processes, as the kernel counts it; the throughput of nginx with the endpoint and without it
//! is taken in turns within one run. No timing ever fails this program, but an unexpected answer
//! does.
//!
//! What a question costs at least is shown by a **bare endpoint**: this program, started to read,
//! to look at the state file, and to write 204, in a thread for each connection, and nothing else.
//!
//! - `MAINT_BENCH_ROUNDS`: the number of rounds (20)
//! - `MAINT_BENCH_DIR`: where to work (the target directory)
//! - an argument: only the parts whose name contains it: `kept`, `nginx`

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/common/nginx.rs"]
mod nginx;
#[path = "../../tests/common/say.rs"]
mod say;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use common::{Place, Result, median, print_machine, processor_time, rounds};

/// How many questions a turn has.
const QUESTIONS: u32 = 20_000;

/// How long nginx is asked in a turn, by this many clients.
const TURN: Duration = Duration::from_millis(500);
const CLIENTS: usize = 8;

/// Names the folder of a bare endpoint, in a process that is to be one.
const BARE: &str = "MAINT_BENCH_BARE";

fn main() -> ExitCode {
    let done = match std::env::var_os(BARE) {
        Some(dir) => bare(Path::new(&dir)),
        None => bench(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|it| name.contains(it));
    let (rounds, place) = (rounds()?, Place::new()?);
    print_machine(&place.dir, rounds)?;
    if is_wanted("kept") {
        kept(&place, rounds)?;
    }
    if is_wanted("nginx") {
        behind_nginx(&place, rounds)?;
    }
    Ok(())
}

/// Answers every question with 204.
fn bare(dir: &Path) -> Result<()> {
    let listener = UnixListener::bind(dir.join("socket"))?;
    println!("answers at");
    for stream in listener.incoming() {
        let (mut stream, state) = (stream?, dir.join(".maint/state.json"));
        std::thread::spawn(move || {
            let mut question = [0; 8192];
            while stream.read(&mut question).is_ok_and(|length| length > 0) {
                let _ = std::fs::metadata(&state);
                if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// An endpoint of a site in a directory of its own.
struct Endpoint {
    process: Child,
    socket: PathBuf,
    dir: PathBuf,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Endpoint {
    fn start(place: &Place, name: &str) -> Result<Self> {
        let dir = place.dir.join(name);
        std::fs::create_dir(&dir)?;
        maint(&dir, &["init", "."])?;
        let listen = format!("unix:{}", dir.join("socket").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_maint"));
        command.args(["serve", "--mode", "0666", "--listen", &listen]).stderr(Stdio::piped());
        let process = command.current_dir(&dir).stdin(Stdio::null()).spawn()?;
        Self::of(process, dir)
    }

    fn bare(place: &Place, name: &str) -> Result<Self> {
        let dir = place.dir.join(name);
        std::fs::create_dir(&dir)?;
        maint(&dir, &["init", "."])?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(BARE, &dir).stdin(Stdio::null()).stdout(Stdio::piped());
        Self::of(command.spawn()?, dir)
    }

    /// Waits until it answers.
    fn of(mut process: Child, dir: PathBuf) -> Result<Self> {
        let said: Box<dyn Read + Send> = match process.stderr.take() {
            Some(said) => Box::new(said),
            None => Box::new(process.stdout.take().ok_or("no output")?),
        };
        let mut said = BufReader::new(said).lines();
        let is_up = said.by_ref().any(|line| line.is_ok_and(|line| line.starts_with("answers at")));
        if !is_up {
            return Err("the endpoint does not start".into());
        }
        std::thread::spawn(move || said.for_each(drop));
        Ok(Self { process, socket: dir.join("socket"), dir })
    }

    fn time(&self) -> Result<Duration> {
        Ok(processor_time(self.process.id()).ok_or("no processor time")?)
    }
}

fn maint(dir: &Path, arguments: &[&str]) -> Result<()> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_maint")).args(arguments).current_dir(dir).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// A connection that is kept.
struct Kept<S>(BufReader<S>);

impl<S: Read + Write> Kept<S> {
    /// Asks, and returns the status. The answer has a length, or no body.
    fn ask(&mut self, question: &[u8]) -> Result<u16> {
        self.0.get_mut().write_all(question)?;
        let mut line = String::new();
        let (mut status, mut length) = (None, 0);
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the connection was closed".into());
            }
            let text = line.trim_end().to_ascii_lowercase();
            if status.is_none() {
                status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
            } else if let Some(value) = text.strip_prefix("content-length: ") {
                length = value.parse()?;
            } else if text.is_empty() {
                break;
            }
        }
        std::io::copy(&mut self.0.by_ref().take(length), &mut std::io::sink())?;
        status.ok_or_else(|| "no status".into())
    }
}

/// The processor time of a question on a kept connection.
fn kept(place: &Place, rounds: usize) -> Result<()> {
    const FIELDS: &str = "X-Original-Method: GET\r\nX-Original-URI: /cart?id=7\r\nHost: shop.example.com\r\n\
        X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
        Accept-Language: de-AT,de;q=0.9,en;q=0.7\r\nCookie: session=0123456789abcdef; theme=dark\r\n";
    let endpoint = Endpoint::start(place, "kept")?;
    let least = Endpoint::bare(place, "least")?;
    println!("\nA question on a kept connection: processor time of the endpoint");
    for (name, change, path, expected) in [
        ("/auth, up", None, "/auth", 204),
        ("/auth, down", Some("on"), "/auth", 403),
        ("/page, down", None, "/page", 503),
    ] {
        if let Some(verb) = change {
            maint(&endpoint.dir, &[verb])?;
        }
        let question = format!("GET {path} HTTP/1.1\r\n{FIELDS}\r\n");
        let (mut times, mut of_bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            times.push(asked(&endpoint, &question, expected)?);
            of_bare.push(asked(&least, &question, 204)?);
            ratios.push(times[times.len() - 1] / of_bare[of_bare.len() - 1]);
        }
        let (time, bare, ratio) = (median(&mut times), median(&mut of_bare), median(&mut ratios));
        let verdict = if time <= 15e-6 { "met" } else { "MISSED" };
        println!(
            "  {name:14} {:5.1} µs  budget 15 µs: {verdict}; a bare endpoint {:.1} µs, {ratio:.2} times that",
            time * 1e6,
            bare * 1e6,
        );
    }
    Ok(())
}

/// The processor time of a question, in seconds.
fn asked(endpoint: &Endpoint, question: &str, expected: u16) -> Result<f64> {
    let mut connection = Kept(BufReader::new(UnixStream::connect(&endpoint.socket)?));
    // What a connection costs is no part of it.
    connection.ask(question.as_bytes())?;
    let before = endpoint.time()?;
    for _ in 0..QUESTIONS {
        let status = connection.ask(question.as_bytes())?;
        if status != expected {
            return Err(format!("{status} where {expected} was expected").into());
        }
    }
    let taken = endpoint.time()?.saturating_sub(before);
    Ok(taken.as_secs_f64() / f64::from(QUESTIONS))
}

/// The throughput of nginx that asks, to that of nginx that does not, and its processor time.
fn behind_nginx(place: &Place, rounds: usize) -> Result<()> {
    let endpoint = Endpoint::start(place, "asked")?;
    let least = Endpoint::bare(place, "asked-least")?;
    let files = place.dir.join("files");
    std::fs::create_dir(&files)?;
    for folder in ["plain", "asked", "least"] {
        std::fs::create_dir(files.join(folder))?;
        let file = files.join(folder).join("page");
        std::fs::File::create_new(file)?.write_all(&[b'x'; 1024])?;
    }
    let http = format!(
        "upstream maint {{ server unix:{}; keepalive 16; }}
        upstream least {{ server unix:{}; keepalive 16; }}
        open_file_cache max=10;",
        endpoint.socket.display(),
        least.socket.display()
    );
    let asks = |upstream: &str| {
        format!(
            "location = /ask-{upstream} {{
                internal;
                proxy_pass http://{upstream}/auth;
                proxy_http_version 1.1;
                proxy_set_header Connection \"\";
                proxy_pass_request_body off;
                proxy_set_header Content-Length \"\";
                proxy_set_header Host $host;
                proxy_set_header X-Original-Method $request_method;
                proxy_set_header X-Original-URI $request_uri;
                proxy_set_header X-Forwarded-For $remote_addr;
                proxy_set_header X-Forwarded-Proto $scheme;
            }}"
        )
    };
    let server = format!(
        "root {};
        location /plain/ {{ }}
        location /asked/ {{ auth_request /ask-maint; }}
        location /least/ {{ auth_request /ask-least; }}
        {}
        {}",
        files.display(),
        asks("maint"),
        asks("least"),
    );
    let Some(nginx) = nginx::Nginx::start(&["http_auth_request_module"], &http, &server) else {
        return Ok(());
    };
    let (mut ratios, mut of_bare) = (Vec::new(), Vec::new());
    let (mut plain, mut asked) = (Vec::new(), Vec::new());
    let (mut of_nginx, mut of_endpoint) = ([Vec::new(), Vec::new()], Vec::new());
    let time_of_nginx = || processor_time(nginx.id()).ok_or("no processor time of nginx");
    // One round warms up.
    for round in 0..=rounds {
        let before = [time_of_nginx()?];
        let without = turn(nginx.port, "/plain/page")?;
        let before = [before[0], time_of_nginx()?, endpoint.time()?];
        let with = turn(nginx.port, "/asked/page")?;
        let after = [time_of_nginx()?, endpoint.time()?];
        let bare = turn(nginx.port, "/least/page")?;
        let rates = [without.rate, with.rate];
        if round > 0 {
            let of = |used: Duration, turn: &Turn| used.as_secs_f64() / f64::from(turn.requests);
            of_nginx[0].push(of(before[1].saturating_sub(before[0]), &without));
            of_nginx[1].push(of(after[0].saturating_sub(before[1]), &with));
            of_endpoint.push(of(after[1].saturating_sub(before[2]), &with));
            plain.push(rates[0]);
            asked.push(rates[1]);
            ratios.push(rates[1] / rates[0]);
            of_bare.push(bare.rate / rates[0]);
        }
    }
    let span = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        format!("{low:.2}–{high:.2}")
    };
    let range = span(&ratios);
    let ratio = median(&mut ratios);
    let verdict = if ratio >= 0.6 { "met" } else { "MISSED" };
    println!("\nnginx with {CLIENTS} clients, a file of 1 kB");
    println!("  that does not ask {:7.0} requests a second", median(&mut plain));
    println!(
        "  that asks         {:7.0}, {ratio:.2} ({range})  budget 0.6: {verdict}",
        median(&mut asked)
    );
    let (range, ratio) = (span(&of_bare), median(&mut of_bare));
    println!("  that asks a bare endpoint  {ratio:.2} ({range})");
    let [before, after] = of_nginx.map(|mut times| median(&mut times) * 1e6);
    let endpoint = median(&mut of_endpoint) * 1e6;
    println!(
        "  processor time a request: nginx {before:.1} µs, then {after:.1} µs; the endpoint {endpoint:.1} µs"
    );
    Ok(())
}

/// What was answered in a turn.
struct Turn {
    requests: u32,
    /// In a second.
    rate: f64,
}

fn turn(port: u16, path: &str) -> Result<Turn> {
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|_| {
        let question = format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
        std::thread::spawn(move || -> std::result::Result<u32, String> {
            let stream =
                TcpStream::connect(("127.0.0.1", port)).map_err(|cause| cause.to_string())?;
            let _ = stream.set_nodelay(true);
            let mut connection = Kept(BufReader::new(stream));
            let mut done = 0;
            while begun.elapsed() < TURN {
                match connection.ask(question.as_bytes()) {
                    Ok(200) => done += 1,
                    Ok(status) => return Err(format!("{status} where 200 was expected")),
                    Err(cause) => return Err(cause.to_string()),
                }
            }
            Ok(done)
        })
    });
    let mut all = 0;
    for client in clients.collect::<Vec<_>>() {
        all += client.join().map_err(|_| "a client has died")??;
    }
    Ok(Turn { requests: all, rate: f64::from(all) / begun.elapsed().as_secs_f64() })
}
