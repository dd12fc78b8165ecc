//! Whether the time of a refusal shows where a digest differs (requirement 45),
//! by the method of dudect: "Dude, is my code constant time?", Reparaz, Balasch
//! and Verbauwhede, 2017.

use std::hint::black_box;
use std::time::Instant;

use jiff::Timestamp;
use maint::gate::Plan;
use maint::internal::state as bypass;
use maint::request::RequestParts;
use maint::state::BypassToken;

use crate::common::{Place, Result};
use crate::sample::{rules, state};

const SAMPLES: usize = 1_000_000;

/// After this many samples everything is made anew. Its place in memory is worth a
/// nanosecond or two to all samples of a class, and a test that takes them for
/// independent would count that as a leak. So the samples of one place make one
/// difference, and the test is of those.
const SAMPLES_OF_ONE_PLACE: usize = 100;

/// A larger |t| shows a difference.
const CRITICAL: f64 = 4.5;

const TOKEN: &str = "maint_0123456789abcdef0123456789abcdef01234567";

/// Refuses a token.
type Refusal = Box<dyn Fn()>;

/// The |t| of the gate, and that of a comparison that stops at the first difference.
fn measure() -> Result<(f64, f64)> {
    let gate = largest_t(|digest| {
        let mut state = state(true, rules(0, 0));
        state.bypass.insert("b1".to_owned(), token(digest));
        let plan = Plan::new(&state)?;
        let request = RequestParts::new("GET", "/").with_token(TOKEN);
        let now = Timestamp::now();
        assert!(!plan.decide(&request, now).is_pass());
        Ok(Box::new(move || {
            black_box(plan.decide(black_box(&request), now));
        }))
    })?;
    let naive = largest_t(|digest| {
        Ok(Box::new(move || {
            let given = bypass::digest(black_box(TOKEN));
            let is_same = given
                .bytes()
                .zip(digest.bytes())
                .all(|(one, other)| black_box(one) == black_box(other));
            black_box(is_same);
        }))
    })?;
    Ok((gate, naive))
}

pub(crate) fn tokens(_: &Place, _: usize) -> Result<String> {
    let (gate, naive) = measure()?;
    let (gate_verdict, naive_verdict) = (
        if gate < CRITICAL { "met" } else { "MISSED" },
        if naive < CRITICAL { "MISSED: this run could not have shown it" } else { "shown" },
    );
    Ok(format!(
        "A token refused, its digest different in the first place or in the last ({SAMPLES} samples)\n  \
         the gate: |t| = {gate:.2}; budget < {CRITICAL}: {gate_verdict}\n  \
         a comparison that stops where they differ: |t| = {naive:.2}: {naive_verdict}\n"
    ))
}

/// The one figure that is a claim and not a budget. On a busy host one run may show
/// nothing, or a difference that is not there, so there are three.
pub(crate) fn proof() -> Result<String> {
    const TRIES: u32 = 3;
    for number in 1..=TRIES {
        let (gate, naive) = measure()?;
        let is_shown = gate < CRITICAL && naive >= CRITICAL;
        let what = format!(
            "requirement_45_the_time_of_a_refusal_tells_nothing: |t| = {gate:.2} over {SAMPLES} \
             samples, below {CRITICAL} is allowed; planted early exit |t| = {naive:.2}"
        );
        eprintln!("figure: {what}{}", if is_shown { "" } else { "; this shows nothing" });
        if is_shown {
            return Ok(format!("{what}, run {number} of at most {TRIES}"));
        }
    }
    Err(format!("requirement 45 is not shown by {TRIES} runs").into())
}

fn token(digest: String) -> BypassToken {
    let mut token = BypassToken::of("");
    token.sha256 = digest;
    token
}

/// The digest of the token with one digit changed.
fn spoilt(place: usize) -> String {
    let digest = bypass::digest(TOKEN);
    let digit = if digest.as_bytes()[place] == b'0' { "1" } else { "0" };
    [&digest[..place], digit, &digest[place + 1..]].concat()
}

/// Times both classes in random order, and compares them: all samples, and those
/// below some percentiles, which leaves out interruptions.
fn largest_t(make: impl Fn(String) -> Result<Refusal>) -> Result<f64> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut samples = Vec::with_capacity(SAMPLES);
    let last = bypass::digest(TOKEN).len() - 1;
    while samples.len() < SAMPLES {
        let make = |is_last: bool| make(spoilt(if is_last { last } else { 0 }));
        let first_made = chance.coin();
        let (one, other) = (make(first_made)?, make(!first_made)?);
        let refusal = |is_last| if is_last == first_made { &one } else { &other };
        for _ in 0..8 {
            refusal(true)();
            refusal(false)();
        }
        for _ in 0..SAMPLES_OF_ONE_PLACE {
            let is_last = chance.coin();
            let refuse = refusal(is_last);
            let begun = Instant::now();
            refuse();
            let time = begun.elapsed().as_nanos();
            samples.push((is_last, u32::try_from(time).unwrap_or(u32::MAX)));
        }
    }
    let mut sorted: Vec<u32> = samples.iter().map(|sample| sample.1).collect();
    sorted.sort_unstable();
    let bounds = [50, 75, 90, 95, 99].map(|percent| sorted[SAMPLES / 100 * percent]);
    let of_bound = |bound| t(samples.chunks(SAMPLES_OF_ONE_PLACE).filter_map(difference(bound)));
    Ok(bounds.into_iter().chain([u32::MAX]).map(of_bound).fold(0.0, f64::max))
}

/// The difference of the means of both classes, of the samples up to a bound;
/// absent if a class has none.
fn difference(bound: u32) -> impl Fn(&[(bool, u32)]) -> Option<f64> {
    move |samples| {
        let mean = |of_class| {
            let times = samples.iter().filter(|&&(class, time)| class == of_class && time <= bound);
            let (number, sum) = times.fold((0.0, 0.0), |(number, sum), &(_, time)| {
                (number + 1.0, sum + f64::from(time))
            });
            (number > 0.0).then(|| sum / number)
        };
        Some(mean(true)? - mean(false)?)
    }
}

/// The distance of the mean from zero, in standard errors (Student's t).
fn t(differences: impl Iterator<Item = f64>) -> f64 {
    // Number, mean and sum of squared deviations (Welford, 1962).
    let (mut number, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for difference in differences {
        number += 1.0;
        let off = difference - mean;
        mean += off / number;
        squares += off * (difference - mean);
    }
    (mean / (squares / (number - 1.0) / number).sqrt()).abs()
}

/// Xorshift64 (Marsaglia, 2003).
struct Chance(u64);

impl Chance {
    fn coin(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 63 == 1
    }
}
