//! Ten thousand watchers on one engine, which speak as the engines' `wait` does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::common::{Result, median, span};
use crate::etcd::Cluster;
use crate::hosts::PATIENCE;
use crate::redis_server::Server;
use crate::rest::{mebibytes, seconds};
use crate::source::{Source, children};
use crate::writer::Writer;
use crate::{Bench, number};

/// How many changes all of them see.
const CHANGES: usize = 9;

/// After how long without word a watcher makes sure that its engine is alive.
const SILENCE: Duration = Duration::from_secs(3);

/// How long all sleep while the engine is watched.
const ASLEEP: Duration = Duration::from_secs(10);

/// How many connect at a time.
const AT_A_TIME: usize = 64;

/// How many files are open besides the connections, here and in an engine.
const OTHERS: usize = 300;

/// What each watcher has for itself.
struct Watcher {
    port: u16,
    ready: Arc<AtomicUsize>,
    seen: mpsc::UnboundedSender<Instant>,
    gate: Arc<Semaphore>,
}

pub(crate) fn watchers(_: &Bench) -> Result<()> {
    let wanted = number("MAINT_BENCH_WATCHERS", 10_000)?;
    // The engines inherit the limit. A watcher has two connections to etcd, and one to Redis.
    let limit = raise_limit(wanted * 2 + OTHERS).saturating_sub(OTHERS);
    println!("{CHANGES} changes; from the start of the write to the last watcher");
    let clients = format!("maxclients {}", wanted + OTHERS);
    let redis = ["appendonly yes", "appendfsync always", &clients];
    for (source, connections) in
        [(Cluster::start(1).map(Source::Etcd), 2), (Server::start(&redis).map(Source::Redis), 1)]
    {
        let Some(source) = source else { continue };
        let count = wanted.min(limit / connections);
        println!("{count} watchers, {:<20}{}", source.name(), watched(&source, count)?);
    }
    println!("budget: the last one of 10 000 within 2 s");
    Ok(())
}

/// Raises how many files may be open, as far as that goes, and returns how many that is.
fn raise_limit(wanted: usize) -> usize {
    let wanted = wanted as u64;
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.map_or(wanted, |maximum| maximum.max(wanted));
    let raised = Rlimit { current: Some(wanted), maximum: Some(maximum) };
    if setrlimit(Resource::Nofile, raised).is_err() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
    getrlimit(Resource::Nofile)
        .current
        .and_then(|now| usize::try_from(now).ok())
        .unwrap_or(usize::MAX)
}

fn watched(source: &Source, count: usize) -> Result<String> {
    let program = match source {
        Source::Etcd(_) => "etcd",
        Source::Redis(_) => "redis-server",
    };
    let pid = *children(program)?.last().ok_or("the engine is not a child of this process")?;
    let mut writer = first(source)?;
    let port = source.ports()[0];
    let is_etcd = matches!(source, Source::Etcd(_));
    let ready = Arc::new(AtomicUsize::new(0));
    let (seen, mut sights) = mpsc::unbounded_channel();
    let counted = Arc::clone(&ready);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let begun = Instant::now();
    let all = thread::spawn(move || {
        runtime.block_on(async move {
            let gate = Arc::new(Semaphore::new(AT_A_TIME));
            for _ in 0..count {
                let (ready, seen, gate) = (Arc::clone(&counted), seen.clone(), Arc::clone(&gate));
                let watcher = Watcher { port, ready, seen, gate };
                tokio::spawn(async move {
                    let ended = if is_etcd { watcher.etcd().await } else { watcher.redis().await };
                    if let Err(error) = ended {
                        eprintln!("fleet: a watcher ended: {error}");
                    }
                });
            }
            let _ = stopped.await;
        });
    });
    while ready.load(Ordering::Relaxed) < count {
        if begun.elapsed() > PATIENCE * 5 {
            return Err(format!("only {} watch", ready.load(Ordering::Relaxed)).into());
        }
        sleep(Duration::from_millis(20));
    }
    let connected = begun.elapsed();
    sleep(SILENCE);
    let (before, rested) = (seconds(pid)?, Instant::now());
    sleep(ASLEEP);
    let share = (seconds(pid)? - before) / rested.elapsed().as_secs_f64() * 100.0;
    let memory = mebibytes(pid)?;
    let (mut last, mut middle) = (Vec::new(), Vec::new());
    for _ in 0..CHANGES {
        writer.must_toggle()?;
        let (sent, ..) = writer.acknowledged[writer.acknowledged.len() - 1];
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            match sights.try_recv() {
                Ok(at) => times.push(at.saturating_duration_since(sent).as_secs_f64()),
                Err(_) if sent.elapsed() > PATIENCE => {
                    return Err(format!("{} of {count} saw it", times.len()).into());
                }
                Err(_) => sleep(Duration::from_millis(5)),
            }
        }
        last.push(times.iter().copied().fold(0.0, f64::max));
        middle.push(median(&mut times));
        sleep(Duration::from_millis(500));
    }
    let _ = stop.send(());
    all.join().map_err(|_| "the watchers panicked")?;
    Ok(format!(
        "median {}, last {}, slowest last {}; engine {memory:.0} MiB, {share:.1} % of a core while all \
         sleep; all there after {}",
        span(median(&mut middle)),
        span(median(&mut last.clone())),
        span(last.iter().copied().fold(0.0, f64::max)),
        span(connected.as_secs_f64())
    ))
}

/// A writer, and a document.
fn first(source: &Source) -> Result<Writer> {
    use crate::writer::told;
    use maint::fleet::{Address, Document, Write, open};
    let mut engine = open(&Address::parse(&source.url())?, None).map_err(told)?;
    let document = Document::first("shop", maint::State::default(), jiff::Timestamp::now())?;
    let bytes = document.to_json()?;
    let write = Write { document: &bytes, put: &[], remove: &[] };
    engine.cas(None, &write, PATIENCE).map_err(told)?;
    Writer::to(&source.url())
}

impl Watcher {
    async fn etcd(self) -> io::Result<()> {
        let turn = self.gate.acquire().await.map_err(io::Error::other)?;
        let key = STANDARD.encode("/maint/shop");
        let mut other = connect(self.port).await?;
        // The read before the watch, on the connection that is used for questions from then on.
        let read = post("range", &format!(r#"{{"key":"{key}"}}"#), "");
        other.write_all(read.as_bytes()).await?;
        let found = lines(&mut other, |text| text.contains("}]") || text.ends_with("}\n")).await?;
        let revision: u64 = found
            .split_once(r#""revision":""#)
            .and_then(|(_, rest)| rest.split('"').next()?.parse().ok())
            .ok_or_else(|| io::Error::other(found.clone()))?;
        let mut watch = connect(self.port).await?;
        let body = format!(
            r#"{{"create_request":{{"key":"{key}","start_revision":"{}"}}}}"#,
            revision + 1
        );
        let start = post("watch", &body, "Grpc-Metadata-hasleader: true\r\n");
        watch.write_all(start.as_bytes()).await?;
        lines(&mut watch, |text| text.contains(r#""created":true"#)).await?;
        self.ready.fetch_add(1, Ordering::Relaxed);
        drop(turn);
        loop {
            let event =
                lines(&mut watch, |text| text.contains(r#""events""#) && text.contains("}\n"));
            if let Ok(event) = timeout(SILENCE, event).await {
                event?;
                let _ = self.seen.send(Instant::now());
            } else {
                other.write_all(b"GET /version HTTP/1.1\r\nHost: etcd\r\n\r\n").await?;
                lines(&mut other, |text| text.contains("etcdcluster")).await?;
            }
        }
    }

    async fn redis(self) -> io::Result<()> {
        let turn = self.gate.acquire().await.map_err(io::Error::other)?;
        let mut stream = connect(self.port).await?;
        let role = command(&["ROLE"]);
        let read = command(&["XREVRANGE", "maint:{shop}", "+", "-", "COUNT", "1"]);
        stream.write_all(role.as_bytes()).await?;
        lines(&mut stream, |text| text.contains("master")).await?;
        stream.write_all(read.as_bytes()).await?;
        let mut id = id_in(&lines(&mut stream, |text| id_in(text).is_some()).await?);
        self.ready.fetch_add(1, Ordering::Relaxed);
        drop(turn);
        loop {
            let known = id.as_deref().unwrap_or("0-0");
            let block = SILENCE.as_millis().to_string();
            let words =
                ["XREAD", "COUNT", "100", "BLOCK", &block, "STREAMS", "maint:{shop}", known];
            stream.write_all(command(&words).as_bytes()).await?;
            let answer = lines(&mut stream, |text| {
                text.ends_with("\r\n") && !text.starts_with("*1\r\n") || text.ends_with("}\r\n")
            })
            .await?;
            if let Some(new) = id_in(&answer) {
                let _ = self.seen.send(Instant::now());
                id = Some(new);
            } else {
                stream.write_all(role.as_bytes()).await?;
                lines(&mut stream, |text| text.contains("master")).await?;
            }
        }
    }
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request to the JSON gateway.
fn post(verb: &str, body: &str, fields: &str) -> String {
    let path = if verb == "watch" { "/v3/watch".to_owned() } else { format!("/v3/kv/{verb}") };
    format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n{fields}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A command of Redis.
fn command(words: &[&str]) -> String {
    let each: Vec<String> =
        words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    let words = each.concat();
    format!("*{}\r\n{words}", words.matches('$').count())
}

/// The id of an entry of a stream, where there is one.
fn id_in(answer: &str) -> Option<String> {
    let is_id = |line: &&str| {
        line.split_once('-').is_some_and(|(time, count)| {
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            time.len() > 10 && is_number(time) && is_number(count) && !count.is_empty()
        })
    };
    answer.lines().find(is_id).map(str::to_owned)
}

/// Reads until what came is all that is waited for.
async fn lines(stream: &mut TcpStream, is_all: impl Fn(&str) -> bool) -> io::Result<String> {
    let mut text = String::new();
    loop {
        stream.readable().await?;
        let mut buffer = [0; 8 * 1024];
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => text.push_str(&String::from_utf8_lossy(&buffer[..more])),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => continue,
            Err(cause) => return Err(cause),
        }
        if is_all(&text) {
            return Ok(text);
        }
    }
}
