//! Reads what strace(1) wrote.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use crate::env::{Run, run_with, wrapped};

/// The calls that the oracle must see.
pub(crate) const CALLS: &str = "openat,open,creat,write,writev,pwrite64,fchmod,fchmodat,chmod,\
fchown,fchownat,chown,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,\
flock,fcntl,close,ftruncate,truncate,utimensat,mkdir,mkdirat,exit_group";

/// How much of a string strace(1) shows: all of it.
pub(crate) const WHOLE: &str = "1000000";

/// The standard input for verbs that read it.
const INPUT: &str = "<p>{{ reason }}</p>\n";

/// One finished system call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) process: u32,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) result: String,
}

impl Call {
    pub(crate) fn succeeded(&self) -> bool {
        !self.result.starts_with('-') && !self.result.starts_with('?')
    }

    /// The quoted paths in the arguments.
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.arguments.split('"').skip(1).step_by(2).collect()
    }

    /// The path behind the descriptor that is the first argument.
    pub(crate) fn descriptor(&self) -> Option<&str> {
        let first = self.arguments.split(", ").next()?;
        first.split_once('<')?.1.strip_suffix('>')
    }

    /// The bytes of a write, if strace(1) showed all of them.
    pub(crate) fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = self.arguments.split_once('"').map_or("", |(_, text)| text);
        let mut rest = text.bytes().peekable();
        while let Some(byte) = rest.next() {
            match byte {
                b'"' => break,
                b'\\' => bytes.push(match rest.next() {
                    Some(b'n') => b'\n',
                    Some(b't') => b'\t',
                    Some(b'r') => b'\r',
                    Some(b'v') => 0x0b,
                    Some(b'f') => 0x0c,
                    Some(digit @ b'0'..=b'7') => {
                        let mut value = digit - b'0';
                        for _ in 0..2 {
                            let Some(next) = rest.next_if(|next| (b'0'..=b'7').contains(next))
                            else {
                                break;
                            };
                            value = value * 8 + (next - b'0');
                        }
                        value
                    }
                    Some(itself) => itself,
                    None => break,
                }),
                other => bytes.push(other),
            }
        }
        bytes
    }

    pub(crate) fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    pub(crate) fn is_on(&self, names: &[&str], path: &str) -> bool {
        self.is(names) && self.descriptor() == Some(path)
    }
}

/// Runs the command under strace and returns what it did.
pub(crate) fn traced(
    site: &Path,
    args: &[&str],
    setup: impl FnOnce(&mut Command),
) -> (Run, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_str().unwrap();
    let trace = format!("trace={CALLS}");
    let strace = ["strace", "-f", "-y", "-s", WHOLE, "-o", path, "-e", &trace, "--"];
    let mut command = wrapped(&strace, site, args);
    setup(&mut command);
    let done = run_with(&mut command, INPUT);
    (done, parse(&std::fs::read_to_string(path).unwrap()))
}

/// One line is `PID name(arguments) = result`, unless two processes ran at once and a
/// call spans two lines.
pub(crate) fn parse(text: &str) -> Vec<Call> {
    let mut unfinished: HashMap<u32, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((process, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(process) = process.parse() else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(process, start.trim_end().to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let end = resumed.split_once(" resumed>").map_or("", |(_, end)| end);
                unfinished.remove(&process).unwrap_or_default() + end
            }
            None => rest.to_owned(),
        };
        let Some((name, rest)) = whole.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        calls.push(Call {
            process,
            name: name.to_owned(),
            arguments: arguments.trim_end().trim_end_matches(')').to_owned(),
            result: result.to_owned(),
        });
    }
    calls
}
