//! Judges from what overlapping commands reported whether they took effect one after
//! another, each at a moment between its start and its end.

use std::collections::{BTreeMap, BTreeSet};

/// What a command reported of the state, and when.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) revision: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// It made this revision.
    Write(Effect),
    /// It made this revision, and required it to follow another.
    Swap { from: u64, effect: Effect },
    /// It found this revision and left it.
    Read,
    /// It found this revision, and listed its content.
    Listed(Content),
}

/// The effect of a change on the followed part of the state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Open(String, String),
    Close(String),
    Add(String),
    Clear,
    /// Back to the previous generation.
    Restore,
    /// A change outside the followed part.
    Elsewhere,
}

/// The followed part of the state: reasons by window, and rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) windows: BTreeMap<String, String>,
    pub(crate) rules: BTreeSet<String>,
}

impl Content {
    fn after(&self, effect: &Effect, before: &Self) -> Self {
        let mut next = self.clone();
        match effect {
            Effect::Open(name, reason) => drop(next.windows.insert(name.clone(), reason.clone())),
            Effect::Close(name) => drop(next.windows.remove(name)),
            Effect::Add(rule) => drop(next.rules.insert(rule.clone())),
            Effect::Clear => next.rules.clear(),
            Effect::Restore => next = before.clone(),
            Effect::Elsewhere => {}
        }
        next
    }
}

impl Seen {
    fn effect(&self) -> Option<&Effect> {
        match &self.what {
            What::Write(effect) | What::Swap { effect, .. } => Some(effect),
            What::Read | What::Listed(_) => None,
        }
    }
}

/// How many of them made a revision.
pub(crate) fn writes(seen: &[Seen]) -> usize {
    seen.iter().filter(|one| one.effect().is_some()).count()
}

/// The first contradiction of "one after another", if any. `begin` is the content of the
/// two revisions before the first one made, the last of them being `from`.
pub(crate) fn violation(seen: &[Seen], from: u64, begin: [Content; 2]) -> Option<String> {
    let made: BTreeMap<u64, &Effect> =
        seen.iter().filter_map(|one| Some((one.revision, one.effect()?))).collect();
    if made.len() != writes(seen) {
        return Some("a revision was made twice".to_owned());
    }
    let [mut before, mut now] = begin;
    let mut contents = BTreeMap::from([(from, now.clone())]);
    for revision in from + 1..=from + made.len() as u64 {
        let Some(effect) = made.get(&revision) else {
            return Some(format!("nobody made revision {revision}"));
        };
        let next = now.after(effect, &before);
        (before, now) = (now, next);
        contents.insert(revision, now.clone());
    }
    seen.iter().find_map(|one| told_wrong(one, &contents)).or_else(|| against_the_clock(seen))
}

fn told_wrong(one: &Seen, contents: &BTreeMap<u64, Content>) -> Option<String> {
    let content = contents.get(&one.revision);
    let is_right = match &one.what {
        What::Swap { from, .. } => one.revision == from + 1,
        What::Listed(listed) => content == Some(listed),
        What::Write(_) | What::Read => content.is_some(),
    };
    (!is_right).then(|| format!("not what that revision says, {content:?}: {one:?}"))
}

/// A command that starts after another has ended sees the same revision or a later one.
fn against_the_clock(seen: &[Seen]) -> Option<String> {
    seen.iter().find_map(|one| {
        let later = seen.iter().filter(|other| one.ended < other.begun);
        let mut wrong = later.filter(|other| match other.effect() {
            Some(_) => other.revision <= one.revision,
            None => other.revision < one.revision,
        });
        wrong.next().map(|other| format!("{other:?} began after {one:?} had ended"))
    })
}

#[test]
fn requirement_57_the_checker_catches_planted_violations() {
    let seen = |begun, ended, revision, what| Seen { begun, ended, revision, what };
    let write =
        |begun, ended, revision| seen(begun, ended, revision, What::Write(Effect::Elsewhere));
    let swap = |from| What::Swap { from, effect: Effect::Elsewhere };
    let add = |begun, ended, revision, rule: &str| {
        seen(begun, ended, revision, What::Write(Effect::Add(rule.to_owned())))
    };
    let listed = |begun, ended, revision, rules: &[&str]| {
        let rules = rules.iter().map(|&rule| rule.to_owned()).collect();
        seen(begun, ended, revision, What::Listed(Content { rules, ..Content::default() }))
    };
    let restore =
        |begun, ended, revision| seen(begun, ended, revision, What::Write(Effect::Restore));
    let verdict = |history: &[Seen]| violation(history, 0, Default::default());
    let good = [
        write(0, 10, 2),
        add(5, 15, 1, "/a"),
        listed(16, 20, 2, &["/a"]),
        seen(16, 20, 2, What::Read),
        seen(17, 30, 3, swap(2)),
        add(31, 32, 4, "/b"),
        restore(33, 34, 5),
        listed(35, 36, 5, &["/a"]),
        restore(37, 38, 6),
        listed(39, 40, 6, &["/a", "/b"]),
    ];
    assert_eq!(verdict(&good), None, "what overlaps may come in either order");
    for (planted, history) in [
        ("lost update", vec![write(0, 1, 1), write(0, 1, 1)]),
        ("gap", vec![write(0, 1, 1), write(2, 3, 3)]),
        ("against the clock", vec![write(0, 1, 2), write(2, 3, 1)]),
        ("stale read", vec![write(0, 1, 1), write(0, 1, 2), seen(5, 6, 1, What::Read)]),
        ("read from the future", vec![seen(0, 1, 1, What::Read), write(2, 3, 1)]),
        ("read of nothing", vec![seen(0, 1, 7, What::Read)]),
        ("swap over a change", vec![write(0, 9, 1), write(0, 9, 2), seen(1, 9, 3, swap(1))]),
        ("lost content", vec![add(0, 1, 1, "/a"), add(0, 1, 2, "/b"), listed(0, 9, 2, &["/b"])]),
        (
            "early content",
            vec![add(0, 1, 1, "/a"), add(0, 9, 2, "/b"), listed(0, 9, 1, &["/a", "/b"])],
        ),
        (
            "restore of two generations",
            vec![add(0, 1, 1, "/a"), add(2, 3, 2, "/b"), restore(4, 5, 3), listed(6, 7, 3, &[])],
        ),
    ] {
        assert!(verdict(&history).is_some(), "not caught: {planted}");
    }
}
