# maint snippet varnish: obeys the flag `@KIND@` at @PATH@
# Save it as /etc/varnish/maint.vcl, and include it before any `sub` of your own: include "/etc/varnish/maint.vcl";
# The next request sees each change, and what Varnish has kept is not served meanwhile. A 503 of the app stays the app's.
# It shows a short page of its own: `std.fileread` would show the page of the first window for ever.
# The site stays OPEN if Varnish may not enter the folder, and nothing says so.
import std;

sub vcl_recv {
    if (std.file_exists("@DOWN@")
#? web
        && !std.file_exists("@FOLDER@/allow/" + client.ip)
#?
        # Certificates are renewed while the site is down.
        && req.url !~ "^/\.well-known/acme-challenge/[A-Za-z0-9_-]+$") {
        # Varnish sends the last three digits: this is nobody else's 503.
        return (synth(1503, "Service Unavailable"));
    }
}

sub vcl_synth {
    if (resp.status == 1503) {
        set resp.http.Retry-After = "@RETRY_AFTER@";
        set resp.http.Content-Type = "text/html; charset=utf-8";
        set resp.http.Cache-Control = "no-store";
        set resp.http.Surrogate-Control = "no-store";
        set resp.http.CDN-Cache-Control = "no-store";
        set resp.http.Vary = "Accept, Accept-Language, Cookie";
        set resp.http.X-Content-Type-Options = "nosniff";
        set resp.http.Maint-Decision = "block";
        set resp.body = {"<!doctype html>
<html lang="en">
<title>Down for maintenance</title>
<h1>Down for maintenance</h1>
<p>We will be back soon.</p>
</html>
"};
        return (deliver);
    }
}
