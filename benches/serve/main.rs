//! What asking costs: `cargo bench --no-default-features --features full --bench serve`.
//!
//! It starts `maint serve` and nginx on sockets of their own. Times are processor time of those
//! processes, as the kernel counts it; the throughput of nginx with the endpoint and without it
//! is taken in turns within one run. No timing ever fails this program, but an unexpected answer
//! does.
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
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use common::{Place, Result, median, print_machine, processor_time, rounds};

/// How many questions a turn has, so that ticks of the kernel's clock matter little.
const QUESTIONS: u32 = 20_000;

/// How long nginx is asked in a turn, by this many clients.
const TURN: Duration = Duration::from_millis(500);
const CLIENTS: usize = 8;

fn main() -> ExitCode {
    match bench() {
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
        let socket = dir.join("socket");
        maint(&dir, &["init", "."])?;
        let listen = format!("unix:{}", socket.display());
        let mut process = Command::new(env!("CARGO_BIN_EXE_maint"))
            .args(["serve", "--mode", "0666", "--listen", &listen])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(process.stderr.take().ok_or("no standard error")?).lines();
        let is_up = said.by_ref().any(|line| line.is_ok_and(|line| line.starts_with("answers at")));
        if !is_up {
            return Err("the endpoint does not start".into());
        }
        std::thread::spawn(move || said.for_each(drop));
        Ok(Self { process, socket, dir })
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
    println!("\nA question on a kept connection: processor time of the endpoint");
    for (name, change, path, expected) in [
        ("/auth, up", None, "/auth", 204),
        ("/auth, down", Some("on"), "/auth", 403),
        ("/page, down", None, "/page", 503),
    ] {
        if let Some(verb) = change {
            maint(&endpoint.dir, &[verb])?;
        }
        let mut connection = Kept(BufReader::new(UnixStream::connect(&endpoint.socket)?));
        let question = format!("GET {path} HTTP/1.1\r\n{FIELDS}\r\n");
        let mut times = Vec::new();
        for _ in 0..rounds {
            let before = endpoint.time()?;
            for _ in 0..QUESTIONS {
                let status = connection.ask(question.as_bytes())?;
                if status != expected {
                    return Err(format!("{name}: {status}").into());
                }
            }
            let taken = endpoint.time()?.saturating_sub(before);
            times.push(taken.as_secs_f64() / f64::from(QUESTIONS));
        }
        let time = median(&mut times);
        let verdict = if time <= 15e-6 { "met" } else { "MISSED" };
        println!("  {name:14} {:6.1} µs  budget 15 µs: {verdict}", time * 1e6);
    }
    Ok(())
}

/// The throughput of nginx that asks, to that of nginx that does not, and its processor time.
fn behind_nginx(place: &Place, rounds: usize) -> Result<()> {
    let endpoint = Endpoint::start(place, "asked")?;
    let files = place.dir.join("files");
    std::fs::create_dir(&files)?;
    for folder in ["plain", "asked"] {
        std::fs::create_dir(files.join(folder))?;
        let file = files.join(folder).join("page");
        std::fs::File::create_new(file)?.write_all(&[b'x'; 1024])?;
    }
    let http = format!(
        "upstream maint {{ server unix:{}; keepalive 16; }} open_file_cache max=10;",
        endpoint.socket.display()
    );
    let server = format!(
        "root {};
        location /plain/ {{ }}
        location /asked/ {{ auth_request /maint-auth; }}
        location = /maint-auth {{
            internal;
            proxy_pass http://maint/auth;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_pass_request_body off;
            proxy_set_header Content-Length \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URI $request_uri;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}",
        files.display()
    );
    let Some(nginx) = nginx::Nginx::start(&["http_auth_request_module"], &http, &server) else {
        return Ok(());
    };
    let mut ratios = Vec::new();
    let (mut plain, mut asked) = (Vec::new(), Vec::new());
    // One round warms up.
    for round in 0..=rounds {
        let rates = [turn(nginx.port, "/plain/page")?, turn(nginx.port, "/asked/page")?];
        if round > 0 {
            plain.push(rates[0]);
            asked.push(rates[1]);
            ratios.push(rates[1] / rates[0]);
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
    Ok(())
}

/// How many requests a second are answered.
fn turn(port: u16, path: &str) -> Result<f64> {
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
    Ok(f64::from(all) / begun.elapsed().as_secs_f64())
}
