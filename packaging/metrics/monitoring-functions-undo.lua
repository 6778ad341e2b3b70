\lua
-- Undoes monitoring-functions.lua: the functions go, and with them the right to call them. The user stays;
box.schema.func.drop('mon.pico', {if_exists = true});
box.schema.func.drop('mon.metrics', {if_exists = true});
