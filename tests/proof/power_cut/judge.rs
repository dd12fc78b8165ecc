//! What a cut may leave, and what it may not.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use maint::internal::template::digest;

/// What the machine reported of its disk after a cut, before and after it wrote again.
#[derive(Debug, Default)]
pub(crate) struct Found {
    files: BTreeMap<String, Vec<u8>>,
    status: Option<String>,
    next: Option<String>,
    /// Temporary files still there after the next command.
    leftovers: Vec<String>,
    /// Whether there were any before that command.
    abandoned: bool,
    /// The revision that the next command made.
    pub(crate) revision: u64,
    /// The other lines of the console.
    said: Vec<String>,
}

/// The kind of a fault, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file is missing, empty or torn, or has content that was never written.
    Corrupt,
    /// An acknowledged change is gone.
    Lost,
    /// The next command fails, or does not clean up.
    Stuck,
}

pub(crate) type Fault = (Kind, String);

impl Found {
    /// Takes one line of the console; `true` after the last one.
    pub(crate) fn takes(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "file" => {
                let (name, digits) = rest.split_once(' ').unwrap_or((rest, ""));
                self.files.insert(name.to_owned(), bytes_of(digits));
            }
            "before" => self.abandoned = true,
            "after" => self.leftovers.push(rest.to_owned()),
            "status" => self.status = Some(rest.to_owned()),
            "next" => self.next = Some(rest.to_owned()),
            "begin" => self.revision = rest.parse().unwrap_or(0),
            _ => self.said.push(line.to_owned()),
        }
        word == "begin"
    }

    /// The worst fault, given the last acknowledged change.
    pub(crate) fn worst_fault(&self, acknowledged: u64) -> Option<Fault> {
        let found = self
            .state(acknowledged)
            .and_then(|()| self.template())
            .and_then(|()| self.backup())
            .and_then(|()| self.next());
        found.err().map(|(kind, why)| (kind, format!("{why} {:?}", self.said)))
    }

    /// Whether the cut came within a change, and left a part of it.
    pub(crate) fn is_within_a_change(&self, acknowledged: u64) -> bool {
        let is_done = read(&self.files, "state.json").is_ok_and(|it| it.revision > acknowledged);
        self.abandoned || is_done
    }

    fn state(&self, acknowledged: u64) -> Result<(), Fault> {
        let state = read(&self.files, "state.json")?;
        if state.revision < acknowledged {
            let why = format!("{acknowledged} was acknowledged, {} is there", state.revision);
            return Err((Kind::Lost, why));
        }
        // One more change may have been on its way.
        if state.revision > acknowledged + 1 {
            let why = format!("{} is there, and {acknowledged} was the last", state.revision);
            return Err((Kind::Corrupt, why));
        }
        // The revision that made a rule is in its name and in its path.
        for (id, rule) in &state.ignore {
            let rule = serde_json::to_value(rule).unwrap_or_default();
            if rule["value"] != format!("/{}", id.trim_start_matches('r')) {
                return Err((Kind::Corrupt, format!("nobody wrote the rule {id}: {rule}")));
            }
        }
        let says = self.status.as_deref().unwrap_or("nothing");
        if !says.starts_with("0 ") || !says.contains(&format!("\"revision\":{},", state.revision)) {
            return Err((Kind::Corrupt, format!("`maint status` says {says}")));
        }
        Ok(())
    }

    fn backup(&self) -> Result<(), Fault> {
        if self.files.contains_key("state.json.bak") {
            read(&self.files, "state.json.bak")?;
        }
        Ok(())
    }

    /// The template must be the one that the state records, or the next one, whose
    /// state was still to come.
    fn template(&self) -> Result<(), Fault> {
        let state = read(&self.files, "state.json")?;
        let told = state.templates.get("page.html");
        let Some(bytes) = self.files.get("templates/page.html") else {
            let why = "the template is missing".to_owned();
            return if told.is_none() { Ok(()) } else { Err((Kind::Lost, why)) };
        };
        let text = String::from_utf8_lossy(bytes);
        let next = format!("<h1>{}</h1>\n", state.revision + 1);
        if text == next || told == Some(&digest(&text)) {
            return Ok(());
        }
        Err((Kind::Corrupt, format!("the template is {text:?}, {} the state", state.revision)))
    }

    fn next(&self) -> Result<(), Fault> {
        if self.next.as_deref() != Some("0") {
            return Err((Kind::Stuck, format!("the next command ends with {:?}", self.next)));
        }
        if !self.leftovers.is_empty() {
            return Err((Kind::Stuck, format!("leftovers: {}", self.leftovers.join(", "))));
        }
        Ok(())
    }
}

/// Reads a state like any reader.
fn read(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<maint::State, Fault> {
    let corrupt = |why: String| (Kind::Corrupt, format!("{name}: {why}"));
    let bytes = files.get(name).ok_or_else(|| corrupt("it is missing".to_owned()))?;
    if bytes.is_empty() {
        return Err(corrupt("it is empty".to_owned()));
    }
    let place = tempfile::tempdir().map_err(|cause| corrupt(cause.to_string()))?;
    let path = place.path().join(name);
    let made = File::create_new(&path).and_then(|mut file| file.write_all(bytes));
    made.map_err(|cause| corrupt(cause.to_string()))?;
    let text = String::from_utf8_lossy(bytes);
    maint::internal::load::read(&path).map_err(|cause| corrupt(format!("{cause}: {text:?}")))
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap_or("??");
            u8::from_str_radix(pair, 16).unwrap_or(b'?')
        })
        .collect()
}
