//! Reading rules from JSON, quickly, since there can be very many.
//!
//! For a struct that keeps unknown fields, or an enum that keeps unknown words, serde
//! derives code that buffers every part before reading it. This code reads each part
//! in place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Map;

use super::{Kind, Rule};

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Kind,
    Value,
    Note,
    ExpiresAt,
    AddedAt,
    AddedBy,
    Other(String),
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ignore rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Rule, A::Error> {
        let (mut kind, mut value, mut note) = (None, None, None);
        let (mut expires_at, mut added_at, mut added_by) = (None, None, None);
        let mut extra = Map::new();
        while let Some(field) = fields.next_key()? {
            match field {
                Field::Kind => put(&mut kind, fields.next_value()?, "kind")?,
                Field::Value => put(&mut value, fields.next_value()?, "value")?,
                Field::Note => put(&mut note, fields.next_value()?, "note")?,
                Field::ExpiresAt => put(&mut expires_at, fields.next_value()?, "expires_at")?,
                Field::AddedAt => put(&mut added_at, fields.next_value()?, "added_at")?,
                Field::AddedBy => put(&mut added_by, fields.next_value()?, "added_by")?,
                Field::Other(name) => {
                    extra.insert(name, fields.next_value()?);
                }
            }
        }
        Ok(Rule {
            kind: kind.ok_or_else(|| A::Error::missing_field("kind"))?,
            value: value.ok_or_else(|| A::Error::missing_field("value"))?,
            note: note.flatten(),
            expires_at: expires_at.flatten(),
            added_at: added_at.flatten(),
            added_by: added_by.flatten(),
            extra,
        })
    }
}

/// Fills a field that is still empty.
fn put<T, E: Error>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KindVisitor)
    }
}

struct KindVisitor;

impl Visitor<'_> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind of rule")
    }

    fn visit_str<E>(self, word: &str) -> Result<Kind, E> {
        let known = Kind::KNOWN.into_iter().find(|kind| kind.as_str() == word);
        Ok(known.unwrap_or_else(|| Kind::Unknown(word.to_owned())))
    }
}
