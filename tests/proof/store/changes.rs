//! Changes of every kind, and what the state must be after one that was killed.

use std::path::Path;

use maint::State;

use crate::env::{TestSite, write};

/// A change to make.
pub(crate) struct Change {
    pub(crate) args: Vec<String>,
    kind: Kind,
    /// The text of its own that it leaves in the state, if it leaves one.
    mark: String,
    /// The previous generation, which `restore` brings back.
    backup: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    On,
    Off,
    Ignore,
    IgnoreClear,
    Proxy,
    ProxyClear,
    Bypass,
    Template,
    Restore,
}

const KINDS: [Kind; 9] = [
    Kind::On,
    Kind::Ignore,
    Kind::Bypass,
    Kind::Template,
    Kind::Proxy,
    Kind::Restore,
    Kind::Off,
    Kind::IgnoreClear,
    Kind::ProxyClear,
];

impl Change {
    /// The change of this number; every number has its own text.
    pub(crate) fn nth(number: usize, site: &TestSite) -> Self {
        let kind = KINDS[number % KINDS.len()];
        let mark = match kind {
            Kind::Proxy => format!("10.{}.{}.0/24", number / 256 % 256, number % 256),
            Kind::Ignore => format!("/storm/{number}"),
            Kind::Template => {
                let page = format!("<p>{number}</p>");
                write(&site.project.join("page.html"), &page);
                maint::internal::template::digest(&page)
            }
            _ => format!("storm {number}"),
        };
        let page = site.project.join("page.html");
        let page = page.to_str().unwrap();
        let args: &[&str] = match kind {
            Kind::On => &["on", "storm", "-m", &mark],
            Kind::Off => &["off", "--all"],
            Kind::Ignore => &["ignore", "add", "path", &mark],
            Kind::IgnoreClear => &["ignore", "clear"],
            Kind::Proxy => &["proxy", "add", &mark],
            Kind::ProxyClear => &["proxy", "clear"],
            Kind::Bypass => &["bypass", "new", "--note", &mark],
            Kind::Template => &["template", "add", "page", page, "--replace"],
            Kind::Restore => &["restore"],
        };
        let args = args.iter().map(|&word| word.to_owned()).collect();
        Self { args, kind, mark, backup: backup(site) }
    }

    /// Evidence that the change was made in part, or acknowledged and not made.
    pub(crate) fn contradicts(
        &self,
        before: &State,
        after: &State,
        acknowledged: bool,
    ) -> Option<String> {
        let wrong = |what: &str| {
            let (old, new) = (before.revision, after.revision);
            Some(format!("{:?}: {what}, revision {new} after {old}", self.args))
        };
        if after == before {
            let is_lost = acknowledged && !self.is_in(after);
            return is_lost.then(|| wrong("acknowledged and lost")).flatten();
        }
        if after.revision != before.revision + 1 {
            return wrong("the revision does not rise by one");
        }
        if !self.is_in(after) {
            return wrong("the state is new, and the change is not in it");
        }
        if self.rest(before) != self.rest(after) {
            return wrong("something else changed with it");
        }
        None
    }

    fn is_in(&self, state: &State) -> bool {
        let mark = Some(self.mark.as_str());
        match self.kind {
            Kind::On => {
                state.windows.get("storm").is_some_and(|window| window.reason.as_deref() == mark)
            }
            Kind::Off => state.windows.is_empty(),
            Kind::Ignore => state.ignore.values().any(|rule| rule.value == self.mark),
            Kind::IgnoreClear => state.ignore.is_empty(),
            Kind::Proxy => state.trusted_proxies.as_ref().is_some_and(|proxies| {
                proxies.networks.iter().any(|network| network.to_string() == self.mark)
            }),
            Kind::ProxyClear => state.trusted_proxies.is_none(),
            Kind::Bypass => state.bypass.values().any(|token| token.note.as_deref() == mark),
            Kind::Template => state.templates.get("page.html") == Some(&self.mark),
            Kind::Restore => {
                // Tokens revoked since then do not come back.
                let content = |of: &State| with(&unsigned(of), |state| state.bypass.clear());
                content(&self.backup) == content(state)
            }
        }
    }

    /// Everything that this change must not touch.
    fn rest(&self, state: &State) -> State {
        let mut rest = unsigned(state);
        match self.kind {
            Kind::On | Kind::Off => {
                rest.windows.clear();
                // Tokens end with the maintenance they were for.
                rest.bypass.clear();
            }
            Kind::Ignore | Kind::IgnoreClear => rest.ignore.clear(),
            Kind::Proxy | Kind::ProxyClear => rest.trusted_proxies = None,
            Kind::Bypass => rest.bypass.clear(),
            Kind::Template => rest.templates.clear(),
            Kind::Restore => rest = State::default(),
        }
        rest
    }
}

/// The content of a state, whoever wrote it.
fn unsigned(state: &State) -> State {
    with(state, |state| (state.revision, state.last_change) = (0, None))
}

/// A copy of a state with a change.
fn with(state: &State, change: impl FnOnce(&mut State)) -> State {
    let mut state = state.clone();
    change(&mut state);
    state
}

/// The previous generation, which must always be whole.
fn backup(site: &TestSite) -> State {
    read(&site.file("state.json.bak")).unwrap()
}

/// A state or a backup, which must be there and whole.
pub(crate) fn read(path: &Path) -> Result<State, String> {
    match maint::internal::load::read(path) {
        // A site without a file is up, and was never changed.
        Ok(state) if state.revision == 0 => Err(format!("`{}` is gone", path.display())),
        other => other.map_err(|torn| torn.to_string()),
    }
}

#[test]
fn requirement_57_a_change_that_is_lost_or_not_alone_is_noticed() {
    let site = TestSite::in_use();
    let before = site.state();
    let change = Change::nth(0, &site);
    site.ok(&change.args.iter().map(String::as_str).collect::<Vec<_>>());
    let after = site.state();
    assert_eq!(change.contradicts(&before, &after, true), None, "a clean change");
    assert_eq!(change.contradicts(&before, &before, false), None, "not made, not acknowledged");
    let skipped = with(&after, |state| state.revision += 1);
    let fallen = with(&after, |state| state.revision = before.revision - 1);
    let unmade = with(&before, |state| state.revision = after.revision);
    let other = with(&after, |state| state.name = Some("other".to_owned()));
    for (planted, state, fault) in [
        ("lost", &before, "acknowledged and lost"),
        ("a revision skipped", &skipped, "does not rise by one"),
        ("a revision fallen", &fallen, "does not rise by one"),
        ("a revision without the change", &unmade, "the change is not in it"),
        ("a change of something else", &other, "something else changed"),
    ] {
        let found = change.contradicts(&before, state, true).unwrap_or_default();
        assert!(found.contains(fault), "{planted}: {found}");
    }
}
