//! Requests as the gate sees them.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;

use maint::page::Format;
use maint::request::{self, RequestParts};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::functions::Function;
use crate::servers::Server;

/// What a framework knows of the user of a request; nothing else of them
/// matters. Compares by value.
#[pyclass(frozen, eq, from_py_object, module = "maint")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// Whether somebody is logged in.
    #[pyo3(get)]
    is_authenticated: bool,
    /// Whether the framework knows them as staff.
    #[pyo3(get)]
    is_staff: bool,
    /// Whether the framework knows them as a superuser.
    #[pyo3(get)]
    is_superuser: bool,
}

#[pymethods]
impl User {
    #[new]
    #[pyo3(signature = (*, is_authenticated=false, is_staff=false, is_superuser=false))]
    fn new(is_authenticated: bool, is_staff: bool, is_superuser: bool) -> Self {
        Self { is_authenticated, is_staff, is_superuser }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "methods of Python borrow")]
    fn __repr__(&self) -> String {
        format!(
            "User(is_authenticated={}, is_staff={}, is_superuser={})",
            flag(self.is_authenticated),
            flag(self.is_staff),
            flag(self.is_superuser)
        )
    }
}

impl From<User> for request::User {
    fn from(user: User) -> Self {
        let known = if user.is_authenticated { Self::authenticated() } else { Self::anonymous() };
        known.staff(user.is_staff).superuser(user.is_superuser)
    }
}

impl From<request::User> for User {
    fn from(user: request::User) -> Self {
        Self {
            is_authenticated: user.is_authenticated,
            is_staff: user.is_staff,
            is_superuser: user.is_superuser,
        }
    }
}

/// A flag as Python writes it.
fn flag(is: bool) -> &'static str {
    if is { "True" } else { "False" }
}

/// A request that is described rather than received, for tests and tools.
///
/// `target`: the path as it is sent, percent-encoded, with or without a
/// query. `host`: the field `Host`, with or without a port. `peer`: the
/// address that connects. `headers`: the fields as (name, value), in the
/// order of sending; a value that is text is sent in UTF-8. `is_https`:
/// whether the visitor's connection is encrypted, `None` if unknown.
/// `is_read`: whether the app vouches that it changes nothing.
///
/// Raises `ValueError` if `peer` is not an IP address.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Request(pub(crate) RequestParts);

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (method, target, *, host=None, peer=None, headers=None, user=None, is_https=None, is_read=false))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        method: &str,
        target: &str,
        host: Option<String>,
        peer: Option<&str>,
        headers: Option<&Bound<'_, PyAny>>,
        user: Option<User>,
        is_https: Option<bool>,
        is_read: bool,
    ) -> PyResult<Self> {
        let peer = peer
            .map(|text| {
                let parsed: Result<IpAddr, _> = text.parse();
                parsed.map_err(|_| {
                    PyValueError::new_err(format!("peer: `{text}` is not an IP address"))
                })
            })
            .transpose()?;
        let mut facts = RequestParts::new(method, target)
            .with_peer(peer)
            .with_user(user.map(request::User::from))
            .with_https(is_https)
            .with_read(is_read);
        facts.host = host;
        for field in headers.map(PyAnyMethods::try_iter).transpose()?.into_iter().flatten() {
            let (name, value): (String, Bound<'_, PyAny>) = field?.extract()?;
            let value = match value.cast::<PyBytes>() {
                Ok(bytes) => bytes.as_bytes().to_vec(),
                Err(_) => value.cast::<PyString>()?.to_string().into_bytes(),
            };
            facts.headers.push((name, value));
        }
        Ok(Self(facts))
    }

    /// Without the query and the values of header fields, since bypass tokens, cookies and
    /// passwords are there and a repr ends in logs.
    fn __repr__(&self) -> String {
        let RequestParts { path, query, method, host, peer, headers, user, is_https, .. } = &self.0;
        let target = String::from_utf8_lossy(path).escape_debug().to_string();
        let target = if query.is_some() { target + "?…" } else { target };
        let mut words = vec![method.escape_debug().to_string(), target];
        words.extend(host.as_ref().map(|host| format!("host={host:?}")));
        words.extend(peer.map(|peer| format!("peer={peer}")));
        if !headers.is_empty() {
            let names: Vec<&str> = headers.iter().map(|(name, _)| &**name).collect();
            words.push(format!("headers={names:?}"));
        }
        words.extend(user.map(|user| format!("user={}", User::from(user).__repr__())));
        words.extend(is_https.map(|is| format!("is_https={}", flag(is))));
        format!("<maint.Request {}>", words.join(" "))
    }
}

/// What an app adds to the facts of its requests.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) user: Option<Function>,
    pub(crate) client: Option<Function>,
    pub(crate) format: Option<Wanted>,
    pub(crate) is_read: Option<Function>,
    pub(crate) is_plain_http: bool,
}

/// The format of every page, whatever `Accept` says.
pub(crate) enum Wanted {
    Always(Format),
    Asked(Function),
}

/// The format of a name.
pub(crate) fn format(name: &str) -> PyResult<Format> {
    name.parse().map_err(|_| {
        PyValueError::new_err(format!("format: `{name}` is unknown; write `html`, `json` or `txt`"))
    })
}

/// A request of a server, whose facts are looked up when the gate needs them.
pub(crate) struct Asked<'a, 'py, S> {
    server: S,
    subject: &'a Bound<'py, PyAny>,
    functions: &'a Functions,
    /// Whether the functions of the app may be called.
    calls: bool,
    needs_calls: Cell<bool>,
    path: OnceCell<Vec<u8>>,
    query: OnceCell<Option<Vec<u8>>>,
    method: OnceCell<String>,
    host: OnceCell<Option<String>>,
    client: OnceCell<Option<IpAddr>>,
    format: OnceCell<Option<Format>>,
}

impl<'a, 'py, S: Server> Asked<'a, 'py, S> {
    pub(crate) fn new(
        server: S,
        subject: &'a Bound<'py, PyAny>,
        functions: &'a Functions,
        calls: bool,
    ) -> Self {
        Self {
            server,
            subject,
            functions,
            calls,
            needs_calls: Cell::new(false),
            path: OnceCell::new(),
            query: OnceCell::new(),
            method: OnceCell::new(),
            host: OnceCell::new(),
            client: OnceCell::new(),
            format: OnceCell::new(),
        }
    }

    /// Whether a function of the app was needed but could not be called.
    pub(crate) fn needs_calls(&self) -> bool {
        self.needs_calls.get()
    }

    /// What a function of the app returns for the request, if it may be called.
    fn call<T>(
        &self,
        function: &Function,
        understand: impl FnOnce(Bound<'py, PyAny>) -> PyResult<T>,
    ) -> Option<T> {
        if self.calls {
            return function.ask(self.subject, understand);
        }
        self.needs_calls.set(true);
        None
    }
}

impl<S: Server> request::Request for Asked<'_, '_, S> {
    fn path(&self) -> &[u8] {
        self.path.get_or_init(|| self.server.path())
    }

    fn query(&self) -> Option<&[u8]> {
        self.query.get_or_init(|| self.server.query()).as_deref()
    }

    fn method(&self) -> &str {
        self.method.get_or_init(|| self.server.method())
    }

    fn host(&self) -> Option<&str> {
        let found = self.host.get_or_init(|| {
            let mut found = Vec::new();
            self.server.header("host", &mut |value| found.push(value.to_vec()));
            // With two, either could be meant.
            let only = if found.len() == 1 { found.pop() } else { None };
            only.and_then(|host| String::from_utf8(host).ok())
        });
        found.as_deref()
    }

    fn is_https(&self) -> Option<bool> {
        // A proxy in front may have removed the encryption, so `http` says nothing
        // about the visitor's connection.
        if self.functions.is_plain_http {
            Some(false)
        } else {
            self.server.is_https().then_some(true)
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        match self.functions.client {
            Some(_) => None,
            None => self.server.peer(),
        }
    }

    fn client(&self) -> Option<IpAddr> {
        let function = self.functions.client.as_ref()?;
        *self.client.get_or_init(|| {
            self.call(function, |said| {
                let text = said.str()?.to_string();
                text.trim()
                    .parse()
                    .map_err(|_| PyValueError::new_err(format!("`{text}` is not an IP address")))
            })
        })
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.server.header(name, each);
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        self.server.header_names(each)
    }

    fn format(&self) -> Option<Format> {
        let wanted = self.functions.format.as_ref()?;
        *self.format.get_or_init(|| match wanted {
            Wanted::Always(name) => Some(*name),
            Wanted::Asked(function) => {
                self.call(function, |said| format(said.cast::<PyString>()?.to_str()?))
            }
        })
    }

    fn tells_client(&self) -> bool {
        // A function may know some clients and not others.
        self.functions.client.is_some() || self.server.peer().is_some()
    }

    fn tells_user(&self) -> bool {
        self.functions.user.is_some()
    }

    fn user(&self) -> Option<request::User> {
        let function = self.functions.user.as_ref()?;
        self.call(function, |said| Ok(said.extract::<User>()?.into()))
    }

    fn is_read(&self) -> bool {
        let Some(function) = self.functions.is_read.as_ref() else { return false };
        self.call(function, |said| said.extract::<bool>()).unwrap_or(false)
    }
}
