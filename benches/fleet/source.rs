//! The engines.

use std::fs;

use crate::common::Result;
use crate::etcd::Cluster;
use crate::redis_server::Server;

/// Where the document of the site `shop` is.
pub(crate) enum Source {
    Etcd(Cluster),
    /// With `appendfsync always`.
    Redis(Server),
}

impl Source {
    /// One node of each engine that is installed.
    pub(crate) fn all() -> Vec<Self> {
        Self::etcd(1).into_iter().chain(Self::redis()).collect()
    }

    pub(crate) fn etcd(members: usize) -> Option<Self> {
        Cluster::start(members).map(Self::Etcd)
    }

    pub(crate) fn redis() -> Option<Self> {
        Server::with_aof().map(Self::Redis)
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Etcd(cluster) if cluster.members.len() > 1 => {
                format!("etcd, {} members", cluster.members.len())
            }
            Self::Etcd(_) => "etcd".to_owned(),
            Self::Redis(_) => "Redis, AOF always".to_owned(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_at("127.0.0.1", |port| port)
    }

    /// The same as it is reached at another host and other ports.
    pub(crate) fn url_at(&self, host: &str, port: impl Fn(u16) -> u16) -> String {
        let endpoints: Vec<String> =
            self.ports().into_iter().map(|inner| format!("{host}:{}", port(inner))).collect();
        let scheme = match self {
            Self::Etcd(_) => "etcd",
            Self::Redis(_) => "redis",
        };
        format!("{scheme}://{}/shop", endpoints.join(","))
    }

    /// Where it listens on loopback.
    pub(crate) fn ports(&self) -> Vec<u16> {
        match self {
            Self::Etcd(cluster) => cluster.members.iter().map(|member| member.port).collect(),
            Self::Redis(server) => vec![server.port],
        }
    }

    /// `kill -9` of all that it is.
    pub(crate) fn kill(&mut self) {
        match self {
            Self::Etcd(cluster) => cluster.members.iter_mut().for_each(super::etcd::Member::kill),
            Self::Redis(server) => server.kill(),
        }
    }

    /// Starts it again; it answers when this returns.
    pub(crate) fn restart(&mut self) {
        match self {
            Self::Etcd(cluster) => {
                cluster.members.iter_mut().for_each(super::etcd::Member::restart);
            }
            Self::Redis(server) => server.restart(),
        }
    }

    /// SIGSTOP and SIGCONT.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        match self {
            Self::Etcd(cluster) => cluster
                .members
                .iter()
                .for_each(|member| if is_frozen { member.freeze() } else { member.thaw() }),
            Self::Redis(server) if is_frozen => server.freeze(),
            Self::Redis(server) => server.thaw(),
        }
    }
}

/// The processes of this name that this process started.
pub(crate) fn children(name: &str) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let is_it = fs::read_to_string(format!("/proc/{child}/comm"))
                .is_ok_and(|comm| comm.trim() == name);
            if is_it {
                found.push(child.parse()?);
            }
        }
    }
    Ok(found)
}
