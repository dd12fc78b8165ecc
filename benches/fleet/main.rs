//! What a fleet costs, on real engines:
//! `cargo bench --no-default-features --features full --bench fleet`.
//!
//! It starts etcd and Redis in temporary directories on loopback, and agents beside them, each a process
//! with a site of its own. Times go by the monotonic clock of this process, which sees each replaced
//! `state.json` by inotify(7). No timing ever fails this program, but a lost write or a host that does not
//! follow does. What is not installed is skipped.
//!
//! - `MAINT_BENCH_DIR`: a directory on a disk (the target directory)
//! - `MAINT_BENCH_BINARY`: the agents' `maint` (the one that is built with this program)
//! - `MAINT_BENCH_TOGGLES`, `MAINT_BENCH_WATCHERS`: how many (500, 10000)
//! - an argument: only the parts whose name contains it, such as `asleep`

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/fleet/etcd.rs"]
mod etcd;
mod eyes;
mod faults;
mod hosts;
#[path = "../../tests/common/nginx.rs"]
mod nginx;
mod once;
mod propagation;
#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/fleet/redis_server.rs"]
mod redis_server;
mod relay;
mod rest;
#[path = "../../tests/common/say.rs"]
mod say;
mod source;
mod watchers;
mod writer;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use common::{Place, Result};

/// What every part needs.
pub(crate) struct Bench {
    pub(crate) binary: PathBuf,
    /// Where files are on a disk, and where they are in memory.
    pub(crate) disk: Place,
    pub(crate) memory: Place,
}

type Part = fn(&Bench) -> Result<()>;

const PARTS: [(&str, Part); 6] = [
    ("propagation", propagation::propagation),
    ("faults", faults::faults),
    ("asleep", rest::asleep),
    ("watchers", watchers::watchers),
    ("once", once::once),
    ("relay", relay::relay),
];

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    // Cargo passes `--bench` and the arguments it was given.
    let wanted: Vec<String> =
        env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let binary = match env::var_os("MAINT_BENCH_BINARY") {
        Some(path) => fs::canonicalize(path)?,
        None => env!("CARGO_BIN_EXE_maint").into(),
    };
    let bench = Bench { binary, disk: Place::new()?, memory: Place::under("/dev/shm")? };
    println!("maint    {}", bench.binary.display());
    println!("machine  {} cores, Linux {}", std::thread::available_parallelism()?, kernel());
    println!("disk     {}", bench.disk.kind());
    println!("memory   {}", bench.memory.kind());
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            let when = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
            println!("\n{name}: {when}, load {} before", load());
            part(&bench)?;
            println!("load {} after", load());
        }
    }
    Ok(())
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The load of the last minute.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// A whole number from the environment.
pub(crate) fn number(name: &str, otherwise: usize) -> Result<usize> {
    match env::var(name) {
        Ok(text) => Ok(text.parse()?),
        Err(_) => Ok(otherwise),
    }
}
