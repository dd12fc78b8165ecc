//! What a run of a part has shown, kept until the next one: `tests/proof/records/`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::gather::Gathered;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) part: String,
    pub(crate) command: String,
    /// The day, in the time zone of the host.
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) host: Host,
    pub(crate) seconds: u64,
    pub(crate) passed: bool,
    pub(crate) gathered: Gathered,
}

/// Where it was shown. Not the name of the host, which is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) kernel: String,
    pub(crate) cores: usize,
}

impl Host {
    pub(crate) fn here() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // The first two numbers; what follows is of whoever built it.
        let numbers: Vec<&str> = kernel.trim().split('.').take(2).collect();
        let cores = std::thread::available_parallelism().map_or(0, Into::into);
        Self { kernel: format!("{} {}", std::env::consts::OS, numbers.join(".")), cores }
    }
}

impl Record {
    pub(crate) fn write(&self, folder: &Path) {
        let text = serde_json::to_string_pretty(self).expect("a record is plain data");
        crate::write(&folder.join(format!("{}.json", self.part)), &(text + "\n"));
    }

    /// All that a folder has, by the names of the parts.
    pub(crate) fn read_all(folder: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut records: Vec<Self> = entries
            .map(|entry| {
                let path = entry.expect("an entry of a folder").path();
                let text = fs::read_to_string(&path).expect("a record");
                serde_json::from_str(&text)
                    .unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
            })
            .collect();
        records.sort_by(|one, other| one.part.cmp(&other.part));
        records
    }
}
