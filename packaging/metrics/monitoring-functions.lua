-- Lets a user without any other right read all metrics: two functions that run as the administrator (setuid), and the right
-- to call them. Run it in the administrator's console (Lua), on the master of each replicaset:
--
--     picodata admin /path/to/admin.sock      then \lua, and paste this file
--
-- and give the helper:  --username mon --function mon.pico,mon.metrics
-- The undoing is in monitoring-functions-undo.lua. The user must be there: CREATE USER "mon" WITH PASSWORD '...'.
do
    local user = 'mon'
    local functions = {
        -- Everything that the built-in page has; empty while the HTTP listener of the instance is off.
        ['mon.pico'] = [[function()
            for _, route in pairs(pico.httpd and pico.httpd.routes or {}) do
                if route.path == 'metrics' or route.path == '/metrics' then
                    local ok, page = pcall(route.sub, {})
                    if not ok then page = route.sub() end
                    return {status = page.status, body = page.body}
                end
            end
            return {status = 200, body = ''}
        end]],
        -- The tnt_* and lj_* families.
        ['mon.metrics'] = [[function()
            local page = require('metrics.plugins.prometheus').collect_http()
            return {status = page.status, body = page.body}
        end]],
    }
    for name, body in pairs(functions) do
        box.schema.func.create(name, {setuid = true, if_not_exists = true, body = body})
        box.schema.user.grant(user, 'execute', 'function', name, {if_not_exists = true})
    end
end
