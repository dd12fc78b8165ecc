//! What the gate costs a request: `make bench`, or
//! `cargo bench --no-default-features --features tower --bench gate`.
//!
//! Contenders take turns, as in `benches/command.rs`, and a table shows the median
//! of the rounds with the smallest and largest ratio. Times are processor time, so
//! that other processes matter little; only what a reader waits for goes by the
//! clock on the wall. A turn is the mean of many calls where one is too short. No
//! budget ever fails this program, but an unexpected answer does.
//!
//! - `MAINT_BENCH_ROUNDS`: the number of rounds (20)
//! - `MAINT_BENCH_DIR`: where to work (the target directory)
//! - an argument: only the parts whose name contains it, such as `notice`
//! - `constant-time`: only a claim, requirement 45, and this one fails if it does
//!   not hold: `make tokens`

mod axum;
#[path = "../common/mod.rs"]
mod common;
mod decide;
mod fresh;
mod notice;
mod sample;
mod tokens;

use std::process::ExitCode;

use common::{Place, Result, print_machine, rounds};

type Part = fn(&Place, usize) -> Result<String>;

const PARTS: [(&str, Part); 11] = [
    ("fresh", fresh::always),
    ("recheck", fresh::recheck),
    ("next", fresh::next),
    ("threads", fresh::threads),
    ("decide", decide::decide),
    ("paths", decide::paths),
    ("blocked", decide::blocked),
    ("notice", notice::notice),
    ("render", notice::render),
    ("axum", axum::axum),
    ("tokens", tokens::tokens),
];

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    // Cargo passes `--bench` and the arguments it was given.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if wanted == ["constant-time"] {
        println!("{}", tokens::proof()?);
        return Ok(());
    }
    let (rounds, place) = (rounds()?, Place::new()?);
    print_machine(&place.dir, rounds)?;
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            println!("\n{}", part(&place, rounds)?.trim_end());
        }
    }
    Ok(())
}
