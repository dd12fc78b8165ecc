//! What the command costs, as whole processes: `cargo bench --bench command`.
//!
//! Every figure is a ratio to something done in the same run, in turn with it
//! (A B C A B C …), so that a busy machine slows both sides. A round takes the
//! median of several turns; a table shows the median of the rounds and their
//! smallest and largest ratio. No timing ever fails this program.
//!
//! - `MAINT_BENCH_BINARY`: another binary to measure, such as the static one
//! - `MAINT_BENCH_ROUNDS`: the number of rounds (20)
//! - `MAINT_BENCH_DIR`: where to work, which must not be in memory (the target
//!   directory)

mod common;

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use maint::Site;
use maint::rules::{Kind, Matcher};
use maint::state::{RuleSettings, WindowSettings};
use maint::store::{self, Options};

use common::{
    Budget, Place, Result, Table, command, durable_write, median, print_machine, processor_time,
    race, rounds, run, span,
};

/// The number of races of `maint wait`, and for how long it is watched idle.
const RACES: u32 = 20;
const IDLE: Duration = Duration::from_secs(5);

/// With one of these as its first argument, this program is itself a contender.
const WRITE: &str = "--bare-durable-write";
const NOTHING: &str = "--nothing";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WRITE, path, text] => durable_write(Path::new(path), text.as_bytes()).map_err(Into::into),
        [NOTHING] => Ok(()),
        // Cargo passes `--bench` and the arguments it was given.
        _ => bench(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("command: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let rounds = rounds()?;
    let place = Place::new()?;
    let binary = match env::var_os("MAINT_BENCH_BINARY") {
        Some(path) => fs::canonicalize(path)?,
        None => env!("CARGO_BIN_EXE_maint").into(),
    };
    print_facts(&binary, &place.dir, rounds)?;
    println!("\n{}", status(&binary, &place, rounds)?);
    println!("{}", switch(&binary, &place, rounds)?);
    println!("{}", update(&place, rounds)?);
    print!("{}", wait(&binary, &place)?);
    Ok(())
}

/// `maint status` against `/bin/true`. Large sites race in a table of their own:
/// the contender after a process of many megabytes pays for it.
fn status(binary: &Path, place: &Place, rounds: usize) -> Result<String> {
    let sites = [("1 000 rules", 1_000), ("10 000 rules", 10_000)];
    let budget = if is_static(binary)? { 0.7 } else { 1.6 };
    let up = site_in(place, "up", None)?;
    let down = site_in(place, "10 rules", Some(10))?;
    let nothing = || ("/bin/true".to_owned(), command(Path::new("/bin/true"), &[], &up));
    let usual = vec![
        nothing(),
        ("a Rust program that does nothing".to_owned(), itself(&[NOTHING.as_ref()], &up)?),
        ("maint --version".to_owned(), command(binary, &["--version".as_ref()], &up)),
        ("maint status: up".to_owned(), command(binary, &["status".as_ref()], &up)),
        ("maint status: down, 10 rules".to_owned(), command(binary, &["status".as_ref()], &down)),
    ];
    let mut large = vec![nothing()];
    for (name, rules) in sites {
        let dir = site_in(place, name, Some(rules))?;
        let status = command(binary, &["status".as_ref()], &dir);
        large.push((format!("maint status: down, {name}"), status));
    }
    let title = "maint status, whole process";
    let usual = race(rounds, &mut runs(usual))?;
    let usual = Table {
        title,
        baseline: 0,
        budgets: &[(3, Budget::Ratio(budget)), (4, Budget::Ratio(budget))],
    }
    .show(&usual);
    let large = race(rounds, &mut runs(large))?;
    let large = Table { title: "the same on large sites", baseline: 0, budgets: &[] }.show(&large);
    Ok(format!("{usual}\n{large}"))
}

/// Turns commands into contenders.
fn runs(commands: Vec<(String, Command)>) -> Vec<(String, impl FnMut() -> Result<Duration>)> {
    let contender = |(name, mut command): (String, Command)| (name, move || run(&mut command));
    commands.into_iter().map(contender).collect()
}

/// `maint on` and `maint off` in turn, so that each of them changes the state.
fn switch(binary: &Path, place: &Place, rounds: usize) -> Result<String> {
    let dir = site_in(place, "switch", None)?;
    let site = Site::at(dir.join(".maint"));
    let on = ["on".as_ref(), "-m".as_ref(), "Back at noon".as_ref()];
    run(&mut command(binary, &on, &dir))?;
    let text = fs::read_to_string(site.state_file())?;
    run(&mut command(binary, &["off".as_ref()], &dir))?;

    let beside = place.dir.join("bare");
    fs::create_dir(&beside)?;
    let file = beside.join("state.json");
    let write = [WRITE.as_ref(), file.as_os_str(), text.as_ref()];
    let before = site.state()?.revision;
    let touched = beside.join("touched");
    let contenders = vec![
        ("a bare durable write".to_owned(), itself(&write, &beside)?),
        ("touch FILE".to_owned(), command(Path::new("touch"), &[touched.as_os_str()], &beside)),
        ("a Rust program that does nothing".to_owned(), itself(&[NOTHING.as_ref()], &beside)?),
        ("maint on".to_owned(), command(binary, &on, &dir)),
        ("maint off".to_owned(), command(binary, &["off".as_ref()], &dir)),
    ];
    let times = race(rounds, &mut runs(contenders))?;
    let changes = site.state()?.revision - before;
    assert_eq!(changes, times.turns * 2, "each command changes the state");
    let title = format!(
        "maint on and off, whole process ({} bytes of state, {changes} changes)",
        text.len()
    );
    Ok(Table {
        title: &title,
        baseline: 0,
        budgets: &[(3, Budget::Ratio(1.15)), (4, Budget::Ratio(1.15))],
    }
    .show(&times))
}

/// The store alone: the same without starting a process.
fn update(place: &Place, rounds: usize) -> Result<String> {
    type Contender<'a> = Box<dyn FnMut() -> Result<Duration> + 'a>;
    let dir = site_in(place, "update", None)?;
    let site = Site::at(dir.join(".maint"));
    set(&site, true)?;
    let bytes = fs::read(site.state_file())?;
    set(&site, false)?;

    let beside = place.dir.join("bare-in-process");
    fs::create_dir(&beside)?;
    let file = beside.join("state.json");
    let clock = |work: &mut dyn FnMut() -> Result<()>| {
        let begun = Instant::now();
        work()?;
        Ok(begun.elapsed())
    };
    let mut is_on = false;
    let mut contenders: [(String, Contender<'_>); 2] = [
        (
            "a bare durable write".to_owned(),
            Box::new(|| clock(&mut || Ok(durable_write(&file, &bytes)?))),
        ),
        (
            "store::update".to_owned(),
            Box::new(|| {
                is_on = !is_on;
                clock(&mut || set(&site, is_on))
            }),
        ),
    ];
    let times = race(rounds, &mut contenders)?;
    Ok(Table { title: "the same inside one process", baseline: 0, budgets: &[] }.show(&times))
}

/// How soon `maint wait` notices, and what it costs while it waits.
fn wait(binary: &Path, place: &Place) -> Result<String> {
    const BUDGET: Duration = Duration::from_millis(100);
    let dir = site_in(place, "wait", Some(10))?;
    let site = Site::at(dir.join(".maint"));
    set(&site, false)?;
    let start = || -> Result<Child> {
        set(&site, true)?;
        let child =
            command(binary, &["wait", "off", "--timeout", "60s"].map(OsStr::new), &dir).spawn()?;
        // Anywhere between two looks, once the process has started.
        sleep(Duration::from_millis(150));
        Ok(child)
    };
    let mut times = Vec::new();
    for race in 0..RACES {
        let mut child = start()?;
        sleep(Duration::from_millis(u64::from(race * 7 % 50)));
        // Before the change is made, so the time is at least what a reader sees.
        let begun = Instant::now();
        set(&site, false)?;
        let status = child.wait()?;
        times.push(begun.elapsed().as_secs_f64());
        assert!(status.success(), "`maint wait off` failed");
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    let verdict = if slowest < BUDGET.as_secs_f64() { "met" } else { "MISSED" };
    let mut text = format!(
        "maint wait off, from just before the change to the end of the process ({RACES} times)\n  \
         median {}, slowest {}; budget < {}: {verdict}\n",
        span(median(&mut times)),
        span(slowest),
        span(BUDGET.as_secs_f64()),
    );

    let mut child = start()?;
    let begun = (Instant::now(), processor_time(child.id()));
    sleep(IDLE);
    let passed = begun.0.elapsed().as_secs_f64();
    match (begun.1, processor_time(child.id())) {
        (Some(before), Some(after)) => {
            let used = after.saturating_sub(before).as_secs_f64() / passed;
            writeln!(
                text,
                "  while waiting {} of processor time a second ({:.3} % of a core)",
                span(used),
                used * 100.0
            )?;
        }
        _ => text += "  processor time: /proc tells nothing here\n",
    }
    set(&site, false)?;
    child.wait()?;
    Ok(text)
}

/// Opens or closes the window `default` in this process.
fn set(site: &Site, down: bool) -> Result<()> {
    let options = Options::new("bench");
    let settings = WindowSettings::new().reason("Back at noon");
    let applied = store::update(site, &options, |state, stamp| {
        if down {
            state.open_window("default", &settings, stamp)?;
        } else {
            state.close_window("default", stamp.now)?;
        }
        Ok(())
    })?;
    assert!(!applied.changes.is_empty(), "the state has to change");
    Ok(())
}

/// An application with a site that is up, or down with this many rules.
fn site_in(place: &Place, name: &str, rules: Option<u32>) -> Result<PathBuf> {
    let dir = place.dir.join(name.replace([' ', ','], "-"));
    fs::create_dir(&dir)?;
    let site = Site::at(dir.join(".maint"));
    store::create(&site)?;
    set(&site, true)?;
    let options = Options::new("bench");
    let Some(rules) = rules else {
        set(&site, false)?;
        return Ok(dir);
    };
    store::update(&site, &options, |state, stamp| {
        for number in 0..rules {
            let (kind, value) = match number % 2 {
                0 => (Kind::Path, format!("/part/{number}/**")),
                _ => (Kind::Ip, format!("10.{}.{}.0/24", number / 256, number % 256)),
            };
            let matcher = Matcher::parse(&kind, &value)?;
            state.add_rule(&matcher, &RuleSettings::new(), stamp)?;
        }
        Ok(())
    })?;
    Ok(dir)
}

fn itself(args: &[&OsStr], dir: &Path) -> Result<Command> {
    Ok(command(&env::current_exe()?, args, dir))
}

fn print_facts(binary: &Path, dir: &Path, rounds: usize) -> Result<()> {
    let kind = |path: &Path| -> Result<String> {
        let kind = if is_static(path)? { "static" } else { "dynamic" };
        Ok(format!("{kind}, {} kB", fs::metadata(path)?.len() / 1_000))
    };
    println!("maint    {} ({})", binary.display(), kind(binary)?);
    println!(
        "itself   {} (the bare durable write; it is larger or smaller than maint, see the rows that do nothing)",
        kind(&env::current_exe()?)?
    );
    print_machine(dir, rounds)
}

/// Whether a binary needs no dynamic linker: its path would stand in the first page.
fn is_static(binary: &Path) -> Result<bool> {
    let mut page = Vec::new();
    File::open(binary)?.take(4096).read_to_end(&mut page)?;
    Ok(!page.windows(4).any(|bytes| bytes == b"/ld-"))
}
