//! The answers to each question, whatever brings it here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::metrics::Format;
use super::question::Question;
use super::sites::{Served, Sites, validate_name};
use super::told::{Manner, Told};
use super::users::Users;
use crate::error::{Error, Result};
use crate::gate::{Answer, Gate, Override, Pass};
use crate::page::Reply;
use crate::page::reply::{MARK, REVISION};
use crate::site::Site;
use crate::sys;

static MARK_NAME: HeaderName = HeaderName::from_static(MARK);
static REVISION_NAME: HeaderName = HeaderName::from_static(REVISION);

/// How often a proxy that tells too little is reported.
const REPORTED_EVERY: Duration = Duration::from_secs(60);

/// The gates of one or more sites, for proxies that ask.
pub struct Endpoint {
    sites: Sites,
    users: Option<Users>,
    reported_at: Mutex<Option<Instant>>,
    /// Requests of which so little was told that no site is known.
    unplaced: AtomicU64,
}

/// An answer, or the work that it takes.
pub(super) enum Step {
    Now(Response<Bytes>),
    /// It reads files, so it must not hold up others.
    Later(Box<dyn FnOnce() -> Response<Bytes> + Send>),
}

impl Endpoint {
    /// Answers for a site, by whatever name it is asked for.
    ///
    /// # Errors
    ///
    /// As [`Gate::open`].
    pub fn of(site: &Site, users: Option<Users>) -> Result<Self> {
        Ok(Self::by(site, Gate::open(site)?, users))
    }

    /// Answers for a site by its gate.
    #[must_use]
    pub fn by(site: &Site, gate: Gate, users: Option<Users>) -> Self {
        Self::with(Sites::One(Served::by(site, gate)), users)
    }

    /// Answers for several sites. A name is the first part of the path of a question, or the host
    /// that is told.
    ///
    /// # Errors
    ///
    /// As [`Gate::open`]; and [`Error::Invalid`] for a name that cannot be asked for.
    pub fn of_named(sites: Vec<(String, Site)>, users: Option<Users>) -> Result<Self> {
        let mut named = BTreeMap::new();
        for (name, site) in sites {
            validate_name(&name)?;
            if named.contains_key(&name) {
                return Err(Error::invalid(format!("two sites have the name `{name}`")));
            }
            named.insert(name, Served::of(&site)?);
        }
        Ok(Self::with(Sites::Named(named), users))
    }

    fn with(sites: Sites, users: Option<Users>) -> Self {
        Self { sites, users, reported_at: Mutex::new(None), unplaced: AtomicU64::new(0) }
    }

    /// The site of a name, or the only one.
    pub(super) fn site(&self, name: Option<&str>) -> Option<&Served> {
        self.sites.of(name)
    }

    /// Answers what is asked.
    pub(super) fn answer(self: &Arc<Self>, asked: &Parts) -> Step {
        // A target may be a URL, which proxies send to proxies alone.
        let target = asked.uri.path_and_query().map_or("", |target| target.as_str());
        let Some((name, question, behind)) = Question::read(target) else {
            return Step::Now(plain(StatusCode::NOT_FOUND, "nothing is asked here"));
        };
        let decides = match question {
            Question::Auth | Question::Page => Some(Manner::Original),
            Question::ForwardAuth => Some(Manner::Forwarded),
            Question::ExtAuthz(manner) => Some(manner),
            _ => None,
        };
        if let Some(manner) = decides {
            return Step::Now(self.decide(asked, name, question, manner, behind));
        }
        if !matches!(asked.method, Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD ask here");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Step::Now(answer);
        }
        match question {
            Question::Live => Step::Now(plain(StatusCode::OK, "alive")),
            // It looks at no more than a decision does, and so waits for no more.
            Question::Ready => Step::Now(self.seen(question, name, Format::Text)),
            Question::Status | Question::Metrics => {
                let (endpoint, name) = (self.clone(), name.map(str::to_owned));
                let format = Format::accepted(&asked.headers);
                Step::Later(Box::new(move || endpoint.seen(question, name.as_deref(), format)))
            }
            _ => Step::Now(plain(StatusCode::NOT_FOUND, "nothing is asked here")),
        }
    }

    /// Answers monitors.
    fn seen(&self, question: Question, name: Option<&str>, format: Format) -> Response<Bytes> {
        let answer = match question {
            Question::Status => self
                .sites
                .status(name)
                .map(|object| typed("application/json", format!("{object:#}\n"))),
            Question::Metrics => self
                .sites
                .metrics(name, format, self.unplaced.load(Ordering::Relaxed))
                .map(|text| typed(format.content_type(), text)),
            _ => self.sites.ready(name).map(|ready| match ready {
                Ok(()) => plain(StatusCode::OK, "ready"),
                Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &why),
            }),
        };
        answer.unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "no site of this name is served"))
    }

    fn decide(
        &self,
        asked: &Parts,
        name: Option<&str>,
        question: Question,
        manner: Manner,
        target: &str,
    ) -> Response<Bytes> {
        let told = match Told::of(manner, asked, target, self.users.as_ref()) {
            Ok(told) => told,
            Err(missing) => {
                let served = self.sites.of(name);
                let count = served.map_or(&self.unplaced, |served| &served.counts.untold);
                count.fetch_add(1, Ordering::Relaxed);
                self.report(missing);
                let text = format!("the proxy has to tell {missing}, once");
                return plain(StatusCode::BAD_REQUEST, &text);
            }
        };
        let Some(served) = self.sites.of_host(name, || told.named_host()) else {
            return plain(StatusCode::NOT_FOUND, "no site of this name is served");
        };
        // One look at the state file for all that is said of it.
        let current = served.gate.current();
        let revision = current.revision();
        match current.answer(&told) {
            Answer::Pass(_) if question == Question::Page => {
                // The site has come back since the request was blocked.
                match current.answer_overridden(&told, Override::On) {
                    Answer::Reply(reply) => at_once(reply.with_body().into()),
                    Answer::Pass(_) => passed(&Pass::default(), revision),
                }
            }
            Answer::Pass(pass) => {
                let counts = &served.counts;
                let count =
                    if pass.read_only.is_some() { &counts.read_only } else { &counts.passed };
                count.fetch_add(1, Ordering::Relaxed);
                let mut answer = passed(&pass, revision);
                if matches!(question, Question::ExtAuthz(_)) {
                    // Envoy takes any other code for a refusal.
                    *answer.status_mut() = StatusCode::OK;
                }
                answer
            }
            Answer::Reply(reply) => {
                if question != Question::Page {
                    served.counts.blocked.fetch_add(1, Ordering::Relaxed);
                }
                match question {
                    Question::Auth => refused(&reply),
                    Question::ExtAuthz(_) => no_failure(reply.with_body().into()),
                    _ => reply.with_body().into(),
                }
            }
        }
    }

    /// Reports a proxy that tells too little, since its operators see no more than a status code.
    fn report(&self, missing: &str) {
        let mut reported_at = self.reported_at.lock().unwrap_or_else(PoisonError::into_inner);
        if reported_at.is_some_and(|at| at.elapsed() < REPORTED_EVERY) {
            return;
        }
        *reported_at = Some(Instant::now());
        sys::say(&format!(
            "maint: a proxy asks, and does not tell {missing} once; `maint snippet nginx --endpoint …` \
             prints what it should tell\n"
        ));
    }
}

/// The answer for a request that passes: what the app's answer should have is in the header
/// fields.
fn passed(pass: &Pass, revision: u64) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    let mark = pass.mark().map_or("pass", |(_, mark)| mark);
    headers.insert(&MARK_NAME, HeaderValue::from_static(mark));
    headers.insert(&REVISION_NAME, revision.into());
    if pass.is_private {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(Pass::CACHE_CONTROL));
    }
    answer
}

/// The answer for a request that is blocked, to a proxy that cannot pass on more.
fn refused(reply: &Reply) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::FORBIDDEN;
    for name in [MARK, REVISION, RETRY_AFTER.as_str(), CACHE_CONTROL.as_str()] {
        let value = reply.header(name).and_then(|value| HeaderValue::try_from(value).ok());
        if let (Some(value), Ok(name)) = (value, HeaderName::try_from(name)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// The answer for a request that is blocked, to a proxy that takes a 5xx for a failure of the
/// endpoint: it would drop the page, or let everybody pass. Robots take this code as they take
/// 503, so a proxy that does not turn it back does no harm.
fn no_failure(mut answer: Response<Bytes>) -> Response<Bytes> {
    if answer.status().is_server_error() {
        *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    }
    answer
}

/// Tells the client to come back at once.
fn at_once(mut answer: Response<Bytes>) -> Response<Bytes> {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// A line of text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut answer = typed("text/plain; charset=utf-8", format!("{text}\n"));
    *answer.status_mut() = status;
    answer
}

/// What is true for this moment alone.
fn typed(content_type: &'static str, text: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(text));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
