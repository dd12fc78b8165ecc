-- maint snippet haproxy: obeys the flag `@KIND@` at @PATH@
-- Save it as /etc/haproxy/maint.lua, and add to haproxy.cfg, in the section `global`:
--     lua-load /etc/haproxy/maint.lua
-- and first in each frontend of the site, which is in `mode http`:
--     http-request use-service lua.maint if { lua.maint -m bool }
-- The next request sees each change. HAProxy answers with 503 by itself; a 503 of the app stays the app's.
-- The site stays OPEN if HAProxy cannot see the folder, and its log says so: its user may not enter it, or
-- `chroot` in the section `global` hides it (Debian's file has one): mount the folder into it, or drop `chroot`.
local folder = "@FOLDER@"
local headers = {
    ["Cache-Control"] = "no-store",
    ["Surrogate-Control"] = "no-store",
    ["CDN-Cache-Control"] = "no-store",
    ["Vary"] = "Accept, Accept-Language, Cookie",
    ["X-Content-Type-Options"] = "nosniff",
    ["Maint-Decision"] = "block",
}

-- The bytes of a file; nil if it is not there.
local function read(name)
    local file = io.open(folder .. "/" .. name, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    return text
end

-- Whether the flag is there. What keeps it from being seen goes to the log: 2 is "no such file", and what is
-- above is always there.
local function is_down()
    local file, why, code = io.open(folder .. "/@DOWN_NAME@", "rb")
    if file then
        file:close()
        return true
    end
    local above, _, missing = io.open("@ABOVE@/.", "rb")
    if above then above:close() end
    if code ~= 2 or missing == 2 then core.log(core.err, "maint: " .. why) end
    return false
end

-- Whether this request is refused.
core.register_fetches("maint", function(txn)
    if not is_down() then return false end
#? web
    -- An IPv4 client of a socket for both has an address of IPv6.
    local client = txn.sf:src():gsub("^::ffff:(%d+%.)", "%1")
    if read("allow/" .. client) then return false end
#?
    -- Certificates are renewed while the site is down.
    return not txn.sf:path():match("^/%.well%-known/acme%-challenge/[%w_-]+$")
end)

core.register_service("maint", "http", function(applet)
    local body, kind
#? web
    local accept = ""
    for _, value in pairs(applet.headers["accept"] or {}) do accept = accept .. value:lower() end
    -- A client that names JSON or text, and no HTML, gets that.
    if not accept:find("text/html", 1, true) then
        if accept:find("[/+]json") then
            body, kind = read("page.json"), "application/problem+json"
        elseif accept:find("text/plain", 1, true) then
            body, kind = read("page.txt"), "text/plain; charset=utf-8"
        end
    end
#? web page
    if not body then
        body, kind = read("@PAGE_NAME@"), "text/html; charset=utf-8"
    end
#?
    if not body then
        body, kind = "Down for maintenance.\n", "text/plain; charset=utf-8"
    end
    applet:set_status(503)
    for name, value in pairs(headers) do applet:add_header(name, value) end
#? web
    applet:add_header("Retry-After", read("retry-after") or "@RETRY_AFTER@")
#? file page
    applet:add_header("Retry-After", "@RETRY_AFTER@")
#?
    applet:add_header("Content-Type", kind)
    applet:add_header("Content-Length", tostring(#body))
    applet:start_response()
    if applet.method ~= "HEAD" then applet:send(body) end
end)
