//! How long until all hosts have the newest once trouble is over.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::Bench;
use crate::common::{Result, span};
use crate::etcd::Cluster;
use crate::eyes::Eyes;
use crate::hosts::{Hosts, PATIENCE};
use crate::source::Source;
use crate::writer::Writer;

const HOSTS: usize = 20;
const CUT_OFF: usize = 10;

/// One toggle each so often.
const PACE: Duration = Duration::from_millis(20);

/// How long a writer waits for an answer.
const WITHIN: Duration = Duration::from_secs(2);

/// How long it goes well before and after the trouble.
const CALM: Duration = Duration::from_secs(3);

const DOWN: Duration = Duration::from_millis(1_500);
const FROZEN: Duration = Duration::from_secs(9);
const CUT: Duration = Duration::from_secs(12);

/// Makes trouble, and returns since when it is over.
type Trouble<'a> = &'a dyn Fn(&mut Source) -> Result<Instant>;

pub(crate) fn faults(bench: &Bench) -> Result<()> {
    println!("{HOSTS} hosts in memory, one toggle each {} ms", PACE.as_millis());
    for mut source in Source::all() {
        let name = source.name();
        for round in 1..=3 {
            print!("{name}, killed {round}: ");
            let told = troubled(bench, &mut source, &|source| {
                source.kill();
                sleep(DOWN);
                source.restart();
                Ok(Instant::now())
            })?;
            print!("{told}");
        }
        print!("{name}, frozen for {} s: ", FROZEN.as_secs());
        let told = troubled(bench, &mut source, &|source| {
            source.freeze(true);
            sleep(FROZEN);
            source.freeze(false);
            Ok(Instant::now())
        })?;
        print!("{told}");
        let what = format!("{name}, {CUT_OFF} hosts cut off for {} s: ", CUT.as_secs());
        match Namespace::new() {
            Ok(namespace) => {
                print!("{what}");
                print!("{}", partitioned(bench, &mut source, &namespace)?);
            }
            Err(error) => println!("{what}SKIPPED: {error}"),
        }
    }
    if let Some(mut source) = Source::etcd(3) {
        for round in 1..=2 {
            print!("{}, leader killed {round}: ", source.name());
            let told = troubled(bench, &mut source, &|source| {
                let Source::Etcd(cluster) = source else { return Ok(Instant::now()) };
                let leader = cluster.members.iter().position(super::etcd::Member::is_leader);
                let leader = leader.ok_or("nobody leads")?;
                cluster.members[leader].kill();
                Ok(Instant::now())
            })?;
            print!("{told}");
            revive(&mut source);
        }
    }
    Ok(())
}

/// Starts the members that are dead.
fn revive(source: &mut Source) {
    if let Source::Etcd(Cluster { members, .. }) = source {
        members
            .iter_mut()
            .filter(|member| !member.is_healthy())
            .for_each(super::etcd::Member::restart);
    }
}

fn partitioned(bench: &Bench, source: &mut Source, namespace: &Namespace) -> Result<String> {
    let listeners = source.ports().into_iter().map(|port| Ok((port, namespace.forward(port)?)));
    let outside = listeners.collect::<Result<Vec<(u16, u16)>>>()?;
    let through =
        |inner| outside.iter().find(|(port, _)| *port == inner).map_or(inner, |(_, outer)| *outer);
    let url = source.url_at(&namespace.outside, through);
    let mut hosts = Hosts::default();
    hosts.add(&bench.binary, &bench.memory.dir, &source.url(), HOSTS - CUT_OFF, None)?;
    hosts.add(&bench.binary, &bench.memory.dir, &url, CUT_OFF, Some(&namespace.name))?;
    watched(source, &hosts, &|_| {
        namespace.link(false)?;
        sleep(CUT);
        namespace.link(true)?;
        Ok(Instant::now())
    })
}

fn troubled(bench: &Bench, source: &mut Source, trouble: Trouble<'_>) -> Result<String> {
    let mut hosts = Hosts::default();
    hosts.add(&bench.binary, &bench.memory.dir, &source.url(), HOSTS, None)?;
    watched(source, &hosts, trouble)
}

/// When a host had which revision.
type Sight = (Instant, usize, u64);

/// Writes all the time, makes the trouble meanwhile, and tells what became of it.
fn watched(source: &mut Source, hosts: &Hosts, trouble: Trouble<'_>) -> Result<String> {
    let mut writer = Writer::to(&source.url())?;
    writer.must_toggle()?;
    hosts.have(writer.revision())?;
    let first = writer.acknowledged.len();
    let eyes = Eyes::on(hosts.sites())?;
    let (is_over, last) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
    let (writer, sights, over) = thread::scope(|scope| {
        let sights = scope.spawn(|| sights(&eyes, hosts, &last).map_err(|error| error.to_string()));
        let writer = scope.spawn(|| {
            write(&mut writer, &is_over);
            writer
        });
        sleep(CALM);
        let over = trouble(source);
        sleep(CALM);
        is_over.store(true, Ordering::Relaxed);
        let mut writer = writer.join().map_err(|_| "the writer panicked")?;
        let newest = writer.last();
        last.store(newest.as_ref().copied().unwrap_or(0), Ordering::Relaxed);
        let sights = sights.join().map_err(|_| "the eyes panicked")?;
        newest?;
        Ok::<_, Box<dyn std::error::Error>>((writer, sights?, over?))
    })?;
    hosts.have(last.load(Ordering::Relaxed))?;
    if writer.lost > 0 {
        return Err(format!("{} acknowledged changes are lost", writer.lost).into());
    }
    let after = writer.acknowledged.iter().find(|(_, at, _)| *at >= over);
    let (_, written, revision) = after.ok_or("nothing was written after the trouble")?;
    let mut latest = over;
    let mut behind = Duration::ZERO;
    let mut steps_back = 0;
    for host in 0..hosts.count() {
        let mut own = sights.iter().filter(|(_, of, _)| *of == host);
        let have = own.clone().find(|(at, _, has)| *at >= over && has >= revision);
        let (at, ..) = have.ok_or_else(|| format!("host {host} did not come back"))?;
        latest = latest.max(*at);
        behind = behind.max(at.saturating_duration_since(*written));
        let mut before = 0;
        steps_back +=
            own.by_ref().filter(|(.., has)| std::mem::replace(&mut before, *has) > *has).count();
    }
    let acknowledged = &writer.acknowledged[first - 1..];
    let gap = acknowledged.windows(2).map(|two| two[1].1 - two[0].1).max().unwrap_or_default();
    Ok(format!(
        "{} acknowledged, {} lost, {steps_back} steps back, {} failed of which {} in force; longest \
         without a write {}; over → written {}, → last host {}; written → last host {}\n",
        acknowledged.len() - 1,
        writer.lost,
        writer.failures,
        writer.in_force,
        span(gap.as_secs_f64()),
        span((*written - over).as_secs_f64()),
        span((latest - over).as_secs_f64()),
        span(behind.as_secs_f64()),
    ))
}

fn write(writer: &mut Writer, is_over: &AtomicBool) {
    let mut next = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        sleep(next.saturating_duration_since(Instant::now()));
        next = next.max(Instant::now()) + PACE;
        let _ = writer.toggle(WITHIN);
    }
}

/// Sees every change on every host until all have the last one.
fn sights(eyes: &Eyes, hosts: &Hosts, last: &AtomicU64) -> Result<Vec<Sight>> {
    let mut sights = Vec::new();
    let mut has = vec![0; hosts.count()];
    let mut seen = Instant::now();
    while has.iter().any(|has| *has < last.load(Ordering::Relaxed)) {
        for host in eyes.look(Duration::from_millis(50))? {
            seen = Instant::now();
            has[host] = hosts.revision(host)?;
            sights.push((seen, host, has[host]));
        }
        if seen.elapsed() > PATIENCE {
            return Err("no host changes any more".into());
        }
    }
    Ok(sights)
}

/// A network namespace with a link to this one.
struct Namespace {
    name: String,
    device: String,
    /// The address of this side.
    outside: String,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
        let _ = ip(&["link", "delete", &self.device]);
    }
}

impl Namespace {
    fn new() -> Result<Self> {
        let id = std::process::id();
        let (name, device) = (format!("maint-bench-{id}"), format!("mb{id}"));
        let net = id % 250;
        let outside = format!("10.231.{net}.1");
        ip(&["netns", "add", &name])?;
        let namespace = Self { name, device, outside };
        let Self { name, device, outside } = &namespace;
        let peer = ["link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name];
        ip(&peer)?;
        ip(&["address", "add", &format!("{outside}/24"), "dev", device])?;
        ip(&["-n", name, "address", "add", &format!("10.231.{net}.2/24"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        namespace.link(true)?;
        Ok(namespace)
    }

    /// Joins or cuts the link, without a word to those who use it.
    fn link(&self, is_up: bool) -> Result<()> {
        ip(&["link", "set", &self.device, if is_up { "up" } else { "down" }])
    }

    /// Brings what is sent to a port of this side to that one on loopback.
    fn forward(&self, to: u16) -> Result<u16> {
        let listener = TcpListener::bind((self.outside.as_str(), 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _ =
                    TcpStream::connect(("127.0.0.1", to)).and_then(|server| pipe(client, server));
            }
        });
        Ok(port)
    }
}

fn pipe(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (back, forth) = (server.try_clone()?, client.try_clone()?);
    for (mut from, mut to) in [(client, server), (back, forth)] {
        from.set_nodelay(true)?;
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}
