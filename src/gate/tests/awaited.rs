//! A site that nobody named and that is not there yet.

use super::*;
use crate::site::Environment;

/// A project without a site, and what its gate reports.
struct Project {
    _temp: TempDir,
    root: PathBuf,
    around: Environment,
    told: Arc<Mutex<Vec<String>>>,
}

impl Project {
    #[expect(clippy::disallowed_methods, reason = "a file of a project")]
    fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("maint-gate-").tempdir().unwrap();
        let root = temp.path().join("repo/shop");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("manage.py"), "").unwrap();
        let around = Environment { directory: Some(root.clone()), ..Environment::default() };
        Self { _temp: temp, root, around, told: Arc::default() }
    }

    fn gate(&self) -> Gate {
        let told = self.told.clone();
        let report = move |problem: &Problem| told.lock().unwrap().push(problem.to_string());
        let options = Options::new().on_problem(report);
        Gate::open_with(&Site::discover_in(None, &self.around).unwrap(), options).unwrap()
    }

    /// Writes a state into a site directory, which is made.
    #[expect(clippy::disallowed_methods, reason = "a writer that does nothing but be fast")]
    fn put(dir: &Path, revision: u64, parts: &Value) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("new"), state(revision, parts)).unwrap();
        fs::rename(dir.join("new"), dir.join("state.json")).unwrap();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < HANG, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_site_that_is_made_is_obeyed_with_the_next_request() {
    let project = Project::new();
    let gate = project.gate();
    assert!(!is_blocked(&gate, "/"));
    let dir = project.root.join(".maint");
    Project::put(&dir, 1, &down("x"));
    assert!(is_blocked(&gate, "/"));
    // From now on it is a site like any other, whose disappearing opens nothing.
    fs::remove_dir_all(&dir).unwrap();
    assert!(is_blocked(&gate, "/"));
    Project::put(&dir, 2, &json!({}));
    assert!(!is_blocked(&gate, "/"));
    assert_eq!(gate.revision(), 2);
}

#[test]
fn a_site_that_is_made_above_is_obeyed_within_seconds() {
    let project = Project::new();
    let gate = project.gate();
    assert!(!is_blocked(&gate, "/"));
    let above = project.root.parent().unwrap().join(".maint");
    Project::put(&above, 1, &down("x"));
    wait_until("the site above is found", || is_blocked(&gate, "/"));
    Project::put(&above, 2, &json!({}));
    assert!(!is_blocked(&gate, "/"), "and obeyed at once");
    assert!(project.told.lock().unwrap().is_empty());
}

#[test]
fn nothing_is_parsed_anew_and_nothing_reported_while_a_site_is_awaited() {
    let project = Project::new();
    let gate = project.gate();
    let before = gate.0.live.current.load_full().content.clone();
    let begun = Instant::now();
    while begun.elapsed() < 2 * super::super::snapshot::SOUGHT_EVERY {
        assert!(!is_blocked(&gate, "/"));
    }
    assert!(Arc::ptr_eq(&before, &gate.0.live.current.load_full().content));
    assert!(project.told.lock().unwrap().is_empty());
    assert!(!project.root.join(".maint").exists(), "a gate makes nothing");
}

#[cfg(unix)]
#[test]
fn requirement_35b_a_planted_site_that_appears_is_never_obeyed_and_reported_once() {
    use std::os::unix::fs::PermissionsExt as _;

    let project = Project::new();
    let gate = project.gate();
    let dir = project.root.join(".maint");
    let open = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(&dir).unwrap();
    // Everyone can write to it, so anybody may have.
    open(0o777);
    Project::put(&dir, 1, &down("planted"));
    let begun = Instant::now();
    while begun.elapsed() < 2 * super::super::snapshot::SOUGHT_EVERY {
        assert!(!is_blocked(&gate, "/"));
    }
    let told = std::mem::take(&mut *project.told.lock().unwrap());
    assert!(told.len() == 1 && told[0].contains("everyone can write to it"), "{told:?}");
    open(0o755);
    wait_until("the site is trusted", || is_blocked(&gate, "/"));
    let told = project.told.lock().unwrap();
    assert_eq!(*told, ["the state can be read again; revision 1 is in force"]);
}

#[test]
fn a_site_that_was_named_must_be_there() {
    let project = Project::new();
    let mut around = project.around.clone();
    around.variable = Some(project.root.join("typo").into());
    assert!(Site::discover_in(None, &around).is_err());
    assert!(Gate::open(&Site::at(project.root.join(".maint"))).is_err());
}
