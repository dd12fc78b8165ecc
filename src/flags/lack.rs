//! Something that a flag cannot carry, so that nobody is surprised.

use serde::Serialize;

/// Something of the state that a flag cannot carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lack {
    /// What is missing.
    pub what: Missing,
    /// The window concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// The ids of the ignore rules or tokens concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// What a flag cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missing {
    /// The window covers less than the flag stops, so it does not set it.
    Scope,
    /// Somebody has to set it when the window begins.
    Start,
    /// Somebody has to clear it when the window ends.
    End,
    /// Somebody has to replace what it says of the estimate when that passes.
    Estimate,
    /// The page is shown in place of the redirect.
    Redirect,
    /// The status is the usual one of the software.
    Status,
    /// HTML is shown to those who name no format.
    Format,
    /// The message is shown in the language of the site alone.
    Languages,
    /// Ignore rules let nobody through.
    Rules,
    /// Somebody has to take away what these ignore rules let through when they expire.
    Expiry,
    /// Bypass tokens let nobody through.
    Tokens,
}

impl Lack {
    /// Whether it is for want of somebody who acts when the time has come.
    #[must_use]
    pub fn is_of_the_clock(&self) -> bool {
        matches!(self.what, Missing::Start | Missing::End | Missing::Estimate | Missing::Expiry)
    }

    /// What that means, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let window = self.window.as_deref().unwrap_or_default();
        let ids = shortened(&self.ids);
        match self.what {
            Missing::Scope => {
                format!("window `{window}` covers less than the flag stops, so it stays clear")
            }
            Missing::Start => format!("it is not set by itself when window `{window}` begins"),
            Missing::End => format!("it is not cleared by itself when window `{window}` ends"),
            Missing::Estimate => {
                format!("it goes on saying the estimate of window `{window}` when that has passed")
            }
            Missing::Redirect => format!("it cannot carry the redirect of window `{window}`"),
            Missing::Status => format!("it cannot carry the status of window `{window}`"),
            Missing::Format => {
                format!("it shows HTML where window `{window}` has another format")
            }
            Missing::Languages => {
                format!(
                    "it shows the message of window `{window}` in the language of the site alone"
                )
            }
            Missing::Rules => format!("it cannot carry the ignore rules {ids}"),
            Missing::Expiry => {
                format!("it goes on letting through by the rules {ids} when they expire")
            }
            Missing::Tokens => format!("it cannot carry the bypass tokens {ids}"),
        }
    }
}

/// The most ids that are named.
const SHOWN: usize = 5;

fn shortened(ids: &[String]) -> String {
    let shown = ids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
