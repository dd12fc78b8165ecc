//! Fills in docs/reliability.md and the records behind it. The words stay. What was seen goes
//! between `<!-- … -->` and `<!-- end -->`, and in the last two cells of a row that begins
//! with the number of a claim: its verdict, and its key figure.

use std::fmt;

use crate::gather::{fact, numbers};
use crate::parts::{Part, Size};
use crate::record::Record;

const END: &str = "<!-- end -->";

/// How many claims came out which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) held: usize,
    pub(crate) in_part: usize,
    pub(crate) failed: usize,
    pub(crate) not_run: usize,
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, in_part, failed, not_run } = self;
        let all = held + in_part + failed + not_run;
        write!(
            f,
            "{all} claims: {held} held, {in_part} held as far as could be shown here, {failed} failed, \
             {not_run} not run"
        )
    }
}

/// Puts what the records say into a document. Of parts without one it says so.
pub(crate) fn fill(document: &str, records: &[Record], every: &[Part]) -> (String, Verdicts) {
    let mut verdicts = Verdicts::default();
    let mut text = String::new();
    let mut rest = document;
    let mut claims = Vec::new();
    // What sums up is known at the end, and stands at the beginning.
    let mut sums = Vec::new();
    while let Some(at) = next_mark(rest) {
        let (words, marked) = rest.split_at(at);
        let (mark, tail) = marked.split_once(" -->").expect("a marker that ends");
        let (_, after) = tail.split_once(END).expect("`<!-- end -->` after each marker");
        text += &rows(words, records, &mut claims, &mut verdicts);
        text += mark;
        text += " -->\n";
        match mark.trim_start_matches("<!-- ").split_once(' ') {
            Some(("claim", number)) => {
                claims.push(number);
                text += &claim(number, records, &mut verdicts);
            }
            _ if mark == "<!-- parts" => text += &parts(records, every),
            _ if mark == "<!-- skipped" => text += &skipped(records),
            _ if mark == "<!-- verdicts" => sums.push(text.len()),
            _ => panic!("what is `{mark} -->`?"),
        }
        text += END;
        rest = after;
    }
    text += &rows(rest, records, &mut claims, &mut verdicts);
    for at in sums {
        text.insert_str(at, &format!("{verdicts}.\n"));
    }
    for record in records {
        let names = record.gathered.verdicts.keys().map(String::as_str);
        for name in names.chain(record.gathered.figures.iter().map(|(name, _)| name.as_str())) {
            for number in numbers(name) {
                assert!(claims.contains(&number), "`{name}` shows a claim that nobody makes");
            }
        }
    }
    (text, verdicts)
}

/// A marker begins its line; another comment is part of the words.
fn next_mark(text: &str) -> Option<usize> {
    if text.starts_with("<!-- ") { Some(0) } else { text.find("\n<!-- ").map(|at| at + 1) }
}

/// The words between two markers, with the rows of claims filled in.
fn rows<'d>(
    words: &'d str,
    records: &[Record],
    claims: &mut Vec<&'d str>,
    verdicts: &mut Verdicts,
) -> String {
    let mut text = String::new();
    for line in words.split_inclusive('\n') {
        let Some((number, head, key)) = row(line) else {
            text += line;
            continue;
        };
        claims.push(number);
        let (word, seen) = judge(number, records, verdicts);
        let word = if word == "FAILED" { "**FAILED**" } else { &word.to_lowercase() };
        text += &format!("{head} | {word} | {} |\n", key_figure(&seen, key));
    }
    text
}

/// `| [3](…) | words <!-- key --> | held | … |`: the number, what stays, and the key.
fn row(line: &str) -> Option<(&str, &str, Option<&str>)> {
    let (number, rest) = line.strip_prefix("| [")?.split_once("](")?;
    let (target, rest) = rest.split_once(" | ")?;
    let (words, _) = rest.split_once(" | ")?;
    let head = &line[..line.len() - rest.len() + words.len()];
    let key = words.split_once("<!-- ").and_then(|(_, key)| key.strip_suffix(" -->"));
    (numbers(&format!("requirement_{number}")) == [number] && target.ends_with(')'))
        .then_some((number, head, key))
}

/// The figure that has the key in its name or text, or the first one.
fn key_figure(seen: &[Seen], key: Option<&str>) -> String {
    let mut figures = seen.iter().flat_map(|seen| &seen.figures);
    let has_key = |(name, text): &(&str, &str)| {
        key.is_some_and(|key| format!("{}: {text}", fact(name)).contains(key))
    };
    let first = figures.clone().next();
    if let Some((_, text)) = figures.find(|figure| has_key(figure)).or(first) {
        return plain(text);
    }
    match seen.iter().map(|seen| seen.tests).sum() {
        0 => String::new(),
        1 => "1 test".to_owned(),
        many => format!("{many} tests"),
    }
}

/// What was seen of one claim, and the word for it.
fn judge<'r>(
    number: &'r str,
    records: &'r [Record],
    verdicts: &mut Verdicts,
) -> (&'static str, Vec<Seen<'r>>) {
    let seen: Vec<Seen> = records.iter().filter_map(|record| Seen::of(number, record)).collect();
    let failed = seen.iter().any(|seen| seen.failed);
    let skipped = seen.iter().any(|seen| !seen.skipped.is_empty());
    let shown = seen.iter().any(|seen| seen.tests > 0 || !seen.figures.is_empty());
    let (count, word) = match (failed, shown, skipped) {
        (true, ..) => (&mut verdicts.failed, "FAILED"),
        (_, false, _) => (&mut verdicts.not_run, "Not run"),
        (_, _, true) => (&mut verdicts.in_part, "Held, as far as could be shown here"),
        _ => (&mut verdicts.held, "Held"),
    };
    *count += 1;
    (word, seen)
}

/// The records of one claim.
fn claim(number: &str, records: &[Record], verdicts: &mut Verdicts) -> String {
    let (word, seen) = judge(number, records, verdicts);
    format!("**{word}.**\n{}", seen.iter().map(ToString::to_string).collect::<String>())
}

/// What one part has shown of one claim.
struct Seen<'r> {
    record: &'r Record,
    number: &'r str,
    tests: usize,
    failed: bool,
    figures: Vec<(&'r str, &'r str)>,
    skipped: Vec<(&'r str, &'r str)>,
    broken: Vec<&'r str>,
}

impl<'r> Seen<'r> {
    fn of(number: &'r str, record: &'r Record) -> Option<Self> {
        let is_about = |name: &str| numbers(name).contains(&number);
        let gathered = &record.gathered;
        let verdicts = || gathered.verdicts.iter().filter(|(name, _)| is_about(name));
        let lines = |set: &'r std::collections::BTreeSet<(String, String)>| -> Vec<_> {
            let lines = set.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            lines.filter(|(name, _)| is_about(name)).collect()
        };
        let figures = lines(&gathered.figures);
        let skipped = lines(&gathered.skipped);
        let broken: Vec<&str> =
            verdicts().filter(|(_, passed)| !**passed).map(|(name, _)| name.as_str()).collect();
        // Where a part tells figures and no verdicts, its end is the verdict.
        let is_silent = |(name, _): &(&str, &str)| !gathered.verdicts.contains_key(*name);
        let failed = !broken.is_empty() || !record.passed && figures.iter().any(is_silent);
        let tests = verdicts().count();
        let is_nothing = tests == 0 && figures.is_empty() && skipped.is_empty();
        (!is_nothing).then_some(Self { record, number, tests, failed, figures, skipped, broken })
    }

    /// What shows this claim alone.
    fn command(&self) -> String {
        let Record { part, command, .. } = self.record;
        if part != "tests" {
            return command.clone();
        }
        // As `make unit` has it.
        let before = command.strip_suffix("make unit").unwrap_or_default();
        let profile = if before.is_empty() { "" } else { "--profile proof " };
        let number = format!("{:0>2}", self.number);
        format!("{before}cargo test {profile}--all-features requirement_{number}")
    }
}

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tests = match self.tests {
            0 => String::new(),
            1 => ", 1 test".to_owned(),
            many => format!(", {many} tests"),
        };
        writeln!(f, "\n{}, `{}`{tests}:\n", self.record.date, self.command())?;
        for name in &self.broken {
            writeln!(f, "- FAILED: {}", fact(name))?;
        }
        for (name, text) in &self.figures {
            writeln!(f, "- {}: {}", fact(name), plain(text))?;
        }
        for (name, why) in &self.skipped {
            writeln!(f, "- not shown here: {}: {}", fact(name), plain(why))?;
        }
        if self.figures.is_empty() && self.skipped.is_empty() && self.broken.is_empty() {
            writeln!(f, "- passed, with nothing to count")?;
        }
        Ok(())
    }
}

/// A figure as a line of Markdown that shows what it says.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut is_code = false;
    for character in text.chars() {
        is_code ^= character == '`';
        if !is_code && matches!(character, '<' | '*' | '_' | '[' | '|') {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
}

fn parts(records: &[Record], every: &[Part]) -> String {
    let mut text = "| part | command | date | commit | on | took | tests | |\n\
                    | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for record in records {
        let Record { part, command, date, commit, host, seconds, passed, gathered } = record;
        let took = format!("{} min {:02} s", seconds / 60, seconds % 60);
        let tests = if gathered.tests == 0 { String::new() } else { gathered.tests.to_string() };
        let end = if *passed { "passed" } else { "FAILED" };
        text += &format!(
            "| {part} | `{command}` | {date} | {commit} | {}, {} cores | {took} | {tests} | {end} |\n",
            host.kernel, host.cores
        );
    }
    for part in every.iter().filter(|part| records.iter().all(|record| record.part != part.name)) {
        text +=
            &format!("| {} | `{}` | | | | | | not run |\n", part.name, part.command(Size::Long));
    }
    text
}

/// Everything that was not shown, whatever it belongs to.
fn skipped(records: &[Record]) -> String {
    let lines: Vec<String> = records
        .iter()
        .flat_map(|record| &record.gathered.skipped)
        .map(|(name, why)| {
            let about = if name.is_empty() { String::new() } else { format!("`{name}`: ") };
            format!("- {about}{}\n", plain(why))
        })
        .collect();
    if lines.is_empty() { "Nothing was skipped.\n".to_owned() } else { lines.concat() }
}
