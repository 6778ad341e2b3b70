\lua
-- Lets the user mon, who needs no other right, read all metrics: two functions that run as the administrator (setuid), and the right to call them;
-- The user must be there: CREATE USER "mon" WITH PASSWORD '...'. On the master of each replicaset: picodata admin /path/to/admin.sock < monitoring-functions.lua;
-- or the same by hand: open the console and paste this file. The undoing is in monitoring-functions-undo.lua. For the helper: --username mon --function mon.pico,mon.metrics;
-- That console takes each line as a statement, or all up to a semicolon: so each line is one, also those that only explain, and the first one has it listen to Lua;
-- mon.pico is everything that the built-in page has. It is empty while the HTTP listener of the instance is off;
box.schema.func.create('mon.pico', {setuid = true, if_not_exists = true, body = [[function() for _, route in pairs(pico.httpd and pico.httpd.routes or {}) do if route.path == 'metrics' or route.path == '/metrics' then local ok, page = pcall(route.sub, {}) if not ok then page = route.sub() end return {status = page.status, body = page.body} end end return {status = 200, body = ''} end]]});
-- mon.metrics is the tnt_* and lj_* families;
box.schema.func.create('mon.metrics', {setuid = true, if_not_exists = true, body = [[function() local page = require('metrics.plugins.prometheus').collect_http() return {status = page.status, body = page.body} end]]});
box.schema.user.grant('mon', 'execute', 'function', 'mon.pico', {if_not_exists = true});
box.schema.user.grant('mon', 'execute', 'function', 'mon.metrics', {if_not_exists = true});
