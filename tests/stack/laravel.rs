//! Laravel 8, from Debian's `php-laravel-framework`, with the few files that a new app has:
//! `artisan`, `bootstrap/app.php`, `config/`, `public/index.php`. The framework is unmodified.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::app::OURS;
use crate::php::{Opcache, Php, Programs, hand_over, programs, rename};
use crate::say::{amount, figure, skip};
use crate::server::{directory, put};
use crate::site::TestSite;
use crate::visitors::while_they_come;
use crate::wire::{Answer, ask, get};

/// Where Debian's packages have the framework.
const PACKAGE: &str = "/usr/share/php/Illuminate";

/// What the browser of a person asks for.
const BROWSER: [(&str, &str); 1] = [("Accept", "text/html,*/*;q=0.8")];

struct Shop {
    site: TestSite,
    programs: Programs,
    php: Php,
    folder: TempDir,
}

impl Shop {
    fn open(opcache: Opcache) -> Option<Self> {
        let (programs, folder) = installed_in_a_folder()?;
        let php = programs.serve(&folder.path().join("public"), opcache);
        let site = TestSite::new();
        let root = folder.path().to_str().unwrap();
        site.maint(&["flag", "add", "laravel", root, "--id", "shop"]);
        let shop = Self { site, programs, php, folder };
        shop.is_open();
        Some(shop)
    }

    fn maint(&self, args: &[&str]) -> String {
        self.site.maint(args)
    }

    fn framework(&self, name: &str) -> PathBuf {
        self.folder.path().join("storage/framework").join(name)
    }

    fn get(&self, path: &str) -> Answer {
        get(self.php.port, path)
    }

    fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        ask(self.php.port, method, path, fields)
    }

    /// Runs `php artisan`.
    fn artisan(&self, word: &str) -> Output {
        let root = self.folder.path().display();
        let program =
            format!("$_SERVER['argv'] = array('artisan', '{word}'); require '{root}/artisan';");
        self.programs.try_run(&program)
    }

    /// Does something while the program beside `down` is away, so that the framework itself
    /// answers, as it does where no `public/index.php` runs.
    fn without_program<R>(&self, test: impl FnOnce() -> R) -> R {
        let (program, away) = (self.framework("maintenance.php"), self.framework("away"));
        rename(&program, &away);
        let tested = test();
        rename(&away, &program);
        tested
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

fn is_app(answer: &Answer) -> bool {
    answer.status == 200 && answer.header(OURS).is_some() && answer.body == "the app"
}

fn is_page(answer: &Answer) -> bool {
    answer.status == 503
        && answer.header(OURS).is_none()
        && answer.header("maint-decision") == Some("block")
        && answer.header("cache-control") == Some("no-store")
}

/// PHP, and an app in a folder; prints why the test is skipped if something is missing.
pub(crate) fn installed_in_a_folder() -> Option<(Programs, TempDir)> {
    let programs = programs()?;
    if !Path::new(PACKAGE).join("Foundation/Application.php").is_file() {
        skip("php-laravel-framework is not installed; `make test-stack` installs it");
        return None;
    }
    let folder = directory();
    furnish(folder.path());
    Some((programs, folder))
}

/// The files of an app with one route.
fn furnish(root: &Path) {
    for folder in [
        "bootstrap/cache",
        "config",
        "public",
        "storage/framework/cache",
        "storage/framework/views",
        "storage/logs",
        "vendor",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    put(&root.join("vendor/autoload.php"), AUTOLOAD);
    put(&root.join("public/index.php"), INDEX);
    put(&root.join("bootstrap/app.php"), &APP.replace("X-App", OURS));
    put(&root.join("config/app.php"), CONFIG);
    let views = "<?php return array('paths' => array(), \
        'compiled' => dirname(__DIR__) . '/storage/framework/views');\n";
    put(&root.join("config/view.php"), views);
    let logs = "<?php return array('default' => 'single', 'channels' => array('single' => array(\
        'driver' => 'single', 'path' => dirname(__DIR__) . '/storage/logs/laravel.log')));\n";
    put(&root.join("config/logging.php"), logs);
    put(&root.join("artisan"), ARTISAN);
    hand_over(root);
}

/// Composer would write this one. Debian's packages each have their own.
const AUTOLOAD: &str = r"<?php
foreach (glob('/usr/share/php/Illuminate/*/autoload.php') as $file) {
    require_once $file;
}
spl_autoload_register(function ($class) {
    $file = '/usr/share/php/' . strtr($class, '\\', '/') . '.php';
    if (strncmp($class, 'Illuminate\\Foundation\\', 22) === 0 && is_file($file)) {
        require $file;
    }
});
require_once '/usr/share/php/Illuminate/Foundation/helpers.php';
foreach (array('Console', 'HttpFoundation', 'HttpKernel', 'Routing') as $name) {
    require_once '/usr/share/php/Symfony/Component/' . $name . '/autoload.php';
}
";

const INDEX: &str = r"<?php
$program = __DIR__ . '/../storage/framework/maintenance.php';
if (file_exists($program)) {
    require $program;
}
require __DIR__ . '/../vendor/autoload.php';
$app = require __DIR__ . '/../bootstrap/app.php';
$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
$request = Illuminate\Http\Request::capture();
$response = $kernel->handle($request)->send();
$kernel->terminate($request, $response);
";

const APP: &str = r"<?php
use Illuminate\Foundation\Bootstrap;

class ShopKernel extends Illuminate\Foundation\Http\Kernel
{
    // All but the reading of `.env`, whose library the package does not bring.
    protected $bootstrappers = array(
        Bootstrap\LoadConfiguration::class,
        Bootstrap\HandleExceptions::class,
        Bootstrap\RegisterFacades::class,
        Bootstrap\RegisterProviders::class,
        Bootstrap\BootProviders::class,
    );
    protected $middleware = array(
        Illuminate\Foundation\Http\Middleware\PreventRequestsDuringMaintenance::class,
    );
}

$app = new Illuminate\Foundation\Application(dirname(__DIR__));
$app->singleton(Illuminate\Contracts\Http\Kernel::class, ShopKernel::class);
$app->singleton(Illuminate\Contracts\Console\Kernel::class, Illuminate\Foundation\Console\Kernel::class);
$app->singleton(
    Illuminate\Contracts\Debug\ExceptionHandler::class,
    Illuminate\Foundation\Exceptions\Handler::class
);
$app->booted(function ($app) {
    $app['router']->any('{any}', function () {
        return response('the app')->header('X-App', 'Laravel');
    })->where('any', '.*');
});
return $app;
";

const CONFIG: &str = r"<?php
return array(
    'name' => 'Shop', 'env' => 'production', 'debug' => false, 'url' => 'http://localhost',
    'timezone' => 'UTC', 'locale' => 'en', 'fallback_locale' => 'en', 'aliases' => array(),
    'key' => 'base64:' . base64_encode(str_repeat('k', 32)), 'cipher' => 'AES-256-CBC',
    'providers' => array(
        Illuminate\Bus\BusServiceProvider::class,
        Illuminate\Cache\CacheServiceProvider::class,
        Illuminate\Cookie\CookieServiceProvider::class,
        Illuminate\Database\DatabaseServiceProvider::class,
        Illuminate\Filesystem\FilesystemServiceProvider::class,
        Illuminate\Foundation\Providers\ArtisanServiceProvider::class,
        Illuminate\Foundation\Providers\ComposerServiceProvider::class,
        Illuminate\Foundation\Providers\FoundationServiceProvider::class,
        Illuminate\Queue\QueueServiceProvider::class,
        Illuminate\Translation\TranslationServiceProvider::class,
        Illuminate\View\ViewServiceProvider::class,
    ),
);
";

const ARTISAN: &str = r"<?php
require_once __DIR__ . '/vendor/autoload.php';
$app = require __DIR__ . '/bootstrap/app.php';
$kernel = $app->make(Illuminate\Contracts\Console\Kernel::class);
exit($kernel->handle(
    new Symfony\Component\Console\Input\ArgvInput,
    new Symfony\Component\Console\Output\ConsoleOutput
));
";

#[test]
fn requirement_83_every_door_of_laravel_is_closed_with_the_page() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    shop.maint(&["on", "-m", "Bigger shelves", "--retry-after", "15m"]);
    let page = shop.maint(&["template", "render", "--format", "html"]);
    for (method, path) in
        [("GET", "/"), ("GET", "/cart?a=1"), ("POST", "/cart"), ("DELETE", "/cart")]
    {
        let answer = shop.ask(method, path, &[]);
        assert!(is_page(&answer), "{method} {path}: {answer:?}");
        assert_eq!(answer.header("retry-after"), Some("900"));
        assert!(answer.header("content-security-policy").is_some());
        assert_eq!(answer.body, page);
    }
    let head = shop.ask("HEAD", "/", &[]);
    assert!(is_page(&head) && head.body.is_empty(), "{head:?}");
    let json = shop.ask("GET", "/", &[("Accept", "application/json")]);
    assert_eq!(json.header("content-type"), Some("application/problem+json"), "{json:?}");
    assert!(is_page(&json) && json.body.contains("Bigger shelves"), "{json:?}");
    shop.maint(&["set", "--format", "json"]);
    for (accept, kind) in
        [("*/*", "application/problem+json"), ("text/html,*/*;q=0.8", "text/html; charset=utf-8")]
    {
        let answer = shop.ask("GET", "/", &[("Accept", accept)]);
        assert_eq!(answer.header("content-type"), Some(kind), "{answer:?}");
    }
    shop.maint(&["set", "--format", "html"]);

    // While `composer install` replaces it.
    let (vendor, away) = (shop.folder.path().join("vendor"), shop.folder.path().join("away"));
    rename(&vendor, &away);
    shop.is_closed("Bigger shelves");
    assert!(shop.without_program(|| shop.get("/")).status >= 500, "the framework is not there");
    rename(&away, &vendor);

    shop.without_program(|| {
        for method in ["GET", "POST"] {
            let answer = shop.ask(method, "/", &BROWSER);
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("900")));
            assert_eq!(answer.body, page, "the framework has the page as well");
        }
    });
    shop.maint(&["off"]);
    shop.is_open();
    assert!(shop.framework("maintenance.php").exists(), "a request may be about to run it");
    shop.maint(&["flag", "remove", "shop"]);
    assert!(!shop.framework("maintenance.php").exists());
}

#[test]
fn requirement_83_laravel_obeys_while_visitors_come() {
    for opcache in [Opcache::Usual, Opcache::Frozen] {
        let Some(shop) = Shop::open(opcache) else { return };
        for round in 0..amount(2, 20) {
            let ((on, off), seen) = while_they_come(shop.php.port, |coming| {
                let reason = format!("Round {round}");
                shop.maint(&["on", "-m", &reason]);
                let on = Instant::now();
                for _ in 0..60 {
                    shop.is_closed(&reason);
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
            figure(&format!("{opcache:?} opcache: {}", seen.obeyed(on, off, Duration::ZERO)));
        }
    }
}

#[test]
fn laravel_carries_the_end_as_a_date_and_counts_down_to_it() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    shop.maint(&["on", "--for", "90s"]);
    let wait = shop.get("/").header("retry-after").and_then(|it| it.parse::<u32>().ok());
    assert!(wait.is_some_and(|seconds| (60..=90).contains(&seconds)), "{wait:?}");
    let answer = shop.without_program(|| shop.get("/"));
    let date = answer.header("retry-after").unwrap();
    assert!(date.ends_with(" GMT"), "{date}");
}

#[test]
fn laravel_carries_a_redirect_for_people_alone() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    shop.maint(&["on", "--redirect", "https://status.example/now"]);
    let answer = shop.ask("GET", "/", &BROWSER);
    let place = Some("https://status.example/now");
    assert_eq!((answer.status, answer.header("location")), (302, place), "{answer:?}");
    assert!(is_page(&shop.ask("POST", "/", &BROWSER)), "nobody loses what was sent");
    assert!(is_page(&shop.ask("GET", "/", &[("Accept", "application/json")])));
    let script = [BROWSER[0], ("Sec-Fetch-Mode", "cors")];
    assert!(is_page(&shop.ask("GET", "/", &script)));
    let answer = shop.without_program(|| shop.ask("GET", "/", &BROWSER));
    assert_eq!((answer.status, answer.header("location")), (302, place), "{answer:?}");

    shop.maint(&["on", "--redirect", "/status"]);
    assert_eq!(shop.ask("GET", "/", &BROWSER).header("location"), Some("/status"));
    assert!(is_page(&shop.ask("GET", "/status", &BROWSER)), "it would lead to itself");
}

#[test]
fn requirement_76_a_flag_that_cannot_be_used_leaves_laravel_closed_and_never_fails() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    shop.maint(&["on", "-m", "Bigger shelves"]);
    let down = shop.framework("down");
    let whole = fs::read_to_string(&down).unwrap();
    let is_plain = |what: &str| {
        let answer = shop.get("/");
        assert!(is_page(&answer), "{what}: {answer:?}");
        assert!(answer.body.starts_with("Down for maintenance\n"), "{what}: {answer:?}");
    };
    let write = |text: &str| {
        fs::remove_file(&down).unwrap();
        put(&down, text);
    };
    for at in (0..whole.len()).step_by(97) {
        write(&String::from_utf8_lossy(&whole.as_bytes()[..at]));
        is_plain("half a file");
    }
    for text in ["null", "1", r#"{"maint": 1}"#, r#"{"maint": {"version": 2}}"#] {
        write(text);
        is_plain(text);
    }
    write("");
    let answer = shop.without_program(|| shop.get("/"));
    assert_eq!(answer.status, 500, "what half a file does to the framework alone: {answer:?}");
    write(&whole);
    shop.is_closed("Bigger shelves");
    if geteuid().is_root() {
        fs::set_permissions(&down, Permissions::from_mode(0o600)).unwrap();
        chown(&down, Some(0), Some(0)).unwrap();
        is_plain("a file of somebody else");
    }
}

#[test]
fn requirement_78_what_artisan_wrote_is_left_alone() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    let output = shop.artisan("down");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shop.get("/").status, 503);
    let theirs = fs::read(shop.framework("down")).unwrap();
    let refused = shop.site.output(&["on", "-m", "Bigger shelves"]);
    assert_eq!(refused.status.code(), Some(10), "{refused:?}");
    assert_eq!(fs::read(shop.framework("down")).unwrap(), theirs);
    shop.site.output(&["off"]);
    assert_eq!(fs::read(shop.framework("down")).unwrap(), theirs);
    assert!(shop.artisan("up").status.success());
    shop.is_open();
    shop.maint(&["on", "-m", "Bigger shelves"]);
    shop.is_closed("Bigger shelves");

    // And what is ours is seen to be gone when it was `artisan` that took it away.
    assert!(shop.artisan("up").status.success());
    shop.is_open();
    let looked = shop.site.output(&["flag", "list"]);
    assert!(String::from_utf8_lossy(&looked.stdout).contains("clear"), "{looked:?}");
    shop.maint(&["flag", "sync"]);
    shop.is_closed("Bigger shelves");
}

/// The framework's own program would read the flag as well, and is one that `artisan` makes.
#[test]
fn the_program_leaves_what_artisan_wrote_to_the_framework() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    shop.maint(&["on"]);
    fs::remove_file(shop.framework("down")).unwrap();
    for text in ["{}", r#"{"status": 503, "retry": 77}"#, r#"{"template": "<h1>theirs</h1>"}"#] {
        put(&shop.framework("down"), text);
        let answer = shop.get("/");
        assert_eq!((answer.status, answer.header("maint-decision")), (503, None), "{answer:?}");
        fs::remove_file(shop.framework("down")).unwrap();
    }
    shop.is_open();
}

/// What others write as a flag for Laravel, which these tests must see through.
#[test]
fn what_is_no_flag_for_laravel_is_seen_as_none() {
    let Some(shop) = Shop::open(Opcache::Usual) else { return };
    put(&shop.framework("down"), "");
    let answer = shop.get("/");
    assert!(answer.status == 500 && !is_page(&answer), "as for Laravel 4: {answer:?}");
    fs::remove_file(shop.framework("down")).unwrap();
    put(&shop.framework("down"), "{}");
    let answer = shop.get("/");
    assert!(answer.status == 503 && !is_page(&answer), "without a page: {answer:?}");
}
