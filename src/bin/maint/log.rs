//! `maint log`

use std::fs;

use anyhow::Result;
use maint::internal::history::{self, PYTHON, Record};
use maint::site::Files;

use crate::args::Log;
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, DIM, Text, paint, say};
use maint::internal::LOOK;

pub(crate) fn run(session: &Session, args: &Log) -> Result<Exit> {
    let files = session.site_here()?.files()?;
    let (mut records, mut broken, mut last) = (Vec::new(), 0, None);
    for record in history::backwards(&files)? {
        if args.lines.is_some_and(|lines| records.len() >= lines) && last.is_some() {
            break;
        }
        let Some(record) = record? else {
            broken += 1;
            continue;
        };
        last = last.or(Some(record.revision.after));
        if is_shown(args, &record) {
            records.push(record);
        }
    }
    records.truncate(args.lines.unwrap_or(usize::MAX));
    if broken > 0 {
        session.output.note(say!("{} lines of the history cannot be read and are skipped", broken));
    }
    let mut text = Text::default();
    for record in records.iter().rev() {
        text += line(session, record)?;
    }
    if !session.output.text(&text)? || !args.follow {
        return Ok(Exit::Done);
    }
    follow(session, args, &files, last)
}

/// Renewals of leases are left out unless they are asked for.
fn is_shown(args: &Log, record: &Record) -> bool {
    args.all || !record.renewal
}

/// Prints new records until the reader goes away.
fn follow(session: &Session, args: &Log, files: &Files, mut last: Option<u64>) -> Result<Exit> {
    let size = || fs::metadata(&files.history).map_or(0, |metadata| metadata.len());
    let mut seen = size();
    loop {
        std::thread::sleep(LOOK);
        let now = size();
        if now == seen {
            continue;
        }
        seen = now;
        let mut records = Vec::new();
        for record in history::backwards(files)? {
            match record? {
                Some(record) if Some(record.revision.after) <= last => break,
                Some(record) => records.push(record),
                None => {}
            }
        }
        for record in records.iter().rev() {
            last = Some(record.revision.after);
            if is_shown(args, record) && !session.output.text(&line(session, record)?)? {
                return Ok(Exit::Done);
            }
        }
    }
}

/// One record: JSON on a line, or text with what changed below.
fn line(session: &Session, record: &Record) -> Result<Text> {
    if session.output.is_json() {
        return Ok(Text::json(record)?);
    }
    let time = session.clock.full(record.time);
    let revision = say!("#{}", record.revision.after);
    let command = record.command.replace('\n', " ");
    let program = if command.starts_with(PYTHON) { "" } else { "maint " };
    let recovered = if record.recovered { "  (recovered from the state)" } else { "" };
    let mut text = say!(
        "{}  {}  {}  {}{}\n",
        paint(DIM, time),
        paint(BOLD, revision),
        record.actor,
        paint(BOLD, say!("{}{}", program, command)),
        recovered
    );
    text += report::changes_text(&record.changes, &session.clock);
    if record.left_out > 0 {
        text += say!("  and {} more changes\n", record.left_out);
    }
    Ok(text)
}
