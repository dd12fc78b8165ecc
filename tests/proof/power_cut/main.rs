//! Requirement 8: the power fails while the command writes, under a real kernel.
//!
//! A virtual machine runs Debian's kernel, ext4 and the command itself on a disk whose
//! cache forgets. It prints each acknowledged change; then its power is cut, and the
//! next machine reports what is on the disk. The same is done with a command for which
//! fsync(2) does nothing, and that must show.
//!
//! `make old-kernel` runs the tests of requirement 20 in such a machine.

mod chain;
mod dice;
mod disk;
mod initramfs;
mod judge;
mod kernel;
mod machine;
mod nbd;
#[path = "../../common/numbers.rs"]
mod numbers;
#[path = "../../common/say.rs"]
mod say;
mod times;
mod tools;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use tempfile::NamedTempFile;

use chain::{Scene, Tally, Writer};
use initramfs::Archive;
use judge::Kind;
use kernel::Kernel;
use machine::Parts;
use say::{amount, figure, skip};

/// One test; its error lists what is wrong.
type Test = fn(&Host) -> Result<(), Vec<String>>;

const TESTS: [(&str, Test); 3] = [
    ("requirement_08_power_cut", nothing_acknowledged_is_lost),
    ("requirement_57_a_power_cut_shows_that_fsync_does_nothing", the_planted_bug_shows),
    ("requirement_20_on_a_6_1_kernel", times::under_this_kernel),
];

/// ext4 as mounted by default, and without its help for writers that forget to sync
/// before they rename.
const MODES: [&str; 2] = ["defaults", "noauto_da_alloc"];

/// The parts of every machine.
struct Host {
    kernel: Kernel,
    empty_disk: Vec<u8>,
}

fn main() -> ExitCode {
    let host = match Host::find() {
        Ok(host) => host,
        Err(why) => {
            for (name, _) in TESTS {
                under(name, || skip(&why));
            }
            return ExitCode::SUCCESS;
        }
    };
    let mut code = ExitCode::SUCCESS;
    // As with any cargo test, a word picks the tests whose names contain it.
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    for (name, test) in TESTS.into_iter().filter(|(name, _)| name.contains(&word)) {
        if let Err(faults) = under(name, || test(&host)) {
            eprintln!("test {name} ... FAILED\n{}", faults.join("\n"));
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Runs something on a thread of this name, which figures carry.
fn under<T: Send>(name: &str, run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
        thread.expect("a thread can be started").join().expect("no test panics")
    })
}

impl Host {
    /// Looks for everything that is needed, and reports what is missing.
    fn find() -> Result<Self, String> {
        let missing = tools::missing();
        if !missing.is_empty() {
            return Err(format!("needs {}; `make power-cut-tools`", missing.join(", ")));
        }
        let kernel = Kernel::fetch().map_err(|why| format!("no kernel of Debian here: {why}"))?;
        Ok(Self { kernel, empty_disk: tools::empty_disk()? })
    }

    /// Adds to an archive what every machine needs, and a script.
    fn parts(&self, task: &str, script: &[u8], mut archive: Archive) -> Result<Parts, String> {
        for directory in ["/proc", "/sys", "/dev", "/disk", "/tmp", "/mnt"] {
            archive.directory(directory);
        }
        archive.busybox()?;
        self.kernel.pack_modules(&mut archive)?;
        archive.file("/init", include_bytes!("init.sh"));
        archive.file(&format!("/{task}.sh"), script);
        let mut file = NamedTempFile::new().map_err(|cause| cause.to_string())?;
        file.write_all(&archive.finish()).map_err(|cause| cause.to_string())?;
        Ok(Parts { kernel: self.kernel.image.clone(), initramfs: file.into_temp_path() })
    }

    /// Cuts the power under a writer in each of the modes, two machines at a time.
    fn cut(&self, writer: Writer, cuts: usize) -> Result<[Tally; 2], Vec<String>> {
        let parts = self.parts_of_writer().map_err(|why| vec![why])?;
        let (parts, empty) = (&parts, &self.empty_disk);
        let [one, other] = thread::scope(|scope| {
            let running = MODES.map(|options| {
                scope.spawn(move || chain::cut(Scene { writer, options, cuts }, parts, empty))
            });
            running.map(|thread| thread.join().expect("no machine panics"))
        });
        match (one, other) {
            (Ok(one), Ok(other)) => Ok([one, other]),
            (one, other) => Err([one.err(), other.err()].into_iter().flatten().collect()),
        }
    }

    fn parts_of_writer(&self) -> Result<Parts, String> {
        let mut archive = Archive::default();
        archive.program("/bin/maint", Path::new(env!("CARGO_BIN_EXE_maint")))?;
        archive.program("/bin/strace", &tools::find("strace")?)?;
        self.parts("writer", include_bytes!("writer.sh"), archive)
    }
}

fn nothing_acknowledged_is_lost(host: &Host) -> Result<(), Vec<String>> {
    let tallies = host.cut(Writer::Shipped, amount(3, 20))?;
    tell(&tallies);
    let faults = tallies.iter().flat_map(|tally| &tally.faults);
    let faults: Vec<String> = faults.map(|(kind, why)| format!("{kind:?}: {why}")).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// A mode in which a writer without a sync gets away with it would show nothing.
fn the_planted_bug_shows(host: &Host) -> Result<(), Vec<String>> {
    let tallies = host.cut(Writer::Planted, amount(2, 8))?;
    tell(&tallies);
    let unseen = MODES.iter().zip(&tallies).filter(|(_, tally)| tally.faults.is_empty());
    let unseen: Vec<String> =
        unseen.map(|(options, tally)| format!("ext4 {options}: nothing: {tally:?}")).collect();
    if unseen.is_empty() { Ok(()) } else { Err(unseen) }
}

fn tell(tallies: &[Tally; 2]) {
    for (options, tally) in MODES.iter().zip(tallies) {
        figure(&format!(
            "Linux {}, ext4 {options}: {} valid cuts, {} of them within a change, {} changes \
             acknowledged, {} writes not flushed, {} machines that did not start: {} corrupt, \
             {} lost, {} stuck",
            tally.kernel,
            tally.valid,
            tally.within,
            tally.acknowledged,
            tally.unflushed,
            tally.unborn,
            tally.count(Kind::Corrupt),
            tally.count(Kind::Lost),
            tally.count(Kind::Stuck),
        ));
    }
}
