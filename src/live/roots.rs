//! The certificates that servers are checked against: those of the system, or of one file.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::error::{Error, Result, describe};

/// Where systems keep them: Debian and Alpine, Fedora, SUSE, others, macOS and the BSDs.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// Reads the certificates of a file, or without one those of the system; `SSL_CERT_FILE`
/// and `CURL_CA_BUNDLE` say where they are instead.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no such file, or no certificate in it.
pub(super) fn read(file: Option<&Path>) -> Result<RootCerts> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let file = file.map(Path::to_owned);
    let file = file.or_else(|| named("CURL_CA_BUNDLE")).or_else(|| named("SSL_CERT_FILE"));
    let file = file.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|file| file.is_file()));
    let Some(file) = file else {
        return Err(Error::invalid_with(
            "this system has no list of certificates to check servers against",
            "install `ca-certificates`, or name a file of them",
        ));
    };
    let shown = file.display();
    let bytes = std::fs::read(&file).map_err(|cause| {
        Error::invalid(format!(
            "the certificates in `{shown}` cannot be read: {}",
            describe(&cause)
        ))
    })?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(cause) => {
                return Err(Error::invalid(format!(
                    "`{shown}` is no list of certificates: {cause}"
                )));
            }
        }
    }
    if certificates.is_empty() {
        return Err(Error::invalid_with(
            format!("`{shown}` has no certificate"),
            "it takes certificates in PEM, each from `-----BEGIN CERTIFICATE-----`",
        ));
    }
    Ok(RootCerts::from(certificates))
}
