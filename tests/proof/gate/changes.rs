//! Requirement 20: whatever happens to the state between two looks of a reader, the
//! second look finds the last of it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::can::OVERLAY;
use crate::env::{TestSite, state};
use crate::places::{self, kind};
use crate::say::{amount, figure};

/// What a poorer reader goes by; it reads the file again when this differs.
type Key = fn(&Metadata) -> [u64; 2];

/// Fewer fields than the gate looks at, as other readers use.
const POORER: [(&str, Key); 3] = [
    ("size", |file| [file.size(), 0]),
    ("inode and size", |file| [file.ino(), file.size()]),
    ("second and size", |file| [file.mtime().unsigned_abs(), file.size()]),
];

/// A reader that goes by one of these keys.
struct PoorReader {
    key: Key,
    seen: [u64; 2],
    revision: u64,
    missed: u32,
}

impl PoorReader {
    fn new(key: Key, file: &Path) -> Self {
        let mut reader = Self { key, seen: [u64::MAX; 2], revision: 0, missed: 0 };
        reader.look(file, 0);
        Self { missed: 0, ..reader }
    }

    fn look(&mut self, file: &Path, is: u64) {
        let key = (self.key)(&fs::metadata(file).unwrap());
        if key != self.seen {
            let state: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            (self.seen, self.revision) = (key, state["revision"].as_u64().unwrap());
        }
        self.missed += u32::from(self.revision != is);
    }
}

/// Repeats two changes of one size between two looks. The writer keeps only the rule of
/// writers: the time rises with each replacement.
fn of_a_fast_writer(place: &Path, rounds: u32) -> (String, [u32; 3]) {
    let site = TestSite::under(place);
    let file = site.state_file();
    // All revisions have the same number of digits.
    let mut revision = 1_000_000;
    let mut change = || {
        revision += 1;
        site.replace(&state(revision, &json!({})));
        revision
    };
    change();
    let gate = site.gate();
    let mut missed = 0;
    let mut poorer = POORER.map(|(_, key)| PoorReader::new(key, &file));
    for _ in 0..rounds {
        change();
        let is = change();
        missed += u32::from(gate.revision() != is);
        for reader in &mut poorer {
            reader.look(&file, is);
        }
    }
    assert_eq!(missed, 0, "of {rounds} in {}", place.display());
    assert_eq!(site.told(), [""; 0]);
    let poorer = poorer.map(|reader| reader.missed);
    let told = POORER.iter().zip(poorer).map(|((name, _), missed)| format!("{missed} by {name}"));
    let told = told.collect::<Vec<_>>().join(", ");
    (format!("{}, {rounds} x A>B>C of one size: 0 missed ({told})", kind(place)), poorer)
}

/// The same with the store as the writer.
fn of_the_store(place: &Path, rounds: u32) -> String {
    let site = TestSite::under(place);
    let reason = |number: u32| Some(format!("{number:06}"));
    site.update(|state, now| {
        let mut settings = maint::state::WindowSettings::new();
        settings.reason = reason(0);
        state
            .open_window("w", &settings, maint::store::Stamp::new(now, &maint::Actor::default()))
            .unwrap();
    });
    let gate = site.gate();
    let mut missed = 0;
    for round in 1..=rounds {
        for half in [2 * round - 1, 2 * round] {
            site.update(|state, _| {
                state.windows.get_mut("w").unwrap().reason = reason(half);
            });
        }
        missed += u64::from(gate.revision() != u64::from(2 * round + 1));
    }
    assert_eq!(missed, 0, "of {rounds} in {}", place.display());
    assert_eq!(site.told(), [""; 0]);
    format!("{}, {rounds} x two changes of one size by the store: 0 missed", kind(place))
}

/// Rounds for the fast writer: on disk, in memory and on an overlay together over 20 000.
fn rounds() -> u32 {
    amount(7_000, 20_000)
}

/// Rounds for the store, which waits for the disk in each where there is one.
fn rounds_of_the_store(place: &Path) -> u32 {
    amount(if places::waits_for_a_disk(&kind(place)) { 100 } else { 500 }, 20_000)
}

#[test]
fn requirement_20_two_changes_between_two_looks_are_never_missed() {
    for place in places::all() {
        figure(&of_a_fast_writer(&place, rounds()).0);
    }
    places::on_an_overlay("changes::by_a_fast_writer");
}

#[test]
fn requirement_20_no_change_of_the_store_is_missed() {
    for place in places::all() {
        figure(&of_the_store(&place, rounds_of_the_store(&place)));
    }
    places::on_an_overlay("changes::by_the_store");
}

#[test]
fn requirement_57_a_reader_that_looks_at_less_misses_changes() {
    let rounds = 2_000;
    for place in places::all() {
        let (told, [by_size, by_inode, by_second]) = of_a_fast_writer(&place, rounds);
        figure(&told);
        assert_eq!(by_size, rounds, "{told}");
        assert!(by_second > rounds / 2, "{told}");
        // Inode numbers return where they are reused, as on ext4.
        assert!(by_inode > 0 || kind(&place) == "tmpfs", "{told}");
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn by_a_fast_writer() {
    println!("seen: {}", of_a_fast_writer(Path::new(OVERLAY), rounds()).0);
}

#[test]
#[ignore = "a process that another test starts"]
fn by_the_store() {
    let place = Path::new(OVERLAY);
    println!("seen: {}", of_the_store(place, rounds_of_the_store(place)));
}
