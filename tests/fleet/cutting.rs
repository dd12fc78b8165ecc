//! A proxy that cuts the connection after so many bytes of the answer, or of the request.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What counts as no limit.
const ALL: usize = usize::MAX;

/// The proxy. It ends with the test.
pub(crate) struct Cutter {
    /// The port on 127.0.0.1 that leads to the real one.
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    request: Budget,
    answer: Budget,
    open: Mutex<Vec<TcpStream>>,
}

/// How many more bytes pass in one direction, and how many did.
#[derive(Default)]
struct Budget {
    left: AtomicUsize,
    passed: AtomicUsize,
}

impl Budget {
    fn set(&self, left: usize) {
        self.left.store(left, Ordering::SeqCst);
        self.passed.store(0, Ordering::SeqCst);
    }

    /// How many of so many bytes pass.
    fn take(&self, wanted: usize) -> usize {
        let take = |left| if left == ALL { None } else { Some(left - wanted.min(left)) };
        let granted = match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(left) => wanted.min(left),
            Err(_) => wanted,
        };
        self.passed.fetch_add(granted, Ordering::SeqCst);
        granted
    }

    fn is_empty(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.drop_connections();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Cutter {
    /// Starts one in front of this port of 127.0.0.1.
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        shared.request.set(ALL);
        shared.answer.set(ALL);
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if theirs.is_over.load(Ordering::SeqCst) {
                    return;
                }
                if let (Ok(client), Ok(server)) =
                    (client, TcpStream::connect(("127.0.0.1", target)))
                {
                    pass(&theirs, &client, &server);
                }
            }
        });
        Self { port, shared }
    }

    /// Cuts after so many bytes of what the server sends from now on.
    pub(crate) fn cut_answer(&self, after: usize) {
        self.shared.request.set(ALL);
        self.shared.answer.set(after);
    }

    /// Cuts after so many bytes of what clients send from now on.
    pub(crate) fn cut_request(&self, after: usize) {
        self.shared.answer.set(ALL);
        self.shared.request.set(after);
    }

    /// Lets everything pass, and counts anew.
    pub(crate) fn let_pass(&self) {
        self.cut_answer(ALL);
    }

    /// How many bytes passed since: of requests, of answers.
    pub(crate) fn passed(&self) -> (usize, usize) {
        let passed = |budget: &Budget| budget.passed.load(Ordering::SeqCst);
        (passed(&self.shared.request), passed(&self.shared.answer))
    }

    /// Ends all connections that are open.
    pub(crate) fn drop_connections(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(shared: &Arc<Shared>, client: &TcpStream, server: &TcpStream) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    shared.open.lock().unwrap().extend([client, server].map(|end| end.try_clone().unwrap()));
    for is_answer in [false, true] {
        let (from, to) = if is_answer { (server, client) } else { (client, server) };
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let budget = if is_answer { &shared.answer } else { &shared.request };
            copy(&from, &to, budget);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, budget: &Budget) {
    let mut bytes = [0; 4096];
    while let Ok(amount) = from.read(&mut bytes) {
        let granted = budget.take(amount);
        if amount == 0 || to.write_all(&bytes[..granted]).is_err() || budget.is_empty() {
            return;
        }
    }
}

/// What has to be so of a cut write: the kind of failure that the engine gave, if any, and whether
/// the write is in force.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) ambiguous: usize,
    pub(crate) applied: usize,
    pub(crate) surely_not: usize,
    pub(crate) committed: usize,
}
