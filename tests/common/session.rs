//! The sessions that a guide shows: what is typed, and what answers.

/// A command of a session, and the answer shown for it.
pub(crate) type Step<'t> = (&'t str, Vec<&'t str>);

/// The blocks of a guide that are sessions.
pub(crate) fn sessions(guide: &str) -> impl Iterator<Item = &str> {
    guide.split("```console\n").skip(1).map(|block| block.split_once("\n```").unwrap().0)
}

/// The commands of a block, which follow `$ `.
pub(crate) fn steps(block: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command, Vec::new())),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("a session starts with a command: {line}"),
        }
    }
    steps
}

/// A script for one shell, so that variables stay. [`answers`] reads what it prints.
pub(crate) fn script(steps: &[Step<'_>]) -> String {
    let marked = steps.iter().map(|(command, _)| format!("{command}\nprintf '\\001%s\\001' $?\n"));
    format!("exec 2>&1\n{}", marked.collect::<String>())
}

/// What each step printed, and its exit code.
pub(crate) fn answers<'s>(steps: &[Step<'_>], said: &'s str) -> Vec<(&'s str, &'s str)> {
    let parts: Vec<&str> = said.split('\u{1}').collect();
    assert_eq!(parts.len(), 2 * steps.len() + 1, "said:\n{said}");
    parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Whether an answer is as shown: `…` stands for any lines, or for the rest of one,
/// and lines after the last one shown do not count.
pub(crate) fn is_as_shown(shown: &[&str], answer: &[&str]) -> bool {
    let Some((first, shown)) = shown.split_first() else { return true };
    if *first == "…" {
        return (0..=answer.len()).any(|skipped| is_as_shown(shown, &answer[skipped..]));
    }
    let Some((line, answer)) = answer.split_first() else { return false };
    let is_same = match first.strip_suffix('…') {
        Some(beginning) => line.starts_with(beginning),
        None => line == first,
    };
    is_same && is_as_shown(shown, answer)
}
