//! Which engine a site follows.

use std::io::{self, Read as _};

use super::address::Address;
use super::choose::open;
use super::engine::{Engine, Failure, Outcome};
use super::secret::Secret;
use crate::error::{Error, Result};
use crate::site::{PASSWORD, Site};
use crate::sys;

/// The longest address, in bytes.
const MAX: u64 = 8 * 1024;

/// The engine that a site follows.
#[derive(Clone, Debug)]
pub struct Following {
    /// Its address.
    pub address: Address,
    /// Whether whoever runs this process named the engine. Otherwise a password of theirs is none
    /// of its business.
    is_own: bool,
}

impl Following {
    /// What the caller named, as `--store` and `MAINT_STORE`.
    #[must_use]
    pub fn named(address: Address) -> Self {
        Self { address, is_own: true }
    }

    /// Opens the engine, with the password that the address or the environment names.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub fn open(&self) -> Outcome<Box<dyn Engine>> {
        let secret = match &self.address.password_file {
            Some(path) => Some(Secret::read(path)?),
            None => std::env::var(PASSWORD)
                .ok()
                .filter(|text| self.is_own && !text.is_empty())
                .map(Secret::new),
        };
        open(&self.address, secret)
    }

    /// The error of a failure of this engine.
    #[must_use]
    pub fn failed(&self, failure: Failure) -> Error {
        let Failure { kind: _, reason, hint } = failure;
        Error::Store { store: self.address.to_string(), reason, hint }
    }
}

/// The engine that a site follows, if it does. Ask before root takes the identity of the site's
/// owner: until then it is known who is asking.
///
/// # Errors
///
/// [`Error::Unreadable`] or [`Error::Corrupt`] if its file cannot be understood: a site of which it
/// is unknown whom it follows is changed by nobody.
pub fn following(site: &Site) -> Result<Option<Following>> {
    let path = site.store_file();
    let file = match sys::open_read(&path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Unreadable { path, source }),
    };
    let unreadable = |source| Error::Unreadable { path: path.clone(), source };
    let metadata = file.metadata().map_err(unreadable)?;
    let broken = |reason: String| Error::Corrupt { path: path.clone(), reason };
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(broken(format!("it is {kind}")));
    }
    let mut text = String::new();
    file.take(MAX).read_to_string(&mut text).map_err(unreadable)?;
    let address = Address::parse(&text).map_err(|error| broken(error.to_string()))?;
    let owner = sys::ownership(&metadata).uid;
    let is_own = owner == sys::effective_uid() || owner == 0;
    Ok(Some(Following { address, is_own }))
}
