//! What an engine holds of a site.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::hexadecimal;
use crate::error::{Error, Result};
use crate::state::{MAX_REVISION, Malformed, Mirror, State};
use crate::visible;

/// The version of the document that this library writes, and the newest it reads.
const VERSION: u64 = 1;

/// How many operations a document remembers.
///
/// Whoever misses the answer to a write looks for it here, some seconds later. It may count on
/// what is not here only if fewer changes than this were made since, see [`Document::fate`].
pub const MAX_OPERATIONS: usize = 64;

/// The document of a site: the state, and what keeps writers and mirrors from going astray.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The name of the site.
    pub site: String,
    /// The random id that was made with the first document of the site. Another one means another
    /// site of the same name, or an engine that was set up anew.
    pub lineage: String,
    /// Rises with each change. It is never less than the clock of the writer in milliseconds of
    /// Unix time, so that an engine that lost its data goes on beyond what hosts have seen.
    pub sequence: u64,
    /// The last changes, newest last.
    pub operations: Vec<Operation>,
    /// The state, without windows of one host.
    pub state: State,
}

/// One change, by which its writer finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The random id that the writer gave it.
    pub id: String,
    /// The revision that it made.
    pub revision: u64,
}

/// Why a document is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Odd {
    /// A later version wrote it.
    Newer(u64),
    /// It is broken.
    Broken(String),
    /// It is of another site or lineage.
    Foreign(String),
    /// It is older than what is here already: these are the two sequence numbers.
    Older(u64, u64),
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => {
                write!(
                    f,
                    "the document needs version {version}; this maint understands up to {VERSION}"
                )
            }
            Self::Broken(reason) => write!(f, "the document is broken: {reason}"),
            Self::Foreign(reason) => f.write_str(reason),
            Self::Older(there, here) => {
                write!(f, "the document is older (number {there}) than what is here ({here})")
            }
        }
    }
}

/// What a writer can say of its operation, now that it sees the document again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It made this revision.
    Applied(u64),
    /// It was not applied, and never will be in its old place.
    Lost,
    /// So much was changed since that nobody can tell.
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct Text<'a> {
    version: u64,
    #[serde(default = "one")]
    min_reader: u64,
    site: String,
    lineage: String,
    seq: u64,
    #[serde(default)]
    operations: Vec<Operation>,
    #[serde(borrow)]
    state: &'a RawValue,
}

const fn one() -> u64 {
    1
}

impl Document {
    /// The first document of a site, with a lineage of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the system has no random bits.
    pub fn first(site: &str, state: State, now: Timestamp) -> Result<Self> {
        let (site, lineage) = (site.to_owned(), random()?);
        let sequence = sequence(0, now);
        let operations = Vec::new();
        Ok(Self { site, lineage, sequence, operations, state })
    }

    /// The one that follows, with another state, made by this operation.
    #[must_use]
    pub fn next(&self, state: State, operation: &str, now: Timestamp) -> Self {
        let made = Operation { id: operation.to_owned(), revision: state.revision };
        let kept = self.operations.len().saturating_sub(MAX_OPERATIONS - 1);
        let operations = self.operations[kept..].iter().cloned().chain([made]).collect();
        Self {
            site: self.site.clone(),
            lineage: self.lineage.clone(),
            sequence: sequence(self.sequence, now),
            operations,
            state,
        }
    }

    /// What became of an operation that was to follow on `expected`, the revision of the state.
    #[must_use]
    pub fn fate(&self, operation: &str, expected: u64) -> Fate {
        if let Some(made) = self.operations.iter().find(|made| made.id == operation) {
            return Fate::Applied(made.revision);
        }
        // Each change since is here by its revision, so one that is not here was not made.
        let since = self.operations.iter().filter(|made| made.revision > expected).count() as u64;
        let made = self.state.revision.checked_sub(expected);
        if made == Some(since) { Fate::Lost } else { Fate::Unknown }
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// [`Odd::Newer`], [`Odd::Broken`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, Odd> {
        #[derive(Deserialize)]
        struct Header {
            version: u64,
            min_reader: Option<u64>,
        }
        let broken = |cause: serde_json::Error| Odd::Broken(cause.to_string());
        let header: Header = serde_json::from_slice(bytes).map_err(broken)?;
        let needed = header.min_reader.unwrap_or(header.version);
        if needed > VERSION {
            return Err(Odd::Newer(needed));
        }
        let text: Text<'_> = serde_json::from_slice(bytes).map_err(broken)?;
        let state = State::from_json(text.state.get().as_bytes()).map_err(|cause| match cause {
            Malformed::Newer(version) => Odd::Newer(version),
            Malformed::Broken(reason) => Odd::Broken(reason),
        })?;
        if text.seq > MAX_REVISION {
            return Err(Odd::Broken(format!("its number {} is too large", text.seq)));
        }
        let (site, lineage) = (text.site, text.lineage);
        Ok(Self { site, lineage, sequence: text.seq, operations: text.operations, state })
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the state is too large.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let impossible = |cause: serde_json::Error| {
            Error::invalid(format!("the document cannot be written as JSON: {cause}"))
        };
        self.state.to_json()?;
        let state = serde_json::value::to_raw_value(&self.state).map_err(impossible)?;
        let text = Text {
            version: VERSION,
            min_reader: one(),
            site: self.site.clone(),
            lineage: self.lineage.clone(),
            seq: self.sequence,
            operations: self.operations.clone(),
            state: &state,
        };
        Ok(visible::json(serde_json::to_vec(&text).map_err(impossible)?))
    }

    /// Refuses what must not come in place of what a host mirrored last.
    ///
    /// # Errors
    ///
    /// [`Odd::Foreign`], [`Odd::Older`].
    pub fn check(&self, site: &str, mirrored: Option<&Mirror>) -> Result<(), Odd> {
        if self.site != site {
            return Err(Odd::Foreign(format!(
                "the document is of the site `{}`, not of `{site}`",
                self.site.escape_debug()
            )));
        }
        let Some(mirrored) = mirrored else { return Ok(()) };
        if self.lineage != mirrored.lineage {
            return Err(Odd::Foreign(
                "the document is another one than this host followed: the engine was set up anew, \
                 or belongs to somebody else"
                    .to_owned(),
            ));
        }
        if self.sequence < mirrored.sequence {
            return Err(Odd::Older(self.sequence, mirrored.sequence));
        }
        Ok(())
    }
}

/// The number after one that rises, and not below the clock.
fn sequence(before: u64, now: Timestamp) -> u64 {
    let clock = u64::try_from(now.as_millisecond()).unwrap_or(0);
    (before + 1).max(clock).min(MAX_REVISION)
}

/// 128 random bits, in hexadecimal.
///
/// # Errors
///
/// [`Error::Invalid`] if the system has none.
pub fn random() -> Result<String> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits)
        .map_err(|cause| Error::invalid(format!("cannot get random bits: {cause}")))?;
    Ok(hexadecimal(&bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(revision: u64) -> State {
        State { revision, ..State::default() }
    }

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    #[test]
    fn a_document_survives_being_written_and_read() {
        let first = Document::first("shop", state(7), at(1_000)).unwrap();
        let next = first.next(state(8), "op", at(2_000));
        assert_eq!(Document::from_json(&next.to_json().unwrap()).unwrap(), next);
        assert_eq!((next.sequence, &next.lineage), (2_000, &first.lineage));
        assert_eq!(next.next(state(9), "op2", at(1)).sequence, 2_001, "a clock that was set back");
    }

    #[test]
    fn requirement_90_an_engine_that_went_back_does_not_freeze_the_fleet() {
        let first = Document::first("shop", state(1), at(1_000)).unwrap();
        let change = |document: &Document, second: i64| {
            document.next(state(document.state.revision + 1), "op", at(second * 1_000))
        };
        let seen = (2..60).fold(first.clone(), |document, second| change(&document, second));
        let here = Mirror::new(seen.lineage.clone(), seen.sequence);
        assert!(matches!(first.check("shop", Some(&here)), Err(Odd::Older(..))), "a backup");
        // The next change on it is newer than all that was lost.
        assert_eq!(change(&first, 61).check("shop", Some(&here)), Ok(()));
    }

    #[test]
    fn requirement_90_what_is_no_document_is_called_by_its_name() {
        let text = |version: u64, rest: &str| {
            format!(r#"{{"version":{version},"site":"s","lineage":"l","seq":1{rest}}}"#)
        };
        let state = r#","state":{"version":1,"revision":1}"#;
        assert!(Document::from_json(text(1, state).as_bytes()).is_ok());
        for (text, odd) in [
            (text(2, state), Odd::Newer(2)),
            (text(1, r#","state":{"version":3,"revision":1}"#), Odd::Newer(3)),
        ] {
            assert_eq!(Document::from_json(text.as_bytes()).unwrap_err(), odd);
        }
        for text in ["", "{", "null", "[]", &text(1, ""), &text(1, r#","state":{"version":1}"#)] {
            let odd = Document::from_json(text.as_bytes()).unwrap_err();
            assert!(matches!(odd, Odd::Broken(_)), "{text}: {odd}");
        }
    }

    #[test]
    fn requirement_90_only_a_newer_document_of_the_same_lineage_is_followed() {
        let document = Document::first("shop", state(1), at(1_000)).unwrap();
        let here = |lineage: &str, sequence| Mirror::new(lineage, sequence);
        let lineage = document.lineage.clone();
        assert_eq!(document.check("shop", None), Ok(()));
        assert_eq!(document.check("shop", Some(&here(&lineage, 1_000))), Ok(()));
        let older = document.check("shop", Some(&here(&lineage, 1_001)));
        assert_eq!(older, Err(Odd::Older(1_000, 1_001)));
        assert!(matches!(document.check("blog", None), Err(Odd::Foreign(_))));
        let foreign = document.check("shop", Some(&here("other", 1)));
        assert!(matches!(foreign, Err(Odd::Foreign(_))));
    }

    #[test]
    fn requirement_91_an_operation_is_found_again_or_known_to_be_lost() {
        let first = Document::first("shop", state(1), at(0)).unwrap();
        let mine = first.next(state(2), "mine", at(0));
        assert_eq!(mine.fate("mine", 1), Fate::Applied(2));
        assert_eq!(first.fate("mine", 1), Fate::Lost);
        let grown = |from: Document, number: u64| {
            (0..number).fold(from, |document, count| {
                let revision = document.state.revision + 1;
                document.next(state(revision), &format!("other{count}"), at(0))
            })
        };
        let most = MAX_OPERATIONS as u64;
        assert_eq!(grown(mine.clone(), most - 1).fate("mine", 1), Fate::Applied(2));
        assert_eq!(grown(first.clone(), most).fate("mine", 1), Fate::Lost);
        assert_eq!(grown(first, most + 1).fate("mine", 1), Fate::Unknown);
        assert_eq!(grown(mine, most).fate("mine", 1), Fate::Unknown);
    }
}
