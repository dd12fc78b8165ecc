//! Certificates: which authorities are trusted, who this client is, and what went wrong with either.
//!
//! The ring provider is named wherever it is used. Nothing is installed for the whole process, which
//! may be somebody else's.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::address::Address;
use super::engine::{Failure, Outcome};
use super::secret::open_private;
use crate::error::describe;
use crate::sys;

/// The largest file with certificates, in bytes. A system's whole bundle has a quarter of that.
const MAX: u64 = 1024 * 1024;

/// What an address says about TLS, read and tried.
#[derive(Clone)]
pub(super) struct Tls {
    /// Whether `cert=` and `key=` say who this client is.
    pub(super) has_certificate: bool,
    /// All of it, for rustls.
    pub(super) config: Arc<ClientConfig>,
}

/// The one implementation of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Tls {
    /// Reads what an address names; `None` if its connections are plain.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Denied`](super::FailureKind::Denied) if a file cannot be used.
    pub(super) fn read(address: &Address) -> Outcome<Option<Self>> {
        if !address.is_tls {
            return Ok(None);
        }
        let roots = authorities(address.ca.as_deref())?;
        let count = roots.len();
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(roots);
        if let Some(path) = address.ca.as_deref().filter(|_| usable < count) {
            let name = path.display();
            return Err(Failure::denied(format!("`{name}` holds a broken certificate")));
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|cause| Failure::protocol(format!("no version of TLS: {cause}")))?
            .with_root_certificates(store);
        let (has_certificate, config) = match (&address.certificate, &address.key) {
            (Some(certificate), Some(key)) => {
                let (chain, private) = identity(certificate, key)?;
                let config = builder.with_client_auth_cert(chain, private).map_err(|cause| {
                    let (certificate, key) = (certificate.display(), key.display());
                    Failure::denied(format!(
                        "the key in `{key}` does not fit the certificate in `{certificate}`: {cause}"
                    ))
                })?;
                (true, config)
            }
            _ => (false, builder.with_no_client_auth()),
        };
        Ok(Some(Self { has_certificate, config: Arc::new(config) }))
    }
}

/// The authorities of a file, or without one those that the system trusts.
///
/// # Errors
///
/// [`FailureKind::Denied`](super::FailureKind::Denied) if there are none.
pub(crate) fn authorities(path: Option<&Path>) -> Outcome<Vec<CertificateDer<'static>>> {
    match path {
        Some(path) => certificates(path, &read(path)?),
        None => system_roots(),
    }
}

/// Reads a file with certificates, which are no secret.
fn read(path: &Path) -> Outcome<Vec<u8>> {
    let denied = |reason: String| Failure::denied(format!("`{}` {reason}", path.display()));
    let file = sys::open_read(path).map_err(|cause| denied(describe(&cause)))?;
    let metadata = file.metadata().map_err(|cause| denied(describe(&cause)))?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(denied(format!("is {kind}")));
    }
    let mut bytes = Vec::new();
    file.take(MAX + 1).read_to_end(&mut bytes).map_err(|cause| denied(describe(&cause)))?;
    if bytes.len() as u64 > MAX {
        return Err(denied(format!("is larger than {MAX} bytes")));
    }
    Ok(bytes)
}

fn certificates(path: &Path, pem: &[u8]) -> Outcome<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Failure::denied(format!("`{}` holds no certificate in PEM", path.display()))),
    }
}

/// A chain of certificates and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(certificate: &Path, key: &Path) -> Outcome<Identity> {
    let chain = certificates(certificate, &read(certificate)?)?;
    let mut secret = Vec::new();
    let name = key.display();
    let file = open_private(key)?;
    file.take(MAX)
        .read_to_end(&mut secret)
        .map_err(|cause| Failure::denied(format!("`{name}` {}", describe(&cause))))?;
    let private = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| {
        Failure::denied(format!("`{name}` holds no key in PEM that needs no password"))
    })?;
    Ok((chain, private))
}

/// What the system trusts; files of it that cannot be read are left out.
fn system_roots() -> Outcome<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Failure::denied("this machine trusts no authority")
            .with_hint("install the package `ca-certificates`, or add `?ca=FILE` to the address"));
    }
    Ok(found.certs)
}

/// The failure that an error of a connection comes from, if it comes from TLS. `peer` is the
/// endpoint, and `is_known` whether this client has a certificate.
pub(crate) fn failure(
    error: &(dyn StdError + 'static),
    peer: &str,
    is_known: bool,
) -> Option<Failure> {
    let cause = find(error)?;
    let denied = |reason: String| Failure::denied(format!("{peer}: {reason}"));
    Some(match cause {
        rustls::Error::InvalidCertificate(cause) => {
            let (reason, hint) = certificate_error(cause);
            denied(reason).with_hint(hint)
        }
        rustls::Error::AlertReceived(alert) if is_about_the_client(*alert) => {
            if is_known {
                denied("it refuses the certificate of this client".to_owned())
                    .with_hint("take one that an authority of the server signed, for clients")
            } else {
                denied("it wants a certificate of this client".to_owned())
                    .with_hint("add `?cert=FILE&key=FILE` to the address")
            }
        }
        rustls::Error::InvalidMessage(_) => {
            Failure::protocol(format!("{peer}: it does not speak TLS on this port"))
                .with_hint("use the port for TLS, or the scheme without it")
        }
        other => Failure::protocol(format!("{peer}: no TLS: {other}")),
    })
}

/// rustls' own error among the causes of another one.
fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` gives as its source what is below the error that it holds.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

/// What a server says to a client whose certificate it misses or refuses.
fn is_about_the_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
    )
}

/// What is wrong with the certificate of a server, and what to do about it.
fn certificate_error(error: &CertificateError) -> (String, String) {
    let at = |time: &UnixTime| {
        let second = i64::try_from(time.as_secs()).ok();
        second
            .and_then(|second| Timestamp::from_second(second).ok())
            .map_or_else(String::new, |time| format!(" at {time}"))
    };
    let clock = "renew it, or set the clock of this machine if that is wrong".to_owned();
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("its certificate expired{}", at(not_after)), clock)
        }
        CertificateError::Expired => ("its certificate expired".to_owned(), clock),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("its certificate begins to be valid only{}", at(not_before)), clock)
        }
        CertificateError::NotValidYet => ("its certificate is not valid yet".to_owned(), clock),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let mut names = String::new();
            for name in presented.iter().take(5) {
                let name = name
                    .strip_prefix("DnsName(\"")
                    .map_or(name.as_str(), |name| name.strip_suffix("\")").unwrap_or(name));
                let separator = if names.is_empty() { "" } else { ", " };
                let _ = write!(names, "{separator}`{}`", name.escape_debug());
            }
            let names = if names.is_empty() { "no name".to_owned() } else { names };
            (
                format!("its certificate is for {names}, and not for `{}`", expected.to_str()),
                "use one of those names, or have a certificate made for this one".to_owned(),
            )
        }
        CertificateError::NotValidForName => (
            "its certificate is for another name".to_owned(),
            "use the name in it, or have a certificate made for this one".to_owned(),
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "its certificate is signed by no authority that is trusted here".to_owned(),
            "name the authority that signed it by `?ca=FILE`".to_owned(),
        ),
        CertificateError::Revoked => {
            ("its certificate was revoked".to_owned(), "have a new one made".to_owned())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "its certificate is not one of a server".to_owned(),
            "have one made for `serverAuth`".to_owned(),
        ),
        // webpki has no stable name for this one.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "its certificate is the one of an authority itself".to_owned(),
            "have the authority sign one for the server".to_owned(),
        ),
        other => (
            format!("its certificate is broken: {other}"),
            "have a new one made, of version 3 and with its names as alternative names".to_owned(),
        ),
    }
}
