//! What an answer is: pure, from what came back and what was wanted.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::page::reply::{MARK, REVISION};

/// How old the `Date` of an answer may be before it counts as a copy. Clocks differ.
const OLD: i64 = 60;

/// The line in the head of the built-in page, for servers that show the file alone.
const GENERATOR: &str = r#"<meta name="generator" content="maint">"#;

/// An answer over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Name, in lower case, and value of each header field.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// The address that answered, after redirects within the site.
    pub url: String,
    /// How long it took until the header fields were there, of the last request.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// `refused`, `timeout`, `name`, `tls`, `proxy`, `closed`, `protocol` or `network`.
    pub kind: &'static str,
    /// In words.
    pub reason: String,
}

/// What came of a request.
pub type Outcome = Result<Answer, Unreached>;

/// What a visitor should get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether it is our page (`true`) or the app (`false`); `None` if nobody says.
    pub page: Option<bool>,
    /// The status of the page that the state asks for, if it is known.
    pub status: Option<u16>,
    /// The revision of the site's state, if there is one.
    pub revision: Option<u64>,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The app, or whatever stands for it without our mark.
    App,
    /// Our page.
    Page,
    /// What a cache kept, of the page or of the app, while the host says something else.
    Stale,
    /// Our page, by a host whose state is older than the site's.
    Behind,
    /// An error of a server (500 to 599) without our mark.
    Other,
    /// No answer.
    Unreachable,
}

impl What {
    /// One word, as `--json` has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Page => "page",
            Self::Stale => "stale",
            Self::Behind => "behind",
            Self::Other => "other",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What an answer is, and whether it is as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is.
    pub what: What,
    /// The revision that it was made from, if it tells.
    pub revision: Option<u64>,
    /// Whether it is as wanted. If nothing is wanted: whether somebody answers, and what is
    /// neither stale nor an error of a server.
    pub is_met: bool,
    /// What a cache says of it: `age 312 s, x-cache: HIT`.
    pub cached: Option<String>,
    /// What there is to know about it, in words; empty if all is plain.
    pub notes: Vec<String>,
}

/// What one answer is, without a look at others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    App,
    Page(Option<u64>),
    Other,
}

impl Answer {
    /// The value of a header field, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Whether maint made it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        // An app answers with `read-only` under such a window.
        self.header(MARK).is_some_and(|said| said.trim() == "block") || self.has_generator()
    }

    /// Whether the head of this HTML names maint as what made it.
    fn has_generator(&self) -> bool {
        let is_html = self.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        let text = String::from_utf8_lossy(&self.body);
        let head = text.split("<body").next().unwrap_or_default();
        is_html && head.contains(GENERATOR)
    }

    fn kind(&self) -> Kind {
        if self.is_ours() {
            Kind::Page(self.header(REVISION).and_then(|text| text.trim().parse().ok()))
        } else if self.status >= 500 {
            Kind::Other
        } else {
            Kind::App
        }
    }

    /// What a cache says: that it had the answer, or for how long it has kept it.
    fn cached(&self) -> Option<String> {
        let mut said = Vec::new();
        let age = self.header("age").and_then(|text| text.trim().parse::<u64>().ok());
        if let Some(age) = age.filter(|age| *age > 0) {
            said.push(format!("age {age} s"));
        }
        said.extend(self.headers.iter().filter(|(name, value)| is_hit(name, value)).map(
            |(name, value)| format!("{name}: {}", value.chars().take(60).collect::<String>()),
        ));
        (!said.is_empty()).then(|| said.join(", "))
    }

    /// Whether it was made long before now, by its own clock.
    fn is_old(&self, now: Timestamp) -> bool {
        let date = self.header("date").and_then(|date| rfc2822::parse(date).ok());
        date.is_some_and(|date| now.duration_since(date.timestamp()).as_secs() > OLD)
    }
}

/// Whether a header field says that a cache had the answer: `Cache-Status` (RFC 9211) and
/// what caches said before it.
fn is_hit(name: &str, value: &str) -> bool {
    let words =
        || value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    match name {
        // Each member is a cache with parameters; `hit=?0` is none.
        "cache-status" => value.split(',').any(|member| {
            let parameters = member.split(';').skip(1).map(str::trim);
            parameters.into_iter().any(|one| one == "hit" || one == "hit=?1")
        }),
        // Varnish names the request that filled it, too.
        "x-varnish" => words().count() > 1,
        "x-cache" | "x-cache-status" | "x-proxy-cache" | "cf-cache-status" | "x-cache-lookup"
        | "x-vercel-cache" | "x-drupal-cache" | "x-nginx-cache" | "cdn-cache" => {
            words().any(|word| {
                ["hit", "stale", "updating", "revalidated"]
                    .iter()
                    .any(|said| word.eq_ignore_ascii_case(said))
            })
        }
        _ => false,
    }
}

/// Whether a second request, that no cache has an answer to, would tell more.
#[must_use]
pub fn needs_second(first: &Outcome, wanted: &Wanted, now: Timestamp) -> bool {
    let Ok(answer) = first else { return false };
    let kind = answer.kind();
    answer.cached().is_some()
        || answer.is_old(now)
        || !is_wanted(kind, wanted)
        || is_older(kind, wanted)
}

fn is_wanted(kind: Kind, wanted: &Wanted) -> bool {
    match (kind, wanted.page) {
        (Kind::Other, _) => false,
        (_, None) => true,
        (kind, Some(page)) => matches!(kind, Kind::Page(_)) == page,
    }
}

fn is_older(kind: Kind, wanted: &Wanted) -> bool {
    matches!((kind, wanted.revision), (Kind::Page(Some(told)), Some(state)) if told < state)
}

/// Says what an answer is. `fresh` is that to a second request, past all caches.
#[must_use]
pub fn judge(first: &Outcome, fresh: Option<&Outcome>, wanted: &Wanted) -> Verdict {
    let answer = match first {
        Ok(answer) => answer,
        Err(unreached) => {
            return Verdict {
                what: What::Unreachable,
                revision: None,
                is_met: false,
                cached: None,
                notes: vec![unreached.reason.clone()],
            };
        }
    };
    let kind = answer.kind();
    let cached = answer.cached();
    let revision = match kind {
        Kind::Page(revision) => revision,
        _ => None,
    };
    let mut notes = Vec::new();
    let fresh = fresh.and_then(|fresh| fresh.as_ref().ok()).map(Answer::kind);
    let is_stale = fresh.is_some_and(|fresh| is_superseded(kind, fresh, cached.is_some()));
    let what = if is_stale {
        let source = if cached.is_some() {
            "a cache keeps it"
        } else {
            "a cache keeps it, or hosts behind this address differ"
        };
        notes
            .push(format!("{source}: past caches comes {}", fresh.map_or_else(String::new, named)));
        What::Stale
    } else {
        match kind {
            Kind::Other => What::Other,
            Kind::App => What::App,
            Kind::Page(_) if is_older(kind, wanted) => What::Behind,
            Kind::Page(_) => What::Page,
        }
    };
    let is_rewritten = note(what, answer, wanted, &mut notes);
    let is_met = is_wanted(kind, wanted)
        && !is_rewritten
        && !matches!(what, What::Stale | What::Behind | What::Other);
    Verdict { what, revision, is_met, cached, notes }
}

/// Whether what comes past caches shows that the first answer was kept too long.
fn is_superseded(first: Kind, fresh: Kind, is_cached: bool) -> bool {
    match (first, fresh) {
        (Kind::Page(Some(kept)), Kind::Page(Some(new))) => kept < new,
        (Kind::Page(_), Kind::App) | (Kind::App, Kind::Page(_)) => true,
        // An error that comes and goes is none of a cache's.
        (Kind::Other, Kind::App | Kind::Page(_)) => is_cached,
        _ => false,
    }
}

fn named(kind: Kind) -> String {
    match kind {
        Kind::App => "the app".to_owned(),
        Kind::Page(Some(revision)) => format!("the page of revision {revision}"),
        Kind::Page(None) => "the page".to_owned(),
        Kind::Other => "an error without our mark".to_owned(),
    }
}

/// Adds what there is to know about an answer. Returns whether something on the way gave the
/// page another status than the state asks for.
fn note(what: What, answer: &Answer, wanted: &Wanted, notes: &mut Vec<String>) -> bool {
    let status = answer.status;
    let told = match answer.kind() {
        Kind::Page(told) => told,
        _ => None,
    };
    match (what, told, wanted.revision) {
        (What::Behind, Some(told), Some(state)) => notes.push(format!(
            "the host itself answers with revision {told}, and the state here has {state}"
        )),
        (What::Page, Some(told), Some(state)) if told > state => notes.push(format!(
            "the host has revision {told}, newer than the state here, which has {state}"
        )),
        (What::Page, Some(_), Some(_)) if wanted.page == Some(false) => {
            notes.push("the state here lets this request through".to_owned());
        }
        (What::Page, None, _) if wanted.page == Some(false) => notes
            .push("it tells no revision, as the page of a flag: a flag may not follow".to_owned()),
        _ => {}
    }
    if what == What::Other {
        notes.push(format!(
            "{status} without our mark: a proxy or balancer, or an app that is down"
        ));
    }
    if let Some(to) = answer.header("location").filter(|_| (300..400).contains(&status)) {
        notes.push(format!("it leads to {to}"));
    }
    // Another revision may ask for another status.
    let is_same = matches!((told, wanted.revision), (Some(told), Some(state)) if told == state);
    let asked = wanted.status.filter(|asked| what == What::Page && is_same && *asked != status);
    if let Some(asked) = asked {
        notes.push(format!("the state asks for {asked}; something on the way made it {status}"));
    }
    asked.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

    fn answer(status: u16, fields: &[(&str, &str)], body: &str) -> Answer {
        let headers = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Answer { status, headers: headers.collect(), body: body.into(), ..Answer::default() }
    }

    fn app() -> Answer {
        answer(200, &[HTML], "<p>the shop")
    }

    fn page(revision: u64) -> Answer {
        let revision = revision.to_string();
        answer(503, &[HTML, (MARK, "block"), (REVISION, &revision)], "")
    }

    fn with(mut answer: Answer, name: &str, value: &str) -> Answer {
        answer.headers.push((name.into(), value.into()));
        answer
    }

    fn on(revision: u64) -> Wanted {
        Wanted { page: Some(true), status: Some(503), revision: Some(revision) }
    }

    fn off(revision: u64) -> Wanted {
        Wanted { page: Some(false), status: None, revision: Some(revision) }
    }

    #[test]
    fn each_answer_is_told_by_its_marks_and_by_what_comes_past_caches() {
        let nobody = Wanted::default();
        let flag = || answer(503, &[HTML, (MARK, "block")], "");
        let bare = || answer(503, &[HTML], &format!("<head>{GENERATOR}</head><body>"));
        let hit = |answer| with(with(answer, "age", "312"), "x-cache", "HIT");
        let other = || answer(503, &[HTML], "<h1>503 Service Temporarily Unavailable</h1>");
        let table = [
            // What came, what came past caches, what was wanted: what it is, and whether as wanted.
            (app(), None, nobody, What::App, true),
            (app(), None, off(7), What::App, true),
            (app(), Some(app()), on(7), What::App, false),
            (answer(404, &[HTML], ""), None, off(7), What::App, true),
            (answer(200, &[HTML, (MARK, "read-only")], ""), None, off(7), What::App, true),
            (answer(200, &[HTML, (MARK, "read-only")], ""), None, on(7), What::App, false),
            (page(7), None, on(7), What::Page, true),
            (page(7), None, nobody, What::Page, true),
            (page(7), Some(page(7)), off(7), What::Page, false),
            (page(8), None, on(7), What::Page, true),
            (page(6), Some(page(6)), on(7), What::Behind, false),
            (page(6), Some(page(6)), off(7), What::Behind, false),
            (page(6), Some(page(7)), on(7), What::Stale, false),
            (hit(page(6)), Some(app()), off(7), What::Stale, false),
            (hit(app()), Some(page(7)), on(7), What::Stale, false),
            (hit(app()), Some(page(7)), nobody, What::Stale, false),
            // A cache may keep what is as it should be.
            (hit(app()), Some(app()), off(7), What::App, true),
            (flag(), None, on(7), What::Page, true),
            (flag(), Some(flag()), off(7), What::Page, false),
            (flag(), Some(app()), off(7), What::Stale, false),
            (bare(), None, on(7), What::Page, true),
            (other(), Some(other()), on(7), What::Other, false),
            (other(), Some(other()), off(7), What::Other, false),
            (other(), Some(other()), nobody, What::Other, false),
            (other(), Some(app()), off(7), What::Other, false),
            (hit(other()), Some(app()), off(7), What::Stale, false),
            // An app that falls over behind a cache is not the cache's fault.
            (hit(app()), Some(other()), off(7), What::App, true),
            (answer(502, &[], ""), Some(answer(502, &[], "")), on(7), What::Other, false),
        ];
        for (number, (first, fresh, wanted, what, is_met)) in table.into_iter().enumerate() {
            let (first, fresh) = (Ok(first), fresh.map(Ok));
            let verdict = judge(&first, fresh.as_ref(), &wanted);
            assert_eq!((verdict.what, verdict.is_met), (what, is_met), "{number}: {verdict:?}");
            if !is_met {
                let is_asked = needs_second(&first, &wanted, Timestamp::UNIX_EPOCH);
                assert!(is_asked, "{number}: the second request tells more");
            }
        }
    }

    #[test]
    fn a_page_with_another_status_was_rewritten() {
        let mut rewritten = page(7);
        rewritten.status = 200;
        let verdict = judge(&Ok(rewritten.clone()), None, &on(7));
        assert_eq!((verdict.what, verdict.is_met), (What::Page, false));
        let note = "the state asks for 503; something on the way made it 200";
        assert_eq!(verdict.notes, [note]);
        // Another revision may have asked for it.
        assert!(judge(&Ok(rewritten), None, &on(6)).is_met);
    }

    #[test]
    fn what_leads_elsewhere_says_where() {
        let moved = with(with(page(7), "location", "https://status.example/"), "x", "y");
        let verdict = judge(&Ok(Answer { status: 302, ..moved }), None, &Wanted::default());
        assert_eq!(verdict.what, What::Page);
        assert_eq!(verdict.notes, ["it leads to https://status.example/"]);
    }

    #[test]
    fn no_answer_is_never_as_wanted() {
        let unreached = Unreached { kind: "refused", reason: "connection refused".to_owned() };
        for wanted in [Wanted::default(), on(7), off(7)] {
            let verdict = judge(&Err(unreached.clone()), None, &wanted);
            assert_eq!((verdict.what, verdict.is_met), (What::Unreachable, false));
            assert!(!needs_second(&Err(unreached.clone()), &wanted, Timestamp::UNIX_EPOCH));
        }
    }

    #[test]
    fn caches_say_in_many_ways_that_they_had_the_answer() {
        for (name, value, is_it) in [
            ("x-cache", "HIT", true),
            ("x-cache", "Hit from cloudfront", true),
            ("x-cache", "MISS, HIT", true),
            ("x-cache", "MISS", false),
            ("x-cache-status", "STALE", true),
            ("cf-cache-status", "DYNAMIC", false),
            ("cf-cache-status", "REVALIDATED", true),
            ("cache-status", "ExampleCache; hit; ttl=30", true),
            ("cache-status", "Origin; fwd=uri-miss, \"Edge\"; hit=?1", true),
            ("cache-status", "hit; fwd=miss", false),
            ("x-varnish", "32770", false),
            ("x-varnish", "32773 32771", true),
            ("x-whitelist", "hit", false),
            ("age", "0", false),
            ("age", "12", true),
        ] {
            assert_eq!(with(app(), name, value).cached().is_some(), is_it, "{name}: {value}");
        }
    }

    #[test]
    fn an_old_date_is_a_reason_to_ask_again() {
        let now: Timestamp = "1994-11-06T08:50:37Z".parse().unwrap();
        let answer = |date| Ok(with(app(), "date", date));
        assert!(!needs_second(&answer("Sun, 06 Nov 1994 08:49:37 GMT"), &off(7), now));
        assert!(needs_second(&answer("Sun, 06 Nov 1994 08:49:36 GMT"), &off(7), now));
        assert!(!needs_second(&answer("yesterday"), &off(7), now));
    }

    #[test]
    fn the_built_in_page_names_what_made_it_and_a_page_about_it_does_not() {
        let builtin = crate::page::render::builtin(crate::format::Format::Html);
        assert!(answer(503, &[HTML], builtin).is_ours());
        let about = format!("<head></head><body>put {GENERATOR} into the head");
        assert!(!answer(200, &[HTML], &about).is_ours());
        let text = [("content-type", "text/plain")];
        assert!(!answer(200, &text, builtin).is_ours(), "a source is no page");
    }
}
