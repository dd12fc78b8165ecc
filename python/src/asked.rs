//! Requests as the gate sees them.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;

use maint::request::{self, Facts};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::functions::Function;
use crate::servers::Server;

/// What a framework knows of the user of a request.
#[pyclass(frozen, eq, from_py_object, module = "maint")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    #[pyo3(get)]
    is_authenticated: bool,
    #[pyo3(get)]
    is_staff: bool,
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
        let text = |is: bool| if is { "True" } else { "False" };
        format!(
            "User(is_authenticated={}, is_staff={}, is_superuser={})",
            text(self.is_authenticated),
            text(self.is_staff),
            text(self.is_superuser)
        )
    }
}

impl From<User> for request::User {
    fn from(user: User) -> Self {
        let User { is_authenticated, is_staff, is_superuser } = user;
        Self { is_authenticated, is_staff, is_superuser }
    }
}

/// A request whose facts are all known beforehand.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Request(pub(crate) Facts);

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (method, target, *, host=None, peer=None, headers=None, user=None, is_https=None))]
    fn new(
        method: &str,
        target: &str,
        host: Option<String>,
        peer: Option<&str>,
        headers: Option<&Bound<'_, PyAny>>,
        user: Option<User>,
        is_https: Option<bool>,
    ) -> PyResult<Self> {
        let peer = peer
            .map(|text| {
                let parsed: Result<IpAddr, _> = text.parse();
                parsed.map_err(|_| PyValueError::new_err(format!("`{text}` is no address")))
            })
            .transpose()?;
        let mut facts = Facts {
            host,
            peer,
            user: user.map(Into::into),
            is_https,
            ..Facts::new(method, target)
        };
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
}

/// What an app hands in for asking about its requests.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) user: Option<Function>,
    pub(crate) client: Option<Function>,
    pub(crate) format: Option<Wanted>,
    pub(crate) is_plain_http: bool,
}

/// In which format every page is, whatever `Accept` says.
pub(crate) enum Wanted {
    Always(&'static [u8]),
    Asked(Function),
}

impl Wanted {
    /// The media type for a format by its name.
    pub(crate) fn media_type(format: &str) -> PyResult<&'static [u8]> {
        match format {
            "html" => Ok(b"text/html"),
            "json" => Ok(b"application/problem+json"),
            other => Err(PyValueError::new_err(format!(
                "format: `{other}` is none: write `html` or `json`"
            ))),
        }
    }
}

/// A request of a server, whose facts are looked up when they are asked for.
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
    accept: OnceCell<Option<&'static [u8]>>,
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
            accept: OnceCell::new(),
        }
    }

    /// Whether a function of the app was to be called, and was not.
    pub(crate) fn needs_calls(&self) -> bool {
        self.needs_calls.get()
    }

    /// What a function of the app says of the request, if it may be called.
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

    /// What stands for `Accept`, if the app says so.
    fn accept(&self) -> Option<&'static [u8]> {
        let wanted = self.functions.format.as_ref()?;
        *self.accept.get_or_init(|| match wanted {
            Wanted::Always(media_type) => Some(media_type),
            Wanted::Asked(function) => {
                self.call(function, |said| Wanted::media_type(said.cast::<PyString>()?.to_str()?))
            }
        })
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
            // Who sends two could mean either.
            let only = if found.len() == 1 { found.pop() } else { None };
            only.and_then(|host| String::from_utf8(host).ok())
        });
        found.as_deref()
    }

    fn is_https(&self) -> Option<bool> {
        // A proxy in front may have taken the encryption off, so that `http`
        // says nothing of the visitor's connection.
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
                    .map_err(|_| PyValueError::new_err(format!("`{text}` is no address")))
            })
        })
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        if name == "accept"
            && let Some(media_type) = self.accept()
        {
            return each(media_type);
        }
        self.server.header(name, each);
    }

    fn user(&self) -> Option<request::User> {
        let function = self.functions.user.as_ref()?;
        self.call(function, |said| Ok(said.extract::<User>()?.into()))
    }
}
