//! A [`tower_layer::Layer`] for axum, tonic, plain hyper and every other
//! [`tower_service::Service`] of HTTP requests.
//!
//! ```
//! use maint::{Gate, Site};
//! use maint::tower::MaintenanceLayer;
//!
//! # let temp = tempfile::tempdir()?;
//! # let directory = temp.path();
//! let layer = MaintenanceLayer::new(Gate::open(&Site::at(directory))?);
//! // axum: Router::new().route("/", get(page)).layer(layer)
//! # let _ = layer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The layer asks the [gate](crate::gate) about each request that arrives, and
//! answers a blocked one itself, with [`Intercepted`](crate::gate::Intercepted) in the
//! extensions of the response. The app finds a [`Pass`] in the extensions of each request. What the app has accepted runs to its end: a
//! request, a download or a `WebSocket` is never cut off.
//!
//! Put it outside of what costs time (sessions, databases, limits), and inside
//! of what has to see every answer (tracing, CORS): a browser shows a script a
//! 503 of another origin only if the CORS layer is outside. The gate does not
//! know CORS, so it blocks a preflight like any other request.
//!
//! An HTTP/1 client that is still sending its request can read the answer: the
//! layer first reads up to 16 MiB of the rest, until the client pauses for a few
//! seconds. A request that announces more than that, or `Expect: 100-continue`,
//! is answered at once. If the rest was not read, the answer says
//! `Connection: close`, and a client that sends on regardless may see the
//! connection reset before the answer.

mod rest;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Extensions, HeaderMap, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Result;
use crate::gate::{Answer, Gate, Override, Pass};
use crate::page::Format;
use crate::page::Reply;
use crate::request::{self, User};
use crate::rules::{Kind, Matcher};
use crate::site::Site;
use rest::{Connection, Rest};

type FormatFrom = Arc<dyn Fn(&Uri, &HeaderMap) -> Option<Format> + Send + Sync>;
type Vouches = Arc<dyn Fn(&Head<'_>) -> bool + Send + Sync>;
type FromExtensions<T> = Arc<dyn Fn(&Extensions) -> Option<T> + Send + Sync>;

/// Answers blocked requests, and lets the others through.
#[derive(Clone)]
pub struct MaintenanceLayer {
    gate: Gate,
    force: Option<Override>,
    is_https: Option<bool>,
    peer: Option<FromExtensions<IpAddr>>,
    user: Option<FromExtensions<User>>,
    format: Option<FormatFrom>,
    read: Option<Vouches>,
}

/// All of a request but its body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// The target.
    pub uri: &'r Uri,
    /// The header fields.
    pub headers: &'r HeaderMap,
    /// What layers further out have left.
    pub extensions: &'r Extensions,
}

impl MaintenanceLayer {
    /// Creates a layer that asks this gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate, force: None, is_https: None, peer: None, user: None, format: None, read: None }
    }

    /// Creates a layer for the site in a directory, or, without one, for the site
    /// that the command would find.
    ///
    /// # Errors
    ///
    /// As [`Site::discover`] and [`Gate::open`].
    pub fn open(site: Option<&Path>) -> Result<Self> {
        Ok(Self::new(Gate::open(&Site::discover(site)?)?))
    }

    /// Returns the gate, which other parts of the app may ask as well.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Sets where to find the address of the peer, which `ip` rules and trusted
    /// proxies need; without it they match nobody. With axum:
    ///
    /// ```ignore
    /// layer.peer_from(|extensions| {
    ///     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
    /// })
    /// ```
    #[must_use]
    pub fn peer_from(
        mut self,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peer = Some(Arc::new(peer));
        self
    }

    /// Sets where to find the user that an outer layer has left, which `user` rules
    /// need. Called only if no other rule lets the request through.
    #[must_use]
    pub fn user_from(
        mut self,
        user: impl Fn(&Extensions) -> Option<User> + Send + Sync + 'static,
    ) -> Self {
        self.user = Some(Arc::new(user));
        self
    }

    /// Sets the format of every page, whatever `Accept` says: for an app that is an API.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        self.format_from(move |_, _| Some(format))
    }

    /// Sets how to choose the format of a page; `None` leaves it to `Accept`. Called only for
    /// blocked requests.
    ///
    /// ```ignore
    /// layer.format_from(|uri, _| uri.path().starts_with("/api/").then_some(Format::Json))
    /// ```
    #[must_use]
    pub fn format_from(
        mut self,
        format: impl Fn(&Uri, &HeaderMap) -> Option<Format> + Send + Sync + 'static,
    ) -> Self {
        self.format = Some(Arc::new(format));
        self
    }

    /// Sets which requests only read, although their method could change something: a login, or
    /// queries of GraphQL by POST. They pass under a read-only window as GET does. Called only if
    /// nothing but such windows block a request. The app vouches for what it calls a read.
    ///
    /// ```ignore
    /// layer.read_if(|head| head.uri.path() == "/login")
    /// ```
    #[must_use]
    pub fn read_if(mut self, read: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.read = Some(Arc::new(read));
        self
    }

    /// Declares that visitors come without encryption, as on a private network; the
    /// bypass cookie is then sent in the clear.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.is_https = Some(false);
        self
    }

    /// Blocks every request, whatever the state says: for a view that is always down.
    #[must_use]
    pub fn force_on(mut self) -> Self {
        self.force = Some(Override::On);
        self
    }

    /// Lets requests for a path through, whatever the state says: for what is never down, as
    /// a health check. `/health` is that path alone, `/static/**` all that is below.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for a pattern that makes no sense or lets
    /// everything through.
    pub fn ignore(self, path: &str) -> Result<Self> {
        self.ignore_rule(&Kind::Path, path)
    }

    /// Lets requests through by a rule of any kind, as `maint ignore add KIND VALUE` does.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for a rule that makes no sense or lets
    /// everyone through.
    pub fn ignore_rule(mut self, kind: &Kind, value: &str) -> Result<Self> {
        self.gate = self.gate.ignoring(value, Matcher::parse(kind, value)?)?;
        Ok(self)
    }

    fn answer<B>(&self, request: &Request<B>) -> Answer {
        let facts = HttpRequest { request, layer: self };
        match self.force {
            None => self.gate.answer(&facts),
            Some(force) => self.gate.answer_overridden(&facts, force),
        }
    }
}

impl fmt::Debug for MaintenanceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaintenanceLayer")
            .field("gate", &self.gate)
            .field("force", &self.force)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MaintenanceLayer {
    type Service = Maintenance<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Maintenance { inner, layer: Arc::new(self.clone()) }
    }
}

/// The service that [`MaintenanceLayer`] wraps around another.
#[derive(Clone, Debug)]
pub struct Maintenance<S> {
    inner: S,
    layer: Arc<MaintenanceLayer>,
}

impl<S, B, C> Service<Request<B>> for Maintenance<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    B: Body,
    C: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<C>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let course = match self.layer.answer(&request) {
            Answer::Pass(pass) => {
                request.extensions_mut().insert(pass.clone());
                Course::Pass { future: self.inner.call(request), pass }
            }
            Answer::Reply(reply) => Course::Reply { reply: Some(reply), rest: Rest::of(request) },
        };
        ResponseFuture { course }
    }
}

pin_project! {
    /// Resolves to the answer of the app, or to the page.
    #[derive(Debug)]
    pub struct ResponseFuture<F, B> {
        #[pin]
        course: Course<F, B>,
    }
}

pin_project! {
    #[project = CourseProjection]
    #[derive(Debug)]
    enum Course<F, B> {
        /// The app answers.
        Pass {
            #[pin]
            future: F,
            pass: Pass,
        },
        /// The page is sent, once the rest of the body has been read.
        Reply {
            reply: Option<Reply>,
            #[pin]
            rest: Rest<B>,
        },
    }
}

impl<F, B, C, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<C>, E>>,
    B: Body,
    C: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<C>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().course.project() {
            CourseProjection::Pass { future, pass } => {
                let mut response = ready!(future.poll(context))?;
                pass.finish(response.headers_mut());
                Poll::Ready(Ok(response.map(|body| ResponseBody { origin: Origin::App { body } })))
            }
            CourseProjection::Reply { reply, rest } => {
                let connection = ready!(rest.poll(context));
                let reply = reply.take().expect("a future is not polled after it is ready");
                let mut response = response(reply);
                if connection == Connection::Ends {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Poll::Ready(Ok(response))
            }
        }
    }
}

fn response<C>(reply: Reply) -> Response<ResponseBody<C>> {
    Response::<Bytes>::from(reply).map(|bytes| {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        ResponseBody { origin: Origin::Page { bytes } }
    })
}

pin_project! {
    /// The body of the app's answer, or of the page.
    #[derive(Debug)]
    pub struct ResponseBody<C> {
        #[pin]
        origin: Origin<C>,
    }
}

pin_project! {
    #[project = OriginProjection]
    #[derive(Debug)]
    enum Origin<C> {
        App {
            #[pin]
            body: C,
        },
        /// The page, until it is sent.
        Page { bytes: Option<Bytes> },
    }
}

/// The empty body of layers further out that answer by themselves, as CORS and timeouts do.
impl<C: Default> Default for ResponseBody<C> {
    fn default() -> Self {
        Self { origin: Origin::App { body: C::default() } }
    }
}

impl<C: Body<Data = Bytes>> Body for ResponseBody<C> {
    type Data = Bytes;
    type Error = C::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().origin.project() {
            OriginProjection::App { body } => body.poll_frame(context),
            OriginProjection::Page { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.origin {
            Origin::App { body } => body.is_end_stream(),
            Origin::Page { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.origin {
            Origin::App { body } => body.size_hint(),
            Origin::Page { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// A request of the `http` crate as the gate sees it.
struct HttpRequest<'r, B> {
    request: &'r Request<B>,
    layer: &'r MaintenanceLayer,
}

impl<B> request::Request for HttpRequest<'_, B> {
    fn path(&self) -> &[u8] {
        self.request.uri().path().as_bytes()
    }

    fn query(&self) -> Option<&[u8]> {
        self.request.uri().query().map(str::as_bytes)
    }

    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn host(&self) -> Option<&str> {
        crate::http_types::host(self.request.uri(), self.request.headers())
    }

    fn is_https(&self) -> Option<bool> {
        self.layer.is_https
    }

    fn peer(&self) -> Option<IpAddr> {
        self.layer.peer.as_ref()?(self.request.extensions())
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        crate::http_types::values(self.request.headers(), name, each);
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        crate::http_types::names(self.request.headers(), each)
    }

    fn format(&self) -> Option<Format> {
        self.layer.format.as_ref()?(self.request.uri(), self.request.headers())
    }

    fn tells_user(&self) -> bool {
        self.layer.user.is_some()
    }

    fn user(&self) -> Option<User> {
        self.layer.user.as_ref()?(self.request.extensions())
    }

    fn is_read(&self) -> bool {
        let request = self.request;
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        };
        self.layer.read.as_ref().is_some_and(|read| read(&head))
    }
}
