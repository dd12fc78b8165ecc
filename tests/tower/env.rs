//! A site, the real command that changes it, and a real server behind the gate.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use maint::tower::MaintenanceLayer;
use maint::{Gate, Site};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::client::Client;

/// Only a hanging request or command takes this long here.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// A site in a temporary directory.
pub(crate) struct TestSite {
    temp: TempDir,
    directory: PathBuf,
}

impl TestSite {
    pub(crate) fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("maint-tower-").tempdir().unwrap();
        let directory = temp.path().join(".maint");
        let site = Self { temp, directory };
        site.ok(&["init"]);
        site
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs the real command, which must succeed; returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_maint"))
            .env_clear()
            .env("TZ", "UTC0")
            .current_dir(self.temp.path())
            .stdin(Stdio::null())
            .arg("--site")
            .arg(&self.directory)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "maint {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The layer, which gets the peer from axum and from the tests for hyper.
    pub(crate) fn layer(&self) -> MaintenanceLayer {
        let gate = Gate::open(&Site::at(&self.directory)).unwrap();
        MaintenanceLayer::new(gate).peer_from(|extensions| {
            extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
        })
    }
}

/// A server on its own port, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves HTTP/1.1, and HTTP/2 with prior knowledge.
    pub(crate) fn start(app: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).await.unwrap();
        });
        Self { address, runtime: Some(runtime) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    /// Runs a future in the server's runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.as_ref().expect("only drop takes it").block_on(future)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a condition, and fails if it does not come true.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < HANG, "still not so: {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}
