//! A Django developer, with a shop that has sessions, forms and GraphQL, on a real server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::app::OURS;
use crate::say::{figure, skip};
use crate::server::{Server, ordinary, put};
use crate::site::TestSite;
use crate::visitors::switched_among_them;
use crate::wire::{Answer, FORM, ask, get, post, try_ask};

const PROJECT: &str = r#"import socketserver, sys
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.shortcuts import render
from django.urls import path

here, port, base = Path(__file__).parent, int(sys.argv[1]), Path(sys.argv[2])


def our_app(get_response):
    """Marks what the app itself answers, behind the middleware of maint."""

    def answer(request):
        response = get_response(request)
        response["X-App"] = str(port)
        return response

    return answer


settings.configure(
    BASE_DIR=base,
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    LOGIN_REDIRECT_URL="/",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": here / "db.sqlite3"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "maint.django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "maint.django.middleware.MaintenanceModeMiddleware",
        f"{__name__}.our_app",
    ],
    MAINT_IS_READ="reads.is_read",
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [here / "templates"],
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "maint.django.context_processors.maintenance_mode",
        ]},
    }],
)
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.views.decorators.csrf import csrf_exempt

User.objects.create_user("ann", password="open sesame")


@csrf_exempt
def graphql(request):
    return JsonResponse({"data": {"cart": 2}})


urlpatterns = [
    path("", lambda request: render(request, "home.html")),
    path("order/", lambda request: render(request, "home.html")),
    path("graphql/", graphql),
    path("accounts/login/", LoginView.as_view(template_name="login.html")),
]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", port, get_wsgi_application(), Server).serve_forever()
"#;

const HOME: &str = r#"{% include "banner.html" %}
<h1>The shop</h1>
<p>{% if user.is_authenticated %}Hello, {{ user.username }}{% endif %}</p>
{% if not maintenance.read_only %}<form action="/order/" method="post">{% csrf_token %}</form>{% endif %}
"#;

const LOGIN: &str =
    r#"<form method="post">{% csrf_token %}{{ form.username }}{{ form.password }}</form>"#;

/// The Python of the package's tests, if it has this package and Django.
fn python() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/.venv/bin/python");
    // One that an older version installed is no judge of this one.
    let needs = "import django, maint.django, maint; maint.Gate.next_django";
    let has = ordinary(&program).args(["-c", needs]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(program);
    }
    skip("needs Django and the Python package of this version, which `make python` installs");
    None
}

/// What the guide shows after a line.
fn shown(line: &str) -> String {
    let guide = std::fs::read_to_string("docs/django.md").unwrap();
    let (_, rest) = guide.split_once(line).unwrap_or_else(|| panic!("{line} is not shown"));
    let (text, _) = rest.split_once("```\n").unwrap();
    text.to_owned()
}

/// The shop of a site, as its guide has it. Once it answers, everything about it is ready.
fn shop(python: &Path, site: &TestSite) -> Server {
    let command = |dir: &Path, port: u16| {
        std::fs::create_dir(dir.join("templates")).unwrap();
        put(&dir.join("project.py"), PROJECT);
        put(&dir.join("reads.py"), &shown("\n# shop/reads.py\n"));
        put(
            &dir.join("templates/banner.html"),
            &shown("<!-- test: file templates/banner.html -->\n```html\n"),
        );
        put(&dir.join("templates/home.html"), HOME);
        put(&dir.join("templates/login.html"), LOGIN);
        let mut command: Command = ordinary(python);
        command.arg("project.py").arg(port.to_string()).arg(site.project());
        command
    };
    Server::start(command, |port| {
        let answer = try_ask(port, "GET", "/", &[]);
        answer.is_ok_and(|it| it.header(OURS) == Some(&port.to_string()))
    })
}

fn is_of_the_app(answer: &Answer) -> bool {
    answer.header(OURS).is_some()
}

/// Logs in as a browser does, with the cookies and the hidden field of the form.
fn log_in(port: u16) -> Answer {
    let form = get(port, "/accounts/login/");
    let token = form.body.split("name=\"csrfmiddlewaretoken\" value=\"").nth(1);
    let token = token.unwrap_or_else(|| panic!("no form: {form:?}")).split('"').next().unwrap();
    let sent = format!("csrfmiddlewaretoken={token}&username=ann&password=open+sesame");
    post(port, "/accounts/login/", &[("Cookie", &form.cookies())], (FORM, &sent))
}

#[test]
fn the_day_of_a_shop() {
    let Some(python) = python() else { return };
    let site = TestSite::new();
    let shop = shop(&python, &site);
    let port = shop.port;
    let home = get(port, "/");
    assert!(!home.body.contains("class=\"maintenance\""), "{}", home.body);
    announced(&site, port);
    read_only(&site, port);
    down(&site, port);
    // The app answers nobody in between, and everybody afterwards.
    let said = switched_among_them(&site, port, "Moving the shop", Duration::ZERO);
    figure(&format!("a shop of Django: announced, read-only, down in German and JSON; {said}"));
}

/// Before: templates learnt of a maintenance when it had begun. A banner the day before was a deploy, and
/// another one to take it away.
fn announced(site: &TestSite, port: u16) {
    site.maint(&["on", "move", "--at", "tomorrow 03:00", "--for", "90m", "-m", "Bigger <disks>"]);
    let status: serde_json::Value =
        serde_json::from_str(&site.maint(&["status", "--json"])).unwrap();
    let home = get(port, "/");
    assert!(is_of_the_app(&home) && home.status == 200, "{home:?}");
    for at in ["start", "end"] {
        let time: jiff::Timestamp = status["windows"][0][at].as_str().unwrap().parse().unwrap();
        // Django writes it in the zone of the project, with its offset.
        let shown = home.body.split("datetime=\"").skip(1).map(|it| it.split('"').next().unwrap());
        let shown: Vec<jiff::Timestamp> = shown.map(|it| it.parse().unwrap()).collect();
        assert!(shown.contains(&time), "{at} {time}: {shown:?}");
    }
    assert!(home.body.contains("Bigger &lt;disks&gt;"), "{}", home.body);
    assert_eq!(home.header("maint-decision"), None, "nothing is decided yet");
    site.maint(&["off", "move"]);
    assert!(!get(port, "/").body.contains("class=\"maintenance\""), "it goes with the window");
}

/// Before: a shop that reads by GraphQL was down under a "read-only" window, since every POST was a write.
/// Nobody could log in either, and no answer told a front end to hide its forms.
fn read_only(site: &TestSite, port: u16) {
    site.maint(&["on", "move", "--read-only", "-m", "You can look around"]);
    let home = get(port, "/");
    assert!(is_of_the_app(&home) && !home.body.contains("<form"), "no form: {home:?}");
    assert_eq!(home.header("maint-decision"), Some("read-only"));
    let graphql = |query: &str| {
        let asked = serde_json::json!({ "query": query }).to_string();
        post(port, "/graphql/", &[], ("application/json", &asked))
    };
    let read = graphql("{ cart { items } }");
    assert_eq!((read.status, is_of_the_app(&read)), (200, true), "{read:?}");
    assert_eq!(read.header("maint-decision"), Some("read-only"));
    let write = graphql("mutation { buy }");
    assert_eq!((write.status, is_of_the_app(&write)), (503, false), "{write:?}");
    assert_eq!(write.header("content-type"), Some("application/problem+json"), "it sent JSON");
    let order = post(port, "/order/", &[], (FORM, "item=7"));
    assert_eq!((order.status, is_of_the_app(&order)), (503, false), "{order:?}");

    let login = log_in(port);
    assert_eq!((login.status, is_of_the_app(&login)), (302, true), "{login:?}");
    let home = ask(port, "GET", "/", &[("Cookie", &login.cookies())]);
    assert!(home.body.contains("Hello, ann"), "{}", home.body);
    site.maint(&["off", "move"]);
    assert_eq!(get(port, "/").header("maint-decision"), None);
}

/// Before: every visitor got an English page, and `fetch` without `Accept` got HTML, on which `answer.json()` failed
/// with `Unexpected token '<'`.
fn down(site: &TestSite, port: u16) {
    site.maint(&["on", "move", "-m", "Größere Platten"]);
    let page = ask(port, "GET", "/", &[("Accept-Language", "de-AT,de;q=0.9,en;q=0.5")]);
    assert_eq!((page.status, is_of_the_app(&page)), (503, false), "{page:?}");
    for part in ["<html lang=\"de\"", "Wartungsarbeiten", "Größere Platten"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let arabic = ask(port, "GET", "/", &[("Accept-Language", "ar-EG")]);
    assert!(arabic.body.contains("dir=\"rtl\""), "{}", arabic.body);
    let english = ask(port, "GET", "/", &[("Accept-Language", "tlh")]);
    assert!(english.body.contains("Down for maintenance"), "{}", english.body);

    // What a browser sends for `fetch("/graphql/", {method: "POST", body: JSON.stringify(…)})`.
    let fetch = [("Accept", "*/*"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Mode", "cors")];
    let got = ask(port, "GET", "/order/", &fetch);
    assert_eq!(got.header("content-type"), Some("application/problem+json"), "{got:?}");
    let problem: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((&problem["status"], &problem["detail"]), (&503.into(), &"Größere Platten".into()));
    // A login is no read while everything is down.
    let login = post(port, "/accounts/login/", &[], (FORM, "username=ann"));
    assert_eq!((login.status, is_of_the_app(&login)), (503, false), "{login:?}");
    site.maint(&["off", "move"]);
    assert!(is_of_the_app(&get(port, "/")));
}
