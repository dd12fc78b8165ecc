//! Sites, rules and requests to measure with.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use maint::gate::{Answer, Options};
use maint::request::RequestParts;
use maint::rules::{Kind, Rule};
use maint::{Gate, Site, State, Window};
use rustix::time::{ClockId, clock_gettime};

use crate::common::{Place, Result};

/// What Firefox sends.
pub(crate) const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The number of different requests that take turns, so that lookups in a large
/// table hit many places.
pub(crate) const REQUESTS: u32 = 1024;

/// The mean processor time of many calls, in seconds: only what this thread used,
/// however often others interrupted it.
pub(crate) fn mean(calls: u32, mut call: impl FnMut(usize)) -> f64 {
    let begun = thread_clock();
    for number in 0..calls {
        call(number as usize);
    }
    (thread_clock() - begun) / f64::from(calls)
}

/// Processor time that this thread has used, in seconds.
pub(crate) fn thread_clock() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
        .as_secs_f64()
}

/// A window that covers everything until someone closes it.
pub(crate) fn window() -> Window {
    let text = r#"{"reason":"Back at noon","opened_at":"2026-11-22T03:00:00Z"}"#;
    serde_json::from_str(text).expect("it is a window")
}

/// This many path rules, then this many networks.
pub(crate) fn rules(paths: u32, networks: u32) -> BTreeMap<String, Rule> {
    let paths = (0..paths).map(|number| (Kind::Path, path(number)));
    let networks = (0..networks).map(|number| (Kind::Ip, network(number)));
    let numbered = paths.chain(networks).zip(1..);
    numbered.map(|((kind, value), id)| (format!("r{id}"), rule(kind, value))).collect()
}

fn rule(kind: Kind, value: String) -> Rule {
    Rule::new(kind, value)
}

/// As `maint ignore add` writes them, with when and by whom.
pub(crate) fn signed(rules: BTreeMap<String, Rule>) -> BTreeMap<String, Rule> {
    let sign = |(id, mut rule): (String, Rule)| {
        rule.added_at = Timestamp::from_second(1_795_000_000).ok();
        rule.added_by = Some("deploy@web1".to_owned());
        (id, rule)
    };
    rules.into_iter().map(sign).collect()
}

/// Half of them subtrees, four in ten exact, one in ten a glob.
fn path(number: u32) -> String {
    match number % 10 {
        0..5 => format!("/part/{number}/**"),
        5..9 => format!("/part/{number}/file"),
        _ => format!("/part/{number}/*/edit"),
    }
}

/// Prefixes of three lengths: addresses, small and large networks.
fn network(number: u32) -> String {
    let [high, middle, low] = [number >> 16, number >> 8 & 255, number & 255];
    match number % 3 {
        0 => format!("{}.{middle}.{low}.0/24", 11 + high),
        1 => format!("{}.{middle}.{low}.64/28", 21 + high),
        _ => format!("{}.{middle}.{low}.7", 31 + high),
    }
}

/// A request that no rule lets through.
pub(crate) fn stranger(number: u32) -> RequestParts {
    request(&format!("/shop/{number}/item"), Ipv4Addr::from(0xcb00_7100 | number & 255))
}

/// A request that the path rule of this number lets through.
pub(crate) fn by_path(number: u32) -> RequestParts {
    let tail = if number % 10 < 9 { "file" } else { "7/edit" };
    request(&format!("/part/{number}/{tail}"), Ipv4Addr::new(203, 0, 113, 7))
}

/// A request that the network of this number lets through.
pub(crate) fn by_network(number: u32) -> RequestParts {
    let text = network(number);
    let (address, _) = text.split_once('/').unwrap_or((&text, ""));
    request(&format!("/shop/{number}/item"), address.parse().expect("it is an address"))
}

fn request(path: &str, peer: Ipv4Addr) -> RequestParts {
    RequestParts::new("GET", path)
        .with_host("shop.example.com")
        .with_peer(IpAddr::V4(peer))
        .with(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        )
        .with("accept", BROWSER)
        .with("accept-language", "en-GB,en;q=0.5")
        .with("accept-encoding", "gzip, deflate, br")
}

/// Requests for numbers spread over a table of this many entries.
pub(crate) fn spread(entries: u32, request: impl Fn(u32) -> RequestParts) -> Vec<RequestParts> {
    // A large odd number visits them in an order the processor cannot predict.
    (0..REQUESTS).map(|turn| request(turn.wrapping_mul(2_654_435_761) % entries.max(1))).collect()
}

/// A site on the disk.
pub(crate) struct Sample {
    pub(crate) site: Site,
}

impl Sample {
    pub(crate) fn new(place: &Place, name: &str, state: &State) -> Result<Self> {
        let dir = place.dir.join(name);
        fs::create_dir_all(&dir)?;
        let sample = Self { site: Site::at(dir) };
        sample.replace(&text(state)?)?;
        Ok(sample)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.site.state_file()
    }

    /// Replaces the state file as the store does, except for the syncing.
    #[expect(clippy::disallowed_methods, reason = "the store would parse what is measured")]
    pub(crate) fn replace(&self, text: &[u8]) -> Result<()> {
        let next = self.site.dir().join("next");
        fs::write(&next, text)?;
        Ok(fs::rename(next, self.file())?)
    }

    /// A gate for which the file has settled, so that no second look is due.
    pub(crate) fn gate(&self, recheck: Option<Duration>) -> Result<Gate> {
        let gate = Gate::open_with(&self.site, Options::new().recheck(recheck))?;
        std::thread::sleep(Duration::from_millis(1100));
        let _ = gate.revision();
        if recheck.is_some() {
            return Ok(Gate::open_with(&self.site, Options::new().recheck(recheck))?);
        }
        Ok(gate)
    }
}

/// A state as the store writes it: indented while it is small.
pub(crate) fn text(state: &State) -> Result<Vec<u8>> {
    let text = serde_json::to_vec_pretty(state)?;
    Ok(if text.len() > 256 * 1024 { serde_json::to_vec(state)? } else { text })
}

/// A state that is up, or down by one window.
pub(crate) fn state(is_down: bool, rules: BTreeMap<String, Rule>) -> State {
    let mut state = State::default();
    (state.revision, state.ignore) = (1, rules);
    if is_down {
        state.windows.insert("default".to_owned(), window());
    }
    state
}

pub(crate) fn passes(gate: &Gate, request: &RequestParts) -> bool {
    matches!(gate.answer(request), Answer::Pass(_))
}
