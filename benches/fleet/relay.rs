//! A relay: what an nginx with one worker can answer, and what a leaf costs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Bench;
use crate::common::{Result, span};
use crate::hosts::Hosts;
use crate::nginx::Nginx;
use crate::rest::{seconds, uses};
use crate::source::{Source, children};
use crate::writer::Writer;

const CONNECTIONS: usize = 50;
const ASKED: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(60);

pub(crate) fn relay(bench: &Bench) -> Result<()> {
    let Some(source) = Source::redis().or_else(|| Source::etcd(1)) else {
        println!("SKIPPED: no engine");
        return Ok(());
    };
    let place = bench.disk.dir.join("relay");
    fs::create_dir(&place)?;
    let mut hosts = Hosts::default();
    hosts.add(&bench.binary, &place, &source.url(), 1, None)?;
    let mut writer = Writer::to(&source.url())?;
    writer.must_toggle()?;
    hosts.have(writer.revision())?;
    let site = hosts.sites().next().ok_or("no host")?.display().to_string();
    let locations = format!("location = /maint/shop.json {{ alias {site}/state.json; }}");
    let Some(nginx) = Nginx::start(&[], "", &locations) else {
        println!("SKIPPED: no nginx");
        return Ok(());
    };
    let pid = *children("nginx")?.first().ok_or("nginx is not a child of this process")?;

    let (tag, whole) = first(nginx.port)?;
    let conditional =
        format!("GET /maint/shop.json HTTP/1.1\r\nHost: relay\r\nIf-None-Match: {tag}\r\n\r\n");
    let full = "GET /maint/shop.json HTTP/1.1\r\nHost: relay\r\n\r\n".to_owned();
    for (name, request, status) in
        [("conditional, 304", conditional, "304"), ("whole, 200", full, "200")]
    {
        let before = seconds(pid)?;
        let (count, took) = ask(nginx.port, &request, status)?;
        let used = seconds(pid)? - before;
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let count = count as f64;
        println!(
            "{name:<20}{:.0} a second from {CONNECTIONS} connections; {} of nginx each, so {:.0} with a \
             core of its own",
            count / took,
            span(used / count),
            count / used
        );
    }
    println!("the whole answer has {whole} bytes");

    let mut leaves = Hosts::default();
    let place = bench.disk.dir.join("leaf");
    fs::create_dir(&place)?;
    let url = format!("http://127.0.0.1:{}/maint/shop.json?poll=5s", nginx.port);
    leaves.add(&bench.binary, &place, &url, 1, None)?;
    sleep(Duration::from_secs(5));
    let (begun, before) = (Instant::now(), seconds(leaves.pid(0))?);
    sleep(WATCHED);
    let share = (seconds(leaves.pid(0))? - before) / begun.elapsed().as_secs_f64() * 100.0;
    println!(
        "a leaf, poll 5 s, {} s: {share:.3} % of a core, {}",
        WATCHED.as_secs(),
        uses(leaves.pid(0))?
    );
    Ok(())
}

/// The tag of the document, and how long the answer is.
fn first(port: u16) -> Result<(String, usize)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /maint/shop.json HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let tag = answer.lines().find_map(|line| line.strip_prefix("ETag: ")).ok_or("no ETag")?;
    Ok((tag.to_owned(), answer.len()))
}

/// Asks again and again on all connections; how often, and for how many seconds.
fn ask(port: u16, request: &str, status: &'static str) -> Result<(u64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = Arc::new(AtomicU64::new(0));
    let took = runtime.block_on(async {
        let begun = Instant::now();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (request, answers) = (request.to_owned(), Arc::clone(&answers));
            all.spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let mut buffer = vec![0; 64 * 1024];
                while begun.elapsed() < ASKED {
                    stream.write_all(request.as_bytes()).await?;
                    let answer = answer(&mut stream, &mut buffer).await?;
                    if answer != status {
                        return Err(std::io::Error::other(format!("nginx answers {answer}")));
                    }
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        while let Some(ended) = all.join_next().await {
            ended.map_err(std::io::Error::other)??;
        }
        Ok::<_, std::io::Error>(begun.elapsed().as_secs_f64())
    })?;
    Ok((answers.load(Ordering::Relaxed), took))
}

/// Reads one answer, and returns its status.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<String> {
    let mut have = 0;
    loop {
        let more = stream.read(&mut buffer[have..]).await?;
        if more == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        have += more;
        let text = String::from_utf8_lossy(&buffer[..have]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Ok(head.split(' ').nth(1).unwrap_or_default().to_owned());
        }
    }
}
