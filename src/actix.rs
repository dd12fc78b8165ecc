//! A middleware for actix-web.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use maint::actix::Maintenance;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let maintenance = Maintenance::open(None)?;
//! let app = move || {
//!     App::new().wrap(maintenance.clone()).route("/", web::get().to(async || "the shop\n"))
//! };
//! HttpServer::new(app).bind("127.0.0.1:3000")?.run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The middleware asks the [gate](crate::gate) about each request that arrives, and answers a
//! blocked one itself, with [`Intercepted`] in the extensions of the response. The app finds a
//! [`Pass`] in the extensions of each request: a handler takes it as an argument.
//!
//! actix-web runs what was wrapped last first. Wrap outside of what costs time, as sessions,
//! and inside of what has to see every answer, as `Logger` and CORS.
//!
//! A client that is still sending its request can read the answer: up to 16 MiB of the rest
//! are read first, until the client pauses for a few seconds. Then the connection is closed.
//! actix-web sends `100 Continue` before it asks any middleware, so such a client sends its
//! body and then gets the page.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{CACHE_CONTROL, HOST, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::Authority;
use actix_web::http::{StatusCode, Version};
use actix_web::web::Bytes;
use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError, rt,
};
use futures_core::Stream as _;
use pin_project_lite::pin_project;

use crate::drain::{MAX_READ, PATIENCE};
use crate::error::Result;
use crate::gate::{Answer, Gate, Intercepted, Override, Pass};
use crate::page::{Format, Reply};
use crate::request::{Request, User, host};
use crate::rules::{Kind, Matcher};
use crate::site::Site;

type Vouches = Arc<dyn Fn(&ServiceRequest) -> bool + Send + Sync>;
type Found<T> = Arc<dyn Fn(&ServiceRequest) -> Option<T> + Send + Sync>;

/// Answers blocked requests, and lets the others through. Cheap to clone: give each worker a
/// clone of one, so that they share what was read.
#[derive(Clone)]
pub struct Maintenance {
    gate: Gate,
    force: Option<Override>,
    is_plain: bool,
    user: Option<Found<User>>,
    format: Option<Found<Format>>,
    read: Option<Vouches>,
}

impl Maintenance {
    /// Creates a middleware that asks this gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate, force: None, is_plain: false, user: None, format: None, read: None }
    }

    /// Creates a middleware for the site in a directory, or, without one, for the site that the
    /// command would find.
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

    /// Sets where to find the user that an outer middleware has left, which `user` rules need.
    /// Called only if no other rule lets the request through.
    #[must_use]
    pub fn user_from(
        mut self,
        user: impl Fn(&ServiceRequest) -> Option<User> + Send + Sync + 'static,
    ) -> Self {
        self.user = Some(Arc::new(user));
        self
    }

    /// Sets the format of every page, whatever `Accept` says: for an app that is an API.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        self.format_from(move |_| Some(format))
    }

    /// Sets how to choose the format of a page; `None` leaves it to `Accept`. Called only for
    /// blocked requests.
    #[must_use]
    pub fn format_from(
        mut self,
        format: impl Fn(&ServiceRequest) -> Option<Format> + Send + Sync + 'static,
    ) -> Self {
        self.format = Some(Arc::new(format));
        self
    }

    /// Sets which requests only read, although their method could change something: a login, or
    /// queries of GraphQL by POST. They pass under a read-only window as GET does. Called only if
    /// nothing but such windows block a request. The app vouches for what it calls a read.
    #[must_use]
    pub fn read_if(
        mut self,
        read: impl Fn(&ServiceRequest) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.read = Some(Arc::new(read));
        self
    }

    /// Declares that visitors come without encryption, as on a private network; the
    /// bypass cookie is then sent in the clear.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.is_plain = true;
        self
    }

    /// Blocks every request, whatever the state says: for a resource that is always down.
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

    fn answer(&self, request: &ServiceRequest) -> Answer {
        let facts = ActixRequest { request, settings: self };
        match self.force {
            None => self.gate.answer(&facts),
            Some(force) => self.gate.answer_overridden(&facts, force),
        }
    }
}

impl fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maintenance")
            .field("gate", &self.gate)
            .field("force", &self.force)
            .finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for Maintenance
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = MaintenanceService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(MaintenanceService { inner, settings: Arc::new(self.clone()) }))
    }
}

/// The service that [`Maintenance`] wraps around another.
#[derive(Debug)]
pub struct MaintenanceService<S> {
    inner: S,
    settings: Arc<Maintenance>,
}

impl<S, B> Service<ServiceRequest> for MaintenanceService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let course = match self.settings.answer(&request) {
            Answer::Pass(pass) => {
                request.extensions_mut().insert(pass.clone());
                Course::Pass { future: self.inner.call(request), pass }
            }
            Answer::Reply(reply) => Course::Reply { future: Box::pin(page(request, reply)) },
        };
        ResponseFuture { course }
    }
}

pin_project! {
    /// Resolves to the answer of the app, or to the page.
    pub struct ResponseFuture<F> {
        #[pin]
        course: Course<F>,
    }
}

type PageFuture = Pin<Box<dyn Future<Output = ServiceResponse<BoxBody>>>>;

pin_project! {
    #[project = CourseProjection]
    enum Course<F> {
        /// The app answers.
        Pass {
            #[pin]
            future: F,
            pass: Pass,
        },
        /// The page is sent, once the rest of the body has been read.
        Reply { future: PageFuture },
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().course.project() {
            CourseProjection::Pass { future, pass } => match ready!(future.poll(context)) {
                Ok(mut response) => {
                    finish(pass, response.headers_mut());
                    Ok(response.map_into_left_body())
                }
                Err(error) if pass.is_private || pass.mark().is_some() => {
                    Err(Finished { error, pass: pass.clone() }.into())
                }
                Err(error) => Err(error),
            },
            CourseProjection::Reply { future } => {
                let response = ready!(future.as_mut().poll(context));
                Ok(response.map_into_right_body())
            }
        })
    }
}

/// A handler takes the [`Pass`] of its request as an argument; `Option<Pass>` where it may be
/// reached without the middleware.
impl FromRequest for Pass {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pass = request.extensions().get::<Self>().cloned();
        ready(pass.ok_or_else(|| {
            ErrorInternalServerError(
                "no `Pass`: `maint::actix::Maintenance` is not around this route",
            )
        }))
    }
}

/// What [`Pass::finish`] does, on the header fields of actix-web.
fn finish(pass: &Pass, headers: &mut HeaderMap) {
    if let Some((name, value)) = pass.mark()
        && !headers.contains_key(name)
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !pass.is_private {
        return;
    }
    let names = headers.keys().filter(|name| Pass::overrides_cache_control(name.as_str()));
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(Pass::CACHE_CONTROL));
}

/// An error of an inner middleware, which becomes a response further out, and is finished then.
#[derive(Debug)]
struct Finished {
    error: Error,
    pass: Pass,
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Finished {
    fn status_code(&self) -> StatusCode {
        self.error.as_response_error().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.as_response_error().error_response();
        finish(&self.pass, response.headers_mut());
        response
    }
}

/// The answer to a blocked request, once the rest of it has been read.
async fn page(mut request: ServiceRequest, reply: Reply) -> ServiceResponse<BoxBody> {
    let goes_on = drain(&mut request).await;
    let mut response = HttpResponse::new(
        StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
    );
    let mut length = 0;
    for (name, value) in reply.headers() {
        if name == "content-length" {
            // actix-web sends the length of the body.
            length = value.parse().unwrap_or_default();
        } else if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response.extensions_mut().insert(Intercepted::by(&reply));
    if !goes_on {
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    let bytes = Some(Bytes::from_owner(reply.into_body())).filter(|bytes| !bytes.is_empty());
    request.into_response(response.set_body(BoxBody::new(PageBody { bytes, length })))
}

/// Reads the rest of a request. Returns whether the connection is good for the next one.
async fn drain(request: &mut ServiceRequest) -> bool {
    // HTTP/2 ends a stream without ending the connection.
    if request.version() >= Version::HTTP_2 || matches!(request.parts().1, Payload::None) {
        return true;
    }
    let announced = request.headers().get("content-length");
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if request.head().upgrade() || announced.is_some_and(|length| length > MAX_READ) {
        return false;
    }
    let mut payload = request.take_payload();
    let mut read = 0;
    while read <= MAX_READ {
        let next = std::future::poll_fn(|context| Pin::new(&mut payload).poll_next(context));
        match rt::time::timeout(PATIENCE, next).await {
            Ok(Some(Ok(bytes))) => read += bytes.len() as u64,
            Ok(None) => return true,
            Ok(Some(Err(_))) | Err(_) => break,
        }
    }
    false
}

/// The body of a page. To HEAD it tells the length that GET would get.
struct PageBody {
    bytes: Option<Bytes>,
    length: u64,
}

impl MessageBody for PageBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.bytes.take().map(Ok))
    }
}

/// A request of actix-web as the gate sees it.
struct ActixRequest<'r> {
    request: &'r ServiceRequest,
    settings: &'r Maintenance,
}

impl Request for ActixRequest<'_> {
    fn path(&self) -> &[u8] {
        // `path()` of actix-web is decoded in part.
        self.request.uri().path().as_bytes()
    }

    fn query(&self) -> Option<&[u8]> {
        self.request.uri().query().map(str::as_bytes)
    }

    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn host(&self) -> Option<&str> {
        let target = self.request.uri().authority().map(Authority::as_str);
        host::agreed(target, self.request.headers().get_all(HOST).map(HeaderValue::as_bytes))
    }

    fn is_https(&self) -> Option<bool> {
        let is_encrypted = self.request.app_config().secure().then_some(true);
        if self.settings.is_plain { Some(false) } else { is_encrypted }
    }

    fn peer(&self) -> Option<IpAddr> {
        Some(self.request.peer_addr()?.ip())
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for value in self.request.headers().get_all(name) {
            each(value.as_bytes());
        }
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        self.request.headers().keys().for_each(|name| each(name.as_str().as_bytes()));
        true
    }

    fn format(&self) -> Option<Format> {
        self.settings.format.as_ref()?(self.request)
    }

    fn tells_user(&self) -> bool {
        self.settings.user.is_some()
    }

    fn user(&self) -> Option<User> {
        self.settings.user.as_ref()?(self.request)
    }

    fn is_read(&self) -> bool {
        self.settings.read.as_ref().is_some_and(|read| read(self.request))
    }
}
