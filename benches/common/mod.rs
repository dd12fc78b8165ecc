//! What the benchmarks share: contenders that take turns, and the table of their ratios.

#![allow(dead_code, reason = "not every program uses all of it")]

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Turns of each contender in one round; the round counts their median.
const TURNS: usize = 11;

/// The number of rounds counted: `MAINT_BENCH_ROUNDS`, or 20.
pub(crate) fn rounds() -> Result<usize> {
    match env::var("MAINT_BENCH_ROUNDS") {
        Ok(rounds) => Ok(rounds.parse::<usize>()?.max(3)),
        Err(_) => Ok(20),
    }
}

/// A directory for this run alone, on a disk: `MAINT_BENCH_DIR`, or the target directory.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Result<Self> {
        let under = env::var_os("MAINT_BENCH_DIR").unwrap_or(env!("CARGO_TARGET_TMPDIR").into());
        Self::under(under)
    }

    /// One under this directory.
    pub(crate) fn under(under: impl AsRef<Path>) -> Result<Self> {
        let dir = under.as_ref().join(format!("maint-bench-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Self { dir: fs::canonicalize(dir)? })
    }

    /// Where it is, and on which file system.
    pub(crate) fn kind(&self) -> String {
        let kind = file_system(&self.dir);
        format!("{} on {}", self.dir.display(), kind.as_deref().unwrap_or("an unknown file system"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The medians of every round, in seconds, for each contender.
pub(crate) struct Times {
    contenders: Vec<(String, Vec<f64>)>,
    /// How often each contender ran, warm-up included.
    pub(crate) turns: u64,
}

/// Runs the contenders in turn: one round to warm up, then the rounds that count.
pub(crate) fn race<F>(rounds: usize, contenders: &mut [(String, F)]) -> Result<Times>
where
    F: FnMut() -> Result<Duration>,
{
    let mut contenders: Vec<_> = contenders
        .iter_mut()
        .map(|(name, run)| (name.clone(), move || Ok(run()?.as_secs_f64())))
        .collect();
    race_seconds(rounds, TURNS, &mut contenders)
}

/// The same for work too short for a [`Duration`]: the mean of many calls, in seconds.
pub(crate) fn race_seconds<F>(
    rounds: usize,
    turns_of_round: usize,
    contenders: &mut [(String, F)],
) -> Result<Times>
where
    F: FnMut() -> Result<f64>,
{
    let mut times: Vec<_> = contenders.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    let mut turns = 0;
    for round in 0..=rounds {
        let mut seconds = vec![Vec::new(); contenders.len()];
        for _ in 0..turns_of_round {
            turns += 1;
            for ((_, contender), seconds) in contenders.iter_mut().zip(&mut seconds) {
                seconds.push(contender()?);
            }
        }
        for ((_, medians), mut seconds) in times.iter_mut().zip(seconds) {
            if round > 0 {
                medians.push(median(&mut seconds));
            }
        }
    }
    Ok(Times { contenders: times, turns })
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// What one contender may cost.
pub(crate) enum Budget {
    /// This much of the baseline of the table.
    Ratio(f64),
    /// This much of another contender.
    RatioTo(usize, f64),
    /// This many seconds.
    Seconds(f64),
}

/// How one race is shown.
pub(crate) struct Table<'a> {
    pub(crate) title: &'a str,
    /// The contender that the others are compared with.
    pub(crate) baseline: usize,
    /// The budget of each contender that has one.
    pub(crate) budgets: &'a [(usize, Budget)],
}

impl Table<'_> {
    pub(crate) fn show(&self, times: &Times) -> String {
        let (of, baseline) = &times.contenders[self.baseline];
        let mut text = format!("{}\n  {:<48}{:>9}   ratio to `{of}`\n", self.title, "", "median");
        for (position, (name, seconds)) in times.contenders.iter().enumerate() {
            let time = median(&mut seconds.clone());
            let (ratio, least, most) = ratios(seconds, baseline);
            let budgets = self.budgets.iter().filter(|(whose, _)| *whose == position);
            let verdicts: Vec<String> = budgets
                .map(|(_, budget)| {
                    let (is_met, text) = match budget {
                        Budget::Ratio(most) => (ratio <= *most, format!("{most:.2}")),
                        Budget::RatioTo(other, most) => {
                            let (name, other) = &times.contenders[*other];
                            let (ratio, least, greatest) = ratios(seconds, other);
                            let range = format!("{ratio:.2} ({least:.2}–{greatest:.2})");
                            (ratio <= *most, format!("{most:.2} × `{name}`, is {range}"))
                        }
                        Budget::Seconds(most) => (time <= *most, span(*most)),
                    };
                    format!("  budget {text}: {}", if is_met { "met" } else { "MISSED" })
                })
                .collect();
            let line = format!(
                "  {name:<48}{:>9}   {ratio:.2} ({least:.2}–{most:.2}){}",
                span(time),
                verdicts.concat()
            );
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// The median, least and greatest ratio, round by round.
fn ratios(seconds: &[f64], baseline: &[f64]) -> (f64, f64, f64) {
    let mut ratios: Vec<f64> = seconds.iter().zip(baseline).map(|(one, base)| one / base).collect();
    let ratio = median(&mut ratios);
    (ratio, ratios[0], ratios[ratios.len() - 1])
}

pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        ..0.000_001 => format!("{:.0} ns", seconds * 1e9),
        ..0.000_01 => format!("{:.2} µs", seconds * 1e6),
        ..0.001 => format!("{:.0} µs", seconds * 1e6),
        ..1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

/// Prints the machine and the time of this run.
pub(crate) fn print_machine(dir: &Path, rounds: usize) -> Result<()> {
    let read = |path: &str| {
        fs::read_to_string(path).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    };
    println!(
        "machine  {} cores, Linux {}, load {}",
        std::thread::available_parallelism()?,
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg")
    );
    let file_system = file_system(dir).unwrap_or_else(|| "an unknown file system".to_owned());
    println!("disk     {} on {file_system}", dir.display());
    if ["tmpfs", "ramfs"].contains(&file_system.as_str()) {
        println!("         This is memory, where fsync costs nothing: set MAINT_BENCH_DIR.");
    }
    println!(
        "when     {}, {rounds} rounds of {TURNS} turns",
        Timestamp::now().strftime("%Y-%m-%d %H:%M UTC")
    );
    Ok(())
}

/// The type of the file system, by the longest mount point above the path.
fn file_system(dir: &Path) -> Option<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = table.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        dir.starts_with(point)
            .then(|| (point.len(), source.split(' ').next().unwrap_or("?").to_owned()))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// The least that a durable replacement needs: create, write, fsync, rename,
/// fsync of the directory.
pub(crate) fn durable_write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temp = path.with_extension("tmp");
    let mut file = File::options().write(true).create_new(true).open(&temp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    #[expect(clippy::disallowed_methods, reason = "this is what the store is compared with")]
    fs::rename(&temp, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// The processor time a process has used, to the nanosecond where
/// /proc/PID/schedstat is kept.
pub(crate) fn processor_time(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut sum = Duration::ZERO;
    for thread in threads {
        // One may have ended in the meantime.
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).unwrap_or_default();
        let used = text.split(' ').next()?.parse().unwrap_or(0);
        sum += Duration::from_nanos(used);
    }
    Some(sum)
}

/// A command with the same small environment for every contender.
pub(crate) fn command(program: &Path, args: &[&OsStr], dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null());
    command
        .env_clear()
        .envs(["PATH", "HOME"].map(|name| (name, env::var_os(name).unwrap_or_default())));
    command
}

/// Runs a command that must succeed, and returns how long it took.
pub(crate) fn run(command: &mut Command) -> Result<Duration> {
    let begun = Instant::now();
    let status = command.status()?;
    let time = begun.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{command:?}: {status}").into()) }
}
