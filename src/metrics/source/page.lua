-- The page: the handler of Picodata's own HTTP route, which alone knows the pico_* families; else the `metrics` module.
local function route()
    local httpd = rawget(_G, 'pico') and pico.httpd
    for _, r in pairs(httpd and httpd.routes or {}) do
        if type(r) == 'table' and (r.path == 'metrics' or r.path == '/metrics') and r.sub then
            local ok, page = pcall(r.sub, {})
            if not ok then page = r.sub() end
            return {body = page.body, via = 'route'}
        end
    end
end
local function plugin()
    return {body = require('metrics.plugins.prometheus').collect_http().body, via = 'plugin'}
end
local function filled(page)
    if page and type(page.body) == 'string' and page.body ~= '' then return page end
end
local page = filled(try(route)) or filled(try(plugin))
if page then
    answer.page, answer.via = page.body, page.via
end
