//! Ignore rules as decisions need them: whom they let through, and until when.
//!
//! With many rules, it takes too long to make a whole [`crate::rules::Rule`] of each
//! and to go over the text once per check. This module goes over the text once and is
//! as strict as the reader of whole states.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::strict::{Keys, Strict, Text};
use super::{MAX_REGEXES, MAX_RULES, number, validate_note};
use crate::error::Result;
use crate::rules::path::PathPattern;
use crate::rules::{Kind, Matcher};

/// What decisions need of one ignore rule.
pub(crate) struct LeanRule<'t> {
    pub(crate) id: Cow<'t, str>,
    /// `None` for a kind of a later version.
    pub(crate) matcher: Option<Matcher>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Reads all rules, the oldest first.
pub(super) fn read(text: &str) -> serde_json::Result<Vec<LeanRule<'_>>> {
    let Rules(mut rules) = serde_json::from_str(text)?;
    let most = |what: &str, number: usize, most: usize| {
        let message = format_args!("{number} {what}; {most} are allowed");
        if number > most { Err(serde_json::Error::custom(message)) } else { Ok(()) }
    };
    most("rules", rules.len(), MAX_RULES)?;
    let is_regex =
        |rule: &&LeanRule<'_>| matches!(rule.matcher, Some(Matcher::Path(PathPattern::Regex(_))));
    most("regular expressions", rules.iter().filter(is_regex).count(), MAX_REGEXES)?;
    // Rules are written in the order of their ids, and then no two are equal.
    if !rules.is_sorted_by(|one, next| one.id < next.id) {
        let mut seen = HashSet::new();
        if let Some(rule) = rules.iter().find(|rule| !seen.insert(&*rule.id)) {
            let key = rule.id.escape_debug();
            return Err(serde_json::Error::custom(format_args!("duplicate key `{key}`")));
        }
    }
    rules.sort_by_cached_key(|rule| number(&rule.id));
    Ok(rules)
}

struct Rules<'t>(Vec<LeanRule<'t>>);

impl<'de> Deserialize<'de> for Rules<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RulesVisitor)
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = Rules<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ignore rules by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Rules<'de>, A::Error> {
        let mut rules = Vec::new();
        while let Some(Text(id)) = entries.next_key()? {
            let Fields { matcher, expires_at } = entries.next_value()?;
            let matcher = matcher.map_err(|cause| {
                let id = id.escape_debug();
                A::Error::custom(format_args!("ignore rule `{id}`: {cause}"))
            })?;
            rules.push(LeanRule { id, matcher, expires_at });
        }
        Ok(Rules(rules))
    }
}

/// The fields of one rule that matter; the others are only checked.
struct Fields {
    matcher: Result<Option<Matcher>>,
    expires_at: Option<Timestamp>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ignore rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Fields, A::Error> {
        let (mut kind, mut value, mut expires_at) = (None, None, None);
        let mut names = Keys::default();
        while let Some(Text(name)) = fields.next_key()? {
            match &*name {
                "kind" => kind = Some(fields.next_value::<Kind>()?),
                "value" => value = Some(fields.next_value::<Text<'_>>()?),
                "note" => {
                    let note = fields.next_value::<Option<Text<'_>>>()?;
                    validate_note(note.as_ref().map(|note| &*note.0)).map_err(A::Error::custom)?;
                }
                "expires_at" => expires_at = fields.next_value::<Option<Timestamp>>()?,
                "added_at" => drop(fields.next_value::<Option<Timestamp>>()?),
                "added_by" => drop(fields.next_value::<Option<Text<'_>>>()?),
                _ => {
                    fields.next_value::<Strict>()?;
                }
            }
            names.insert(name)?;
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        let Text(value) = value.ok_or_else(|| A::Error::missing_field("value"))?;
        let matcher = match kind {
            Kind::Unknown(_) => Ok(None),
            kind => Matcher::parse(&kind, &value).map(Some),
        };
        Ok(Fields { matcher, expires_at })
    }
}
