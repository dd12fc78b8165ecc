//! One command: from the start of its process to its end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Bench;
use crate::common::{Result, command, run, span};
use crate::propagation::quantile;
use crate::source::Source;

/// How often each contender switches on and off, and how often before it counts.
const TURNS: usize = 200;
const WARM: usize = 10;

/// One who switches on and off in turn.
struct Contender {
    name: String,
    on: Command,
    off: Command,
    seconds: Vec<f64>,
}

impl Contender {
    fn new(bench: &Bench, name: String, dir: &Path, store: Option<&str>) -> Self {
        let arguments = |words: &[&'static str]| {
            let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
            let mut command = command(&bench.binary, &words, dir);
            command.envs(store.map(|store| ("MAINT_STORE", store)));
            command
        };
        let (on, off) = (arguments(&["on", "-m", "Back at noon"]), arguments(&["off"]));
        Self { name, on, off, seconds: Vec::new() }
    }
}

pub(crate) fn once(bench: &Bench) -> Result<()> {
    let dir = |name: &str| -> Result<_> {
        let dir = bench.disk.dir.join(format!("once-{name}"));
        fs::create_dir(&dir)?;
        Ok(dir)
    };
    let init = |dir: &Path, more: &[&str]| {
        let words: Vec<_> = ["init"].iter().chain(more).map(AsRef::as_ref).collect();
        run(&mut command(&bench.binary, &words, dir))
    };
    let local = dir("local")?;
    init(&local, &[])?;
    let mut all = vec![Contender::new(bench, "a site of its own".to_owned(), &local, None)];
    let sources = Source::all();
    for (number, source) in sources.iter().enumerate() {
        let (name, url) = (source.name(), source.url());
        let host = dir(&format!("host{number}"))?;
        init(&host, &["--store", &url])?;
        all.push(Contender::new(bench, format!("a host that follows {name}"), &host, None));
        let ci = dir(&format!("ci{number}"))?;
        all.push(Contender::new(bench, format!("MAINT_STORE, {name}"), &ci, Some(&url)));
    }
    for turn in 0..WARM + TURNS {
        for contender in &mut all {
            let times: [Duration; 2] = [run(&mut contender.on)?, run(&mut contender.off)?];
            if turn >= WARM {
                contender.seconds.extend(times.map(|time| time.as_secs_f64()));
            }
        }
    }
    println!(
        "`maint on` and `maint off`, {TURNS} times each, on the disk\n{:<44}{:>9}{:>9}",
        "", "p50", "p99"
    );
    for Contender { name, seconds, .. } in &mut all {
        let (middle, most) = (quantile(seconds, 0.5), quantile(seconds, 0.99));
        println!("{name:<44}{:>9}{:>9}", span(middle), span(most));
    }
    Ok(())
}
