//! Hosts as network namespaces on a bridge, which has a namespace of its own: nothing of the
//! machine's network is touched. A process that is started inside stays there.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::say::skip;

/// The namespaces, which go when this is dropped. Who is in them still keeps them until it ends.
pub(crate) struct Network {
    name: String,
    count: usize,
}

impl Drop for Network {
    fn drop(&mut self) {
        for place in (0..self.count).map(Place::Host).chain([Place::Lan]) {
            let _ = Command::new("ip").args(["netns", "del", &self.name_of(place)]).output();
        }
    }
}

/// Where something runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Where the bridge is: CI runs there.
    Lan,
    /// One of the hosts.
    Host(usize),
}

impl Network {
    /// So many hosts; `None` and a word about it if this user may not make them.
    pub(crate) fn of(count: usize) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            skip("only root may make network namespaces");
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let network = Self { name: format!("maint-{}-{number}", std::process::id()), count };
        match network.make() {
            Ok(()) => Some(network),
            Err(why) => {
                skip(&format!("network namespaces cannot be made here: {why}"));
                None
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        let lan = self.name_of(Place::Lan);
        ip(&["netns", "add", &lan])?;
        ip(&["-n", &lan, "link", "set", "lo", "up"])?;
        ip(&["-n", &lan, "link", "add", "lan", "type", "bridge"])?;
        ip(&["-n", &lan, "addr", "add", &format!("{}/24", address(Place::Lan)), "dev", "lan"])?;
        ip(&["-n", &lan, "link", "set", "lan", "up"])?;
        for host in 0..self.count {
            let (name, port) = (self.name_of(Place::Host(host)), port(host));
            let own = format!("{}/24", address(Place::Host(host)));
            ip(&["netns", "add", &name])?;
            let peer = ["type", "veth", "peer", "name", "eth0", "netns", &name];
            ip(&[&["-n", &lan, "link", "add", &port][..], &peer].concat())?;
            ip(&["-n", &lan, "link", "set", &port, "master", "lan", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["-n", &name, "addr", "add", &own, "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    fn name_of(&self, place: Place) -> String {
        match place {
            Place::Lan => format!("{}-lan", self.name),
            Place::Host(number) => format!("{}-h{number}", self.name),
        }
    }

    /// Does something there, as do the processes that it starts.
    pub(crate) fn within<T: Send>(&self, place: Place, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let name = thread::current().name().unwrap_or("a test").to_owned();
            let inside = thread::Builder::new().name(name).spawn_scoped(scope, || {
                let namespace = File::open(format!("/run/netns/{}", self.name_of(place))).unwrap();
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).unwrap();
                what()
            });
            match inside.unwrap().join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Lets no packet to the host or from it, without a word to anybody.
    pub(crate) fn cut(&self, host: usize) {
        ip(&["-n", &self.name_of(Place::Lan), "link", "set", &port(host), "nomaster"]).unwrap();
    }

    /// Lets them pass again.
    pub(crate) fn heal(&self, host: usize) {
        let lan = self.name_of(Place::Lan);
        ip(&["-n", &lan, "link", "set", &port(host), "master", "lan"]).unwrap();
    }
}

/// The address of a host, or of the bridge, on the network that they share.
pub(crate) fn address(place: Place) -> String {
    match place {
        Place::Lan => "10.77.0.1".to_owned(),
        Place::Host(number) => format!("10.77.0.{}", 11 + number),
    }
}

/// The end of a host's cable at the bridge.
fn port(host: usize) -> String {
    format!("port{host}")
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|cause| cause.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {}: {}", arguments.join(" "), said.trim()))
}
