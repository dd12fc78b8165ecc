//! WordPress, from Debian's `wordpress`, unmodified but for its configuration and a theme of
//! one line.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::app::OURS;
use crate::mariadb;
use crate::php::{Opcache, Php, Programs, copy, hand_over, programs};
use crate::say::{amount, figure, skip};
use crate::server::{Server, directory, put};
use crate::site::TestSite;
use crate::visitors::while_they_come;
use crate::wire::{Answer, ask, get};

/// Where Debian's package has WordPress.
const PACKAGE: &str = "/usr/share/wordpress";

/// A shop made with WordPress, and the site that switches it.
struct Shop {
    site: TestSite,
    programs: Programs,
    php: Php,
    folder: TempDir,
    _db: Server,
}

/// A shop of its own while one test has it.
struct Borrowed {
    // The turn ends before the shop may.
    _turn: MutexGuard<'static, ()>,
    shop: Arc<Shop>,
}

impl std::ops::Deref for Borrowed {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

/// Borrows the shop, which is up and has neither rules nor tokens. It is made by the first
/// test that wants it, and ends with the last.
fn shop() -> Option<Borrowed> {
    static SHOP: Mutex<Weak<Shop>> = Mutex::new(Weak::new());
    static TURN: Mutex<()> = Mutex::new(());
    let shop = {
        let mut known = SHOP.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shop) = known.upgrade() {
            shop
        } else {
            let shop = Arc::new(Shop::open(Opcache::Usual)?);
            *known = Arc::downgrade(&shop);
            shop
        }
    };
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    shop.tidy();
    Some(Borrowed { _turn: turn, shop })
}

impl Shop {
    fn open(opcache: Opcache) -> Option<Self> {
        let (programs, folder, db) = installed_in_a_folder()?;
        let php = programs.serve(folder.path(), opcache);
        let site = TestSite::new();
        let root = folder.path().to_str().unwrap();
        site.maint(&["flag", "add", "wordpress", root, "--id", "shop"]);
        Some(Self { site, programs, php, folder, _db: db })
    }

    fn tidy(&self) {
        // What a test wrote into them is somebody else's to the command.
        for path in [self.flag(), self.data()] {
            let _ = fs::remove_file(path);
        }
        self.site.maint(&["off", "--all"]);
        self.site.maint(&["ignore", "clear"]);
        let _ = fs::remove_file(self.folder.path().join("job"));
        // PHP's opcache still has what a test wrote there, for some seconds.
        self.site.maint(&["on"]);
        until("the program of maint", || is_page(&self.get("/")));
        self.site.maint(&["off"]);
        assert_eq!(self.get("/").status, 200);
    }

    fn flag(&self) -> PathBuf {
        self.folder.path().join(".maintenance")
    }

    fn data(&self) -> PathBuf {
        self.site.dir().join("flags/shop.json")
    }

    fn maint(&self, args: &[&str]) -> String {
        self.site.maint(args)
    }

    fn get(&self, path: &str) -> Answer {
        get(self.php.port, path)
    }

    fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        ask(self.php.port, method, path, fields)
    }

    #[track_caller]
    fn is_open(&self) {
        let answer = self.get("/");
        assert!(is_app(&answer), "{answer:?}");
    }

    #[track_caller]
    fn is_closed(&self, reason: &str) {
        let answer = self.get("/");
        assert!(is_page(&answer) && answer.body.contains(reason), "{answer:?}");
    }
}

/// PHP, a WordPress in a folder, and its database; prints why the test is skipped if something
/// is missing.
pub(crate) fn installed_in_a_folder() -> Option<(Programs, TempDir, Server)> {
    let programs = programs()?;
    if !Path::new(PACKAGE).join("wp-load.php").is_file() {
        skip("wordpress is not installed; `make test-stack` installs it");
        return None;
    }
    let db = mariadb::start()?;
    let folder = directory();
    copy(Path::new(PACKAGE), folder.path());
    furnish(folder.path(), db.port);
    programs.run(&install(folder.path(), db.port));
    Some((programs, folder, db))
}

/// The files that WordPress wants of its owner: a configuration, a theme, and a job.
fn furnish(root: &Path, db: u16) {
    for name in ["wp-config.php", ".htaccess"] {
        let _ = fs::remove_file(root.join(name));
    }
    let config = format!(
        "<?php
        define('DB_NAME', 'shop'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
        define('DB_HOST', '127.0.0.1:{db}'); define('DB_CHARSET', 'utf8mb4');
        define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']); define('WP_SITEURL', WP_HOME);
        define('FS_METHOD', 'direct'); define('DISABLE_WP_CRON', true);
        define('AUTOMATIC_UPDATER_DISABLED', true); define('WP_HTTP_BLOCK_EXTERNAL', true);
        $table_prefix = 'wp_';
        if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
        require ABSPATH . 'wp-settings.php';"
    );
    put(&root.join("wp-config.php"), &config);
    let content = root.join("wp-content");
    for folder in ["themes/plain", "mu-plugins"] {
        fs::create_dir_all(content.join(folder)).unwrap();
    }
    put(&content.join("themes/plain/style.css"), "/*\nTheme Name: Plain\n*/\n");
    let theme = format!("<?php header('{OURS}: WordPress'); echo 'the app: '; bloginfo('name');\n");
    put(&content.join("themes/plain/index.php"), &theme);
    let job = "<?php add_action('shop_job', function () { touch(ABSPATH . 'job'); });\n";
    put(&content.join("mu-plugins/job.php"), job);
    hand_over(root);
}

/// A program that makes the tables of WordPress, without the wizard in the browser.
fn install(root: &Path, db: u16) -> String {
    format!(
        "$_SERVER['HTTP_HOST'] = 'localhost';
        function wp_mail() {{ return true; }}
        (new mysqli('127.0.0.1', 'root', '', '', {db}))->query('CREATE DATABASE shop');
        define('WP_INSTALLING', true);
        require '{root}/wp-load.php';
        require ABSPATH . 'wp-admin/includes/upgrade.php';
        wp_install('Shop', 'admin', 'admin@example.com', true, '', 'secret');
        switch_theme('plain');",
        root = root.display()
    )
}

fn is_app(answer: &Answer) -> bool {
    answer.status == 200 && answer.header(OURS).is_some() && answer.body == "the app: Shop"
}

fn is_page(answer: &Answer) -> bool {
    answer.status == 503
        && answer.header(OURS).is_none()
        && answer.header("maint-decision") == Some("block")
        && answer.header("cache-control") == Some("no-store")
}

/// Waits until a fact holds, without end but that of the test.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: never");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

#[test]
fn requirement_83_every_door_of_wordpress_is_closed_with_the_page() {
    let Some(shop) = shop() else { return };
    shop.is_open();
    shop.maint(&["on", "-m", "Bigger shelves", "--retry-after", "15m"]);
    let page = shop.maint(&["template", "render", "--format", "html"]);
    for path in [
        "/",
        "/?p=1",
        "/cart",
        "/wp-login.php",
        "/wp-admin/",
        "/index.php/cart",
        "/index.php?rest_route=/",
    ] {
        let answer = shop.get(path);
        assert!(is_page(&answer), "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(answer.header("retry-after"), Some("900"), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
        assert_eq!(answer.body, page, "{path}");
    }
    for (method, path) in [
        ("POST", "/"),
        ("POST", "/xmlrpc.php"),
        ("POST", "/wp-admin/admin-ajax.php"),
        ("POST", "/wp-comments-post.php"),
        ("PUT", "/index.php?rest_route=/wp/v2/posts"),
        ("DELETE", "/index.php?rest_route=/wp/v2/posts/1"),
    ] {
        let answer = shop.ask(method, path, &[]);
        assert!(is_page(&answer) && answer.body.contains("Bigger shelves"), "{path}: {answer:?}");
    }
    let head = shop.ask("HEAD", "/", &[]);
    assert!(is_page(&head) && head.body.is_empty(), "{head:?}");
    for (accept, kind) in [
        ("application/json", "application/problem+json"),
        ("application/vnd.api+json, */*;q=0.1", "application/problem+json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/html;q=0.5, application/json;q=0.4", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
    ] {
        let answer = shop.ask("GET", "/", &[("Accept", accept)]);
        assert!(is_page(&answer) && answer.body.contains("Bigger shelves"), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(kind), "{accept}");
    }
    shop.maint(&["set", "--format", "json"]);
    for (accept, kind) in [
        ("*/*", "application/problem+json"),
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
    ] {
        let answer = shop.ask("GET", "/", &[("Accept", accept)]);
        assert!(is_page(&answer) && answer.body.contains("Bigger shelves"), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(kind), "{accept}");
    }
    shop.maint(&["off"]);
    shop.is_open();
}

#[test]
fn requirement_83_wordpress_obeys_while_visitors_come() {
    let Some(shop) = shop() else { return };
    for _ in 0..amount(3, 30) {
        let ((on, off), seen) = while_they_come(shop.php.port, |coming| {
            shop.maint(&["on", "-m", "Bigger shelves"]);
            let on = Instant::now();
            for _ in 0..60 {
                shop.is_closed("Bigger shelves");
            }
            coming.wait();
            let before = Instant::now();
            shop.maint(&["off"]);
            let off = (before, Instant::now());
            for _ in 0..60 {
                shop.is_open();
            }
            coming.wait();
            (on, off)
        });
        figure(&seen.obeyed(on, off, Duration::ZERO));
    }
}

#[test]
fn wordpress_opens_at_the_end_of_the_window_though_nobody_acts() {
    let Some(shop) = shop() else { return };
    shop.maint(&["on", "-m", "Bigger shelves", "--for", "2s"]);
    shop.is_closed("Bigger shelves");
    let wait = shop.get("/").header("retry-after").and_then(|it| it.parse::<u32>().ok());
    assert!(matches!(wait, Some(1 | 2)), "{wait:?}");
    until("the end", || is_app(&shop.get("/")));
    assert!(shop.flag().exists(), "nobody was there to remove it");
    shop.maint(&["on", "-m", "Still bigger shelves"]);
    shop.is_closed("Still bigger shelves");
}

#[test]
fn wordpress_tells_the_estimate_until_it_has_passed_though_nobody_acts() {
    let Some(shop) = shop() else { return };
    shop.maint(&["on", "-m", "Bigger shelves", "--estimate", "2s", "--retry-after", "15m"]);
    let wait = || shop.get("/").header("retry-after").and_then(|it| it.parse::<u32>().ok());
    let first = wait();
    assert!(matches!(first, Some(1 | 2)), "{first:?}");
    until("the estimate has passed", || wait() == Some(900));
    shop.is_closed("Bigger shelves");
}

#[test]
fn wordpress_lets_addresses_and_networks_through() {
    let Some(shop) = shop() else { return };
    shop.maint(&["on"]);
    for (rule, is_let_in) in [
        ("127.0.0.1", true),
        ("127.0.0.0/8", true),
        ("127.0.0.0/31", true),
        ("::ffff:127.0.0.1", true),
        ("127.0.0.2/31", false),
        ("127.0.0.10", false),
        ("::1", false),
        ("128.0.0.0/1", false),
    ] {
        shop.maint(&["ignore", "clear"]);
        shop.maint(&["ignore", "add", "ip", rule]);
        let answer = shop.get("/");
        assert_eq!(is_app(&answer), is_let_in, "{rule}: {answer:?}");
        assert_eq!(is_page(&answer), !is_let_in, "{rule}: {answer:?}");
        if is_let_in {
            assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{rule}");
        }
    }
    shop.maint(&["ignore", "clear"]);
    shop.maint(&["ignore", "add", "ip", "127.0.0.1", "--for", "1s"]);
    shop.is_open();
    until("the end of the rule", || is_page(&shop.get("/")));
    let forwarded = [("X-Forwarded-For", "192.0.2.7"), ("Client-Ip", "192.0.2.7")];
    shop.maint(&["ignore", "add", "ip", "192.0.2.7"]);
    assert!(is_page(&shop.ask("GET", "/", &forwarded)), "only the address that connects counts");
    shop.maint(&["ignore", "add", "ip", "127.0.0.1"]);
    shop.is_open();
    shop.maint(&["proxy", "add", "127.0.0.0/8"]);
    assert!(is_page(&shop.get("/")), "the address is that of a proxy, so nobody knows who asks");
    shop.maint(&["proxy", "clear"]);
}

#[test]
fn wordpress_lets_a_token_through_by_cookie_and_by_link() {
    let Some(shop) = shop() else { return };
    shop.maint(&["on"]);
    let token = shop.maint(&["bypass", "new", "--quiet"]).trim().to_owned();
    let digest = maint::state::BypassToken::of(&token).sha256;
    for name in ["maint_bypass", "__Host-maint_bypass"] {
        let answer = shop.ask("GET", "/", &[("Cookie", &format!("a=b;  {name}={token}"))]);
        assert!(is_app(&answer), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    }
    for cookie in [
        format!("maint_bypass={digest}"),
        format!("maint_bypass[]={token}"),
        format!("maint_bypass=\"{token}\""),
        format!("xmaint_bypass={token}"),
        "maint_bypass=".to_owned(),
        "maint_bypass=maint_0000000000000000000000000000000000000000".to_owned(),
        "maint_bypass=no; ".repeat(8) + &format!("maint_bypass={token}"),
    ] {
        assert!(is_page(&shop.ask("GET", "/", &[("Cookie", &cookie)])), "{cookie}");
    }
    for file in [shop.flag(), shop.data()] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&token), "{} can be read by everybody", file.display());
    }

    let link = shop.get(&format!("/cart?a=1&maint_bypass={token}&b=2"));
    assert_eq!((link.status, link.header("location")), (303, Some("/cart?a=1&b=2")), "{link:?}");
    let cookie = link.header("set-cookie").unwrap();
    assert_eq!(cookie, format!("maint_bypass={token}; Path=/; HttpOnly; SameSite=Lax"));
    assert_eq!(link.header("cache-control"), Some("no-store"));
    let elsewhere = [("Host", "shop.example")];
    let link = shop.ask("GET", &format!("//evil.example?maint_bypass={token}"), &elsewhere);
    assert_eq!(link.header("location"), Some("/"), "{link:?}");
    assert!(link.header("set-cookie").unwrap().starts_with("__Host-maint_bypass="), "{link:?}");
    assert!(link.header("set-cookie").unwrap().contains("; Secure"), "{link:?}");
    assert!(is_page(&shop.ask("POST", &format!("/?maint_bypass={token}"), &[])));
    assert!(is_page(&shop.get("/?maint_bypass=maint_0")));

    let short = shop.maint(&["bypass", "new", "--quiet", "--for", "1s"]).trim().to_owned();
    let cookie = format!("maint_bypass={short}");
    until("the end of the token", || is_page(&shop.ask("GET", "/", &[("Cookie", &cookie)])));
}

#[test]
fn wordpress_lets_plain_paths_through() {
    let Some(shop) = shop() else { return };
    shop.maint(&["on"]);
    for rule in [
        "/index.php/health",
        "/index.php/static/**",
        "/index.php/api/*/status",
        "re:/index\\.php/v[0-9]+(?:/.*)?",
    ] {
        shop.maint(&["ignore", "add", "path", rule]);
    }
    for path in [
        "/index.php/health",
        "/index.php/health?full=1",
        "/index.php/static",
        "/index.php/static/a/b.css",
        "/index.php/api/7/status",
        "/index.php/v2",
        "/index.php/v10/users",
    ] {
        let answer = shop.get(path);
        // WordPress finds nothing there, or sends on to its own spelling.
        assert!(
            !is_page(&answer) && matches!(answer.status, 200 | 301 | 404),
            "{path}: {answer:?}"
        );
    }
    for path in [
        "/",
        "/?x=/index.php/health",
        "/index.php/health/",
        "/index.php/healthz",
        "/index.php/Health",
        "/index.php/%68ealth",
        "/index.php//health",
        "/index.php/./health",
        "/index.php/x/../health",
        "/index.php/staticx",
        "/index.php/static;x/../y",
        "/index.php/static/../wp-login.php",
        "/index.php/static\\..\\x",
        "/index.php/api//status",
        "/index.php/api/7/8/status",
        "/index.php/v2x",
    ] {
        let answer = shop.get(path);
        assert!(is_page(&answer), "{path}: {answer:?}");
    }
    for (name, path) in [("X-Original-URL", "/"), ("X-Rewrite-URL", "/")] {
        let answer = shop.ask("GET", "/index.php/health", &[(name, path)]);
        assert!(is_page(&answer), "a server may take {name} for the path: {answer:?}");
    }
}

#[test]
fn requirement_76_data_that_wordpress_cannot_use_leaves_the_shop_closed() {
    let Some(shop) = shop() else { return };
    shop.maint(&["ignore", "add", "ip", "127.0.0.1"]);
    shop.maint(&["on", "-m", "Bigger shelves", "--for", "1h"]);
    shop.is_open();
    let whole = fs::read_to_string(shop.data()).unwrap();
    let is_plain = |what: &str| {
        let answer = shop.get("/");
        assert!(is_page(&answer), "{what}: {answer:?}");
        assert!(answer.body.starts_with("Down for maintenance\n"), "{what}: {answer:?}");
    };
    let write = |text: &str| {
        fs::remove_file(shop.data()).unwrap();
        put(&shop.data(), text);
    };
    for at in (0..whole.len()).step_by(97) {
        write(&String::from_utf8_lossy(&whole.as_bytes()[..at]));
        is_plain("half a file");
    }
    let mut data: serde_json::Value = serde_json::from_str(&whole).unwrap();
    for (name, value) in [
        ("version", serde_json::json!(2)),
        ("version", serde_json::json!("1")),
        ("end", serde_json::json!("2000-01-01T00:00:00Z")),
        ("end", serde_json::json!(true)),
        ("networks", serde_json::json!("127.0.0.1")),
        ("tokens", serde_json::json!(null)),
    ] {
        let kept = data[name].take();
        data[name] = value;
        write(&data.to_string());
        is_plain(&format!("another {name}"));
        data[name] = kept;
    }
    for text in ["", "null", "[]", "{}", "<?php"] {
        write(text);
        is_plain(text);
    }
    fs::remove_file(shop.data()).unwrap();
    is_plain("a missing file");
    put(&shop.data(), &whole);
    shop.is_open();
    if geteuid().is_root() {
        fs::set_permissions(shop.data(), Permissions::from_mode(0o600)).unwrap();
        chown(shop.data(), Some(0), Some(0)).unwrap();
        is_plain("a file of somebody else");
    }
    // A rule that nobody can read lets nobody in, and the others stay.
    data["networks"][0]["prefix"] = "8".into();
    fs::remove_file(shop.data()).unwrap();
    put(&shop.data(), &data.to_string());
    shop.is_closed("Bigger shelves");
}

#[test]
fn jobs_of_wordpress_wait_and_people_in_a_shell_go_on() {
    let Some(shop) = shop() else { return };
    let root = shop.folder.path().display().to_string();
    let load = format!("$_SERVER['HTTP_HOST'] = 'localhost'; require '{root}/wp-load.php';");
    let job = shop.folder.path().join("job");
    shop.programs.run(&format!("{load} wp_schedule_single_event(time() - 9, 'shop_job');"));
    shop.maint(&["on"]);
    // It has answered before it asks whether it may work.
    assert_eq!(shop.get("/wp-cron.php").status, 200);
    let cron = format!("$_SERVER['HTTP_HOST'] = 'localhost'; require '{root}/wp-cron.php';");
    assert_eq!(shop.programs.try_run(&cron).status.code(), Some(75), "try again later");
    let name = shop.programs.run(&format!("{load} echo get_bloginfo('name');"));
    assert_eq!(name, "Shop", "a person at work");
    // A later request by the same worker or another shows that the first has ended.
    for _ in 0..6 {
        assert!(is_page(&shop.get("/")));
    }
    assert!(!job.exists());
    shop.maint(&["off"]);
    shop.get("/wp-cron.php");
    until("the job", || job.exists());
}

/// WordPress asks again at the end of each request, and then nothing may be said any more.
#[test]
fn an_answer_that_began_before_the_flag_is_not_followed_by_the_page() {
    let Some(shop) = shop() else { return };
    let slow = shop.folder.path().join("slow.php");
    put(
        &slow,
        "<?php require __DIR__ . '/wp-load.php'; echo 'slow'; touch(ABSPATH . 'job'); \
        while (!file_exists(ABSPATH . '.maintenance')) { usleep(1000); clearstatcache(); } echo ' app';",
    );
    let body = std::thread::scope(|scope| {
        let slow = scope.spawn(|| shop.get("/slow.php"));
        until("the request", || shop.folder.path().join("job").exists());
        shop.maint(&["on"]);
        slow.join().unwrap().body
    });
    fs::remove_file(slow).unwrap();
    assert_eq!(body, "slow app");
}

#[test]
fn requirement_79_the_updater_of_wordpress_takes_the_flag_away_and_maint_puts_it_back() {
    let Some(shop) = shop() else { return };
    let root = shop.folder.path().display().to_string();
    let job = shop.folder.path().join("job");
    // One process, as ever: the next one would find the site closed by the updater's own flag.
    let update = || {
        shop.programs.run(&format!(
            "$_SERVER['HTTP_HOST'] = 'localhost'; require '{root}/wp-load.php';
            require ABSPATH . 'wp-admin/includes/admin.php';
            require ABSPATH . 'wp-admin/includes/class-wp-upgrader.php';
            WP_Filesystem();
            $upgrader = new WP_Upgrader(new Automatic_Upgrader_Skin());
            $upgrader->init();
            $upgrader->maintenance_mode(true);
            while (!file_exists('{job}')) {{ usleep(1000); clearstatcache(); }}
            $upgrader->maintenance_mode(false);",
            job = job.display()
        ))
    };
    shop.maint(&["on", "-m", "Bigger shelves"]);
    let ours = fs::read(shop.flag()).unwrap();
    let standing = || {
        let text = String::from_utf8(shop.site.output(&["flag", "list", "--json"]).stdout).unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        let flag = &list["flags"][0];
        (flag["found"].as_str().unwrap().to_owned(), flag["in_step"].as_bool())
    };
    assert_eq!(standing(), ("set".to_owned(), Some(true)));

    std::thread::scope(|scope| {
        scope.spawn(update);
        let read = || fs::read_to_string(shop.flag()).unwrap_or_default();
        until("the updater", || read().starts_with("<?php $upgrading = "));
        let theirs = read();
        assert_eq!(standing(), ("somebody-elses".to_owned(), Some(false)));
        let refused = shop.site.output(&["flag", "sync"]);
        assert_eq!(refused.status.code(), Some(10), "{refused:?}");
        assert_eq!(read(), theirs, "the updater is still at work");
        put(&job, "");
    });
    assert!(!shop.flag().exists());
    shop.is_open();
    assert_eq!(standing(), ("clear".to_owned(), Some(false)));
    shop.maint(&["flag", "sync"]);
    assert_eq!(fs::read(shop.flag()).unwrap(), ours);
    shop.is_closed("Bigger shelves");

    update();
    shop.maint(&["on", "-m", "Bigger shelves"]);
    shop.is_closed("Bigger shelves");
}

#[test]
fn requirement_83_a_frozen_opcache_makes_no_difference() {
    let Some(shop) = Shop::open(Opcache::Frozen) else { return };
    for reason in ["Bigger shelves", "New paint", "A softer carpet"] {
        shop.maint(&["on", "-m", reason]);
        shop.is_closed(reason);
        shop.maint(&["ignore", "add", "ip", "127.0.0.1"]);
        shop.is_open();
        shop.maint(&["ignore", "clear"]);
        shop.is_closed(reason);
        // What is older than two seconds is what the opcache keeps.
        std::thread::sleep(Duration::from_millis(2100));
        shop.is_closed(reason);
        shop.maint(&["off"]);
        shop.is_open();
    }
    shop.maint(&["on", "--for", "1s"]);
    until("the end", || is_app(&shop.get("/")));
    shop.maint(&["off", "--all"]);

    // The form of WordPress itself counts as it was the first time.
    let frozen = Shop::open(Opcache::Frozen).unwrap();
    let number = |number: u64| {
        let _ = fs::remove_file(frozen.flag());
        put(&frozen.flag(), &format!("<?php $upgrading = {number}; ?>"));
    };
    number(123);
    std::thread::sleep(Duration::from_millis(2100));
    frozen.is_open();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    number(now.as_secs());
    frozen.is_open();
}

/// What others write as a flag for WordPress, which these tests must see through.
#[test]
fn what_is_no_flag_for_wordpress_is_seen_as_none() {
    let Some(shop) = shop() else { return };
    for (what, text) in [("touch", ""), ("a number of long ago", "<?php $upgrading = 123;")] {
        put(&shop.flag(), text);
        // The opcache may hold the bytes of another test for two seconds.
        until(what, || shop.get("/").header(OURS).is_some());
        fs::remove_file(shop.flag()).unwrap();
    }
    put(&shop.flag(), "<?php $upgrading = time();");
    until("WordPress' own page", || shop.get("/").status == 503);
    let answer = shop.get("/");
    assert!(!is_page(&answer), "{answer:?}");
    assert_eq!(shop.ask("POST", "/xmlrpc.php", &[]).status, 200, "without the page it says so");
    fs::remove_file(shop.flag()).unwrap();
}
