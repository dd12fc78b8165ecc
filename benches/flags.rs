//! What flags and the agent cost: `cargo bench --bench flags`.
//!
//! `on` and `off` with ten flags are a ratio to a bare durable write of the same eleven files, in
//! turn with it. What the agent uses is read from /proc, and how late it is from the time of the
//! file. No timing ever fails this program. The variables are those of the bench `command`.

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use maint::Site;
use maint::flags::{Flag, Kind};
use maint::state::WindowSettings;
use maint::store::{self, Options};

use common::{
    Budget, Place, Result, Table, command, durable_write, median, print_machine, processor_time,
    race, rounds, run, span,
};

const FLAGS: usize = 10;

/// How long the agent is watched asleep, how many boundaries it meets, and how many changes.
const IDLE: Duration = Duration::from_secs(30);
const BOUNDARIES: u32 = 20;
const CHANGES: u32 = 10_000;

/// With this as its first argument, this program is itself a contender.
const WRITE: &str = "--bare-durable-writes";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WRITE, dir, text] => durable_writes(Path::new(dir), text.as_bytes()),
        _ => bench(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flags: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The least that a durable replacement of eleven files needs: the state, and an empty file in
/// each of ten folders.
fn durable_writes(dir: &Path, state: &[u8]) -> Result<()> {
    durable_write(&dir.join("state.json"), state)?;
    for number in 0..FLAGS {
        durable_write(&folder(dir, number).join("down"), b"")?;
    }
    Ok(())
}

fn folder(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("folder-{number}"))
}

fn bench() -> Result<()> {
    let rounds = rounds()?;
    let place = Place::new()?;
    let binary = match env::var_os("MAINT_BENCH_BINARY") {
        Some(path) => fs::canonicalize(path)?,
        None => env!("CARGO_BIN_EXE_maint").into(),
    };
    println!("maint    {}", binary.display());
    print_machine(&place.dir, rounds)?;
    println!("\n{}", switch(&binary, &place, rounds)?);
    print!("{}", agent(&binary, &place)?);
    Ok(())
}

/// A site with as many flags, each in a folder of its own.
fn site_with(place: &Place, name: &str, flags: usize) -> Result<(PathBuf, Site)> {
    let dir = place.dir.join(name);
    fs::create_dir(&dir)?;
    let site = Site::at(dir.join(".maint"));
    store::create(&site)?;
    for number in 0..FLAGS {
        fs::create_dir(folder(&dir, number))?;
    }
    for number in 0..flags {
        let flag = Flag::new(Kind::File).at(folder(&dir, number).join("down"));
        let options = Options::new("bench");
        store::add_flag(&site, &options, &format!("f{number}"), flag, false)?;
    }
    Ok((dir, site))
}

/// `maint on` and `maint off` in turn, with ten flags and with none.
fn switch(binary: &Path, place: &Place, rounds: usize) -> Result<String> {
    let (dir, site) = site_with(place, "ten", FLAGS)?;
    let (without, _) = site_with(place, "none", 0)?;
    let (bare, _) = site_with(place, "bare", 0)?;
    let on = ["on".as_ref(), "-m".as_ref(), "Back at noon".as_ref()];
    run(&mut command(binary, &on, &dir))?;
    let text = fs::read_to_string(site.state_file())?;
    run(&mut command(binary, &["off".as_ref()], &dir))?;
    let write = [WRITE.as_ref(), bare.as_os_str(), text.as_ref()];
    let itself = command(&env::current_exe()?, &write, &bare);
    let contenders = [
        ("a bare durable write of eleven files", itself),
        ("maint on, ten flags", command(binary, &on, &dir)),
        ("maint off, ten flags", command(binary, &["off".as_ref()], &dir)),
        ("maint on, no flag", command(binary, &on, &without)),
        ("maint off, no flag", command(binary, &["off".as_ref()], &without)),
    ];
    let mut contenders =
        contenders.map(|(name, mut command)| (name.to_owned(), move || run(&mut command)));
    let times = race(rounds, &mut contenders)?;
    assert!(store::sync_flags(&site, &Options::new("bench"), &[], false)?.is_in_step());
    let budgets = [(1, Budget::Ratio(2.0)), (2, Budget::Ratio(2.0))];
    let title = "maint on and off with ten flags, whole process";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}

/// What the agent uses, and how late it is.
fn agent(binary: &Path, place: &Place) -> Result<String> {
    let (dir, site) = site_with(place, "agent", FLAGS)?;
    let mut agent = command(binary, &["agent".as_ref()], &dir).stderr(Stdio::null()).spawn()?;
    let result = watched(&mut agent, &dir, &site);
    agent.kill()?;
    agent.wait()?;
    result
}

fn watched(agent: &mut Child, dir: &Path, site: &Site) -> Result<String> {
    set(site, &Window::Open)?;
    sleep(Duration::from_secs(2));
    let used_by = |pid| processor_time(pid).ok_or("/proc tells nothing of the agent");
    let (begun, before) = (Instant::now(), used_by(agent.id())?);
    sleep(IDLE);
    let used =
        used_by(agent.id())?.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let mut text = format!(
        "the agent with {FLAGS} flags\n  asleep: {:.3} % of a core (budget 0.1), {}\n",
        used * 100.0,
        uses(agent.id())?
    );

    let mut late = Vec::new();
    for number in 0..BOUNDARIES {
        set(site, &Window::Closed)?;
        // Anywhere between two looks.
        let start = Timestamp::now() + Duration::from_millis(700 + u64::from(number) * 37 % 200);
        set(site, &Window::From(start))?;
        let down = folder(dir, FLAGS - 1).join("down");
        while !down.exists() {
            sleep(Duration::from_millis(2));
        }
        let written = Timestamp::try_from(fs::metadata(&down)?.modified()?)?;
        late.push(written.duration_since(start).as_secs_f64());
    }
    let slowest = late.iter().copied().fold(0.0, f64::max);
    text += &format!(
        "  from a boundary to the last flag on the disk ({BOUNDARIES} times): median {}, slowest {} (budget 250 ms)\n",
        span(median(&mut late)),
        span(slowest)
    );

    for number in 0..CHANGES {
        set(site, if number % 2 == 0 { &Window::Open } else { &Window::Closed })?;
    }
    text += &format!("  after {CHANGES} changes: {} (budget 8 and 12 MiB)\n", uses(agent.id())?);
    Ok(text)
}

/// Descriptors and memory of a process.
fn uses(pid: u32) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    let mebibytes = kilobytes / 1024.0;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(format!("{descriptors} descriptors, {mebibytes:.1} MiB"))
}

/// What becomes of the window.
enum Window {
    Open,
    From(Timestamp),
    Closed,
}

fn set(site: &Site, window: &Window) -> Result<()> {
    let options = Options::new("bench");
    store::update(site, &options, |state, stamp| {
        let start = match window {
            Window::Open => None,
            Window::From(start) => Some(*start),
            Window::Closed if state.windows.contains_key("default") => {
                return state.close_window("default", stamp.now).map(drop);
            }
            Window::Closed => return Ok(()),
        };
        state.open_window("default", &WindowSettings::new().start(start), stamp).map(drop)
    })?;
    Ok(())
}
