-- maint snippet lighttpd: obeys the flag `@KIND@` at @PATH@
-- Save it as /etc/lighttpd/maint.lua, and add to lighttpd.conf (Debian: lighttpd-modules-lua has mod_magnet):
--     server.modules += ( "mod_magnet" )
--     magnet.attract-raw-url-to = ( "/etc/lighttpd/maint.lua" )
-- The next request sees each change. lighttpd answers with 503 by itself; a 503 of the app stays the app's.
-- The site stays OPEN if lighttpd may not enter the folder, or `server.chroot` hides it; its error log says so.
local folder = "@FOLDER@"
local request, answer = lighty.r.req_header, lighty.r.resp_header

-- The bytes of a file; nil if it is not there. `lighty.stat` would see changes a second late.
local function read(name)
    local file = io.open(folder .. "/" .. name, "rb")
    local text = file and file:read("*a")
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
    if code ~= 2 or missing == 2 then print("maint: " .. why) end
    return false
end

if not is_down() then return 0 end
#? web
-- An IPv4 client of a socket for both has an address of IPv6.
local client = lighty.r.req_attr["request.remote-addr"]:gsub("^::ffff:(%d+%.)", "%1")
if read("allow/" .. client) then return 0 end
#?
-- Certificates are renewed while the site is down.
if lighty.r.req_attr["uri.path"]:match("^/%.well%-known/acme%-challenge/[%w_-]+$") then return 0 end

local body, kind
#? web
-- A client that names JSON or text, and no HTML, gets that.
local accept = (request["Accept"] or ""):lower()
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
#? web
answer["Retry-After"] = read("retry-after") or "@RETRY_AFTER@"
#? file page
answer["Retry-After"] = "@RETRY_AFTER@"
#?
answer["Content-Type"] = kind
answer["Cache-Control"] = "no-store"
answer["Surrogate-Control"] = "no-store"
answer["CDN-Cache-Control"] = "no-store"
answer["Vary"] = "Accept, Accept-Language, Cookie"
answer["X-Content-Type-Options"] = "nosniff"
answer["Maint-Decision"] = "block"
lighty.r.resp_body.set(body)
return 503
