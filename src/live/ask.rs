//! Asks as a visitor does: a new connection each time, no cookies, and no word to caches that
//! a visitor would not say.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error as HttpError, Proxy};

use super::judge::{Answer, Outcome, Unreached};
use super::proxy;
use crate::error::{Error, Result, describe};
use crate::fleet::tls;
use crate::request::url::{UrlParts, host_and_port};

/// What a browser accepts.
pub const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// How much of a body is read. The mark of the page is in its head.
const MAX_BODY: u64 = 64 * 1024;

/// The questions past caches, so that no two are the same.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many redirects within the site are followed.
const MAX_REDIRECTS: usize = 5;

/// How a site is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How long one request may take, in all.
    pub timeout: Duration,
    /// A file with the certificates to check servers against; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// Whether a server with any certificate will do.
    pub is_insecure: bool,
}

impl Settings {
    /// Ten seconds, and the certificates of the system.
    #[must_use]
    pub fn new() -> Self {
        Self { timeout: Duration::from_secs(10), ca: None, is_insecure: false }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// What is asked, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: String,
    /// Host and, if it is not that of the URL, the port.
    via: Option<String>,
}

impl Target {
    /// Takes a URL, and the address to connect to in place of its host: `10.0.0.5`,
    /// `[::1]:8443` or a name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no URL of HTTP, or no address.
    pub fn new(url: &str, via: Option<&str>) -> Result<Self> {
        let shown = url.escape_debug();
        let parts = UrlParts::of(url);
        if !parts.is_http() || parts.authority.is_empty() {
            return Err(Error::invalid_with(
                format!("`{shown}` is not a URL of a site"),
                "write it as visitors do: `https://shop.example.com/`",
            ));
        }
        if parts.authority.contains('@') {
            return Err(Error::invalid(
                "a URL with a user name is not asked: it shows in lists of processes",
            ));
        }
        let scheme = parts.scheme.unwrap_or_default().to_ascii_lowercase();
        let url = format!("{scheme}://{}{}", parts.authority, parts.target);
        let is_valid =
            url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        if !is_valid {
            return Err(Error::invalid_with(
                format!("`{shown}` is not a URL"),
                "write spaces and letters beyond ASCII as `%20`, and hosts as `xn--…`",
            ));
        }
        let via = via.map(address).transpose()?;
        Ok(Self { url, via })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address to connect to, if it is not that of the URL.
    #[must_use]
    pub fn via(&self) -> Option<&str> {
        self.via.as_deref()
    }

    /// Whether the same host can be asked for a URL to which it leads. A port that was named is
    /// that of one scheme.
    fn can_follow(&self, url: &str) -> bool {
        let place = |url| {
            let parts = UrlParts::of(url);
            (parts.scheme.map(str::to_owned), host_and_port(parts.authority).1.map(str::to_owned))
        };
        let has_port = self.via.as_deref().is_some_and(|via| host_and_port(via).1.is_some());
        url != self.url && (!has_port || place(url) == place(&self.url))
    }

    /// The same page by an address that no cache has met.
    fn past_caches(&self) -> Self {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::now().as_nanosecond();
        let url = format!("{}{joint}maint-check={now:x}-{count:x}", self.url);
        Self { url, ..self.clone() }
    }
}

/// An address to connect to, with IPv6 in brackets.
fn address(text: &str) -> Result<String> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(format!("[{text}]"));
    }
    let probe = format!("http://{text}/").parse::<Uri>();
    let is_valid = probe.is_ok_and(|uri| {
        uri.authority().is_some_and(|authority| {
            let (host, port) = host_and_port(authority.as_str());
            authority.as_str() == text
                && !host.is_empty()
                && !text.contains('@')
                && port.is_none_or(|port| port.parse::<u16>().is_ok())
        })
    });
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid_with(
            format!("`{}` is no address to connect to", text.escape_debug()),
            "write `10.0.0.5`, `10.0.0.5:8443`, `[::1]:8443` or the name of a host",
        ))
    }
}

/// Connects elsewhere than the URL says, while the server is told and checked by the URL.
#[derive(Debug)]
struct Via(Option<String>);

impl Resolver for Via {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, HttpError> {
        let resolver = DefaultResolver::default();
        let Some(via) = &self.0 else { return resolver.resolve(uri, config, timeout) };
        let scheme = uri.scheme_str().unwrap_or("http");
        let elsewhere = match (host_and_port(via).1, uri.port_u16()) {
            (None, Some(port)) => format!("{scheme}://{via}:{port}/"),
            _ => format!("{scheme}://{via}/"),
        };
        let elsewhere: Uri = elsewhere.parse().map_err(|_| HttpError::HostNotFound)?;
        resolver.resolve(&elsewhere, config, timeout)
    }
}

/// Asks sites; from several threads at once, if need be.
#[derive(Debug)]
pub struct Asker {
    timeout: Duration,
    tls: TlsConfig,
}

impl Asker {
    /// Reads the certificates, if any of these URLs needs them.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if they cannot be read.
    pub fn new(settings: &Settings, targets: &[Target]) -> Result<Self> {
        // A site may lead from http to https, so a list that can be read is read.
        let needs_roots = targets.iter().any(|target| target.url.starts_with("https:"));
        let roots = match roots(settings.ca.as_deref()) {
            Err(error) if settings.ca.is_some() || needs_roots && !settings.is_insecure => {
                return Err(error);
            }
            roots => RootCerts::from(roots.unwrap_or_default()),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(tls::provider())
            .root_certs(roots)
            .disable_verification(settings.is_insecure)
            .build();
        Ok(Self { timeout: settings.timeout, tls })
    }

    /// Asks as a visitor does, and follows redirects that stay on the host, unless they are
    /// those of a window.
    pub fn ask(&self, target: &Target) -> Outcome {
        let mut next = target.clone();
        for _ in 0..MAX_REDIRECTS {
            let answer = self.once(&next)?;
            match within(&answer) {
                Some(url) if next.can_follow(&url) => next = Target { url, ..next },
                _ => return Ok(answer),
            }
        }
        let reason = format!("more than {MAX_REDIRECTS} redirects, the last to {}", next.url);
        Err(Unreached { kind: "protocol", reason })
    }

    /// Asks for the same by an address that no cache has met.
    pub fn ask_past_caches(&self, target: &Target) -> Outcome {
        self.ask(&target.past_caches())
    }

    fn once(&self, target: &Target) -> Outcome {
        let begun = Instant::now();
        let asked = self.agent(target)?.get(&target.url).header("accept", ACCEPT).call();
        let host = host_and_port(UrlParts::of(&target.url).authority).0;
        let response = asked.map_err(|error| unreached(error, host, self.timeout))?;
        let took = begun.elapsed();
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // The header fields are an answer, whatever becomes of the body.
        let _ = response.into_body().into_reader().take(MAX_BODY).read_to_end(&mut body);
        Ok(Answer { status, headers, body, url: target.url.clone(), took })
    }

    /// A new one for each request, so that no connection is used twice.
    fn agent(&self, target: &Target) -> std::result::Result<Agent, Unreached> {
        let parts = UrlParts::of(&target.url);
        let host = host_and_port(parts.authority).0;
        let named = match &target.via {
            Some(_) => None,
            None => {
                proxy::of(parts.scheme.unwrap_or_default(), host, |name| std::env::var(name).ok())
            }
        };
        // Its text may hold a password.
        let proxy = named.map(|named| Proxy::new(&named)).transpose().map_err(|_| Unreached {
            kind: "proxy",
            reason: "the proxy that the environment names is none of HTTP".to_owned(),
        })?;
        if proxy.as_ref().is_some_and(|proxy| !is_by_connect(proxy)) {
            let reason =
                "the environment names a SOCKS proxy; this takes proxies of HTTP".to_owned();
            return Err(Unreached { kind: "proxy", reason });
        }
        let config = Config::builder()
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_global(Some(self.timeout))
            .user_agent(concat!("maint/", env!("CARGO_PKG_VERSION")))
            .tls_config(self.tls.clone())
            .build();
        Ok(Agent::with_parts(config, DefaultConnector::default(), Via(target.via.clone())))
    }
}

/// The certificates of a file, or those of the system; `CURL_CA_BUNDLE` and what OpenSSL
/// reads say where they are instead.
fn roots(file: Option<&Path>) -> Result<Vec<Certificate<'static>>> {
    let named = std::env::var_os("CURL_CA_BUNDLE").filter(|value| !value.is_empty());
    let named = named.map(PathBuf::from);
    let found = tls::authorities(file.or(named.as_deref())).map_err(|failure| {
        let hint = "name a file with certificates in PEM, or install `ca-certificates`";
        Error::invalid_with(failure.reason, hint)
    })?;
    Ok(found.iter().map(|one| Certificate::from_der(one).to_owned()).collect())
}

fn is_by_connect(proxy: &Proxy) -> bool {
    matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https)
}

/// Where a redirect leads that is none of ours and stays on the host.
fn within(answer: &Answer) -> Option<String> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) || answer.is_ours() {
        return None;
    }
    let from = UrlParts::of(&answer.url);
    let to = answer.header("location")?;
    let scheme = from.scheme?;
    let to = if let Some(rest) = to.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if to.starts_with('/') {
        format!("{scheme}://{}{to}", from.authority)
    } else if UrlParts::of(to).is_http() {
        to.to_owned()
    } else {
        // Relative to the folder of the path.
        let path = from.target.path();
        let folder = &path[..=path.rfind('/')?];
        format!("{scheme}://{}{folder}{to}", from.authority)
    };
    let parts = UrlParts::of(&to);
    let host = |authority| host_and_port(authority).0;
    let is_here = host(parts.authority).eq_ignore_ascii_case(host(from.authority));
    let url =
        format!("{}://{}{}", parts.scheme?.to_ascii_lowercase(), parts.authority, parts.target);
    (is_here && url.parse::<Uri>().is_ok()).then_some(url)
}

/// What went wrong, in words.
fn unreached(error: HttpError, host: &str, timeout: Duration) -> Unreached {
    let because = |kind, reason: String| Unreached { kind, reason };
    let late = || because("timeout", format!("no answer within {:.1} s", timeout.as_secs_f64()));
    match error {
        HttpError::HostNotFound => because("name", format!("no host has the name {host}")),
        HttpError::Timeout(_) => late(),
        HttpError::ConnectProxyFailed(reason) => {
            because("proxy", format!("the proxy refuses: {}", reason.to_lowercase()))
        }
        HttpError::Tls(reason) => because("tls", reason.to_lowercase()),
        HttpError::Rustls(cause) => {
            let failure = tls::failure(&cause, host, false);
            because("tls", failure.map_or_else(|| cause.to_string(), |failure| failure.reason))
        }
        HttpError::Io(cause) => {
            if let Some(failure) = tls::failure(&cause, host, false) {
                return because("tls", failure.reason);
            }
            let text = describe(&cause);
            match cause.kind() {
                io::ErrorKind::ConnectionRefused => {
                    because("refused", "connection refused: nothing listens there".to_owned())
                }
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => late(),
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => {
                    because("closed", "the connection was closed without an answer".to_owned())
                }
                // The standard library has no kind for it.
                _ if text.contains("lookup address") => {
                    because("name", format!("the host is not found: {text}"))
                }
                _ => because("network", text),
            }
        }
        HttpError::Protocol(_) | HttpError::Http(_) | HttpError::LargeResponseHeader(..) => {
            because("protocol", format!("what answers is not HTTP: {error}"))
        }
        other => because("network", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_within_the_host_alone() {
        let from = "http://shop.example/a/b?c";
        for (to, expected) in [
            ("https://shop.example/", Some("https://shop.example/")),
            ("https://shop.example:8443/x#y", Some("https://shop.example:8443/x")),
            ("HTTPS://Shop.Example", Some("https://Shop.Example/")),
            ("/login", Some("http://shop.example/login")),
            ("//shop.example/login", Some("http://shop.example/login")),
            ("d?e", Some("http://shop.example/a/d?e")),
            ("https://status.example/", None),
            ("https://shop.example.evil.example/", None),
            ("//evil.example/", None),
            ("https://shop.example@evil.example/", None),
        ] {
            let headers = vec![("location".to_owned(), to.to_owned())];
            let url = from.to_owned();
            let answer = Answer { status: 302, headers, url, ..Answer::default() };
            assert_eq!(within(&answer).as_deref(), expected, "{to}");
            let mut ours = answer.clone();
            ours.headers.push(("maint-decision".to_owned(), "block".to_owned()));
            assert_eq!(within(&ours), None, "a window leads there");
            assert_eq!(within(&Answer { status: 200, ..answer }), None);
        }
    }

    #[test]
    fn a_host_with_a_port_is_not_asked_for_another_scheme() {
        let from = |via| Target::new("http://shop.example/", via).unwrap();
        for (via, to, can) in [
            (None, "https://shop.example/", true),
            (Some("10.0.0.5"), "https://shop.example/", true),
            (Some("10.0.0.5:80"), "https://shop.example/", false),
            (Some("10.0.0.5:80"), "http://shop.example:8080/", false),
            (Some("10.0.0.5:80"), "http://shop.example/login", true),
            (None, "http://shop.example/", false),
        ] {
            assert_eq!(from(via).can_follow(to), can, "{via:?} {to}");
        }
    }

    #[test]
    fn urls_and_addresses_are_checked_before_anybody_is_asked() {
        let of = |url: &str, via: Option<&str>| {
            Target::new(url, via).map(|target| (target.url, target.via))
        };
        let fits = |url: &str, via: Option<&str>, asked: &str, at: Option<&str>| {
            let at = at.map(str::to_owned);
            assert_eq!(of(url, via).unwrap(), (asked.to_owned(), at), "{url} {via:?}");
        };
        fits("https://h", None, "https://h/", None);
        fits("HTTP://h:80?a#b", Some("10.0.0.5"), "http://h:80/?a", Some("10.0.0.5"));
        fits("http://[::1]/", Some("::1"), "http://[::1]/", Some("[::1]"));
        fits("http://h/", Some("[::1]:80"), "http://h/", Some("[::1]:80"));
        fits("http://h/", Some("web1.internal:80"), "http://h/", Some("web1.internal:80"));
        for url in
            ["h", "/shop", "ftp://h/", "https:///x", "http://u:p@h/", "http://h h/", "http://é/ "]
        {
            assert!(of(url, None).is_err(), "{url}");
        }
        for via in ["", "a b", "h:x", "h/p", "u@h", "h:99999", "[::1"] {
            assert!(of("http://h/", Some(via)).is_err(), "{via}");
        }
    }

    #[test]
    fn a_question_past_caches_is_never_the_same() {
        let target = Target::new("http://h/?a", None).unwrap();
        let (one, other) = (target.past_caches(), target.past_caches());
        assert!(one.url.starts_with("http://h/?a&maint-check="), "{one:?}");
        assert_ne!(one, other);
        assert!(
            Target::new("http://h/", None).unwrap().past_caches().url.contains("/?maint-check=")
        );
    }
}
