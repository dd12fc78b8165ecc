//! A site of its own for each test, and writers of its state.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use maint::gate::{Answer, Gate, OnError, OnProblem, Options};
use maint::page::Reply;
use maint::request::RequestParts;
use maint::{Site, store};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const MAINT: &str = env!("CARGO_BIN_EXE_maint");
pub(crate) const NOBODY: u32 = 65534;
pub(crate) const OPENED: &str = "2026-11-22T03:00:00Z";

/// Only a hang takes this long here.
pub(crate) const HANG: Duration = Duration::from_secs(300);

/// A site directory, gone when dropped.
pub(crate) struct TestSite {
    _temp: TempDir,
    pub(crate) dir: PathBuf,
    last: Cell<SystemTime>,
    told: Arc<Mutex<Vec<String>>>,
}

impl TestSite {
    pub(crate) fn new() -> Self {
        Self::under(&std::env::temp_dir())
    }

    /// The same on a file system that the test chooses.
    pub(crate) fn under(place: &Path) -> Self {
        let temp = tempfile::Builder::new().prefix("maint-gate-").tempdir_in(place).unwrap();
        let dir = fs::canonicalize(temp.path()).unwrap().join("app/.maint");
        fs::create_dir_all(dir.join("templates")).unwrap();
        for path in [temp.path(), dir.parent().unwrap(), &dir, &dir.join("templates")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (last, told) = (Cell::new(SystemTime::UNIX_EPOCH), Arc::default());
        Self { _temp: temp, dir, last, told }
    }

    pub(crate) fn site(&self) -> Site {
        Site::at(&self.dir)
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    pub(crate) fn gate(&self) -> Gate {
        self.gate_with(OnError::Refuse).unwrap()
    }

    /// A gate that keeps its reports for [`TestSite::told`].
    pub(crate) fn gate_with(&self, on_error: OnError) -> maint::Result<Gate> {
        let told = self.told.clone();
        let on_problem: OnProblem =
            Arc::new(move |problem| told.lock().unwrap().push(problem.to_string()));
        let mut options = Options::new().on_error(on_error);
        options.on_problem = Some(on_problem);
        Gate::open_with(&self.site(), options)
    }

    /// What was reported since the last call.
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// Replaces the whole state, with a later time each time, as writers do.
    pub(crate) fn put(&self, revision: u64, parts: &Value) {
        self.replace(&state(revision, parts));
    }

    #[expect(clippy::disallowed_methods, reason = "a writer that does nothing but be fast")]
    pub(crate) fn replace(&self, text: &str) {
        let temp = self.dir.join("new");
        write(&temp, text);
        let file = OpenOptions::new().write(true).open(&temp).unwrap();
        self.last.set(SystemTime::now().max(self.last.get() + Duration::from_nanos(1)));
        file.set_modified(self.last.get()).unwrap();
        fs::rename(&temp, self.state_file()).unwrap();
    }

    /// Changes the state as `maint` does, with everything that includes.
    pub(crate) fn update(&self, change: impl Fn(&mut maint::State, Timestamp)) {
        let options = store::Options::new("test");
        store::update(&self.site(), &options, |state, stamp| {
            change(state, stamp.now);
            Ok(())
        })
        .unwrap();
    }

    pub(crate) fn template(&self, file_name: &str, text: &str) {
        write(&self.dir.join("templates").join(file_name), text);
    }
}

pub(crate) fn state(revision: u64, parts: &Value) -> String {
    let mut state = json!({ "version": 1, "revision": revision });
    state.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    state.to_string()
}

/// One open window.
pub(crate) fn down(reason: &str) -> Value {
    json!({ "windows": { "w": { "opened_at": OPENED, "reason": reason } } })
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn get(target: &str) -> RequestParts {
    RequestParts::new("GET", target)
}

/// A request for one form of the page.
pub(crate) fn accepting(accept: &str) -> RequestParts {
    get("/").with("accept", accept)
}

#[track_caller]
pub(crate) fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Reply(reply) => reply,
        Answer::Pass(pass) => panic!("it passes: {pass:?}"),
    }
}

pub(crate) fn is_blocked(gate: &Gate) -> bool {
    matches!(gate.answer(&get("/")), Answer::Reply(_))
}

pub(crate) fn body(reply: &Reply) -> String {
    String::from_utf8(reply.body().to_vec()).unwrap()
}

/// Waits for a condition instead of a time. Returns how long it took.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < HANG, "{what} never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

/// Writes a file in place, as people do.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}
