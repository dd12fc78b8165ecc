//! Requirement 1: the order in which the state is replaced, whatever the verb.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use maint::Site;
use maint::fleet::{Address, Following};
use maint::page::Format;
use maint::store::{self, Options};

use crate::can::can_trace;
use crate::env::{MAINT, TestSite, run};
use crate::oracle::{changes, judge};
use crate::say::figure;
use crate::trace::{CALLS, Call, WHOLE, parse, traced};
use crate::verbs::{BEGINNING, CHANGING, READING, editor, filled_in, listed, verb_of};

#[test]
fn requirement_01_every_verb_is_known_to_change_the_state_or_not_to() {
    let listed = listed();
    let known = |lines: &mut dyn Iterator<Item = &[&str]>| -> BTreeSet<String> {
        lines.filter_map(|args| verb_of(args, &listed)).collect()
    };
    let mut changing = known(&mut CHANGING.iter().map(|(args, _)| *args));
    changing.insert(BEGINNING.to_owned());
    let is_dry = |args: &&[&str]| args.contains(&"--dry-run");
    let reading = known(&mut READING.iter().copied().filter(|args| !is_dry(args)));
    let both: BTreeSet<_> = changing.union(&reading).cloned().collect();
    assert_eq!(both, listed, "a verb is missing from the lists of `verbs.rs`");
    assert!(changing.is_disjoint(&reading), "{changing:?} and {reading:?}");
    for verb in &changing {
        let mut help = Command::new(MAINT);
        let done = run(help.args(verb.split(' ')).arg("--help"));
        let is_tried = READING
            .iter()
            .filter(|args| is_dry(args))
            .any(|args| verb_of(args, &listed).as_ref() == Some(verb));
        assert_eq!(done.stdout.contains("--dry-run"), is_tried, "`{verb} --dry-run` is not tried");
    }
    figure(&format!(
        "{} verbs: {} change the state, {} do not",
        listed.len(),
        changing.len(),
        reading.len()
    ));
}

#[test]
fn requirement_01_every_changing_verb_replaces_the_state_in_order() {
    if !can_trace() {
        return;
    }
    let site = TestSite::new();
    let editor = editor(&site);
    let mut replacements = 0;
    for (args, expected) in CHANGING {
        let args = filled_in(args, &site);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (done, calls) = traced(&site.dir, &args, |command| {
            command.env("EDITOR", &editor);
        });
        let wanted = i32::from(args.contains(&"false"));
        assert_eq!(done.code, wanted, "{args:?}: {done:?}");
        match judge(&calls, &site.dir) {
            Ok(number) => assert_eq!(number, expected, "{args:?} replaced it {number} times"),
            Err(fault) => panic!("{args:?}: {fault}"),
        }
        replacements += expected;
    }
    figure(&format!("{} commands, {replacements} replacements, all in order", CHANGING.len()));
}

#[test]
fn requirement_01_a_verb_that_reads_changes_nothing() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    site.ok(&["off"]);
    let before = site.snapshot();
    for args in READING {
        let args = filled_in(args, &site);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (done, calls) = traced(&site.dir, &args, |_| ());
        assert!(matches!(done.code, 0..=2), "{args:?}: {done:?}");
        assert!(calls.len() > 1, "{args:?}: nothing was traced");
        let changed: Vec<&Call> = calls.iter().filter(|call| changes(call, &site.dir)).collect();
        assert!(changed.is_empty(), "{args:?}: {changed:?}");
    }
    assert_eq!(site.snapshot(), before);
    figure(&format!("{} commands, 0 calls that change a file of the site", READING.len()));
}

/// The functions of the library that change a site, and those that show what they would
/// change.
const WRITERS: [&str; 8] = [
    "add_template",
    "join",
    "leave",
    "put_template",
    "refresh",
    "remove_template",
    "restore",
    "update",
];
/// Those that ask or fill the engine of a fleet; `refresh` is by `mirror`, as an agent is.
const FLEET: [&str; 6] = ["hosts", "import", "local_name", "mirror", "peek", "texts"];
/// Those that change what is declared for this host, and leave the state as it is.
const DECLARING: [&str; 3] = ["add_flag", "remove_flag", "sync_flags"];
const PREVIEWS: [&str; 2] = ["preview", "preview_restore"];

/// The function that makes a site, before there is a state.
const MAKER: &str = "create";

#[test]
fn requirement_01_the_library_replaces_the_state_in_order() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/mod.rs");
    let source = fs::read_to_string(source).unwrap();
    let functions = source.lines().filter_map(|line| line.strip_prefix("pub fn "));
    let mut public: BTreeSet<&str> = functions.map(name_in).collect();
    let uses = source.lines().filter_map(|line| line.strip_prefix("pub use "));
    public.extend(uses.flat_map(|rest| rest.split("::").last().unwrap().split(',')).map(name_in));
    // Types and constants.
    public.retain(|name| name.starts_with(char::is_lowercase));
    let known =
        WRITERS.into_iter().chain(FLEET).chain(DECLARING).chain(PREVIEWS).chain([MAKER]).collect();
    assert_eq!(public, known, "a function of the store is missing here");
    if !can_trace() {
        return;
    }
    let site = TestSite::new();
    let log = site.project.join("trace");
    let trace = format!("trace={CALLS}");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", WHOLE, "-e", &trace, "-o"]).arg(&log);
    command.arg(std::env::current_exe().unwrap());
    command.args(["sequence::by_the_library", "--exact", "--ignored"]).env(SITE, &site.dir);
    let done = run(&mut command);
    assert!(done.code == 0 && done.stdout.contains("1 passed"), "{done:?}");
    let calls = parse(&fs::read_to_string(log).unwrap());
    assert_eq!(judge(&calls, &site.dir), Ok(WRITERS.len()));
    figure(&format!("{} functions of the library, all in order", WRITERS.len()));
}

/// The first word that can be a name.
fn name_in(text: &str) -> &str {
    let text = text.trim_start_matches(['{', ' ']);
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The variable with the site for a process that another test starts.
const SITE: &str = "MAINT_TEST_SITE";

#[test]
#[ignore = "a process that another test starts, and traces"]
fn by_the_library() {
    let site = Site::at(std::env::var_os(SITE).unwrap());
    let options = Options::new("test");
    let open = |state: &mut maint::State, stamp: store::Stamp<'_>| {
        let settings = maint::state::WindowSettings::new();
        state.open_window("default", &settings, stamp)
    };
    store::preview(&site, &options, open).unwrap();
    store::update(&site, &options, open).unwrap();
    let page = format!("page.{}", Format::Html);
    store::add_template(&site, &options, &page, "<p>page</p>").unwrap();
    store::put_template(&site, &options, &page, "<p>the page</p>").unwrap();
    store::remove_template(&site, &options, "page").unwrap();
    store::preview_restore(&site, &options).unwrap();
    store::restore(&site, &options).unwrap();
    let engine = site.dir().with_file_name("engine");
    let address = Address::parse(&format!("file://{}", engine.display())).unwrap();
    store::join(&site, &options, &address, None).unwrap();
    let (following, state) = (Following::named(address), site.state().unwrap());
    let confirmed = options.clone().confirmed(true);
    store::import(&confirmed, &following, &state, &store::texts(&site).unwrap()).unwrap();
    store::refresh(&site, &options).unwrap();
    store::leave(&site, &options).unwrap();
}

#[test]
fn requirement_01_init_replaces_the_state_in_order() {
    if !can_trace() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let project = fs::canonicalize(temp.path()).unwrap();
    let log = project.join("trace");
    let trace = format!("trace={CALLS}");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", WHOLE, "-e", &trace, "-o"]).arg(&log).arg(MAINT);
    let done = run(command.arg("init").arg(&project).current_dir("/").env_remove("MAINT_SITE"));
    assert_eq!(done.code, 0, "{done:?}");
    let calls = parse(&fs::read_to_string(log).unwrap());
    assert_eq!(judge(&calls, &project.join(".maint")), Ok(1));
    figure("1 replacement in order");
}
