//! What a changed state costs the request that meets it.

use std::fs;
use std::hint::black_box;

use maint::internal::load;
use maint::request::RequestParts;
use maint::{Gate, State};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::common::{Budget, Place, Result, Table, race_seconds};
use crate::sample::{Sample, by_path, mean, passes, rules, signed, state, stranger, text};

type Contender<'a> = (String, Box<dyn FnMut() -> Result<f64> + 'a>);

/// A site whose state is one of two, and a gate in front of it.
struct Switch {
    sample: Sample,
    gate: Gate,
    texts: [Vec<u8>; 2],
    is_second: bool,
}

impl Switch {
    fn new(place: &Place, name: &str, states: [&State; 2]) -> Result<Self> {
        let sample = Sample::new(place, name, states[0])?;
        let gate = Gate::open(&sample.site)?;
        Ok(Self { sample, gate, texts: [text(states[0])?, text(states[1])?], is_second: false })
    }

    /// Writes the other state to the file.
    fn turn(&mut self) -> Result<()> {
        self.is_second = !self.is_second;
        self.sample.replace(&self.texts[usize::from(self.is_second)])
    }

    /// The processor time of one request, and whether it passes.
    fn ask(&self, request: &RequestParts) -> (f64, bool) {
        let mut is_passed = false;
        let time = mean(1, |_| is_passed = passes(&self.gate, request));
        (time, is_passed)
    }
}

/// One table for each size.
pub(crate) fn notice(place: &Place, rounds: usize) -> Result<String> {
    let sizes = [(0, 11, rounds), (10, 11, rounds), (1_000, 11, rounds), (10_000, 5, rounds)];
    let mut tables = Vec::new();
    for (number, turns, rounds) in sizes {
        tables.push(of_size(place, number, turns, rounds)?);
    }
    Ok(tables.join("\n"))
}

fn of_size(place: &Place, number: u32, turns: usize, rounds: usize) -> Result<String> {
    let half = signed(rules(number / 2, number / 2));
    let (up, down) = (state(false, half.clone()), state(true, half));
    let mut moved = down.clone();
    if let Some(rule) = moved.ignore.get_mut("r1") {
        "/moved/**".clone_into(&mut rule.value);
    }
    let (stayed, mut gone) = (by_path(0), by_path(0));
    gone.path = b"/moved/file".to_vec();
    let stranger = stranger(7);

    let still = Sample::new(place, &format!("still {number}"), &down)?;
    let whole = text(&down)?;
    let mut switch = Switch::new(place, &format!("switch {number}"), [&up, &down])?;
    let mut changed = Switch::new(place, &format!("changed {number}"), [&down, &moved])?;

    let read = || Ok(mean(1, |_| drop(black_box(fs::read(still.file())))));
    let scan = || Ok(mean(1, |_| _ = black_box(ignore(black_box(&whole)))));
    let parse = || Ok(mean(1, |_| drop(black_box(load::read(&still.file())))));
    let switched = || {
        switch.turn()?;
        let (time, passes) = switch.ask(&stranger);
        assert_eq!(passes, !switch.is_second, "the request that notices a window obeys it");
        Ok(time)
    };
    let mut contenders: Vec<Contender<'_>> = vec![
        ("open, read".to_owned(), Box::new(read)),
        ("find the rules in the text, check that it is JSON".to_owned(), Box::new(scan)),
        ("open, read, parse all".to_owned(), Box::new(parse)),
        ("`on` and `off`: the request that notices".to_owned(), Box::new(switched)),
    ];
    let mut budgets = Vec::new();
    if number > 0 {
        contenders.push((
            "another rule: the request that notices".to_owned(),
            Box::new(|| {
                changed.turn()?;
                let now = if changed.is_second { &gone } else { &stayed };
                let (time, passes) = changed.ask(now);
                assert!(passes, "the request that notices a rule obeys it");
                Ok(time)
            }),
        ));
        // One change of ten thousand rules may hold up one request for as long.
        let most = if number <= 1_000 { 250e-6 } else { 10e-3 };
        budgets.push((4, Budget::Seconds(most)));
    }
    let times = race_seconds(rounds, turns, &mut contenders)?;
    let title =
        format!("A change, where there are {number} rules ({} kB of state)", whole.len() / 1_000);
    Ok(Table { title: &title, baseline: 0, budgets: &budgets }.show(&times))
}

/// The ignore rules as they stand in the text of a state.
fn ignore(text: &[u8]) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Top<'t> {
        #[serde(borrow)]
        ignore: Option<&'t RawValue>,
    }
    serde_json::from_slice::<Top<'_>>(text).ok()?.ignore
}

/// Reading a state with many windows, and as many pages.
pub(crate) fn render(place: &Place, rounds: usize) -> Result<String> {
    let with = |number: u32, template: Option<&str>| -> State {
        let mut state = state(false, rules(0, 0));
        for number in 0..number {
            let mut window = crate::sample::window();
            window.reason = Some(format!("Deploy {number} is back at noon"));
            state.windows.insert(format!("deploy-{number}"), window);
        }
        state.page.template = template.map(str::to_owned);
        state
    };
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for number in [1, 1_000] {
        let plain = Sample::new(place, &format!("pages {number}"), &with(number, None))?;
        let file = plain.file();
        let read = move || Ok(mean(1, |_| drop(black_box(load::read(&file)))));
        contenders.push((format!("{number} windows: open, read, parse"), Box::new(read)));
        let open = |sample: &Sample| Ok(mean(1, |_| drop(black_box(Gate::open(&sample.site)))));
        let own = Sample::new(place, &format!("own pages {number}"), &with(number, Some("own")))?;
        fs::create_dir_all(own.site.templates())?;
        let template = own.site.templates().join("own.html");
        write(&template, "<!doctype html><h1>{{ title }}</h1><p>{{ reason }}</p>")?;
        contenders.push((
            format!("{number} windows: open a gate, the built-in page"),
            Box::new(move || open(&plain)),
        ));
        contenders.push((
            format!("{number} windows: open a gate, a page of the site"),
            Box::new(move || open(&own)),
        ));
        let states = [&with(number, None), &with(number - 1, None)];
        let mut switch = Switch::new(place, &format!("switched pages {number}"), states)?;
        contenders.push((
            format!("{number} windows: one comes or goes"),
            Box::new(move || {
                switch.turn()?;
                let (time, passes) = switch.ask(&stranger(7));
                assert_eq!(passes, number == 1 && switch.is_second, "{number}");
                Ok(time)
            }),
        ));
    }
    let times = race_seconds(rounds.min(10), 5, &mut contenders)?;
    let title = "Making the pages, each in five forms";
    Ok(Table { title, baseline: 0, budgets: &[] }.show(&times))
}

#[expect(clippy::disallowed_methods, reason = "a template, which people edit by hand too")]
fn write(path: &std::path::Path, text: &str) -> Result<()> {
    Ok(fs::write(path, text)?)
}
