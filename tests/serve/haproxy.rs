//! `HAProxy`, from Debian's `haproxy`, which asks an agent about the whole site.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::app::{App, answers_at};
use crate::rig::maint;
use crate::server::{Server, installed, ordinary, put};
use crate::wire::try_ask;

/// The words are those of the agent-check; who says them here is a stand-in.
#[test]
fn haproxy_does_as_the_agent_of_its_snippet_says() {
    let Some(program) = installed("haproxy") else { return };
    let agent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = agent.local_addr().unwrap().to_string();
    let is_down = Arc::new(AtomicBool::new(false));
    let told = is_down.clone();
    std::thread::spawn(move || {
        for mut stream in agent.incoming().flatten() {
            let word = if told.load(Ordering::Relaxed) { "maint\n" } else { "ready up\n" };
            let _ = stream.write_all(word.as_bytes());
        }
    });
    let (dir, app) = (tempfile::tempdir().unwrap(), App::start());
    let snippet = maint(&dir, &["snippet", "haproxy", "--endpoint", &address]);
    let command = |dir: &Path, port: u16| {
        let text = format!(
            "defaults\n    mode http\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s
frontend site\n    bind 127.0.0.1:{port}\n    default_backend app
backend app\n{snippet}    server app 127.0.0.1:{app}\n",
            app = app.port
        );
        put(&dir.join("haproxy.cfg"), &text);
        let mut command = ordinary(&program);
        command.args(["-db", "-f", "haproxy.cfg"]);
        command
    };
    let front = Server::start(command, |port| answers_at(port, app.port));
    for down in [true, false, true] {
        is_down.store(down, Ordering::Relaxed);
        let wanted = if down { 503 } else { 200 };
        let deadline = Instant::now() + Duration::from_secs(60);
        while try_ask(front.port, "GET", "/", &[]).is_ok_and(|it| it.status != wanted) {
            assert!(Instant::now() < deadline, "HAProxy does not follow");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
