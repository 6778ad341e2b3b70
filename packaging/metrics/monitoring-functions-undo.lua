-- Undoes monitoring-functions.lua: the functions go, and with them the right to call them. The user stays.
do
    for _, name in ipairs({'mon.pico', 'mon.metrics'}) do
        box.schema.func.drop(name, {if_exists = true})
    end
end
