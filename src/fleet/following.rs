//! Which engine a site follows.

use std::io::{self, Read as _};

use super::address::Address;
use super::choose::open;
use super::engine::{Engine, Failure, FailureKind, Outcome};
use super::secret::Secret;
use crate::error::{Error, Result};
use crate::identity::as_owner;
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
    /// The site whose owner named the engine, if it is known by its file.
    site: Option<Site>,
}

impl Following {
    /// What the caller named, as `--store` and `MAINT_STORE`.
    #[must_use]
    pub fn named(address: Address) -> Self {
        Self { address, is_own: true, site: None }
    }

    /// Does something with the engine as whoever named it, if the caller is root: files that an
    /// address names are theirs to read and to write.
    ///
    /// # Errors
    ///
    /// Those of `work`, and [`Error::Refused`] if root cannot act as the owner of the site.
    pub fn as_its_owner<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match &self.site {
            Some(site) => as_owner(site, work),
            None => work(),
        }
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
        let Failure { kind, reason, hint } = failure;
        let is_away = kind == FailureKind::Unavailable;
        Error::Store { store: self.address.to_string(), reason, hint, is_away }
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
    let Some((text, is_own)) = read(site)? else { return Ok(None) };
    let address = Address::parse(&text)
        .map_err(|error| Error::Corrupt { path: site.store_file(), reason: error.to_string() })?;
    Ok(Some(Following { address, is_own, site: Some(site.clone()) }))
}

/// What the file of a site says about its engine, whether or not that is an address.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Corrupt`].
pub fn noted(site: &Site) -> Result<Option<String>> {
    Ok(read(site)?.map(|(text, _)| text.trim().to_owned()))
}

/// Whether a site follows the engine of this address.
#[must_use]
pub fn is_following(site: &Site, address: &Address) -> bool {
    noted(site).is_ok_and(|noted| noted.is_some_and(|noted| noted == address.to_string()))
}

/// What the file of a site says, and whether it is that of whoever asks, or of root.
fn read(site: &Site) -> Result<Option<(String, bool)>> {
    let path = site.store_file();
    let opened = match sys::open_read_here(&path) {
        Err(cause) if sys::is_link(&cause) => sys::open_read(&path).map(|file| (file, true)),
        opened => opened.map(|file| (file, false)),
    };
    let (file, is_linked) = match opened {
        Ok(opened) => opened,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Unreadable { path, source }),
    };
    let unreadable = |source| Error::Unreadable { path: path.clone(), source };
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(Error::Corrupt { path, reason: format!("it is {kind}") });
    }
    let mut text = String::new();
    file.take(MAX).read_to_string(&mut text).map_err(unreadable)?;
    let owner = sys::ownership(&metadata).uid;
    // A link may lead to a file of root's that says what whoever laid it likes.
    let is_own = !is_linked && (owner == sys::effective_uid() || owner == 0);
    Ok(Some((text, is_own)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn site(temp: &tempfile::TempDir) -> Site {
        let site = Site::at(temp.path().join(".maint"));
        sys::create_dir(site.dir()).unwrap();
        site
    }

    #[test]
    fn requirement_95_whoever_lays_a_link_gets_no_password_of_whoever_asks() {
        let temp = tempfile::tempdir().unwrap();
        let site = site(&temp);
        let elsewhere = temp.path().join("elsewhere");
        sys::write_all(&sys::create_new(&elsewhere).unwrap(), b"etcd://h/shop\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, site.store_file()).unwrap();
        let linked = following(&site).unwrap().unwrap();
        assert!(!linked.is_own && is_following(&site, &linked.address));
        sys::unlink(&site.store_file()).unwrap();
        sys::rename(&elsewhere, &site.store_file()).unwrap();
        assert!(following(&site).unwrap().unwrap().is_own);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let site = site(&temp);
        let made = std::process::Command::new("mkfifo").arg(site.store_file()).status().unwrap();
        assert!(made.success());
        assert!(matches!(following(&site), Err(Error::Corrupt { .. })));
        let left = crate::store::leave(&site, &crate::store::Options::new("leave"));
        assert!(matches!(left, Err(Error::Corrupt { .. })), "{left:?}");
    }
}
