//! Where each kind of server keeps the facts of a request.
//!
//! A fact is unknown if it is missing or has a type other than the protocol's.

use std::net::IpAddr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

/// What a server knows about a request, in the terms of [`maint::request::Request`].
pub(crate) trait Server {
    fn path(&self) -> Vec<u8>;
    fn query(&self) -> Option<Vec<u8>>;
    fn method(&self) -> String;
    /// Whether the server knows that the visitor's connection is encrypted.
    fn is_https(&self) -> bool;
    fn peer(&self) -> Option<IpAddr>;
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));

    /// As `maint::request::Request::header_names` has it.
    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        let _ = each;
        false
    }
}

/// A request of WSGI (PEP 3333).
pub(crate) struct Environ<'a, 'py>(pub(crate) &'a Bound<'py, PyDict>);

impl Environ<'_, '_> {
    fn text(&self, key: &str) -> Option<Vec<u8>> {
        let value = self.0.get_item(key).ok()??;
        Some(native(value.cast::<PyString>().ok()?))
    }
}

impl Server for Environ<'_, '_> {
    /// The server has decoded it, and the app sees and routes by the result. Encoded
    /// again, it cannot be decoded twice.
    fn path(&self) -> Vec<u8> {
        let mut path = self.text("SCRIPT_NAME").unwrap_or_default();
        path.extend(self.text("PATH_INFO").unwrap_or_default());
        if path.is_empty() { b"/".to_vec() } else { encode(&path) }
    }

    fn query(&self) -> Option<Vec<u8>> {
        self.text("QUERY_STRING")
    }

    fn method(&self) -> String {
        lossy(self.text("REQUEST_METHOD"))
    }

    fn is_https(&self) -> bool {
        self.text("wsgi.url_scheme").is_some_and(|scheme| scheme == b"https")
    }

    fn peer(&self) -> Option<IpAddr> {
        address(&self.text("REMOTE_ADDR")?)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        let name = name.replace('-', "_").to_ascii_uppercase();
        let key = match &*name {
            "CONTENT_TYPE" | "CONTENT_LENGTH" => name,
            _ => format!("HTTP_{name}"),
        };
        if let Some(value) = self.text(&key) {
            each(&value);
        }
    }
}

/// A request or WebSocket of ASGI.
pub(crate) struct Scope<'a, 'py>(pub(crate) &'a Bound<'py, PyAny>);

impl<'py> Scope<'_, 'py> {
    fn item(&self, key: &str) -> Option<Bound<'py, PyAny>> {
        self.0.get_item(key).ok().filter(|value| !value.is_none())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.item(key)?.extract().ok()
    }
}

impl Server for Scope<'_, '_> {
    fn path(&self) -> Vec<u8> {
        let raw = self.item("raw_path").and_then(|raw| raw.extract::<Vec<u8>>().ok());
        match raw.filter(|raw| !raw.is_empty()) {
            // Some servers leave the query on.
            Some(raw) => raw.split(|&byte| byte == b'?').next().unwrap_or_default().to_vec(),
            None => encode(self.text("path").unwrap_or_default().as_bytes()),
        }
    }

    fn query(&self) -> Option<Vec<u8>> {
        self.item("query_string")?.extract().ok()
    }

    fn method(&self) -> String {
        // A WebSocket begins with GET (RFC 6455, 4.1).
        self.text("method").unwrap_or_else(|| "GET".to_owned())
    }

    fn is_https(&self) -> bool {
        self.text("scheme").is_some_and(|scheme| matches!(&*scheme, "https" | "wss"))
    }

    fn peer(&self) -> Option<IpAddr> {
        let host: String = self.item("client")?.get_item(0).ok()?.extract().ok()?;
        host.parse().ok()
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        if name == "upgrade" && self.text("type").is_some_and(|kind| kind == "websocket") {
            // Over HTTP/2 there is no such field (RFC 8441, 4).
            return each(b"websocket");
        }
        let Some(fields) = self.item("headers") else { return };
        for field in fields.try_iter().into_iter().flatten().flatten() {
            let Ok((given, value)) = field.extract::<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)>()
            else {
                continue;
            };
            if given.as_bytes().eq_ignore_ascii_case(name.as_bytes()) {
                each(value.as_bytes());
            }
        }
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        each(b"upgrade");
        let Some(fields) = self.item("headers") else { return true };
        for field in fields.try_iter().into_iter().flatten().flatten() {
            if let Ok(Ok(name)) = field.get_item(0).map(Bound::cast_into::<PyBytes>) {
                each(name.as_bytes());
            }
        }
        true
    }
}

/// A `django.http.HttpRequest`, of WSGI or ASGI.
pub(crate) struct Django<'a, 'py>(pub(crate) &'a Bound<'py, PyAny>);

impl Django<'_, '_> {
    fn meta<T>(&self, read: impl FnOnce(Environ<'_, '_>) -> T) -> Option<T> {
        let meta = self.0.getattr(intern!(self.0.py(), "META")).ok()?;
        Some(read(Environ(meta.cast().ok()?)))
    }

    fn attribute(&self, name: &str) -> Option<String> {
        self.0.getattr(name).ok()?.extract().ok()
    }
}

impl Server for Django<'_, '_> {
    /// What Django routes by: it has decoded the path, and knows its prefix. Bytes
    /// that were not UTF-8 become such bytes again, since their meaning is lost.
    fn path(&self) -> Vec<u8> {
        let path = self.attribute("path").unwrap_or_default();
        let parts: Vec<Vec<u8>> =
            path.split(char::REPLACEMENT_CHARACTER).map(|part| encode(part.as_bytes())).collect();
        parts.join(&b"%FF"[..])
    }

    fn query(&self) -> Option<Vec<u8>> {
        self.meta(|meta| meta.query())?
    }

    fn method(&self) -> String {
        self.attribute("method").unwrap_or_default()
    }

    /// Respects `SECURE_PROXY_SSL_HEADER`.
    fn is_https(&self) -> bool {
        let returned = self.0.call_method0(intern!(self.0.py(), "is_secure"));
        returned.is_ok_and(|is_secure| is_secure.extract().unwrap_or(false))
    }

    fn peer(&self) -> Option<IpAddr> {
        self.meta(|meta| meta.peer())?
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.meta(|meta| meta.header(name, each));
    }
}

/// The bytes of a native string of WSGI, each character of which is a byte (PEP 3333).
/// A string with other characters comes from a test rather than a server.
fn native(text: &Bound<'_, PyString>) -> Vec<u8> {
    let Ok(text) = text.to_str() else { return Vec::new() };
    if text.is_ascii() {
        return text.as_bytes().to_vec();
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// A decoded path as it could have been sent (RFC 3986, 3.3).
fn encode(path: &[u8]) -> Vec<u8> {
    let is_kept = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#');
    if path.iter().all(|&byte| is_kept(byte)) {
        return path.to_vec();
    }
    let mut encoded = Vec::with_capacity(path.len() * 3);
    for &byte in path {
        if is_kept(byte) {
            encoded.push(byte);
        } else {
            encoded.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    encoded
}

fn lossy(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn address(text: &[u8]) -> Option<IpAddr> {
    str::from_utf8(text).ok()?.parse().ok()
}
