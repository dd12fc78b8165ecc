//! Hosts: a site directory each, and an agent.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use maint::internal::load;

use crate::common::{Result, command, run};

/// How long anything may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts of one fleet, whose agents end when this is dropped.
#[derive(Default)]
pub(crate) struct Hosts {
    sites: Vec<PathBuf>,
    agents: Vec<Child>,
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        for site in &self.sites {
            let _ = site.parent().map(fs::remove_dir_all);
        }
    }
}

impl Hosts {
    /// Adds hosts whose directories are here, in a network namespace if one is named.
    pub(crate) fn add(
        &mut self,
        binary: &Path,
        under: &Path,
        url: &str,
        count: usize,
        namespace: Option<&str>,
    ) -> Result<()> {
        for _ in 0..count {
            let name = format!("host{}", self.sites.len());
            let dir = under.join(&name);
            fs::create_dir(&dir)?;
            let mut init = inside(namespace, binary, &["init", "--store", url], &dir);
            // It warns of files in memory and of one member.
            run(init.stderr(Stdio::null()))?;
            let log = File::options().create_new(true).append(true).open(dir.join("log"))?;
            let mut agent = inside(namespace, binary, &["agent", "--host", &name], &dir);
            self.agents.push(agent.stderr(log).spawn()?);
            self.sites.push(dir.join(".maint"));
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.sites.len()
    }

    pub(crate) fn sites(&self) -> impl Iterator<Item = &Path> {
        self.sites.iter().map(PathBuf::as_path)
    }

    /// The revision that a host has.
    pub(crate) fn revision(&self, host: usize) -> Result<u64> {
        Ok(load::read(&self.sites[host].join("state.json"))?.revision)
    }

    pub(crate) fn pid(&self, host: usize) -> u32 {
        self.agents[host].id()
    }

    /// Waits until each host has this revision or a later one.
    pub(crate) fn have(&self, revision: u64) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        for host in 0..self.count() {
            while self.revision(host)? < revision {
                if Instant::now() > until {
                    let log = self.sites[host].with_file_name("log");
                    let log = fs::read_to_string(log).unwrap_or_default();
                    let error = format!("host {host} does not get revision {revision}: {log}");
                    return Err(error.into());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}

fn inside(namespace: Option<&str>, binary: &Path, args: &[&str], dir: &Path) -> Command {
    let mut all: Vec<&OsStr> = Vec::new();
    let program = match namespace {
        None => binary,
        Some(namespace) => {
            all.extend(["netns", "exec", namespace].map(OsStr::new));
            all.push(binary.as_os_str());
            Path::new("ip")
        }
    };
    all.extend(args.iter().map(OsStr::new));
    command(program, &all, dir)
}
