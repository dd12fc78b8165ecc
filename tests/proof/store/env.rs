//! A site of its own for each test, and the means to put it under stress.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maint::state::WindowSettings;
use maint::store::{self, Options};
use maint::{Site, State};
use tempfile::TempDir;

pub(crate) const MAINT: &str = env!("CARGO_BIN_EXE_maint");

/// The uids of people who are not root.
pub(crate) const DEPLOY: u32 = 1234;
pub(crate) const NOBODY: u32 = 65534;

/// Only a hanging command takes this long here.
const HANG: Duration = Duration::from_secs(60);

/// A project with a site in it, gone when dropped.
pub(crate) struct TestSite {
    _temp: TempDir,
    pub(crate) project: PathBuf,
    pub(crate) dir: PathBuf,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The exit code, or 128 and the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestSite {
    /// An empty site directory.
    pub(crate) fn new() -> Self {
        Self::under(&std::env::temp_dir())
    }

    /// The same on a file system that the test chooses.
    pub(crate) fn under(place: &Path) -> Self {
        let temp = tempfile::Builder::new().prefix("maint-store-").tempdir_in(place).unwrap();
        // Other users must get through; the tests set below what they may do.
        chmod(temp.path(), 0o755);
        let project = fs::canonicalize(temp.path()).unwrap().join("app");
        let dir = project.join(".maint");
        fs::create_dir_all(&dir).unwrap();
        chmod(&project, 0o755);
        chmod(&dir, 0o755);
        Self { _temp: temp, project, dir }
    }

    /// A site with a state, a backup and a history.
    pub(crate) fn in_use() -> Self {
        let site = Self::new();
        site.ok(&["on", "-m", "one"]);
        site.ok(&["on", "-m", "two"]);
        site
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.file("state.json")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        maint(&self.dir, args)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Run {
        let done = self.run(args);
        assert_eq!(done.code, 0, "maint {args:?}: {done:?}");
        done
    }

    /// The state as a reader finds it.
    #[track_caller]
    pub(crate) fn state(&self) -> State {
        maint::internal::load::read(&self.state_file()).unwrap()
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.state().windows.get("default").and_then(|window| window.reason.clone())
    }

    /// Every revision in the history, in its order.
    pub(crate) fn recorded(&self) -> Vec<u64> {
        let (recorded, torn) = self.recorded_and_torn();
        assert_eq!(torn, 0, "torn lines in the history");
        recorded
    }

    /// The same, and how many lines cannot be read. A kill may come within write(2),
    /// between two pages; then the next writer leaves what is there and writes the line
    /// anew.
    pub(crate) fn recorded_and_torn(&self) -> (Vec<u64>, usize) {
        let files = maint::Site::at(&self.dir).files().unwrap();
        let (records, torn) = maint::internal::history::read(&files).unwrap();
        (records.iter().map(|record| record.revision.after).collect(), torn)
    }

    /// Every file by name with its bytes, except the lock, which is not part of the state.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        let templates = names(&self.file("templates"));
        let names = names(&self.dir).into_iter();
        names
            .chain(templates.into_iter().map(|name| format!("templates/{name}")))
            .filter(|name| name != "lock" && name != "templates")
            .map(|name| {
                let bytes = fs::read(self.file(&name)).unwrap_or_default();
                (name, bytes)
            })
            .collect()
    }

    /// The temporary files that writers left behind.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut all = names(&self.dir);
        all.extend(names(&self.dir.join("templates")));
        all.retain(|name| is_temporary(name));
        all
    }

    /// Gives everything to a user.
    pub(crate) fn give_to(&self, uid: u32) {
        let files = names(&self.dir).into_iter().map(|name| self.file(&name));
        for path in files.chain([self.project.clone(), self.dir.clone()]) {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        }
    }
}

/// Whether a name looks like a writer's temporary file.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && Path::new(name).extension() == Some(OsStr::new("tmp"))
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The command on a site, in an empty environment.
pub(crate) fn maint(site: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(MAINT);
    clean(&mut command).arg("--site").arg(site).args(args);
    command
}

/// A program in front of the command: `strace …`, `setpriv …`.
pub(crate) fn wrapped<S: AsRef<OsStr>>(before: &[S], site: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(before[0].as_ref());
    clean(&mut command).args(&before[1..]).arg(MAINT).arg("--site").arg(site).args(args);
    command
}

fn clean(command: &mut Command) -> &mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).current_dir("/")
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The command as another user, without any of root's privileges.
pub(crate) fn as_user(uid: u32, site: &Path, args: &[&str]) -> Command {
    wrapped(&drop_to(uid), site, args)
}

/// A prefix that runs a program as another user.
pub(crate) fn drop_to(uid: u32) -> Vec<String> {
    let id = uid.to_string();
    let words = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"];
    words.map(str::to_owned).into()
}

/// Runs a command to its end; a hang is an end too, with signal 9.
pub(crate) fn run(command: &mut Command) -> Run {
    run_with(command, "")
}

/// The same with text on standard input.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Run {
    let owned = std::mem::replace(command, Command::new("true"));
    let mut command = assert_cmd::Command::from_std(owned);
    finished(&command.timeout(HANG).write_stdin(input).output().unwrap())
}

pub(crate) fn finished(output: &Output) -> Run {
    use std::os::unix::process::ExitStatusExt as _;
    let status = output.status;
    Run {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}

/// Writes a file that does not belong to `maint`.
#[expect(clippy::disallowed_methods, reason = "files of others, made by hand")]
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
}

/// Opens the window `default` with a reason, through the library: starting a process
/// would take most of the time.
pub(crate) fn change(site: &TestSite, reason: &str) -> maint::Result<()> {
    let options = Options::new("test");
    let settings = WindowSettings::new().reason(reason);
    store::update(&Site::at(&site.dir), &options, |state, stamp| {
        state.open_window("default", &settings, stamp)
    })
    .map(drop)
}

/// Does all the work on two threads, as many as CI has cores.
pub(crate) fn on_two_threads<W: Sync, R: Send>(
    work: &[W],
    each: impl Fn(&W) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(piece) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = each(piece);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}
