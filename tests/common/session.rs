//! Sessions in a guide: commands, and what they answer.

/// A command of a session, and the answer shown for it.
pub(crate) type Step<'t> = (&'t str, Vec<&'t str>);

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

/// One shell for all commands, so that variables stay. Each answer is followed by a line
/// with the exit code between two bytes 1.
pub(crate) fn script(steps: &[Step<'_>]) -> String {
    let told = steps.iter().map(|(command, _)| *command);
    let script = told.collect::<Vec<_>>().join("\nprintf '\\001%s\\001' $?\n");
    format!("exec 2>&1\n{script}\nprintf '\\001%s\\001' $?\n")
}
