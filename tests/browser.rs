//! The page in a real browser, behind the real layer, opened and closed by the
//! real command. `tests/browser/check.mjs` has the checks.

#[path = "browser/banner.rs"]
mod banner;
#[path = "common/say.rs"]
mod say;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{self, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{Extension, Path};
use axum::http::HeaderMap;
use axum::response::Html;
use axum::routing::{any, get};
use maint::Site;
use maint::gate::Pass;
use maint::internal::page::builtin;
use maint::page::Format;
use maint::store::{self, Options};
use maint::tower::MaintenanceLayer;
use say::{figure, skip};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;

const RIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// The oldest node release that playwright runs on.
const OLDEST_NODE: u32 = 20;

/// The page of the app, seen while the site is up.
const APP: &str = "<!doctype html><html lang=en><title>Shop</title><link rel=icon href=data:,>\
    <h1 id=app>The shop is open</h1>";

/// The arguments of `maint on` for each window, and its reason.
const WINDOWS: [(&str, Option<&str>); 10] = [
    ("main --path / --path /shop/** --for 2h", Some("We are moving to a bigger database.")),
    ("soon --path /soon --for 10m", Some("The search is being built anew.")),
    ("no-end --path /no-end", None),
    ("read-only --path /read-only --read-only --for 45m", None),
    ("get-only --path /get-only --method GET", None),
    ("long --path /long --for 26h", Some(LONG)),
    ("estimate --path /estimate", Some("Follow it on https://status.example.com/shop.")),
    ("late --path /late -m de=Danke!", Some("Thank you!")),
    ("tomorrow --path /tomorrow --for 26h", None),
    ("arabic --path /arabic --for 1h", Some("نحن ننقل المتجر إلى خادم أكبر. لن يضيع شيء.")),
];

/// Stands for many lines with markup, and a word without a break.
const LONG: &str = "LONG";

/// The same as the first window, for longer.
const LATER: (&str, Option<&str>) = ("main --path / --path /shop/** --for 7h", WINDOWS[0].1);

/// The largest picture for the README, in bytes.
const LARGEST_PICTURE: u64 = 150_000;

/// A site, and the app behind its gate.
struct Shop {
    temp: TempDir,
}

impl Shop {
    /// A shop where everything is down.
    fn new() -> Arc<Self> {
        let shop = Self { temp: tempfile::tempdir().unwrap() };
        shop.maint(&["init"]);
        store::update(&Site::at(shop.site()), &Options::new("name"), |state, _| {
            state.name = Some("Example Shop".to_owned());
            Ok(())
        })
        .unwrap();
        shop.on();
        Arc::new(shop)
    }

    fn site(&self) -> PathBuf {
        self.temp.path().join(".maint")
    }

    fn maint(&self, words: &[&str]) {
        let output = Command::new(env!("CARGO_BIN_EXE_maint"))
            .args(words)
            .current_dir(self.temp.path())
            .env_clear()
            .env("HOME", self.temp.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    fn open(&self, (words, reason): (&str, Option<&str>)) {
        let long = "A line with <script>alert(1)</script>\n".repeat(40) + &"o".repeat(4000);
        let mut words: Vec<&str> = ["on", "--yes"].into_iter().chain(words.split(' ')).collect();
        if let Some(reason) = reason {
            words.extend(["-m", if reason == LONG { &long } else { reason }]);
        }
        self.maint(&words);
    }

    fn on(&self) {
        for window in WINDOWS {
            self.open(window);
        }
        self.expect(20);
    }

    /// Says when `/estimate` is expected to be over, and that `/late` should have been.
    fn expect(&self, minutes: i64) {
        let now = jiff::Timestamp::now();
        store::update(&Site::at(self.site()), &Options::new("expect"), |state, _| {
            for (name, minutes) in [("estimate", minutes), ("late", -5)] {
                let window = state.windows.get_mut(name).expect("it is open");
                window.estimate = now.checked_add(jiff::SignedDuration::from_mins(minutes)).ok();
            }
            Ok(())
        })
        .unwrap();
    }

    fn turn(&self, way: &str) {
        match way {
            "all" => self.maint(&["on", "--yes", "-m", "Back at noon"]),
            "part" => self.maint(&["on", "--yes", "--path", "/part/**"]),
            "read-only" => self.maint(&["on", "--yes", "--read-only"]),
            "on" => self.on(),
            "off" => self.maint(&["off", "--all"]),
            "writes" => {
                self.maint(&["off", "--all"]);
                self.maint(&["on", "writes", "--read-only"]);
            }
            "later" => self.open(LATER),
            "passed" => self.expect(-1),
            _ => panic!("the switch does not turn {way}"),
        }
    }

    /// Serves the app, and a second server that works the switch. Returns both addresses.
    fn serve(self: &Arc<Self>, runtime: &Runtime) -> [String; 2] {
        let layer = MaintenanceLayer::open(Some(&self.site())).unwrap();
        let app = Router::new()
            .route("/always", any(async || Html(APP)).layer(layer.clone().force_on()))
            .fallback(async || Html(APP))
            .layer(layer);
        self.serve_app(runtime, app)
    }

    /// The same for another app.
    fn serve_app(self: &Arc<Self>, runtime: &Runtime, app: Router) -> [String; 2] {
        let shop = self.clone();
        let turn = async move |Path(way): Path<String>| {
            spawn_blocking(move || shop.turn(&way)).await.unwrap();
        };
        let switch = Router::new().route("/{way}", get(turn));
        [app, switch].map(|router| {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            runtime.spawn(async { axum::serve(listener, router).await });
            format!("http://{address}")
        })
    }
}

/// One browser at a time: they are heavy, and time out if they starve each other.
static BROWSER: Mutex<()> = Mutex::new(());

/// A browser, and a copy of the rig ready to run.
struct Rig {
    chromium: PathBuf,
    directory: PathBuf,
}

static RIG_OR_WHY_NOT: LazyLock<Result<Rig, String>> = LazyLock::new(Rig::set_up);

impl Rig {
    /// The rig, unless something it needs is missing here.
    fn get() -> Option<&'static Self> {
        RIG_OR_WHY_NOT.as_ref().inspect_err(|why| skip(why)).ok()
    }

    /// Makes the copy outside the source tree, where it stays for the next run.
    fn set_up() -> Result<Self, String> {
        let chromium = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]
            .into_iter()
            .find_map(program)
            .ok_or("there is no chromium")?;
        for tool in ["node", "npm"] {
            program(tool).ok_or_else(|| format!("there is no {tool}"))?;
        }
        let version = Command::new("node").arg("--version").output().unwrap().stdout;
        let version = String::from_utf8_lossy(&version).trim().to_owned();
        let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
        if major.parse().is_ok_and(|major: u32| major < OLDEST_NODE) {
            return Err(format!("node is {version}, and playwright wants {OLDEST_NODE}"));
        }
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
        fs::create_dir_all(&directory).unwrap();
        // npm writes the list when it is done. While it is unchanged the registry is not asked
        // again.
        let list = |directory: &path::Path| fs::read(directory.join("package.json")).ok();
        let is_installed = list(&directory) == list(RIG.as_ref())
            && directory.join("node_modules/.package-lock.json").exists();
        for file in ["check.mjs", "first.mjs", "scripts.mjs", "package.json", ".npmrc"] {
            fs::copy(PathBuf::from(RIG).join(file), directory.join(file)).unwrap();
        }
        if is_installed {
            return Ok(Self { chromium, directory });
        }
        let output = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&directory)
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().take(4).collect::<Vec<_>>().join("; ");
            return Err(format!("npm could not install what the rig needs: {said}"));
        }
        Ok(Self { chromium, directory })
    }

    /// Runs the named checks, or all if none is named, prints what they find, and
    /// returns the directory of the pictures.
    fn check(&self, name: &str, shop: &Arc<Shop>, checks: &[&str]) -> PathBuf {
        let _browser = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = Runtime::new().unwrap();
        self.run("check.mjs", name, shop.serve(&runtime), checks)
    }

    /// Runs a program of the rig on an app and its switch.
    fn run(
        &self,
        program: &str,
        name: &str,
        [app, switch]: [String; 2],
        checks: &[&str],
    ) -> PathBuf {
        let pictures = self.directory.join("out").join(name);
        let mut node = Command::new("node")
            .arg(program)
            .args([&self.chromium, &pictures])
            .arg(app)
            .args(checks)
            .current_dir(&self.directory)
            .env("MAINT_TEST_CONTROL", switch)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut failures = Vec::new();
        for line in BufReader::new(node.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            figure(&format!("{name}: {line}"));
            if !line.contains("\"ok\":true") {
                failures.push(line);
            }
        }
        let status = node.wait().unwrap();
        assert!(status.success() && failures.is_empty(), "{status}: {failures:#?}");
        pictures
    }
}

/// Where a program is, if it is on the path.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[test]
fn the_builtin_page_passes_every_check() {
    let Some(rig) = Rig::get() else { return };
    rig.check("builtin", &Shop::new(), &[]);
}

/// A copy of the built-in page is under the policy for the site's own templates.
#[test]
#[expect(clippy::disallowed_methods, reason = "the template that is added")]
fn a_copy_of_the_builtin_page_works_as_a_template_of_the_site() {
    let Some(rig) = Rig::get() else { return };
    let shop = Shop::new();
    fs::write(shop.temp.path().join("sorry.html"), builtin(Format::Html)).unwrap();
    shop.maint(&["template", "add", "sorry", "sorry.html"]);
    shop.maint(&["template", "use", "sorry"]);
    rig.check("template", &shop, &["console", "return"]);
}

/// Every picture differs, since the clock on it goes on, so only `make picture`
/// puts one into the repository.
#[test]
fn a_picture_of_the_page_can_be_made_for_the_readme() {
    let Some(rig) = Rig::get() else { return };
    let fresh = rig.check("picture", &Shop::new(), &["picture"]).join("page.png");
    let committed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/page.png");
    if std::env::var_os("MAINT_REGENERATE").is_some() {
        fs::copy(&fresh, &committed).unwrap();
    }
    for picture in [fresh, committed] {
        let size = fs::metadata(&picture).map_or(0, |metadata| metadata.len());
        assert!((1..=LARGEST_PICTURE).contains(&size), "{}: {size} bytes", picture.display());
    }
}

/// Pages of an app that uses libraries which ask in place of the browser.
fn scripted(shop: &Shop) -> Router {
    let page = |head: &str, body: &str| -> Html<String> {
        Html(format!(
            "<!doctype html><html lang=en><title>Shop</title><link rel=icon href=data:,>{head}\
             <body>{body}<script type=module>window.ready = true</script>"
        ))
    };
    let form = "<input name=note><button id=send>Send</button></form>";
    let htmx = page(
        "<script src=/lib/htmx.org/dist/htmx.min.js></script>",
        &format!(
            "<h1 id=app>htmx</h1><button id=rows hx-get=/part/rows hx-target=#here>Rows</button>\
             <div id=here></div><a id=next hx-boost=true href=/next>Next</a>\
             <form hx-post=/cart>{form}"
        ),
    );
    let turbo = page(
        "<script src=/lib/@hotwired/turbo/dist/turbo.es2017-umd.js></script>",
        &format!(
            "<h1 id=app>turbo</h1><a id=next href=/next>Next</a>\
             <turbo-frame id=frame><a id=rows href=/part/rows>Rows</a>\
             <form method=post action=/cart><button id=send-in-frame>Send</button></form></turbo-frame>\
             <form method=post action=/cart>{form}"
        ),
    );
    let inertia = page(
        r#"<script type=importmap>{"imports": {
            "@inertiajs/core": "/lib/@inertiajs/core/dist/index.js",
            "es-toolkit": "/lib/es-toolkit/dist/index.mjs",
            "es-toolkit/compat": "/lib/es-toolkit/dist/compat/index.mjs",
            "laravel-precognition": "/lib/laravel-precognition/dist/index.js"
        }}</script><script type=module>
        import { router } from '@inertiajs/core';
        const initialPage = { component: 'A', props: {}, url: location.pathname, version: null };
        router.init({ initialPage, resolveComponent: async () => ({}), swapComponent: async () => {} });
        window.router = router;
        </script>"#,
        &format!("<h1 id=app>inertia</h1><form>{form}"),
    );
    let next = page("", "<h1 id=app>next</h1>");
    let layer = MaintenanceLayer::open(Some(&shop.site())).unwrap();
    Router::new()
        .route("/htmx", get(async || htmx))
        .route("/turbo", get(async || turbo))
        .route("/inertia", get(async || inertia))
        .route("/next", get(async || next))
        .route("/part/rows", get(async || "<turbo-frame id=frame>the rows</turbo-frame>"))
        .layer(layer)
}

#[test]
fn htmx_turbo_inertia_and_fetch_meet_maintenance_in_mid_session() {
    let Some(rig) = Rig::get() else { return };
    let _browser = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Runtime::new().unwrap();
    let shop = Shop::new();
    let served = shop.serve_app(&runtime, scripted(&shop));
    rig.run("scripts.mjs", "scripts", served, &[]);
}

/// The fenced block of the README after `<!-- test: NAME -->`.
fn block(name: &str) -> String {
    let readme = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).unwrap();
    let (_, rest) = text.split_once(&format!("<!-- test: {name} -->\n```")).unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Somebody with an empty home, who has just cloned the repository.
struct Newcomer {
    home: TempDir,
}

impl Newcomer {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for directory in ["tmp", ".cargo/bin"] {
            fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        Self { home }
    }

    /// Types a line in the clone.
    fn types(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap();
        shell
            .args(["-c", line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("PATH", format!("{}:{path}", self.home.path().join(".cargo/bin").display()))
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path().join("tmp"));
        shell
    }

    /// What the first line brings. It builds for minutes, so as printed in the long run alone.
    fn install(&self, line: &str) {
        assert_eq!(line, "cargo install --path . --locked");
        let installed = self.home.path().join(".cargo/bin/maint");
        if std::env::var_os("MAINT_PROOF").is_some_and(|size| size == "long") {
            let mut cargo = self.types(line);
            // The tools are in the home of whoever runs this test.
            let home = PathBuf::from(std::env::var_os("HOME").unwrap());
            for (name, directory) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
                let known = std::env::var_os(name).map_or_else(|| home.join(directory), Into::into);
                cargo.env(name, known);
            }
            cargo.env("CARGO_INSTALL_ROOT", self.home.path().join(".cargo"));
            cargo.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/first"));
            assert!(cargo.status().unwrap().success());
        } else {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_maint"), &installed).unwrap();
        }
        assert!(installed.is_file());
    }
}

#[test]
fn the_first_minute_ends_with_a_503_that_one_can_see_and_nothing_else() {
    let Some(rig) = Rig::get() else { return };
    let _browser = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let newcomer = Newcomer::new();
    let first = block("first");
    let [install, demo] = first.lines().collect::<Vec<_>>().try_into().unwrap();
    newcomer.install(install);

    // The browser of this desktop, which writes down what it sees.
    let pictures = rig.directory.join("out/first");
    let script = format!(
        "cd '{}' && TMPDIR=/tmp exec node first.mjs '{}' '{}' \"$1\"",
        rig.directory.display(),
        rig.chromium.display(),
        pictures.display()
    );
    let browser = newcomer.home.path().join("browser");
    let (mut seen, seen_end) = {
        let path = newcomer.home.path().join("seen");
        let made = newcomer.types(&format!("mkfifo '{}'", path.display())).status().unwrap();
        assert!(made.success());
        // For writing as well, so that opening it waits for nobody.
        let pipe = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        (BufReader::new(pipe).lines().map(Result::unwrap), path)
    };
    let write = format!("cat > '{0}' && chmod +x '{0}'", browser.display());
    let mut writer = newcomer.types(&write).stdin(Stdio::piped()).spawn().unwrap();
    let text =
        format!("#!/bin/sh\n({script}) > '{0}' 2>&1 || echo failed > '{0}'\n", seen_end.display());
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());

    let begun = Instant::now();
    let mut demo = newcomer
        .types(&format!("exec {demo}"))
        .env("BROWSER", &browser)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let shown = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let typed: Vec<String> =
        shown.filter_map(|line| Some(line.strip_prefix("    ")?.to_owned())).take(3).collect();
    assert_eq!(seen.next().unwrap(), "up");
    figure(&format!("the app is seen after {:.1} s", begun.elapsed().as_secs_f64()));

    // The README shows the same commands.
    let in_readme = |line: &str| {
        let site = line.split(' ').nth(2).unwrap();
        line.replace(site, "/tmp/maint-demo-3f9c01d2")
    };
    let session = block("typed");
    let printed: Vec<&str> = session.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(printed, [in_readme(&typed[0]), in_readme(&typed[2])]);
    let answer = |line: &str| {
        let output = newcomer.types(line).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let on = Instant::now();
    assert!(answer(&typed[0]).starts_with("● down window `default` is open\n"));
    assert_eq!(seen.next().unwrap(), "down 503");
    figure(&format!("the page is seen {:.1} s after `on`", on.elapsed().as_secs_f64()));
    assert!(answer(&typed[1]).contains("Back at noon"));
    assert!(answer(&typed[2]).starts_with("window `default` is closed\n● up no window is open\n"));
    assert_eq!(seen.next().unwrap(), "up []", "and no mistake on any page");

    let pid = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    let left =
        |directory: &str| fs::read_dir(newcomer.home.path().join(directory)).unwrap().count();
    assert_eq!(left("tmp"), 0);
    assert!(!newcomer.home.path().join(".local").exists(), "the user's own site is not made");
}

/// What a browser in a time zone makes of a page, its scripts run.
fn seen_in(chromium: &path::Path, zone: &str, url: &str) -> String {
    seen_by(chromium, zone, "en-US", url)
}

/// The same of a browser that asks for a language.
fn seen_by(chromium: &path::Path, zone: &str, language: &str, url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--lang=en-US", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--accept-lang={language}"))
        .arg(url)
        .env("TZ", zone)
        .env("LANGUAGE", "en_US")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_banner_of_the_guide_announces_maintenance_in_the_visitors_own_zone() {
    let guide = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/library.md");
    let code = include_str!("browser/banner.rs").replace("pub(crate) ", "");
    assert!(fs::read_to_string(guide).unwrap().contains(&code), "the guide shows other code");
    let Some(rig) = Rig::get() else { return };
    let _browser = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let shop = Shop { temp: tempfile::tempdir().unwrap() };
    shop.maint(&["init"]);
    let times = ["--at", "2099-01-04T03:00:00Z", "--until", "2099-01-04T04:00:00Z"];
    let reason = ["-m", "Bigger disks <script>alert(1)</script>", "-m", "de=Größere Platten"];
    shop.maint(&[&["on", "bigger-disks-4711"][..], &times, &reason].concat());
    let page = async |headers: HeaderMap, Extension(pass): Extension<Pass>| {
        let languages = headers.get("accept-language").map_or("", |field| field.to_str().unwrap());
        let banner = banner::banner(&pass, languages);
        Html(format!("<!doctype html><title>Shop</title>{banner}<h1>Open</h1>"))
    };
    // As an app whose policy stops scripts in the page.
    let strict = async |Extension(pass): Extension<Pass>| {
        ([("content-security-policy", "script-src 'self'")], Html(banner::banner(&pass, "")))
    };
    let layer = MaintenanceLayer::open(Some(&shop.site())).unwrap();
    let app = Router::new().route("/", get(page)).route("/strict", get(strict)).layer(layer);
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    runtime.spawn(async { axum::serve(listener, app).await });

    let seen = seen_in(&rig.chromium, "America/New_York", &url);
    assert!(seen.contains("The shop is closed from <time"), "{seen}");
    for part in ["Saturday, January 3", "10:00", "11:00", "Bigger disks &lt;script&gt;"] {
        assert!(seen.contains(part), "{part:?} is missing: {seen}");
    }
    assert!(!seen.contains("03:00 UTC") && !seen.contains("4711"), "{seen}");
    let seen = seen_in(&rig.chromium, "Asia/Tokyo", &url);
    assert!(seen.contains("Sunday, January 4") && seen.contains("12:00"), "{seen}");
    let seen = seen_by(&rig.chromium, "Europe/Vienna", "de-AT", &url);
    assert!(seen.contains("Größere Platten") && !seen.contains("Bigger disks"), "{seen}");
    let seen = seen_in(&rig.chromium, "Asia/Tokyo", &format!("{url}strict"));
    assert!(seen.contains("2099-01-04 03:00 UTC"), "{seen}");
    // While nothing is to come, there is none.
    shop.maint(&["off", "--all"]);
    assert!(!seen_in(&rig.chromium, "UTC", &url).contains("maintenance"));
}
