//! One flag, as `flags.json` declares it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::rules::{HostPattern, PathPattern};

/// Which software obeys a flag, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// An empty file.
    File,
    /// The finished page.
    Page,
    /// A directory of files for a web server.
    Web,
    /// `.maintenance` in the folder of WordPress.
    Wordpress,
    /// `storage/framework/down` of a Laravel app.
    Laravel,
    /// The state file of django-maintenance-mode.
    DjangoMaintenanceMode,
    /// `var/.maintenance.flag` of Magento 2.
    Magento,
    /// `tmp/maintenance.yml` of turnout, for Rack and Rails.
    Turnout,
    /// The file of `$wgReadOnlyFile` of MediaWiki.
    Mediawiki,
    /// `HAProxy`, by its stats socket.
    Haproxy,
    /// Commands.
    Exec,
    /// A kind of a later version. It is kept, and left alone.
    #[serde(untagged)]
    Unknown(String),
}

impl Kind {
    /// The kinds that this version can drive.
    pub const KNOWN: [Self; 11] = [
        Self::File,
        Self::Page,
        Self::Web,
        Self::Wordpress,
        Self::Laravel,
        Self::DjangoMaintenanceMode,
        Self::Magento,
        Self::Turnout,
        Self::Mediawiki,
        Self::Haproxy,
        Self::Exec,
    ];

    /// The word used on the command line and in `flags.json`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::File => "file",
            Self::Page => "page",
            Self::Web => "web",
            Self::Wordpress => "wordpress",
            Self::Laravel => "laravel",
            Self::DjangoMaintenanceMode => "django-maintenance-mode",
            Self::Magento => "magento",
            Self::Turnout => "turnout",
            Self::Mediawiki => "mediawiki",
            Self::Haproxy => "haproxy",
            Self::Exec => "exec",
            Self::Unknown(word) => word,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::KNOWN.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| Error::Unknown {
            kind: "kind of flag",
            name: text.to_owned(),
            known: Self::KNOWN.iter().map(|kind| kind.as_str().to_owned()).collect(),
        })
    }
}

/// What some kinds need to be told beside the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Options {
    /// `exec`: the command that takes the software down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// `exec`: the command that brings it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// `exec`: the command that exits with 0 while the software is down, and with 1 while it is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// `exec`: how long a command may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// `haproxy`: the map file, as the configuration names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<PathBuf>,
    /// `haproxy`: the key in the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `haproxy`: servers to take out of service, as `BACKEND/SERVER`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// `django-maintenance-mode`: write the times as well, for version 0.23 and later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub times: bool,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Options {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One flag of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flag {
    /// Which software obeys it.
    pub kind: Kind,
    /// Where it is, as an absolute path that may lead through links; what it names depends
    /// on the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The hosts whose requests it stops, see [`HostPattern`]; if empty, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The paths whose requests it stops, see [`PathPattern`]; if empty, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// What its kind needs to know beside the path.
    #[serde(default, skip_serializing_if = "Options::is_default")]
    pub options: Options,
    /// When it was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
    /// Who declared it, as `user@host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<String>,
    /// What maint wrote or was about to write: the files behind all links, and the SHA-256
    /// digests of their bytes. Whatever has other bytes is somebody else's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<PathBuf, BTreeSet<String>>,
    /// `exec` and `haproxy`: what was done last; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<Did>,
    /// `haproxy`: the servers that maint took out of service, and brings back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub took: BTreeSet<String>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What was done last where there are no bytes to know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Did {
    /// It took the software down.
    On,
    /// It brought the software back.
    Off,
}

impl Did {
    pub(super) fn of(is_set: bool) -> Self {
        if is_set { Self::On } else { Self::Off }
    }
}

impl Flag {
    /// Makes a flag that stops every request.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            path: None,
            hosts: Vec::new(),
            paths: Vec::new(),
            options: Options::default(),
            added_at: None,
            added_by: None,
            written: BTreeMap::new(),
            did: None,
            took: BTreeSet::new(),
            extra: Map::new(),
        }
    }

    /// Sets where it is.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets what its kind needs to know beside the path.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets which requests it stops: hosts and paths as people write them. A request is
    /// stopped if it matches one of each list that has entries.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a pattern that cannot be parsed.
    pub fn stops(
        mut self,
        hosts: impl IntoIterator<Item: AsRef<str>>,
        paths: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<Self> {
        for host in hosts {
            self.hosts.push(host.as_ref().parse::<HostPattern>()?.to_string());
        }
        for path in paths {
            self.paths.push(path.as_ref().parse::<PathPattern>()?.to_string());
        }
        Ok(self)
    }

    /// The same with an absolute path, which may still lead through links.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a path that JSON cannot hold.
    pub(crate) fn absolute(mut self) -> Result<Self> {
        let Some(path) = self.path.take() else { return Ok(self) };
        let path = std::path::absolute(&path).map_err(|source| Error::io("find", &path, source))?;
        if path.to_str().is_none() {
            return Err(Error::invalid(format!("`{}` is not UTF-8", path.display())));
        }
        self.path = Some(path);
        Ok(self)
    }

    /// Where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is nowhere.
    pub(crate) fn place(&self) -> Result<&Path> {
        self.path
            .as_deref()
            .ok_or_else(|| Error::invalid(format!("a flag of kind `{}` needs a path", self.kind)))
    }
}
